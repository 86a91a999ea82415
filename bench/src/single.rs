//! Single layers, as the peers run them: W8 is the layer benchmark of a university course, in f64; W9 are the layers of a
//! residual net for CIFAR-10 at batch 64, in f32. Pictures are channels-last on our side.

use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule_kernels::Buffer;
use chainrule_kernels::norm::{
    Affine, Downstream, Stats, Upstream, batch_norm, batch_norm_backward,
};

/// A pass of a layer: its name, and a function that runs it once.
pub type Pass = (&'static str, Box<dyn FnMut()>);

/// The names of the layers: workload, then what is in it (channels, filters, the side of the pictures).
pub const NAMES: [&str; 11] = [
    "W8-conv",
    "W8-pool",
    "W9-3-64-32",
    "W9-64-64-32",
    "W9-128-128-16",
    "W9-256-256-8",
    "W9-dw-64-32",
    "W9-dw-128-16",
    "W9-1x1-64-128-16",
    "W9-1x1-128-256-8",
    "W9-norm-relu",
];

/// The passes of the layer of this name, one of [`NAMES`].
///
/// # Panics
/// If there is no such layer.
pub fn passes(name: &str) -> Vec<Pass> {
    let three = |c, f, side| conv([64, c, side, side], [f, c, 3, 3], Conv2dParams::same(3));
    let depthwise = |c, side| {
        let params = Conv2dParams { groups: c, ..Conv2dParams::new(2, 1) };
        conv([64, c, side, side], [c, 1, 3, 3], params)
    };
    let one = |c, f, side| conv([64, c, side, side], [f, c, 1, 1], Conv2dParams::default());
    match name {
        "W8-conv" => course_conv(),
        "W8-pool" => course_pool(),
        "W9-3-64-32" => three(3, 64, 32),
        "W9-64-64-32" => three(64, 64, 32),
        "W9-128-128-16" => three(128, 128, 16),
        "W9-256-256-8" => three(256, 256, 8),
        "W9-dw-64-32" => depthwise(64, 32),
        "W9-dw-128-16" => depthwise(128, 16),
        "W9-1x1-64-128-16" => one(64, 128, 16),
        "W9-1x1-128-256-8" => one(128, 256, 8),
        "W9-norm-relu" => norm_relu(),
        _ => panic!("no layer {name:?}; there are {NAMES:?}"),
    }
}

/// Channels-last pictures of normal numbers.
fn pictures(shape: [usize; 4], dtype: DType) -> Tensor {
    Tensor::randn(shape, 1.0, dtype, &mut Rng::new(1)).to_order(Order::ChannelsLast)
}

/// The three passes of a convolution without bias.
fn conv(x: [usize; 4], w: [usize; 4], params: Conv2dParams) -> Vec<Pass> {
    let x = pictures(x, DType::F32);
    let w = Tensor::randn(w, 0.1, DType::F32, &mut Rng::new(2));
    let (y, cache) = conv2d::forward(&x, &w, None, &params);
    let backward = |needs: [bool; 3]| {
        let (dy, cache) = (y.clone(), cache.clone());
        Box::new(move || drop(conv2d::backward_for(needs, &dy, &cache)))
    };
    let (data, weights) = (backward([true, false, false]), backward([false, true, false]));
    vec![
        ("forward", Box::new(move || drop(conv2d::forward(&x, &w, None, &params)))),
        ("data", data),
        ("weights", weights),
    ]
}

/// 25 filters of 3 x 3 on (100, 3, 31, 31), stride 2, padding 1, with a bias.
fn course_conv() -> Vec<Pass> {
    let x = pictures([100, 3, 31, 31], DType::F64);
    let w = Tensor::randn([25, 3, 3, 3], 1.0, DType::F64, &mut Rng::new(2));
    let b = Tensor::randn([25], 1.0, DType::F64, &mut Rng::new(3));
    let params = Conv2dParams::new(2, 1);
    let (dy, cache) = conv2d::forward(&x, &w, Some(&b), &params);
    vec![
        ("forward", Box::new(move || drop(conv2d::forward(&x, &w, Some(&b), &params)))),
        ("backward", Box::new(move || drop(conv2d::backward(&dy, &cache)))),
    ]
}

/// Windows of 2 x 2 on (100, 3, 32, 32), in the order in which the pictures come.
fn course_pool() -> Vec<Pass> {
    let x = Tensor::randn([100, 3, 32, 32], 1.0, DType::F64, &mut Rng::new(1));
    let params = MaxPool2dParams::default();
    let (dy, cache) = max_pool2d::forward(&x, &params);
    vec![
        ("forward", Box::new(move || drop(max_pool2d::forward(&x, &params)))),
        ("backward", Box::new(move || drop(max_pool2d::backward(&dy, &cache)))),
    ]
}

/// Batch norm and ReLU of (64, 64, 32, 32).
fn norm_relu() -> Vec<Pass> {
    const PIXELS: usize = 64 * 32 * 32;
    const CHANNELS: usize = 64;
    let x = pictures([64, CHANNELS, 32, 32], DType::F32);
    let dy = pictures([64, CHANNELS, 32, 32], DType::F32);
    const AFTER: Affine<f32> =
        Affine { gamma: &[1.0; CHANNELS], beta: &[0.5; CHANNELS], relu: true };
    let (mut mean, mut var, mut rstd) = ([0.0; CHANNELS], [0.0; CHANNELS], [0.0; CHANNELS]);
    let mut forward = {
        let x = x.clone();
        move || {
            let mut y = Buffer::<f32>::dirty(PIXELS * CHANNELS);
            let stats = Stats { mean: &mut mean, var: &mut var, rstd: &mut rstd };
            batch_norm(x.data(), AFTER, 1e-5, stats, y.make_mut());
            (mean, rstd)
        }
    };
    let (mean, rstd) = forward();
    let backward = move || {
        let mut dx = Buffer::<f32>::dirty(PIXELS * CHANNELS);
        let (mut dgamma, mut dbeta) = ([0.0; CHANNELS], [0.0; CHANNELS]);
        let up = Upstream { x: x.data(), dy: dy.data(), mean: &mean, rstd: &rstd };
        let to = Downstream { dx: Some(dx.make_mut()), dgamma: &mut dgamma, dbeta: &mut dbeta };
        batch_norm_backward(up, AFTER, true, to);
    };
    vec![
        (
            "forward",
            Box::new(move || {
                forward();
            }),
        ),
        ("backward", Box::new(backward)),
    ]
}
