//! The course's layers for pictures. Each case runs in both memory orders.

use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::conv_norm_relu::{self, Norm};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::im2col::{self, Columns, Im2colParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{Mode, conv_relu, conv_relu_pool, spatial_batch_norm};
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::visualize::{gray_and_edges, to_bytes};
use serde::Deserialize;

use super::layers::{NoArgs, tensors};
use super::{array, tensor};
use crate::compare::{Outputs, compare, outputs};
use crate::draws::Inputs;
use crate::format::{Array, Case};

/// Runs a layer on x in either memory order. Both results must agree with the file; the second is returned.
pub fn in_both_orders(
    case: &Case,
    x: &Tensor,
    run: impl Fn(&Tensor) -> Outputs,
) -> Result<Outputs, String> {
    let wrong = compare(case, &run(&x.to_order(Order::RowMajor))).wrong;
    if !wrong.is_empty() {
        return Err(format!("row-major: {}", wrong.join("; ")));
    }
    Ok(run(&x.to_order(Order::ChannelsLast)))
}

/// What every convolution returns.
pub fn conv_outputs(out: &Tensor, grads: &conv2d::Grads) -> Outputs {
    let conv2d::Grads { dx, dw, db } = grads;
    let mut got = outputs([("out", array(out)), ("dx", array(dx)), ("dw", array(dw))]);
    if let Some(db) = db {
        got.insert("db".into(), array(db));
    }
    got
}

/// The fast convolution and its naive twin.
pub fn conv(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        stride: usize,
        pad: usize,
    }
    let Args { stride, pad } = case.args()?;
    let params = Conv2dParams::new(stride, pad);
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = conv2d::naive::forward(x, &w, Some(&b), &params);
        conv_outputs(&out, &conv2d::naive::backward(&dout, &cache))
    })?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = conv2d::forward(x, &w, Some(&b), &params);
        conv_outputs(&out, &conv2d::backward(&dout, &cache))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Windows {
    pool_height: usize,
    pool_width: usize,
    stride: usize,
}

impl Windows {
    fn params(&self) -> MaxPool2dParams {
        let Windows { pool_height, pool_width, stride } = *self;
        MaxPool2dParams { kernel: [pool_height, pool_width], stride: [stride; 2], pad: [0; 2] }
    }
}

/// The fast pooling and its naive twin.
pub fn max_pool(case: &Case) -> Result<Outputs, String> {
    let params = case.args::<Windows>()?.params();
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = max_pool2d::naive::forward(x, &params);
        outputs([("out", array(&out)), ("dx", array(&max_pool2d::naive::backward(&dout, &cache)))])
    })?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = max_pool2d::forward(x, &params);
        outputs([("out", array(&out)), ("dx", array(&max_pool2d::backward(&dout, &cache)))])
    })
}

/// Where numbers of a window are equal, the file lists three rules. Ours is the last: the first of them is chosen. The other two
/// follow from the largest numbers: every equal one gets dout, or its share of it.
pub fn max_pool_ties(case: &Case) -> Result<Outputs, String> {
    let params = case.args::<Windows>()?.params();
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    let [kh, kw] = params.kernel;
    let [1, 1, h, w] = x.shape()[..] else { return Err("one picture of one channel".into()) };
    if params.stride != params.kernel {
        return Err("these rules are for windows that do not overlap".into());
    }
    in_both_orders(case, &x, |x| {
        let (out, cache) = max_pool2d::forward(x, &params);
        let (mut full, mut split) = (Vec::new(), Vec::new());
        for (i, j) in (0..h * w).map(|k| (k / w, k % w)) {
            let window = [0, 0, i / kh, j / kw];
            let is_largest = |i, j| x.at(&[0, 0, i, j]) == out.at(&window);
            let places = (0..kh * kw).map(|k| (i / kh * kh + k / kw, j / kw * kw + k % kw));
            let equal = places.filter(|(i, j)| is_largest(*i, *j)).count();
            let got = if is_largest(i, j) { dout.at(&window) } else { 0.0 };
            full.push(got);
            split.push(got / equal as f64);
        }
        outputs([
            ("out", array(&out)),
            ("dx_all_full", Array::new(x.shape(), full).into()),
            ("dx_split_equally", Array::new(x.shape(), split).into()),
            ("dx_first_only", array(&max_pool2d::backward(&dout, &cache))),
        ])
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sandwich {
    conv_stride: usize,
    conv_pad: usize,
    pool_height: Option<usize>,
    pool_width: Option<usize>,
    pool_stride: Option<usize>,
}

/// Convolution and ReLU, and max pooling if the case has windows.
pub fn conv_relu_pool(case: &Case) -> Result<Outputs, String> {
    let args: Sandwich = case.args()?;
    let params = Conv2dParams::new(args.conv_stride, args.conv_pad);
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    let windows = match (args.pool_height, args.pool_width, args.pool_stride) {
        (Some(pool_height), Some(pool_width), Some(stride)) => {
            Some(Windows { pool_height, pool_width, stride }.params())
        }
        (None, None, None) => None,
        _ => return Err("a pooling needs a height, a width and a stride".into()),
    };
    in_both_orders(case, &x, |x| match &windows {
        Some(pool) => {
            let (out, cache) = conv_relu_pool::forward(x, &w, Some(&b), &params, pool);
            conv_outputs(&out, &conv_relu_pool::backward(&dout, &cache))
        }
        None => {
            let (out, cache) = conv_relu::forward(x, &w, Some(&b), &params);
            conv_outputs(&out, &conv_relu::backward(&dout, &cache))
        }
    })
}

/// One training pass from zero running averages. Both backward passes must agree with the file.
pub fn spatial_batchnorm(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        mode: String,
    }
    let Args { mode } = case.args()?;
    if mode != "train" {
        return Err(format!("mode {mode:?}: the format has train alone"));
    }
    let [x, gamma, beta, dout] = tensors(&Inputs::of(case)?, ["x", "gamma", "beta", "dout"])?;
    let run = |x: &Tensor, along_the_graph: bool| {
        let mut running = RunningStats::zeros(gamma.len(), DType::F64);
        let params = BatchNormParams::default();
        let (out, cache) =
            spatial_batch_norm::forward(x, &gamma, &beta, &params, Mode::Train, &mut running);
        let grads = match along_the_graph {
            true => spatial_batch_norm::backward_graph(&dout, &cache),
            false => spatial_batch_norm::backward(&dout, &cache),
        };
        outputs([
            ("out", array(&out)),
            ("dx", array(&grads.dx)),
            ("dgamma", array(&grads.dgamma)),
            ("dbeta", array(&grads.dbeta)),
            ("running_mean", array(&running.mean)),
            ("running_var", array(&running.var)),
        ])
    };
    in_both_orders(case, &x, |x| run(x, true))?;
    in_both_orders(case, &x, |x| run(x, false))
}

/// The picture demo: a filter for gray and one for edges of blue, each result also as bytes between its extremes.
pub fn filters_demo(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let x = tensor(Inputs::of(case)?.get("x")?);
    let (w, b) = gray_and_edges();
    in_both_orders(case, &x, |x| {
        let (out, _) = conv2d::forward(x, &w, Some(&b), &Conv2dParams::new(1, 1));
        let [n, f, h, w] = out.shape()[..] else { unreachable!("pictures") };
        let pictures = out.to_vec().chunks(h * w).flat_map(to_bytes).map(f64::from).collect();
        let pictures = Array::new(&[n * f, h, w], pictures);
        outputs([("out", array(&out)), ("uint8_images", pictures.into())])
    })
}

/// Convolution, batch norm in training, ReLU.
pub fn conv_bn_relu(case: &Case) -> Result<Outputs, String> {
    let args: Sandwich = case.args()?;
    let conv = Conv2dParams::new(args.conv_stride, args.conv_pad);
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    let [gamma, beta] = tensors(&Inputs::of(case)?, ["gamma", "beta"])?;
    in_both_orders(case, &x, |x| {
        let mut running = RunningStats::zeros(gamma.len(), DType::F64);
        let params = BatchNormParams::default();
        let norm = Norm::Batch { gamma: &gamma, beta: &beta, params, running: &mut running };
        let (out, cache) = conv_norm_relu::forward(x, &w, Some(&b), &conv, norm, None, Mode::Train);
        let conv_norm_relu::Grads { dx, dw, db, dgamma, dbeta } =
            conv_norm_relu::backward(&dout, &cache);
        let mut got = conv_outputs(&out, &conv2d::Grads { dx, dw, db });
        got.insert("dgamma".into(), array(&dgamma));
        got.insert("dbeta".into(), array(&dbeta));
        got
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    #[serde(rename = "G")]
    groups: usize,
}

pub fn spatial_groupnorm(case: &Case) -> Result<Outputs, String> {
    let params = GroupNormParams::new(case.args::<Groups>()?.groups);
    let [x, gamma, beta, dout] = tensors(&Inputs::of(case)?, ["x", "gamma", "beta", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = spatial_group_norm::forward(x, &gamma, &beta, &params);
        let grads = spatial_group_norm::backward(&dout, &cache);
        outputs([
            ("out", array(&out)),
            ("dx", array(&grads.dx)),
            ("dgamma", array(&grads.dgamma)),
            ("dbeta", array(&grads.dbeta)),
        ])
    })
}

/// Both orders of the columns, and the way back from either.
pub fn im2col(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        field_height: usize,
        field_width: usize,
        pad: usize,
        stride: usize,
    }
    let args: Args = case.args()?;
    let x = tensor(Inputs::of(case)?.get("x")?);
    let params = Im2colParams {
        kernel: [args.field_height, args.field_width],
        ..Im2colParams::new(1, args.stride, args.pad)
    };
    let together = Im2colParams { columns: Columns::PicturesTogether, ..params };
    let shape = x.shape()[..].try_into().map_err(|_| "x must have four axes")?;
    let back = |params: &Im2colParams, x: &Tensor| {
        let (cols, _) = im2col::forward(x, params);
        let back = array(&im2col::col2im(&cols, shape, params));
        (array(&cols), back)
    };
    in_both_orders(case, &x, |x| {
        let ((yxn, _), (nyx, sums)) = (back(&together, x), back(&params, x));
        outputs([("cols_yxn", yxn), ("cols_nyx", nyx), ("col2im_of_cols", sums)])
    })?;
    in_both_orders(case, &x, |x| {
        let ((yxn, sums), (nyx, _)) = (back(&together, x), back(&params, x));
        outputs([("cols_yxn", yxn), ("cols_nyx", nyx), ("col2im_of_cols", sums)])
    })
}
