//! One of two tensors at each place, as a mask says.
//!
//! ```text
//! y = a where mask is not 0, else b        da = dy where mask is not 0, else 0        db = dy where it is 0, else 0
//! ```
//! mask has y's shape; a and b are repeated to it (broadcast). Saved: the mask. Cost: one pass forward, one a gradient backward.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::walk::broadcast;
use crate::tensor::{Shape, Tensor, float};
use chainrule_kernels::Real;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    mask: Tensor,
    shapes: [Shape; 2],
}

/// The gradients of the two, in their shapes.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Of the one taken where the mask is not 0.
    pub da: Tensor,
    /// Of the other.
    pub db: Tensor,
}

/// a where mask is not 0, else b; all of one shape and order.
fn pick(mask: &Tensor, a: &Tensor, b: &Tensor) -> Tensor {
    let mut y = mask.dirty_like();
    float!(mask.dtype(), T => {
        let pairs = a.data::<T>().iter().zip(b.data::<T>());
        let all = y.data_mut::<T>().iter_mut().zip(mask.data::<T>()).zip(pairs);
        all.for_each(|((y, m), (a, b))| *y = if *m != T::ZERO { *a } else { *b });
    });
    y
}

/// `y = a` where mask is not 0, else b.
///
/// # Panics
/// If a or b cannot be repeated to the mask's shape, or the types differ.
#[track_caller]
pub fn forward(mask: &Tensor, a: &Tensor, b: &Tensor) -> (Tensor, Cache) {
    let operands = [("mask", mask, ""), ("a", a, ""), ("b", b, "")];
    check::same_dtype("choose", &operands);
    for t in [a, b] {
        if broadcast("choose", mask.shape(), t.shape(), &operands) != *mask.shape() {
            let reason = "the mask must have the shape of the result";
            check::fail("choose", reason, &operands, "");
        }
    }
    let [wide_a, wide_b] = [a, b].map(|t| t.spread_to(mask.shape(), mask.order()));
    let y = pick(mask, &wide_a, &wide_b);
    (y, Cache { mask: mask.clone(), shapes: [*a.shape(), *b.shape()] })
}

/// The gradients, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(da), Some(db)] = backward_for([true; 2], dy, cache) else {
        unreachable!("both were asked for")
    };
    Grads { da, db }
}

/// The gradients of a and b that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 2], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 2] {
    let Cache { mask, shapes: [of_a, of_b] } = cache;
    check::upstream("choose", dy, mask.shape(), mask);
    let dy = dy.to_order(mask.order());
    let zeros = mask.zeros_like();
    [
        needs[0].then(|| pick(mask, &dy, &zeros).sum_to(of_a)),
        needs[1].then(|| pick(mask, &zeros, &dy).sum_to(of_b)),
    ]
}

impl Var {
    /// This where `mask` is not 0, else `other`, on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn choose(&self, mask: &Tensor, other: &dyn OnTape) -> Var {
        let on = Operands::of([self, other]);
        let [a, b] = &on.values;
        let (y, cache) = forward(mask, a, b);
        on.record(y, cache, backward_for)
    }
}

impl Tensor {
    /// This where `mask` is not 0, else `other`.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn choose(&self, mask: &Tensor, other: &Tensor) -> Tensor {
        forward(mask, self, other).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &'static [usize], a: &[usize], b: &[usize]| {
        let mask = move |like: &Tensor| {
            let n: usize = shape.iter().product();
            let values: Vec<f64> = (0..n).map(|i| f64::from((i * 5 % 3 == 0) as u8)).collect();
            Tensor::from_f64(shape, &values).to_dtype(like.dtype())
        };
        Case::new("choose", name)
            .input("a", a)
            .input("b", b)
            .run(move |[a, b]| {
                let (y, cache) = forward(&mask(a), a, b);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[a, b]| a.choose(&mask(a.value()), b))
    };
    vec![
        case("equal", &[3, 4], &[3, 4], &[3, 4]),
        case("row and column", &[3, 4], &[4], &[3, 1]),
        case("scalar", &[2, 3, 2], &[], &[2, 3, 2]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn the_mask_decides() {
        let x = Tensor::from_f64([4], &[-1.0, 2.0, -3.0, 4.0]);
        let zero = Tensor::scalar(0.0, DType::F64);
        assert_eq!(x.choose(&x.gt(&zero), &zero).to_vec(), [0.0, 2.0, 0.0, 4.0]);
    }
}
