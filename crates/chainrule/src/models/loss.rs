//! What stands on top of every model: the loss of its scores, and the regularization of its weights.

use super::Param;
use crate::check;
use crate::ops::softmax_cross_entropy::CrossEntropyParams;
use crate::ops::{Targets, multiclass_svm, soft_cross_entropy, softmax_cross_entropy};
use crate::tensor::{Tensor, float};
use chainrule_kernels::reduce::{regularize, sum_squares};

/// The loss on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Softmax cross-entropy.
    Softmax {
        /// Share of the target spread evenly over all classes.
        label_smoothing: f64,
    },
    /// The multiclass hinge loss with margin 1.
    Svm,
}

impl Default for Loss {
    fn default() -> Self {
        Loss::Softmax { label_smoothing: 0.0 }
    }
}

impl Loss {
    /// The loss of scores (N, C), and its gradient by the scores.
    ///
    /// # Panics
    /// If there is not one label a row, each below C, or there are shares and it is the hinge loss, which takes classes.
    #[track_caller]
    pub fn of(&self, scores: &Tensor, targets: Targets<'_>) -> (f64, Tensor) {
        match (*self, targets) {
            (Loss::Softmax { label_smoothing }, Targets::Classes(labels)) => {
                let params = CrossEntropyParams { label_smoothing };
                let (loss, cache) = softmax_cross_entropy::forward(scores, labels, &params);
                (loss, softmax_cross_entropy::backward(&cache))
            }
            (Loss::Softmax { label_smoothing }, Targets::Shares(shares)) => {
                let params = CrossEntropyParams { label_smoothing };
                let (loss, cache) = soft_cross_entropy::forward(scores, shares, &params);
                (loss, soft_cross_entropy::backward_scores(&cache))
            }
            (Loss::Svm, Targets::Classes(labels)) => {
                let (loss, cache) = multiclass_svm::forward(scores, labels);
                (loss, multiclass_svm::backward(&cache))
            }
            (Loss::Svm, Targets::Shares(shares)) => {
                let reason = "the hinge loss takes one class an example, not shares of several";
                check::fail("multiclass_svm", reason, &[("shares", shares, "N C")], "");
            }
        }
    }
}

/// `loss + 0.5 reg sum(W^2)`, added one weight tensor after another; `reg W` is added to its gradient. The weights are the
/// parameters that decay. A large one is better added where its gradient is made (`affine::backward_l2`): `has` says of a
/// parameter's number that it was.
pub(super) fn add_l2(
    mut loss: f64,
    reg: f64,
    params: &[Param],
    grads: &mut [Tensor],
    has: impl Fn(usize) -> bool,
) -> f64 {
    if reg == 0.0 {
        return loss;
    }
    for (i, (param, grad)) in params.iter().zip(grads).enumerate().filter(|(_, (p, _))| p.decay) {
        float!(param.value.dtype(), T => {
            let w = param.value.data::<T>();
            let squares = if has(i) { sum_squares(w) } else { regularize(w, grad.data_mut(), reg) };
            loss += 0.5 * reg * squares;
        });
    }
    loss
}
