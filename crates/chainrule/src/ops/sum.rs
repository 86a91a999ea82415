//! Sums and means over all or some axes.
//!
//! ```text
//! y = sum of x over the axes        dx = dy, repeated            x of any shape
//! y = that / their sizes            dx = dy / sizes, repeated    y: the other axes, or size 1 in place of each axis
//! ```
//! The order of the additions depends on the shape and memory order alone. Saved: the shape. Cost: one pass either way.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use chainrule_kernels::Real;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    order: Order,
    kept: Shape,
    y: Shape,
    like: Tensor,
    /// What a mean divides by.
    count: Option<f64>,
}

/// What to sum.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// These axes; none stands for all of them.
    pub axes: &'a [usize],
    /// Whether they stay, with size 1.
    pub keep: bool,
}

impl Over<'_> {
    /// Everything, to a scalar.
    pub const ALL: Over<'static> = Over { axes: &[], keep: false };

    /// Which axes of x these are.
    #[track_caller]
    pub(super) fn flags(&self, op: &str, x: &Tensor) -> [bool; MAX_AXES] {
        let mut over = [self.axes.is_empty(); MAX_AXES];
        for axis in self.axes {
            if *axis >= x.shape().len() || over[*axis] {
                let reason = format!("axes {:?} must be different axes of x", self.axes);
                check::fail(op, reason, &[("x", x, "")], "");
            }
            over[*axis] = true;
        }
        over
    }

    /// The shape without these axes, or with 1 in their place.
    pub(super) fn shape(&self, x: &Shape, over: [bool; MAX_AXES]) -> Shape {
        let (mut sizes, mut n) = ([1; MAX_AXES], 0);
        for (axis, size) in x.iter().enumerate() {
            if !over[axis] || self.keep {
                sizes[n] = if over[axis] { 1 } else { *size };
                n += 1;
            }
        }
        Shape::new(&sizes[..n])
    }
}

/// The sum, or the mean if `mean`.
///
/// # Panics
/// If an axis is not one of x, or named twice.
#[track_caller]
pub fn forward(x: &Tensor, over: Over, mean: bool) -> (Tensor, Cache) {
    let flags = over.flags(if mean { "mean" } else { "sum" }, x);
    let mut y = x.sum_axes(flags);
    let count = mean.then(|| (x.len() / y.len().max(1)) as f64);
    if let Some(count) = count {
        float!(y.dtype(), T => y.data_mut::<T>().iter_mut().for_each(|v| *v /= T::from_f64(count)));
    }
    let kept = *y.shape();
    let y = y.reshape(over.shape(x.shape(), flags));
    let like = Tensor::zeros([0], x.dtype());
    let cache = Cache { shape: *x.shape(), order: x.order(), kept, y: *y.shape(), like, count };
    (y, cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    check::upstream("sum", dy, &cache.y, &cache.like);
    let dy = dy.reshape(cache.kept);
    let dy = cache.count.map_or_else(|| dy.clone(), |count| &dy / count);
    dy.spread_to(&cache.shape, cache.order)
}

impl Var {
    /// The sum of all elements.
    pub fn sum(&self) -> Var {
        self.sum_over(Over::ALL)
    }

    /// The mean of all elements.
    pub fn mean(&self) -> Var {
        self.mean_over(Over::ALL)
    }

    /// The sum over some axes: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn sum_over(&self, over: Over) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], over, false);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// The mean over some axes: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn mean_over(&self, over: Over) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], over, true);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// The sum of all elements, a scalar.
    pub fn sum(&self) -> Tensor {
        self.sum_over(Over::ALL)
    }

    /// The mean of all elements, a scalar.
    pub fn mean(&self) -> Tensor {
        self.mean_over(Over::ALL)
    }

    /// The sum over some axes.
    ///
    /// # Panics
    /// If an axis is not one of x, or named twice.
    #[track_caller]
    pub fn sum_over(&self, over: Over) -> Tensor {
        forward(self, over, false).0
    }

    /// The mean over some axes.
    ///
    /// # Panics
    /// As [`Tensor::sum_over`].
    #[track_caller]
    pub fn mean_over(&self, over: Over) -> Tensor {
        forward(self, over, true).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case =
        |name, shape: &[usize], axes: &'static [usize], keep: bool, mean: bool, order: Order| {
            let ordered = move |n: usize| if n == 4 { order } else { Order::RowMajor };
            Case::new(if mean { "mean" } else { "sum" }, name)
                .input("x", shape)
                .run(move |[x]| {
                    let x = x.to_order(ordered(x.shape().len()));
                    let (y, cache) = forward(&x, Over { axes, keep }, mean);
                    (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
                })
                .tape(move |[x]| {
                    let x = x.to_order(ordered(x.shape().len()));
                    let over = Over { axes, keep };
                    if mean { x.mean_over(over) } else { x.sum_over(over) }
                })
        };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    [false, true]
        .into_iter()
        .flat_map(|mean| {
            [
                case("all", &[3, 4, 2], &[], false, mean, rows),
                case("rows", &[5, 7], &[1], false, mean, rows),
                case("columns", &[5, 7], &[0], true, mean, rows),
                case("two of three", &[2, 3, 4], &[2, 0], false, mean, rows),
                case("middle", &[2, 3, 4], &[1], true, mean, rows),
                case("channels", &[2, 3, 4, 5], &[0, 2, 3], true, mean, last),
                case("pixels", &[2, 3, 4, 5], &[2, 3], false, mean, last),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn either_memory_order_sums_the_same_numbers() {
        let values: Vec<f64> = (0..2 * 3 * 4 * 5).map(f64::from).collect();
        let x = Tensor::from_f64([2, 3, 4, 5], &values);
        for axes in [&[0usize][..], &[1], &[2, 3], &[0, 2, 3], &[0, 1, 2, 3], &[3, 1]] {
            let over = Over { axes, keep: false };
            let a = x.sum_over(over);
            let b = x.to_order(Order::ChannelsLast).sum_over(over);
            assert_eq!((a.shape(), a.to_vec()), (b.shape(), b.to_vec()), "{axes:?}");
            assert_eq!(a.to_vec().iter().sum::<f64>(), 7140.0);
        }
        assert_eq!(x.mean().item(), 59.5);
        assert_eq!(Tensor::zeros([0, 3], DType::F32).sum().item(), 0.0);
        assert_eq!(Tensor::ones([1_000_003], DType::F32).sum().item(), 1_000_003.0);
    }

    #[test]
    #[should_panic(expected = "sum: axes [0, 2] must be different axes of x")]
    fn an_axis_that_is_not_there_panics() {
        Tensor::zeros([2, 3], DType::F32).sum_over(Over { axes: &[0, 2], keep: false });
    }
}
