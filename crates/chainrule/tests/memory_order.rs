//! Memory order: ops give the same numbers in either, keep it where they can, and a convolutional net converts nothing between
//! its layers. In a process of its own, because it counts the conversions of every thread; its tests take turns.

use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::conv_norm_relu::{self, Norm};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{
    Mode, adaptive_avg_pool2d, affine, avg_pool2d, conv_relu_pool, dropout, elementwise, maxout,
    prelu, spatial_batch_norm,
};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule_kernels::counting::reorderings;
use std::sync::{Mutex, PoisonError};

const ORDERS: [Order; 2] = [Order::RowMajor, Order::ChannelsLast];

static TURNS: Mutex<()> = Mutex::new(());

fn normal(shape: &[usize], seed: u64) -> Tensor {
    Tensor::randn(shape, 1.0, DType::F32, &mut Rng::new(seed))
}

/// How a net ends: rows of all numbers of its pictures, or the mean of each channel.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Rows,
    Means,
}

/// Every op for pictures in a row, forward and backward: the scores, the gradient of x, and how often pictures were converted.
fn net(x: &Tensor, end: End) -> (Tensor, Tensor, usize) {
    let same = Conv2dParams::same(3);
    let (w1, b1, w2) = (normal(&[8, 3, 3, 3], 1), normal(&[8], 2), normal(&[12, 8, 3, 3], 3));
    let (w3, gamma, beta) = (normal(&[12, 12, 1, 1], 4), normal(&[12], 5), normal(&[12], 6));
    let slope = normal(&[12], 7);
    let features = if end == End::Rows { 6 * 4 } else { 6 };
    let (w4, b4) = (normal(&[features, 5], 8), normal(&[5], 9));
    let mut running = [(); 2].map(|()| RunningStats::unit(12, DType::F32));
    let [first, second] = &mut running;
    let params = BatchNormParams::default();
    let before = reorderings();

    let (x1, c1) = conv_relu_pool::forward(x, &w1, Some(&b1), &same, &MaxPool2dParams::default());
    let norm = Norm::Batch { gamma: &gamma, beta: &beta, params, running: first };
    let (x2, c2) = conv_norm_relu::forward(&x1, &w2, None, &same, norm, None, Mode::Train);
    let (x3, c3) = conv2d::forward(&x2, &w3, None, &Conv2dParams::default());
    let (x4, c4) = spatial_group_norm::forward(&x3, &gamma, &beta, &GroupNormParams::new(3));
    let (x5, c5) = elementwise::gelu::forward(&x4);
    let (x6, c6) = spatial_batch_norm::forward(&x5, &gamma, &beta, &params, Mode::Train, second);
    let (x7, c7) = prelu::forward(&x6, &slope);
    let (x8, c8) = dropout::forward(&x7, 0.8, Mode::Train, &mut Rng::new(3));
    let (x9, c9) = max_pool2d::forward(&x8, &MaxPool2dParams::new(2, 2));
    let (x10, c10) = avg_pool2d::forward(&x9, &avg_pool2d::AvgPool2dParams::default());
    let (x11, c11) = maxout::forward(&x10, 2);
    let means = (end == End::Means).then(|| adaptive_avg_pool2d::global(&x11));
    let (y, c12) = affine::forward(means.as_ref().map_or(&x11, |(means, _)| means), &w4, &b4);

    let d = affine::backward(&y, &c12).dx;
    let d = means.map_or(d.clone(), |(_, cache)| adaptive_avg_pool2d::backward(&d, &cache));
    let d = avg_pool2d::backward(&maxout::backward(&d, &c11), &c10);
    let d = dropout::backward(&max_pool2d::backward(&d, &c9), &c8);
    let d = spatial_batch_norm::backward(&prelu::backward(&d, &c7).dx, &c6).dx;
    let d = spatial_group_norm::backward(&elementwise::backward(&d, &c5), &c4).dx;
    let d = conv_norm_relu::backward(&conv2d::backward(&d, &c3).dx, &c2).dx;
    let dx = conv_relu_pool::backward(&d, &c1).dx;
    (y, dx, reorderings() - before)
}

#[test]
fn a_convolutional_net_converts_nothing_between_its_layers() {
    let _turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let x = normal(&[4, 3, 16, 16], 20);
    let (rows, last) = (x.to_order(ORDERS[0]), x.to_order(ORDERS[1]));
    // A global mean has one pixel, which lies the same in either order: nothing is left to convert.
    assert_eq!(net(&last, End::Means).2, 0);
    // Row-major pictures are converted at the door.
    assert_eq!(net(&rows, End::Means).2, 1);
    // Rows of a picture are in the order (C, H, W): once on the way up, and their gradient once on the way down.
    assert_eq!(net(&last, End::Rows).2, 2);
    assert_eq!(net(&rows, End::Rows).2, 3);
}

#[test]
fn a_net_gives_the_same_numbers_in_either_order() {
    let _turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let x = normal(&[4, 3, 16, 16], 20);
    for end in [End::Rows, End::Means] {
        let [(y, dx, _), (other, dother, _)] = ORDERS.map(|order| net(&x.to_order(order), end));
        assert_eq!((y.to_vec(), dx.to_vec()), (other.to_vec(), dother.to_vec()));
    }
}

#[test]
fn ops_keep_the_order_of_their_input() {
    let _turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let (x, dy) = (normal(&[3, 4, 5, 6], 1), normal(&[3, 4, 5, 6], 2));
    let (gamma, beta, slope) = (normal(&[4], 3), normal(&[4], 4), normal(&[4], 5));
    type Layer<'a> = Box<dyn Fn(&Tensor) -> (Tensor, Tensor) + 'a>;
    let mut layers: Vec<(String, Layer)> = Vec::new();
    for activation in elementwise::ALL {
        let layer = |x: &Tensor| {
            let (y, cache) = activation.forward(x);
            (y, elementwise::backward(&dy, &cache))
        };
        layers.push((activation.name().into(), Box::new(layer)));
    }
    for (name, rng) in [("dropout", Rng::new(6)), ("dropout of NumPy", Rng::numpy(6))] {
        let dy = &dy;
        let layer = move |x: &Tensor| {
            let (y, cache) = dropout::forward(x, 0.5, Mode::Train, &mut rng.clone());
            (y, dropout::backward(dy, &cache))
        };
        layers.push((name.into(), Box::new(layer)));
    }
    layers.push((
        "prelu".into(),
        Box::new(|x| {
            let (y, cache) = prelu::forward(x, &slope);
            (y, prelu::backward(&dy, &cache).dx)
        }),
    ));
    layers.push((
        "spatial_group_norm".into(),
        Box::new(|x| {
            let (y, cache) =
                spatial_group_norm::forward(x, &gamma, &beta, &GroupNormParams::new(2));
            (y, spatial_group_norm::backward(&dy, &cache).dx)
        }),
    ));
    layers.push((
        "spatial_batch_norm".into(),
        Box::new(|x| {
            let (params, mut running) =
                (BatchNormParams::default(), RunningStats::unit(4, DType::F32));
            let (y, cache) =
                spatial_batch_norm::forward(x, &gamma, &beta, &params, Mode::Train, &mut running);
            (y, spatial_batch_norm::backward(&dy, &cache).dx)
        }),
    ));
    for (name, layer) in layers {
        let results = ORDERS.map(|order| {
            let (y, dx) = layer(&x.to_order(order));
            assert_eq!((y.order(), dx.order()), (order, order), "{name}");
            (y.to_vec(), dx.to_vec())
        });
        assert_eq!(results[0], results[1], "{name}");
    }
}
