//! The largest or smallest number along an axis, with its place.
//!
//! ```text
//! y = x at the first largest (or smallest) place along the axis        x (..., K, ...)   y (..., ...) without the axis
//! dx = dy at that place, 0 elsewhere
//! ```
//! NaN counts as the extremum, so that it is not lost. Saved: the places. Cost: one pass either way.

use super::sum::Over;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use chainrule_kernels::{Buffer, Real};

/// Which extremum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extremum {
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    y: Shape,
    axis: usize,
    like: Tensor,
    places: Buffer<usize>,
}

impl Cache {
    /// The place of each result along the axis, in row-major order.
    pub fn places(&self) -> &[usize] {
        &self.places
    }
}

/// The sizes before an axis, of it, and after it.
pub(super) fn around(shape: &Shape, axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// The extremum along `axis`, without that axis.
///
/// # Panics
/// If the axis is not one of x, or has size 0.
#[track_caller]
pub fn forward(x: &Tensor, axis: usize, which: Extremum) -> (Tensor, Cache) {
    if x.shape().get(axis).is_none_or(|n| *n == 0) {
        let reason = format!("axis {axis} must be an axis of x with a number on it");
        check::fail("extremum", reason, &[("x", x, "")], "");
    }
    let x = x.to_order(Order::RowMajor);
    let [outer, n, inner] = around(x.shape(), axis);
    let mut flags = [false; MAX_AXES];
    flags[axis] = true;
    let shape = Over { axes: &[axis], keep: false }.shape(x.shape(), flags);
    let mut y = Tensor::dirty(shape, x.dtype(), Order::RowMajor);
    let mut places = Buffer::<usize>::zeroed(y.len());
    float!(x.dtype(), T => {
        let (from, to, places) = (x.data::<T>(), y.data_mut::<T>(), places.make_mut());
        for o in 0..outer {
            let (to, places) = (&mut to[o * inner..][..inner], &mut places[o * inner..][..inner]);
            to.copy_from_slice(&from[o * n * inner..][..inner]);
            for j in 1..n {
                let row = &from[(o * n + j) * inner..][..inner];
                for ((best, place), v) in to.iter_mut().zip(places.iter_mut()).zip(row) {
                    let better = if which == Extremum::Max { *v > *best } else { *v < *best };
                    if better || (v.to_f64().is_nan() && !best.to_f64().is_nan()) {
                        (*best, *place) = (*v, j);
                    }
                }
            }
        }
    });
    let like = Tensor::zeros([0], x.dtype());
    let cache = Cache { shape: *x.shape(), y: *y.shape(), axis, like, places };
    (y, cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { shape, y, axis, like, places } = cache;
    check::upstream("extremum", dy, y, like);
    let [_, n, inner] = around(shape, *axis);
    let (dy, mut dx) = (dy.to_order(Order::RowMajor), Tensor::zeros(*shape, dy.dtype()));
    float!(dy.dtype(), T => {
        let to = dx.data_mut::<T>();
        for (i, (dy, place)) in dy.data::<T>().iter().zip(places.iter()).enumerate() {
            to[(i / inner * n + place) * inner + i % inner] = *dy;
        }
    });
    dx
}

impl Var {
    /// The largest number along an axis, and the place of the first one in row-major order of the result: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn max_over(&self, axis: usize) -> (Var, Vec<usize>) {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axis, Extremum::Max);
        let places = cache.places().to_vec();
        (on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))]), places)
    }

    /// The smallest number along an axis, and its place: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn min_over(&self, axis: usize) -> (Var, Vec<usize>) {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axis, Extremum::Min);
        let places = cache.places().to_vec();
        (on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))]), places)
    }
}

impl Tensor {
    /// The largest number along an axis, and the place of the first one.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn max_over(&self, axis: usize) -> (Tensor, Vec<usize>) {
        let (y, cache) = forward(self, axis, Extremum::Max);
        (y, cache.places().to_vec())
    }

    /// The smallest number along an axis, and the place of the first one.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn min_over(&self, axis: usize) -> (Tensor, Vec<usize>) {
        let (y, cache) = forward(self, axis, Extremum::Min);
        (y, cache.places().to_vec())
    }

    /// The place of the first largest number along an axis, for each of the others in row-major order.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn argmax(&self, axis: usize) -> Vec<usize> {
        forward(self, axis, Extremum::Max).1.places().to_vec()
    }
}

/// The cases of the gradient check, away from ties.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], axis: usize, which: Extremum| {
        let elements: usize = shape.iter().product();
        let values: Vec<f64> =
            (0..elements).map(|i| (i * 37 % elements) as f64 * 0.0625 - 2.0).collect();
        Case::new("extremum", name)
            .input_values("x", Tensor::from_f64(shape, &values))
            .run(move |[x]| {
                let (y, cache) = forward(x, axis, which);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(
                move |[x]| {
                    if which == Extremum::Max { x.max_over(axis).0 } else { x.min_over(axis).0 }
                },
            )
    };
    vec![
        case("max of rows", &[4, 7], 1, Extremum::Max),
        case("min of columns", &[5, 3], 0, Extremum::Min),
        case("middle", &[2, 5, 3], 1, Extremum::Max),
        case("vector", &[11], 0, Extremum::Min),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_ones_and_nan_win() {
        let x = Tensor::from_f64([2, 3], &[1.0, 5.0, 5.0, 2.0, f64::NAN, 9.0]);
        let (y, places) = x.max_over(1);
        assert_eq!((y.to_vec()[0], &places[..]), (5.0, &[1, 1][..]));
        assert!(y.to_vec()[1].is_nan());
        assert_eq!(x.min_over(0).1, [0, 1, 0]);
        assert_eq!(x.argmax(0), [1, 1, 1]);
    }
}
