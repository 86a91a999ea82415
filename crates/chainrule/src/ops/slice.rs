//! A part of an axis, and its opposite, padding: numbers put before and after.
//!
//! ```text
//! y[.., i, ..] = x[.., start + i, ..]                                 dx = dy there, 0 elsewhere
//! y[.., before + i, ..] = x[.., i, ..], elsewhere a given number      dx = dy there
//! ```
//! Each is the other's derivative. Saved: sizes. Cost: a copy either way. Row-major results.

use super::extremum::around;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use std::ops::Range;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    axis: usize,
    /// The part of the longer tensor that both share.
    part: Range<usize>,
    /// The size of the axis in x, and in y.
    sizes: [usize; 2],
    y: Shape,
    like: Tensor,
}

/// A shape with another size on one axis.
pub(super) fn with_axis(shape: &Shape, axis: usize, size: usize) -> Shape {
    let mut sizes = [0; MAX_AXES];
    sizes[..shape.len()].copy_from_slice(shape);
    sizes[axis] = size;
    Shape::new(&sizes[..shape.len()])
}

/// Part `part` of an axis of a row-major tensor.
fn cut(x: &Tensor, axis: usize, part: Range<usize>) -> Tensor {
    let x = x.to_order(Order::RowMajor);
    let [_, n, inner] = around(x.shape(), axis);
    let mut y = Tensor::dirty(with_axis(x.shape(), axis, part.len()), x.dtype(), Order::RowMajor);
    let rows = (part.len() * inner).max(1);
    float!(x.dtype(), T => {
        let from = x.data::<T>().chunks_exact((n * inner).max(1));
        let to = y.data_mut::<T>().chunks_exact_mut(rows);
        to.zip(from).for_each(|(to, from)| to.copy_from_slice(&from[part.start * inner..][..rows]));
    });
    y
}

/// An axis of size n, filled with `fill` but for `part`, which is x.
fn embed(x: &Tensor, axis: usize, part: Range<usize>, n: usize, fill: f64) -> Tensor {
    let x = x.to_order(Order::RowMajor);
    let [_, _, inner] = around(x.shape(), axis);
    let mut y = Tensor::full(with_axis(x.shape(), axis, n), fill, x.dtype());
    let rows = (part.len() * inner).max(1);
    float!(x.dtype(), T => {
        let from = x.data::<T>().chunks_exact(rows);
        let to = y.data_mut::<T>().chunks_exact_mut((n * inner).max(1));
        to.zip(from).for_each(|(to, from)| to[part.start * inner..][..rows].copy_from_slice(from));
    });
    y
}

fn cache(x: &Tensor, y: &Tensor, axis: usize, part: Range<usize>) -> Cache {
    let sizes = [x.shape()[axis], y.shape()[axis]];
    Cache { axis, part, sizes, y: *y.shape(), like: Tensor::zeros([0], x.dtype()) }
}

/// The numbers `part` of an axis.
///
/// # Panics
/// If the axis is not one of x, or does not have them.
#[track_caller]
pub fn forward(x: &Tensor, axis: usize, part: Range<usize>) -> (Tensor, Cache) {
    if x.shape().get(axis).is_none_or(|n| part.start > part.end || part.end > *n) {
        let reason = format!("{part:?} must be a part of axis {axis}");
        check::fail("slice", reason, &[("x", x, "")], "");
    }
    let y = cut(x, axis, part.clone());
    let cache = cache(x, &y, axis, part);
    (y, cache)
}

/// `before` and `after` times the number `fill` put around axis `axis`.
///
/// # Panics
/// If the axis is not one of x.
#[track_caller]
pub fn pad(x: &Tensor, axis: usize, [before, after]: [usize; 2], fill: f64) -> (Tensor, Cache) {
    let Some(&n) = x.shape().get(axis) else {
        check::fail("pad", format!("there is no axis {axis}"), &[("x", x, "")], "");
    };
    let part = before..before + n;
    let y = embed(x, axis, part.clone(), before + n + after, fill);
    let cache = cache(x, &y, axis, part);
    (y, cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { axis, part, sizes: [of_x, of_y], y, like } = cache;
    check::upstream("slice", dy, y, like);
    if of_y < of_x || part.len() == *of_y {
        embed(dy, *axis, part.clone(), *of_x, 0.0)
    } else {
        cut(dy, *axis, part.clone())
    }
}

impl Var {
    /// A part of an axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn slice(&self, axis: usize, part: Range<usize>) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axis, part);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// Numbers put before and after an axis: see [`pad`].
    ///
    /// # Panics
    /// As [`pad`].
    #[track_caller]
    pub fn pad(&self, axis: usize, around: [usize; 2], fill: f64) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = pad(&on.values[0], axis, around, fill);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// A part of an axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn slice(&self, axis: usize, part: Range<usize>) -> Tensor {
        forward(self, axis, part).0
    }

    /// Numbers put before and after an axis.
    ///
    /// # Panics
    /// As [`pad`].
    #[track_caller]
    pub fn pad(&self, axis: usize, around: [usize; 2], fill: f64) -> Tensor {
        pad(self, axis, around, fill).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let cut = |name, shape: &[usize], axis: usize, part: Range<usize>| {
        let again = part.clone();
        Case::new("slice", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(x, axis, part.clone());
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.slice(axis, again.clone()))
    };
    let padded = |name, shape: &[usize], axis: usize, around: [usize; 2], fill: f64| {
        Case::new("pad", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = pad(x, axis, around, fill);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.pad(axis, around, fill))
    };
    vec![
        cut("rows", &[5, 3], 0, 1..4),
        cut("columns", &[4, 6], 1, 2..3),
        cut("middle", &[2, 5, 3], 1, 0..2),
        cut("all", &[2, 3], 1, 0..3),
        padded("columns", &[2, 3], 1, [1, 2], 0.5),
        padded("pictures", &[2, 2, 3, 3], 2, [1, 0], 0.0),
        padded("nothing", &[2, 3], 0, [0, 0], 0.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_paddings() {
        let x = Tensor::from_f64([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(x.slice(1, 1..3).to_vec(), [2.0, 3.0, 5.0, 6.0]);
        assert!(x.slice(0, 1..1).is_empty());
        assert_eq!(x.pad(0, [1, 0], 9.0).to_vec(), [9.0, 9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(x.slice(1, 0..0).pad(1, [0, 1], 7.0).to_vec(), [7.0, 7.0]);
    }

    #[test]
    #[should_panic(expected = "slice: 1..5 must be a part of axis 1\n    x  [2, 3]")]
    fn a_part_that_is_not_there_panics() {
        Tensor::from_f64([2, 3], &[0.0; 6]).slice(1, 1..5);
    }
}
