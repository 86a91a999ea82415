//! Numbers picked along an axis by their places.
//!
//! ```text
//! select: y[.., j, ..] = x[.., places[j], ..]                   the same places everywhere
//! gather: y[o, j, i] = x[o, places[o, j, i], i]                 a place for each result; o: the axes before, i: those after
//! dx = dy at its place, summed where places repeat, 0 elsewhere
//! ```
//! Saved: the places. Cost: one pass either way. Row-major results. Source: `torch.index_select`, `torch.gather`.

use super::extremum::around;
use super::slice::with_axis;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Shape, Tensor, float};
use chainrule_kernels::Buffer;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    y: Shape,
    like: Tensor,
    /// The place in x's memory of every number of y.
    from: Buffer<usize>,
}

/// The numbers at `places` along `axis`: the same places everywhere, or, if `each`, one for every result (row-major; the size of
/// the axis in the result is the number of places divided by the sizes of the other axes).
///
/// # Panics
/// If the axis is not one of x, a place is not on it, or their number does not fit.
#[track_caller]
pub fn forward(x: &Tensor, axis: usize, places: &[usize], each: bool) -> (Tensor, Cache) {
    let op = if each { "gather" } else { "select" };
    let operands = [("x", x, "")];
    let Some(&n) = x.shape().get(axis) else {
        check::fail(op, format!("there is no axis {axis}"), &operands, "");
    };
    if let Some(place) = places.iter().find(|p| **p >= n) {
        check::fail(op, format!("place {place} is not on axis {axis}"), &operands, "");
    }
    let [outer, _, inner] = around(x.shape(), axis);
    let others = outer * inner;
    if each && (others == 0 || !places.len().is_multiple_of(others)) {
        let reason = format!("{} places for {others} rows along axis {axis}", places.len());
        check::fail(op, reason, &operands, "");
    }
    let size = if each { places.len() / others } else { places.len() };
    let x = x.to_order(Order::RowMajor);
    let mut y = Tensor::dirty(with_axis(x.shape(), axis, size), x.dtype(), Order::RowMajor);
    let mut from = Buffer::<usize>::dirty(y.len());
    for (at, from) in from.make_mut().iter_mut().enumerate() {
        let (o, j, i) = (at / inner / size, at / inner % size, at % inner);
        *from = (o * n + places[if each { at } else { j }]) * inner + i;
    }
    float!(x.dtype(), T => {
        let numbers = x.data::<T>();
        y.data_mut::<T>().iter_mut().zip(from.iter()).for_each(|(y, from)| *y = numbers[*from]);
    });
    let like = Tensor::zeros([0], x.dtype());
    let cache = Cache { shape: *x.shape(), y: *y.shape(), like, from };
    (y, cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    check::upstream("gather", dy, &cache.y, &cache.like);
    let (dy, mut dx) = (dy.to_order(Order::RowMajor), Tensor::zeros(cache.shape, dy.dtype()));
    float!(dy.dtype(), T => {
        let to = dx.data_mut::<T>();
        dy.data::<T>().iter().zip(cache.from.iter()).for_each(|(dy, from)| to[*from] += *dy);
    });
    dx
}

impl Var {
    /// The numbers at these places along an axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn select(&self, axis: usize, places: &[usize]) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axis, places, false);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// The number at a place of its own for every result: see [`forward`]. `scores.gather(1, &labels)` is (N, 1).
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn gather(&self, axis: usize, places: &[usize]) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axis, places, true);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// The numbers at these places along an axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn select(&self, axis: usize, places: &[usize]) -> Tensor {
        forward(self, axis, places, false).0
    }

    /// The number at a place of its own for every result.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn gather(&self, axis: usize, places: &[usize]) -> Tensor {
        forward(self, axis, places, true).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], axis: usize, places: &'static [usize], each: bool| {
        Case::new(if each { "gather" } else { "select" }, name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(x, axis, places, each);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| if each { x.gather(axis, places) } else { x.select(axis, places) })
    };
    vec![
        case("rows", &[4, 3], 0, &[2, 0, 2], false),
        case("columns", &[2, 5, 2], 1, &[4, 1], false),
        case("labels", &[4, 3], 1, &[2, 0, 1, 1], true),
        case("two of each", &[2, 3], 1, &[0, 0, 2, 1], true),
        case("middle", &[2, 3, 2], 1, &[0, 2, 1, 1], true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_pick_numbers() {
        let x = Tensor::from_f64([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(x.select(1, &[2, 2, 0]).to_vec(), [3.0, 3.0, 1.0, 6.0, 6.0, 4.0]);
        assert_eq!(x.gather(1, &[2, 0]).to_vec(), [3.0, 4.0]);
        assert_eq!(x.gather(0, &[1, 0, 1]).to_vec(), [4.0, 2.0, 6.0]);
    }

    #[test]
    #[should_panic(expected = "gather: place 3 is not on axis 1\n    x  [1, 3]")]
    fn a_place_outside_panics() {
        Tensor::from_f64([1, 3], &[0.0; 3]).gather(1, &[3]);
    }
}
