//! Average pooling: of each window of a picture, channel by channel, the mean.
//!
//! ```text
//! y[n,c,i,j] = (sum over u < KH, v < KW of x[n, c, i s + u - p, j s + v - p]) / count          (the padding is 0)
//! x, dx (N, C, H, W)    y, dy (N, C, H', W')    H' = floor((H + 2p - KH) / s) + 1
//! dx = the sum of dy / count over the windows that see it
//! ```
//! The count is KH KW, or without padding the numbers of the window that are in the picture.
//!
//! Keeps the memory order. Saved: sizes alone. Cost: KH KW additions an output either way. [`naive`] does the same in explicit
//! loops. Source: any textbook; the two ways to count are PyTorch's.

use super::max_pool2d::{MaxPool2dParams, Pictures, sliding};
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::pool as kernels;

/// The settings of average pooling. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2dParams {
    /// The size of a window, at least 1.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next, at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeroes on each side, at most half of a window.
    pub pad: [usize; 2],
    /// Whether the padding counts as numbers of a window.
    pub count_include_pad: bool,
}

impl Default for AvgPool2dParams {
    /// Windows of 2 x 2 that touch.
    fn default() -> Self {
        Self::new(2, 2)
    }
}

impl AvgPool2dParams {
    /// Square windows and a stride, without padding.
    pub fn new(kernel: usize, stride: usize) -> Self {
        let (kernel, stride) = ([kernel; 2], [stride; 2]);
        AvgPool2dParams { kernel, stride, pad: [0; 2], count_include_pad: true }
    }

    fn windows(&self) -> MaxPool2dParams {
        MaxPool2dParams { kernel: self.kernel, stride: self.stride, pad: self.pad }
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pictures: Pictures,
    count_pad: bool,
}

/// The mean of each window: x (N, C, H, W) to y (N, C, H', W'), in the memory order of x.
///
/// # Panics
/// If there are not four axes, a window does not fit into the padded picture, or could see nothing but padding.
#[track_caller]
pub fn forward(x: &Tensor, params: &AvgPool2dParams) -> (Tensor, Cache) {
    let pictures = sliding("avg_pool2d", x, &params.windows());
    let mut y = pictures.output();
    let count_pad = params.count_include_pad;
    float!(x.dtype(), T => kernels::avg_pool::<T>(x.data(), &pictures.shape, count_pad, y.data_mut()));
    (y, Cache { pictures, count_pad })
}

/// The gradient of x, given the upstream gradient dy (N, C, H', W'), in the memory order of x.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { pictures, count_pad } = cache;
    let (mut dx, dy) = pictures.gradient("avg_pool2d", dy);
    let shape = &pictures.shape;
    float!(pictures.dtype, T => kernels::avg_pool_back::<T>(dy.data(), shape, *count_pad, dx.data_mut()));
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

/// The same pooling in explicit loops over every index.
pub mod naive {
    use super::*;

    /// As [`super::forward`].
    ///
    /// # Panics
    /// As [`super::forward`].
    #[track_caller]
    pub fn forward(x: &Tensor, params: &AvgPool2dParams) -> (Tensor, Cache) {
        let pictures = sliding("avg_pool2d", x, &params.windows());
        let (mut y, count_pad) = (pictures.output(), params.count_include_pad);
        float!(x.dtype(), T => {
            let values = kernels::naive::avg_pool::<T>(x.data(), &pictures.shape, count_pad);
            y.data_mut::<T>().copy_from_slice(&values);
        });
        (y, Cache { pictures, count_pad })
    }

    /// As [`super::backward`].
    ///
    /// # Panics
    /// If dy does not have the output's shape and type.
    #[track_caller]
    pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
        let Cache { pictures, count_pad } = cache;
        let (mut dx, dy) = pictures.gradient("avg_pool2d", dy);
        float!(pictures.dtype, T => {
            let values = kernels::naive::avg_pool_back::<T>(dy.data(), &pictures.shape, *count_pad);
            dx.data_mut::<T>().copy_from_slice(&values);
        });
        dx
    }
}

impl Var {
    /// The mean of each window on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn avg_pool2d(&self, params: &AvgPool2dParams) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], params: AvgPool2dParams, order: Order| {
        Case::new("avg_pool2d", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(order), &params);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x]| x.to_order(order).avg_pool2d(&params))
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    let padded = AvgPool2dParams { pad: [1, 1], ..AvgPool2dParams::new(3, 2) };
    let inside = AvgPool2dParams { count_include_pad: false, ..padded };
    vec![
        case("touching", &[2, 3, 4, 6], AvgPool2dParams::default(), rows),
        case("channels last", &[2, 3, 4, 6], AvgPool2dParams::default(), last),
        case("overlap, pad", &[1, 2, 7, 8], padded, rows),
        case("pad not counted", &[1, 2, 7, 8], inside, last),
        case("stride > window", &[1, 17, 7, 7], AvgPool2dParams::new(2, 3), last),
        case("one", &[1, 1, 1, 1], AvgPool2dParams::new(1, 1), rows),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn the_fast_pooling_equals_its_naive_twin_in_either_order() {
        let padded = AvgPool2dParams { pad: [1, 1], ..AvgPool2dParams::new(3, 2) };
        let inside = AvgPool2dParams { count_include_pad: false, ..padded };
        for dtype in [DType::F32, DType::F64] {
            for (shape, params) in [
                ([5, 3, 32, 32], AvgPool2dParams::default()),
                ([2, 17, 7, 9], padded),
                ([2, 3, 7, 9], inside),
                ([0, 3, 4, 4], AvgPool2dParams::default()),
            ] {
                let x = Tensor::randn(shape, 1.0, dtype, &mut Rng::new(1));
                let (want, twin) = naive::forward(&x, &params);
                let dy = Tensor::randn(*want.shape(), 1.0, dtype, &mut Rng::new(2));
                let grad = naive::backward(&dy, &twin);
                for order in [Order::RowMajor, Order::ChannelsLast] {
                    let (y, cache) = forward(&x.to_order(order), &params);
                    let dx = backward(&dy, &cache);
                    assert_eq!((y.order(), dx.order()), (order, order));
                    assert_eq!((y.to_vec(), dx.to_vec()), (want.to_vec(), grad.to_vec()));
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "avg_pool2d: a window does not fit into the padded picture")]
    fn windows_that_do_not_fit_panic() {
        forward(&Tensor::zeros([1, 2, 3, 3], DType::F32), &AvgPool2dParams::new(4, 1));
    }
}
