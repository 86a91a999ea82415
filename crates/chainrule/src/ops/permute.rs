//! The axes in another order.
//!
//! ```text
//! y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]        dx = dy with the axes put back
//! ```
//! Saved: the axes. Cost: a copy either way.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{MAX_AXES, Order, Shape, Tensor, float};
use chainrule_kernels::strided::{Strided, read};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    back: [usize; MAX_AXES],
    y: Shape,
    like: Tensor,
}

/// The value alone; the result is row-major.
fn permuted(x: &Tensor, axes: &[usize]) -> Tensor {
    let from = x.order().strides(x.shape());
    let (mut sizes, mut strides) = ([1; MAX_AXES], [0; MAX_AXES]);
    for (to, axis) in axes.iter().enumerate() {
        (sizes[to], strides[to]) = (x.shape()[*axis], from[*axis]);
    }
    let n = axes.len();
    let mut y = Tensor::dirty(Shape::new(&sizes[..n]), x.dtype(), Order::RowMajor);
    let at = Strided::new(&sizes[..n], [&strides[..n]]);
    float!(x.dtype(), T => read(&at, x.data::<T>(), y.data_mut()));
    y
}

/// Axis i of the result is axis `axes[i]` of x.
///
/// # Panics
/// If `axes` does not name each axis of x once.
#[track_caller]
pub fn forward(x: &Tensor, axes: &[usize]) -> (Tensor, Cache) {
    let n = x.shape().len();
    let mut back = [usize::MAX; MAX_AXES];
    for (to, axis) in axes.iter().enumerate().filter(|(_, axis)| **axis < n) {
        back[*axis] = to;
    }
    if axes.len() != n || back[..n].contains(&usize::MAX) {
        let reason = format!("axes {axes:?} must name each axis of x once");
        check::fail("permute", reason, &[("x", x, "")], "");
    }
    let y = permuted(x, axes);
    let cache = Cache { back, y: *y.shape(), like: Tensor::zeros([0], x.dtype()) };
    (y, cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    check::upstream("permute", dy, &cache.y, &cache.like);
    permuted(dy, &cache.back[..cache.y.len()])
}

impl Var {
    /// The axes in another order: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], axes);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// Two axes exchanged.
    ///
    /// # Panics
    /// If one is not there.
    #[track_caller]
    pub fn transpose(&self, a: usize, b: usize) -> Var {
        let n = self.shape().len();
        let mut axes = [0, 1, 2, 3, 4, 5];
        if a.max(b) >= n {
            let reason = format!("axes {a} and {b} must be axes of x");
            check::fail("transpose", reason, &[("x", self.value(), "")], "");
        }
        axes.swap(a, b);
        self.permute(&axes[..n])
    }
}

impl Tensor {
    /// The axes in another order.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn permute(&self, axes: &[usize]) -> Tensor {
        forward(self, axes).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], axes: &'static [usize], order: Order| {
        let ordered = move |n: usize| if n == 4 { order } else { Order::RowMajor };
        Case::new("permute", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(ordered(x.shape().len())), axes);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.to_order(ordered(x.shape().len())).permute(axes))
    };
    vec![
        case("matrix", &[3, 5], &[1, 0], Order::RowMajor),
        case("three axes", &[2, 3, 4], &[2, 0, 1], Order::RowMajor),
        case("pictures", &[2, 3, 4, 5], &[0, 2, 3, 1], Order::ChannelsLast),
        case("as they are", &[2, 3], &[0, 1], Order::RowMajor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_memory_order_moves_the_same_numbers() {
        let values: Vec<f64> = (0..120).map(f64::from).collect();
        let x = Tensor::from_f64([2, 3, 4, 5], &values);
        let y = x.permute(&[3, 1, 0, 2]);
        assert_eq!(y.shape()[..], [5, 3, 2, 4]);
        assert_eq!(y.at(&[4, 1, 0, 2]), x.at(&[0, 1, 2, 4]));
        assert_eq!(x.to_order(Order::ChannelsLast).permute(&[3, 1, 0, 2]).to_vec(), y.to_vec());
    }

    #[test]
    #[should_panic(expected = "permute: axes [0, 0] must name each axis of x once")]
    fn an_axis_named_twice_panics() {
        Tensor::from_f64([1, 1], &[0.0]).permute(&[0, 0]);
    }
}
