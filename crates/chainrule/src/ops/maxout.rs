//! Maxout: the largest of k neighbouring channels, an activation that learns its own shape.
//!
//! ```text
//! y[n, m, ...] = max over j < k of x[n, m k + j, ...]          x (N, M k, ...)   y (N, M, ...)
//! dx = dy at the channel that was chosen, 0 at the others
//! ```
//! Among equal ones the first is chosen. Saved: which channel was chosen, one byte an output. Cost: one pass over x either way.
//! Source: I. Goodfellow et al., "Maxout networks", ICML 2013.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{DType, Order, Shape, Tensor, float};
use chainrule_kernels::{Buffer, elementwise as kernels};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    dtype: DType,
    order: Order,
    pieces: usize,
    which: Buffer<u8>,
}

/// The largest of each `pieces` neighbouring channels: x (N, M k, ...) to y (N, M, ...), k = `pieces`. Keeps the memory order.
///
/// # Panics
/// If x has no channels, or `pieces` is not in 1..=256 or does not divide their number.
#[track_caller]
pub fn forward(x: &Tensor, pieces: usize) -> (Tensor, Cache) {
    if x.shape().len() < 2 {
        check::fail("maxout", "x needs a batch axis and channels", &[("x", x, "N Mk...")], "");
    }
    let channels = x.shape()[1];
    if !(1..=256).contains(&pieces) || !channels.is_multiple_of(pieces) {
        let reason =
            format!("{channels} channels cannot be split into groups of {pieces} (1 to 256)");
        check::fail("maxout", reason, &[("x", x, "N Mk...")], "");
    }
    let mut y = Tensor::dirty(output_shape(x.shape(), pieces), x.dtype(), x.order());
    let mut which = Buffer::dirty(y.len());
    let inner = inner(x.shape(), x.order());
    float!(x.dtype(), T => {
        kernels::maxout::<T>(x.data(), pieces, inner, y.data_mut(), which.make_mut());
    });
    let cache = Cache { shape: *x.shape(), dtype: x.dtype(), order: x.order(), pieces, which };
    (y, cache)
}

fn output_shape(x: &Shape, pieces: usize) -> Shape {
    let mut sizes = [0; crate::tensor::MAX_AXES];
    sizes[..x.len()].copy_from_slice(x);
    sizes[1] /= pieces;
    Shape::new(&sizes[..x.len()])
}

/// Elements of one channel that lie side by side.
fn inner(x: &Shape, order: Order) -> usize {
    if order == Order::RowMajor { x[2..].iter().product() } else { 1 }
}

/// The gradient of x, given the upstream gradient dy (N, M, ...).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { shape, dtype, order, pieces, which } = cache;
    let mut dx = Tensor::dirty(*shape, *dtype, *order);
    check::upstream("maxout", dy, &output_shape(shape, *pieces), &dx);
    let dy = dy.to_order(*order);
    let inner = inner(shape, *order);
    float!(*dtype, T => kernels::maxout_back::<T>(dy.data(), which, *pieces, inner, dx.data_mut()));
    dx
}

impl Var {
    /// The largest of each `pieces` neighbouring channels on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn maxout(&self, pieces: usize) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], pieces);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

/// The cases of the gradient check, away from ties.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], pieces: usize, order: Order| {
        // Different channels get different last digits, so that the largest two are not nearly equal.
        let elements: usize = shape.iter().product();
        let values: Vec<f64> =
            (0..elements).map(|i| (i * 37 % elements) as f64 * 0.0625 - 2.0).collect();
        Case::new("maxout", name)
            .input_values("x", Tensor::from_f64(shape, &values))
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(order), pieces);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| {
                let x = if x.shape().len() == 4 { x.to_order(order) } else { x.clone() };
                x.maxout(pieces)
            })
    };
    vec![
        case("features", &[4, 6], 2, Order::RowMajor),
        case("three", &[2, 12, 5], 3, Order::RowMajor),
        case("pictures", &[2, 6, 3, 4], 3, Order::ChannelsLast),
        case("one piece", &[3, 4], 1, Order::RowMajor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_channels_is_chosen() {
        let x = Tensor::from_f64([2, 4], &[1.0, 1.0, -2.0, 5.0, 3.0, 4.0, 0.0, 0.0]);
        let (y, cache) = forward(&x, 2);
        assert_eq!((&y.shape()[..], y.to_vec()), (&[2, 2][..], vec![1.0, 5.0, 4.0, 0.0]));
        let dx = backward(&Tensor::from_f64([2, 2], &[10.0, 20.0, 30.0, 40.0]), &cache);
        assert_eq!(dx.to_vec(), [10.0, 0.0, 0.0, 20.0, 0.0, 30.0, 40.0, 0.0]);
    }

    #[test]
    fn either_memory_order_gives_the_same_values() {
        let values: Vec<f64> = (0..48).map(|i| f64::from(i * 29 % 11)).collect();
        let x = Tensor::from_f64([2, 6, 2, 2], &values);
        let run = |order| {
            let (y, cache) = forward(&x.to_order(order), 3);
            let dx = backward(&y, &cache);
            assert_eq!((y.order(), dx.order()), (order, order));
            (y.to_vec(), dx.to_vec())
        };
        assert_eq!(run(Order::RowMajor), run(Order::ChannelsLast));
    }

    #[test]
    #[should_panic(expected = "maxout: 6 channels cannot be split into groups of 4 (1 to 256)")]
    fn pieces_that_do_not_divide_panic() {
        forward(&Tensor::zeros([2, 6], DType::F32), 4);
    }
}
