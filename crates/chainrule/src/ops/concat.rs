//! Tensors one after the other along an axis.
//!
//! ```text
//! y = [x_1, x_2, ...] along the axis        dx_i = that part of dy        x_i: equal shapes but for the axis
//! ```
//! Saved: sizes. Cost: a copy either way. Row-major results.

use super::extremum::around;
use super::slice::{cut, with_axis};
use crate::check::{self, Operand};
use crate::gradcheck::{Backward, Case};
use crate::tape::{Var, record_many};
use crate::tensor::{Order, Shape, Tensor, float};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    axis: usize,
    sizes: Vec<usize>,
    y: Shape,
    like: Tensor,
}

/// The tensors one after the other along `axis`.
///
/// # Panics
/// If there is none, they differ in more than that axis, or the types differ.
#[track_caller]
pub fn forward(parts: &[&Tensor], axis: usize) -> (Tensor, Cache) {
    let operands: Vec<Operand> = parts.iter().map(|t| ("x", *t, "")).collect();
    let Some(first) = parts.first().filter(|t| axis < t.shape().len()) else {
        check::fail("concat", format!("there must be a tensor with an axis {axis}"), &operands, "");
    };
    let like_first = |t: &&&Tensor| {
        t.shape().len() == first.shape().len()
            && with_axis(t.shape(), axis, 0) == with_axis(first.shape(), axis, 0)
    };
    if parts.iter().filter(like_first).count() != parts.len() {
        check::fail("concat", format!("shapes may differ in axis {axis} alone"), &operands, "");
    }
    check::same_dtype("concat", &operands);
    let sizes: Vec<usize> = parts.iter().map(|t| t.shape()[axis]).collect();
    let shape = with_axis(first.shape(), axis, sizes.iter().sum());
    let mut y = Tensor::dirty(shape, first.dtype(), Order::RowMajor);
    let [outer, n, inner] = around(&shape, axis);
    float!(first.dtype(), T => {
        let to = y.data_mut::<T>();
        let mut start = 0;
        for part in parts {
            let part = part.to_order(Order::RowMajor);
            let rows = part.shape()[axis] * inner;
            for o in 0..outer {
                let from = &part.data::<T>()[o * rows..][..rows];
                to[o * n * inner + start..][..rows].copy_from_slice(from);
            }
            start += rows;
        }
    });
    let cache = Cache { axis, sizes, y: shape, like: Tensor::zeros([0], first.dtype()) };
    (y, cache)
}

/// The gradients of the parts, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Vec<Tensor> {
    let needs = vec![true; cache.sizes.len()];
    backward_for(&needs, dy, cache).into_iter().flatten().collect()
}

/// The gradients of the parts that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: &[bool], dy: &Tensor, cache: &Cache) -> Vec<Option<Tensor>> {
    check::upstream("concat", dy, &cache.y, &cache.like);
    let mut start = 0;
    let parts = needs.iter().zip(&cache.sizes).map(|(needed, size)| {
        let part = start..start + size;
        start += size;
        needed.then(|| cut(dy, cache.axis, part))
    });
    parts.collect()
}

impl Var {
    /// Variables one after the other along an axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`], and if they are on different tapes.
    #[track_caller]
    pub fn concat(parts: &[Var], axis: usize) -> Var {
        let values: Vec<&Tensor> = parts.iter().map(Var::value).collect();
        let (y, cache) = forward(&values, axis);
        record_many(parts, y, move |needs, dy, grads| {
            let found = backward_for(needs, dy, &cache);
            grads.iter_mut().zip(found).for_each(|(to, g)| *to = g);
        })
    }

    /// Variables of one shape as the entries of a new axis.
    ///
    /// # Panics
    /// As [`Var::concat`], and if there are as many axes as there can be.
    #[track_caller]
    pub fn stack(parts: &[Var], axis: usize) -> Var {
        let mut with_axis = Vec::with_capacity(parts.len());
        for part in parts {
            with_axis.push(part.unsqueeze(axis));
        }
        Var::concat(&with_axis, axis)
    }
}

impl Tensor {
    /// Tensors one after the other along an axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn concat(parts: &[&Tensor], axis: usize) -> Tensor {
        forward(parts, axis).0
    }

    /// Tensors of one shape as the entries of a new axis.
    ///
    /// # Panics
    /// As [`Tensor::concat`], and if there are as many axes as there can be.
    #[track_caller]
    pub fn stack(parts: &[&Tensor], axis: usize) -> Tensor {
        let mut with_axis = Vec::with_capacity(parts.len());
        for part in parts {
            with_axis.push(part.reshape(part.unsqueezed(axis)));
        }
        Tensor::concat(&with_axis.iter().collect::<Vec<_>>(), axis)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shapes: [&[usize]; 3], axis: usize| {
        let case = Case::new("concat", name).input("a", shapes[0]).input("b", shapes[1]);
        case.input("c", shapes[2])
            .run_slice(move |inputs| {
                let (y, cache) = forward(&inputs.iter().collect::<Vec<_>>(), axis);
                let back: Backward = Box::new(move |needs, dy| backward_for(needs, dy, &cache));
                (y, back)
            })
            .tape_slice(move |inputs| Var::concat(inputs, axis))
    };
    vec![
        case("rows", [&[2, 3], &[1, 3], &[4, 3]], 0),
        case("columns", [&[2, 3], &[2, 1], &[2, 2]], 1),
        case("channels", [&[2, 1, 2, 2], &[2, 3, 2, 2], &[2, 2, 2, 2]], 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    #[test]
    fn stacking_makes_an_axis() {
        let (a, b) = (Tensor::from_f64([2], &[1.0, 2.0]), Tensor::from_f64([2], &[3.0, 4.0]));
        assert_eq!(Tensor::stack(&[&a, &b], 1).to_vec(), [1.0, 3.0, 2.0, 4.0]);
        let tape = Tape::train(0);
        let y = Var::stack(&[tape.leaf(&a), tape.leaf(&b), tape.leaf(&a)], 0);
        assert_eq!(y.shape()[..], [3, 2]);
        let grads = y.backward_from(&Tensor::from_f64([3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!((grads[&a].to_vec(), grads[&b].to_vec()), (vec![6.0, 8.0], vec![3.0, 4.0]));
    }

    #[test]
    #[should_panic(expected = "concat: shapes may differ in axis 0 alone\n    x  [2]")]
    fn other_differences_panic() {
        Tensor::concat(
            &[&Tensor::from_f64([2], &[0.0; 2]), &Tensor::from_f64([1, 2], &[0.0; 2])],
            0,
        );
    }
}
