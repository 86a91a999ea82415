//! Max pooling: of each window of a picture, channel by channel, the largest number.
//!
//! ```text
//! y[n,c,i,j] = max over u < KH, v < KW of x[n, c, i s + u - p, j s + v - p]          (the padding is -inf)
//! x, dx (N, C, H, W)    y, dy (N, C, H', W')    H' = floor((H + 2p - KH) / s) + 1
//! dx = dy at the place that was chosen, added where windows overlap, 0 elsewhere
//! ```
//! Among equal numbers the first is chosen, row by row. NaN counts as larger than any number, so that it comes through.
//!
//! Keeps the memory order. Saved: which place of each window was chosen, one byte a window (four for windows of more than 256
//! places). Cost: KH KW comparisons an output forward, one pass over dx backward. Where windows do not overlap, each number of
//! dx is written once. [`naive`] does the same in explicit loops. Source: any textbook; J. Weng et al., "Cresceptron", IJCNN 1992.

pub mod naive;

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{DType, Order, Tensor, float};
use chainrule_kernels::Buffer;
use chainrule_kernels::pool::{self as kernels, Axis, PoolShape};

/// The settings of max pooling. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2dParams {
    /// The size of a window, at least 1.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next, at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of -inf on each side, at most half of a window.
    pub pad: [usize; 2],
}

impl Default for MaxPool2dParams {
    /// Windows of 2 x 2 that touch.
    fn default() -> Self {
        Self::new(2, 2)
    }
}

impl MaxPool2dParams {
    /// Square windows and a stride, without padding.
    pub fn new(kernel: usize, stride: usize) -> Self {
        MaxPool2dParams { kernel: [kernel; 2], stride: [stride; 2], pad: [0; 2] }
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pictures: Pictures,
    which: Which,
}

/// The pictures of a pooling, without their numbers.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    /// (N, C).
    pub batch: [usize; 2],
    pub dtype: DType,
    pub order: Order,
    pub shape: PoolShape,
}

/// The places that were chosen.
#[derive(Clone, Debug)]
enum Which {
    Narrow(Buffer<u8>),
    Wide(Buffer<u32>),
}

/// The largest number of each window: x (N, C, H, W) to y (N, C, H', W'), in the memory order of x.
///
/// # Panics
/// If there are not four axes, a window does not fit into the padded picture, or could see nothing but padding.
#[track_caller]
pub fn forward(x: &Tensor, params: &MaxPool2dParams) -> (Tensor, Cache) {
    pooled("max_pool2d", x, params)
}

/// The forward pass of this op and of the sandwiches that end with it.
#[track_caller]
pub(super) fn pooled(op: &str, x: &Tensor, params: &MaxPool2dParams) -> (Tensor, Cache) {
    let pictures = sliding(op, x, params);
    let (mut y, shape) = (pictures.output(), &pictures.shape);
    let which = if shape.taps() <= 256 {
        let mut which = Buffer::<u8>::dirty(y.len());
        float!(x.dtype(), T => kernels::max_pool::<T, u8>(x.data(), shape, y.data_mut(), which.make_mut()));
        Which::Narrow(which)
    } else {
        let mut which = Buffer::<u32>::dirty(y.len());
        float!(x.dtype(), T => kernels::max_pool::<T, u32>(x.data(), shape, y.data_mut(), which.make_mut()));
        Which::Wide(which)
    };
    (y, Cache { pictures, which })
}

/// The pictures of a pooling by sliding windows, if these fit.
#[track_caller]
pub(super) fn sliding(op: &str, x: &Tensor, params: &MaxPool2dParams) -> Pictures {
    let MaxPool2dParams { kernel, stride, pad } = *params;
    let axis = |a: usize, size| Axis::sliding(size, kernel[a], stride[a], pad[a]);
    let settings = format_args!("kernel {kernel:?}, stride {stride:?}, pad {pad:?}");
    let reason = if stride.contains(&0) || kernel.contains(&0) {
        "windows and strides must be at least 1"
    } else if pad[0] > kernel[0] / 2 || pad[1] > kernel[1] / 2 {
        "the padding must be at most half of a window"
    } else {
        "a window does not fit into the padded picture"
    };
    Pictures::new(op, x, axis, reason, settings)
}

impl Pictures {
    /// The pictures of x (N, C, H, W) under the windows of `axis` (vertical 0, horizontal 1; the size of x); if there are none,
    /// `reason` says why.
    #[track_caller]
    pub fn new(
        op: &str,
        x: &Tensor,
        axis: impl Fn(usize, usize) -> Option<Axis>,
        reason: &str,
        settings: std::fmt::Arguments,
    ) -> Pictures {
        let operands = [("x", x, "N C H W")];
        let [n, c, h, w] = x.shape()[..] else {
            check::fail(op, "x must have four axes", &operands, settings)
        };
        let (Some(h), Some(w)) = (axis(0, h), axis(1, w)) else {
            check::fail(op, reason, &operands, settings)
        };
        let (outer, inner) = if x.order() == Order::RowMajor { (n * c, 1) } else { (n, c) };
        let shape = PoolShape { outer, h, w, inner };
        Pictures { batch: [n, c], dtype: x.dtype(), order: x.order(), shape }
    }

    /// The result, still unwritten: (N, C, H', W').
    pub fn output(&self) -> Tensor {
        Tensor::dirty(self.output_shape(), self.dtype, self.order)
    }

    fn output_shape(&self) -> [usize; 4] {
        [self.batch[0], self.batch[1], self.shape.h.out, self.shape.w.out]
    }

    /// The gradient of x, still unwritten, and dy in x's memory order.
    #[track_caller]
    pub fn gradient(&self, op: &str, dy: &Tensor) -> (Tensor, Tensor) {
        let shape = [self.batch[0], self.batch[1], self.shape.h.size, self.shape.w.size];
        let dx = Tensor::dirty(shape, self.dtype, self.order);
        check::upstream(op, dy, &self.output_shape(), &dx);
        (dx, dy.to_order(self.order))
    }
}

/// The gradient of x, given the upstream gradient dy (N, C, H', W'), in the memory order of x.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { pictures, which } = cache;
    let (mut dx, dy) = pictures.gradient("max_pool2d", dy);
    let shape = &pictures.shape;
    float!(pictures.dtype, T => match which {
        Which::Narrow(which) => kernels::max_pool_back::<T, u8>(dy.data(), which, shape, dx.data_mut()),
        Which::Wide(which) => kernels::max_pool_back::<T, u32>(dy.data(), which, shape, dx.data_mut()),
    });
    dx
}

/// The gradient of x if it is needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for([x]: [bool; 1], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 1] {
    [x.then(|| backward(dy, cache))]
}

/// Numbers of which no two are nearly equal, so that a step of a numerical derivative does not change which is the largest.
pub(super) fn apart(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    // Steps of a prime number through n + 1 places meet each place once.
    let step = [37, 41].into_iter().find(|p| !(n + 1).is_multiple_of(*p)).unwrap_or(1);
    let values: Vec<f64> =
        (1..=n).map(|i| (i * step % (n + 1)) as f64 * 0.0625 - n as f64 * 0.03125).collect();
    Tensor::from_f64(shape, &values)
}

impl Var {
    /// The largest number of each window on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn max_pool2d(&self, params: &MaxPool2dParams) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check, away from ties.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], params: MaxPool2dParams, order: Order| {
        Case::new("max_pool2d", name)
            .input_values("x", apart(shape))
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(order), &params);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x]| x.to_order(order).max_pool2d(&params))
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    let padded = MaxPool2dParams { pad: [1, 1], ..MaxPool2dParams::new(3, 2) };
    let oblong = MaxPool2dParams { kernel: [2, 4], stride: [2, 1], pad: [1, 2] };
    vec![
        case("touching", &[2, 3, 4, 6], MaxPool2dParams::default(), rows),
        case("channels last", &[2, 3, 4, 6], MaxPool2dParams::default(), last),
        case("rest left over", &[1, 2, 5, 7], MaxPool2dParams::default(), last),
        case("overlap, pad", &[1, 2, 7, 8], padded, rows),
        case("padded, last", &[1, 2, 7, 8], padded, last),
        case("oblong", &[1, 2, 5, 6], oblong, last),
        case("stride > window", &[1, 2, 7, 7], MaxPool2dParams::new(2, 3), rows),
        case("17 channels", &[1, 17, 4, 4], MaxPool2dParams::new(3, 1), last),
        case("one", &[1, 1, 1, 1], MaxPool2dParams::new(1, 1), rows),
        case("large windows", &[1, 1, 18, 19], MaxPool2dParams::new(17, 1), rows),
    ]
}

#[cfg(test)]
mod tests;
