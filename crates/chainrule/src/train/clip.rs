//! Gradient clipping: a bound on how far one batch can push the weights.
//!
//! ```text
//! by value:  g = min(max(g, -value), value), for each number
//! by norm:   norm = sqrt(sum of the squares of all numbers of all gradients)
//!            g = g * max_norm / (norm + 1e-6)  if that factor is below 1
//! ```
//! The sum is taken in `f64` in an order that the shapes fix, so clipping changes nothing about equal bits for any number of
//! threads. Source: Pascanu, Mikolov, Bengio 2013, algorithm 1; the 1e-6 is PyTorch's (`torch.nn.utils.clip_grad_norm_`).

use crate::tensor::{Tensor, float};
use chainrule_kernels::{clip as kernel, reduce};

/// Clips the gradients of a step by value, then by their global norm; `None` for not at all.
pub(super) fn clip(grads: &mut [Tensor], value: Option<f64>, norm: Option<f64>) {
    if let Some(most) = value {
        for grad in &mut *grads {
            float!(grad.dtype(), T => kernel::clamp(grad.data_mut::<T>(), most));
        }
    }
    if let Some(most) = norm {
        let factor = most / (global_norm(grads) + 1e-6);
        // A norm that is not a number is met only with [`OnNonFinite::Continue`](super::OnNonFinite); it clips nothing.
        if factor < 1.0 {
            for grad in grads {
                float!(grad.dtype(), T => kernel::scale(grad.data_mut::<T>(), factor));
            }
        }
    }
}

/// The square root of the sum of squares of all numbers of all these tensors.
pub fn global_norm(tensors: &[Tensor]) -> f64 {
    let squares = |t: &Tensor| float!(t.dtype(), T => reduce::sum_squares(t.data::<T>()));
    tensors.iter().map(squares).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas, number by number.
    fn naive(grads: &[Vec<f64>], value: f64, norm: f64) -> Vec<Vec<f64>> {
        let clamped: Vec<Vec<f64>> =
            grads.iter().map(|g| g.iter().map(|v| v.max(-value).min(value)).collect()).collect();
        let total = clamped.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
        let factor = (norm / (total + 1e-6)).min(1.0);
        clamped.iter().map(|g| g.iter().map(|v| v * factor).collect()).collect()
    }

    #[test]
    fn clipping_follows_its_formulas() {
        let grads = [vec![3.0, -4.0, 0.5], vec![12.0, 0.0], vec![]];
        for (value, norm) in [(1e9, 1e9), (1e9, 1.0), (2.0, 1e9), (2.0, 0.25)] {
            let mut tensors = grads.each_ref().map(|g| Tensor::from_f64([g.len()], g));
            clip(&mut tensors, Some(value), Some(norm));
            for (t, want) in tensors.iter().zip(naive(&grads, value, norm)) {
                let close = t.to_vec().iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(close, "{value} {norm}: {:?} {want:?}", t.to_vec());
            }
        }
    }

    #[test]
    fn gradients_within_the_bounds_keep_their_bits() {
        let g = [0.1, 0.2, -0.3];
        let mut tensors = [Tensor::from_f64([3], &g)];
        clip(&mut tensors, Some(0.3), Some(1.0));
        assert_eq!(tensors[0].to_vec(), g);
        assert_eq!(global_norm(&[Tensor::from_f64([2], &[3.0, 4.0])]), 5.0);
    }

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        let mut tensors = [Tensor::from_f64([2], &[f64::NAN, 5.0])];
        clip(&mut tensors, Some(1.0), Some(0.1));
        assert!(tensors[0].to_vec()[0].is_nan());
    }
}
