//! Nothing that is not a finite number gets into the weights.

use crate::error::{Error, Result};
use crate::models::Param;
use crate::tensor::{Tensor, float};
use chainrule_kernels::reduce::all_finite;

/// That the loss of step `step` (from 1) and its gradients are finite numbers.
///
/// # Errors
/// If not: it names the step, what is not finite, and the parameter nearest to the loss whose gradient is not finite either,
/// which is the layer where to look. A gradient flows from the last layer to the first, and what is not finite stays so.
pub(super) fn require(step: usize, loss: f64, params: &[Param], grads: &[Tensor]) -> Result<()> {
    let is_finite = |grad: &Tensor| float!(grad.dtype(), T => all_finite(grad.data::<T>()));
    if loss.is_finite() && grads.iter().all(is_finite) {
        return Ok(());
    }
    let nearest = params.iter().zip(grads).rev().find(|(_, grad)| !is_finite(grad));
    let advice = "the weights were left as they were; try a smaller learning rate or weight scale";
    let (what, value, advice) = match nearest {
        Some((param, grad)) if loss.is_finite() => {
            let value = grad.to_vec().into_iter().find(|v| !v.is_finite());
            let what = format!("a gradient of {} (the nearest to the loss)", param.name);
            (what, value.unwrap_or(f64::NAN), advice.to_string())
        }
        Some((param, _)) => {
            let layer = format!("so is, nearest to the loss, a gradient of {}", param.name);
            ("the loss".to_string(), loss, format!("{layer}; {advice}"))
        }
        None => ("the loss".to_string(), loss, format!("all gradients are; {advice}")),
    };
    Err(Error::NotFinite { step, what, value, advice })
}
