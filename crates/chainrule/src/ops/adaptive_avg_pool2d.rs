//! Adaptive average pooling: the mean of each of a given number of bins, whatever the size of the picture.
//!
//! ```text
//! y[n,c,i,j] = the mean of x[n, c, rows of bin i, columns of bin j]     x, dx (N, C, H, W)    y, dy (N, C, OH, OW)
//! bin i of o along an axis of size s: floor(i s / o) .. ceil((i + 1) s / o)
//! dx = the sum of dy / count over the bins that see it
//! ```
//! One bin of everything is global average pooling, [`global`]. Bins may overlap, by one row or column.
//!
//! Keeps the memory order. Saved: sizes alone. Cost: an addition a number of x either way. [`naive`] does the same in explicit
//! loops. Source: M. Lin et al., "Network in
//! network", ICLR 2014 (global); the bins are PyTorch's.

pub mod naive;

use super::max_pool2d::Pictures;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::pool::{self as kernels, Axis};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pictures: Pictures,
}

/// The mean of each bin: x (N, C, H, W) to y (N, C, OH, OW), in the memory order of x, for `output` = \[OH, OW\].
///
/// # Panics
/// If there are not four axes, or there is no bin or nothing to put into it.
#[track_caller]
pub fn forward(x: &Tensor, output: [usize; 2]) -> (Tensor, Cache) {
    let axis = |a: usize, size| Axis::bins(size, output[a]);
    let reason = "bins need at least one number each";
    let settings = format_args!("output {output:?}");
    let pictures = Pictures::new("adaptive_avg_pool2d", x, axis, reason, settings);
    let mut y = pictures.output();
    float!(x.dtype(), T => kernels::avg_pool::<T>(x.data(), &pictures.shape, false, y.data_mut()));
    (y, Cache { pictures })
}

/// The mean of each channel: x (N, C, H, W) to y (N, C, 1, 1).
///
/// # Panics
/// As [`forward`].
#[track_caller]
pub fn global(x: &Tensor) -> (Tensor, Cache) {
    forward(x, [1, 1])
}

/// The gradient of x, given the upstream gradient dy (N, C, OH, OW), in the memory order of x.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let pictures = &cache.pictures;
    let (mut dx, dy) = pictures.gradient("adaptive_avg_pool2d", dy);
    float!(pictures.dtype, T => {
        kernels::avg_pool_back::<T>(dy.data(), &pictures.shape, false, dx.data_mut());
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

impl Var {
    /// The mean of each of \[OH, OW\] bins on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output: [usize; 2]) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], output);
        on.record(y, cache, backward_for)
    }

    /// The mean of each channel of pictures: (N, C, H, W) to (N, C).
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn global_avg_pool(&self) -> Var {
        self.adaptive_avg_pool2d([1, 1]).flatten()
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], output: [usize; 2], order: Order| {
        Case::new("adaptive_avg_pool2d", name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(&x.to_order(order), output);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x]| x.to_order(order).adaptive_avg_pool2d(output))
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    vec![
        case("global", &[2, 3, 5, 4], [1, 1], rows),
        case("channels last", &[2, 17, 3, 4], [1, 1], last),
        case("bins overlap", &[2, 2, 5, 7], [2, 3], rows),
        case("overlap, last", &[2, 2, 5, 7], [2, 3], last),
        case("more bins", &[1, 2, 2, 3], [3, 5], last),
        case("one", &[1, 1, 1, 1], [1, 1], rows),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::rel_error;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn either_memory_order_gives_the_same_bits() {
        let x = Tensor::randn([3, 20, 9, 7], 1.0, DType::F32, &mut Rng::new(1));
        for output in [[1, 1], [4, 3], [9, 7], [11, 2]] {
            let results = [Order::RowMajor, Order::ChannelsLast].map(|order| {
                let (y, cache) = forward(&x.to_order(order), output);
                let dx = backward(&y, &cache);
                assert_eq!((y.order(), dx.order()), (order, order));
                (y.to_vec(), dx.to_vec())
            });
            assert_eq!(results[0], results[1]);
        }
    }

    #[test]
    fn the_fast_means_equal_their_naive_twins() {
        for (shape, output) in
            [([2, 3, 5, 7], [2, 3]), ([1, 17, 2, 3], [3, 5]), ([2, 2, 6, 6], [1, 1])]
        {
            let x = Tensor::randn(shape, 1.0, DType::F64, &mut Rng::new(1));
            for order in [Order::RowMajor, Order::ChannelsLast] {
                let (y, cache) = forward(&x.to_order(order), output);
                let (want, twin) = naive::forward(&x, output);
                assert!(rel_error(&y, &want) < 1e-12, "{shape:?}");
                let dy = Tensor::randn(*y.shape(), 1.0, DType::F64, &mut Rng::new(2));
                let (dx, want) = (backward(&dy, &cache), naive::backward(&dy, &twin));
                assert!(rel_error(&dx, &want) < 1e-12, "{shape:?}");
            }
        }
    }

    #[test]
    fn the_global_mean_is_the_mean_of_a_channel() {
        let x = Tensor::randn([2, 3, 4, 5], 1.0, DType::F64, &mut Rng::new(1));
        let (y, cache) = global(&x);
        for (mean, plane) in y.to_vec().iter().zip(x.to_vec().chunks(20)) {
            assert!((mean - plane.iter().sum::<f64>() / 20.0).abs() < 1e-15);
        }
        let dx = backward(&Tensor::full([2, 3, 1, 1], 20.0, DType::F64), &cache);
        assert_eq!(dx.to_vec(), vec![1.0; 120]);
    }

    #[test]
    #[should_panic(expected = "adaptive_avg_pool2d: bins need at least one number each")]
    fn no_bins_panic() {
        forward(&Tensor::zeros([2, 3, 4, 5], DType::F32), [0, 1]);
    }
}
