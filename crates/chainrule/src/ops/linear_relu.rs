//! The affine map with PyTorch's layout of the weights and a ReLU behind it, in one pass.
//!
//! ```text
//! y = max(0, x w^T + b)     x (..., D)   w (M, D)   b (M)   y (..., M)
//! da = dy where y > 0, else 0    dx, dw, db: those of linear for the upstream gradient da
//! ```
//! [`affine_relu`](super::affine_relu) with w transposed, and the same bits. The bias and the ReLU are applied to each block of
//! the product while it is in the cache. NaN comes through the ReLU.
//!
//! Saved: x, w and y (shared). Cost: that of [`linear`]; one pass over dy and y more in backward. Source: as there.

use super::elementwise::{self, relu};
use super::linear;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::Tensor;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    linear: linear::Cache,
    relu: elementwise::Cache,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Shape of x.
    pub dx: Tensor,
    /// (M, D).
    pub dw: Tensor,
    /// (M).
    pub db: Tensor,
}

/// `y = max(0, x w^T + b)`: x (..., D), w (M, D), b (M), y (..., M).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(x: &Tensor, w: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    let (y, linear) = linear::product("linear_relu", [x, w], Some(b), true);
    let relu = elementwise::Cache { kept: y.clone(), activation: relu::ACTIVATION };
    (y, Cache { linear, relu })
}

/// The gradients, given the upstream gradient dy (..., M).
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
    check::upstream("linear_relu", dy, cache.relu.kept.shape(), &cache.relu.kept);
    linear::backward_for(needs, &elementwise::backward(dy, &cache.relu), &cache.linear)
}

impl Var {
    /// `max(0, x w^T + b)` on the tape, w (M, D): see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn linear_relu(&self, w: &dyn OnTape, b: &dyn OnTape) -> Var {
        let on = Operands::of([self, w, b]);
        let [x, w, b] = &on.values;
        let (y, cache) = forward(x, w, b);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    use super::affine_relu::quarters;
    let case = |name, x: &[usize], m: usize| {
        Case::new("linear_relu", name)
            .input_with("x", x, quarters)
            .input_with("w", &[m, x[x.len() - 1]], quarters)
            .input_with("b", &[m], |v| quarters(v) + 1.0 / 32.0)
            .run(|[x, w, b]| {
                let (y, cache) = forward(x, w, b);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(|[x, w, b]| x.linear_relu(w, b))
    };
    vec![
        case("matrix", &[5, 4], 3),
        case("sequence", &[2, 3, 5], 7),
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
            let (x, w, b, dy) = (normal(&[n, d]), normal(&[m, d]), normal(&[m]), normal(&[n, m]));
            let (y, cache) = forward(&x, &w, &b);
            let grads = backward(&dy, &cache);

            let (a, below) = linear::forward(&x, &w, Some(&b));
            let (want, above) = relu::forward(&a);
            let apart = linear::backward(&relu::backward(&dy, &above), &below);
            assert_eq!(y.to_vec(), want.to_vec());
            assert_eq!(grads.dx.to_vec(), apart.dx.to_vec());
            assert_eq!(grads.dw.to_vec(), apart.dw.to_vec());
            assert_eq!(Some(grads.db.to_vec()), apart.db.map(|db| db.to_vec()));
        }
    }

    #[test]
    fn nan_comes_through() {
        for (n, d, m) in [(2, 3, 4), (40, 50, 60)] {
            let x = Tensor::full([n, d], f64::NAN, DType::F32);
            let (w, b) = (Tensor::ones([m, d], DType::F32), Tensor::ones([m], DType::F32));
            assert!(forward(&x, &w, &b).0.to_vec().iter().all(|v| v.is_nan()));
        }
    }
}
