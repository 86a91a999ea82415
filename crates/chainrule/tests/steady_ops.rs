//! Ops for pictures in their steady state ask the system for no memory: neither the pool of blocks nor the global allocator.
//! A program of its own without the test harness, which has threads and asks for memory too.

use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::conv_norm_relu::{self, Norm};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{Mode, adaptive_avg_pool2d, avg_pool2d, conv_relu_pool, dropout};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule_kernels::buffer::pool_stats;
use chainrule_kernels::counting::{Counting, requests};
use chainrule_kernels::threads::set_threads;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn normal(shape: &[usize], seed: u64) -> Tensor {
    Tensor::randn(shape, 1.0, DType::F32, &mut Rng::new(seed))
}

fn main() {
    set_threads(3);
    let x = normal(&[8, 3, 32, 32], 1);
    let (w1, b1, w2) = (normal(&[16, 3, 3, 3], 2), normal(&[16], 3), normal(&[16, 16, 3, 3], 4));
    let (depthwise, gamma, beta) = (normal(&[16, 1, 3, 3], 5), normal(&[16], 6), normal(&[16], 7));
    let half = normal(&[16, 8, 3, 3], 9);
    let mut running = RunningStats::unit(16, DType::F32);
    let mut rng = Rng::new(8);
    let mut step = |t: u64| {
        rng.at(0, t);
        let (same, pool) = (Conv2dParams::same(3), MaxPool2dParams::default());
        let (x1, c1) = conv_relu_pool::forward(&x, &w1, Some(&b1), &same, &pool);
        let params = BatchNormParams::default();
        let norm = Norm::Batch { gamma: &gamma, beta: &beta, params, running: &mut running };
        let (x2, c2) =
            conv_norm_relu::forward(&x1, &w2, None, &same, norm, Some(&pool), Mode::Train);
        let (x3, c3) = spatial_group_norm::forward(&x2, &gamma, &beta, &GroupNormParams::new(4));
        let grouped = Conv2dParams { groups: 16, ..Conv2dParams::new(1, 1) };
        let (x4, c4) = conv2d::forward(&x3, &depthwise, None, &grouped);
        let halves = Conv2dParams { groups: 2, dilation: [2; 2], ..Conv2dParams::new(1, 2) };
        let (x4, c4b) = conv2d::forward(&x4, &half, None, &halves);
        let (x5, c5) = dropout::forward(&x4, 0.5, Mode::Train, &mut rng);
        let (x6, c6) = max_pool2d::forward(&x5, &pool);
        let (x7, c7) = avg_pool2d::forward(&x6, &avg_pool2d::AvgPool2dParams::default());
        let (y, c8) = adaptive_avg_pool2d::global(&x7);

        let d = avg_pool2d::backward(&adaptive_avg_pool2d::backward(&y, &c8), &c7);
        let d = dropout::backward(&max_pool2d::backward(&d, &c6), &c5);
        let d = conv2d::backward(&conv2d::backward(&d, &c4b).dx, &c4).dx;
        let d = spatial_group_norm::backward(&d, &c3).dx;
        let grads = conv_relu_pool::backward(&conv_norm_relu::backward(&d, &c2).dx, &c1);
        assert_eq!(grads.dx.order(), Order::ChannelsLast);
    };
    (0..10).for_each(&mut step);
    let (before, pool) = (requests(), pool_stats().system_requests);
    (10..40).for_each(&mut step);
    let after = (requests() - before, pool_stats().system_requests - pool);
    assert_eq!(after, (0, 0), "requests of the allocator and of the pool in 30 steps");
}
