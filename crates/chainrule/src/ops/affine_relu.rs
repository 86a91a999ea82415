//! An affine map with a ReLU behind it, in one pass.
//!
//! ```text
//! y = max(0, x w + b)      x (N, D...) seen as (N, D)   w (D, M)   b (M)   y (N, M)
//! da = dy where y > 0, else 0      dx = da w^T      dw = x^T da      db = sum over N of da
//! ```
//! The bias and the ReLU are applied to each block of the product while it is in the cache. NaN comes through the ReLU.
//!
//! Saved: x, w and y (shared). Cost: that of `affine`; one pass over dy and y more in backward. Both derivatives are those of
//! [`affine`] and of [`relu`]. Source: the course's sandwich layers.

use super::affine::{self, product};
use super::elementwise::{self, relu};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::Tensor;

pub use affine::Grads;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    affine: affine::Cache,
    relu: elementwise::Cache,
}

/// `y = max(0, x w + b)`: x (N, D...), w (D, M), b (M) to y (N, M).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(x: &Tensor, w: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    fused("affine_relu", x, w, b)
}

/// The forward pass for this op and the sandwich that has it as a special case.
#[track_caller]
pub(super) fn fused(op: &str, x: &Tensor, w: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    let (y, affine) = product(op, x, w, b, affine::Activation::Relu);
    let relu = elementwise::Cache { kept: y.clone(), activation: relu::ACTIVATION };
    (y, Cache { affine, relu })
}

/// The gradients, given the upstream gradient dy (N, M).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dw), Some(db)] = backward_for([true; 3], dy, cache) else {
        unreachable!("all were asked for")
    };
    Grads { dx, dw, db }
}

/// The gradients of x, w and b that are needed. A first layer does not need that of x.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 3], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 3] {
    backward_l2(needs, dy, cache, 0.0)
}

/// [`backward_for`] with `reg w` added to dw: see [`affine::backward_l2`].
#[track_caller]
pub(crate) fn backward_l2(
    needs: [bool; 3],
    dy: &Tensor,
    cache: &Cache,
    reg: f64,
) -> [Option<Tensor>; 3] {
    check::upstream("affine_relu", dy, cache.relu.kept.shape(), &cache.relu.kept);
    affine::backward_l2(needs, &elementwise::backward(dy, &cache.relu), &cache.affine, reg)
}

/// Quarters: products of them are sixteenths, which a shift by a thirty-second keeps from 0, ReLU's kink.
pub(super) fn quarters(v: f64) -> f64 {
    (v * 4.0).round() / 4.0
}

impl Var {
    /// `max(0, x w + b)` on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn affine_relu(&self, w: &dyn OnTape, b: &dyn OnTape) -> Var {
        let on = Operands::of([self, w, b]);
        let [x, w, b] = &on.values;
        let (y, cache) = forward(x, w, b);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, x: &[usize], m: usize| {
        let d = x[1..].iter().product();
        Case::new("affine_relu", name)
            .input_with("x", x, quarters)
            .input_with("w", &[d, m], quarters)
            .input_with("b", &[m], |v| quarters(v) + 1.0 / 32.0)
            .run(|[x, w, b]| {
                let (y, cache) = forward(x, w, b);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(|[x, w, b]| x.affine_relu(w, b))
    };
    vec![
        case("matrix", &[5, 4], 3),
        case("pictures", &[2, 3, 2, 5], 7),
        case("one", &[1, 1], 1),
        case("wide", &[3, 300], 17),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn the_same_bits_as_the_two_layers_one_after_the_other() {
        let mut rng = Rng::new(2);
        for (n, d, m) in [(5, 4, 3), (50, 300, 100), (1, 1, 1)] {
            let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F32, &mut rng);
            let (x, w, b, dy) = (normal(&[n, d]), normal(&[d, m]), normal(&[m]), normal(&[n, m]));
            let (y, cache) = forward(&x, &w, &b);
            let grads = backward(&dy, &cache);

            let (a, below) = affine::forward(&x, &w, &b);
            let (want, above) = relu::forward(&a);
            let apart = affine::backward(&relu::backward(&dy, &above), &below);
            assert_eq!(y.to_vec(), want.to_vec());
            for (one, other) in [(grads.dx, apart.dx), (grads.dw, apart.dw), (grads.db, apart.db)] {
                assert_eq!(one.to_vec(), other.to_vec());
            }
        }
    }

    #[test]
    fn nan_comes_through() {
        for (n, d, m) in [(2, 3, 4), (40, 50, 60)] {
            let x = Tensor::full([n, d], f64::NAN, DType::F32);
            let (y, _) =
                forward(&x, &Tensor::ones([d, m], DType::F32), &Tensor::ones([m], DType::F32));
            assert!(y.to_vec().iter().all(|v| v.is_nan()));
        }
    }
}
