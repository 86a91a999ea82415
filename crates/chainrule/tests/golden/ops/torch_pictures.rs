//! Layers for pictures as PyTorch defines them. Gradients are called d<input>. Each case runs in both memory orders.

use chainrule::ops::avg_pool2d::{self, AvgPool2dParams};
use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::conv_norm_relu::{self, Norm};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{Mode, adaptive_avg_pool2d, spatial_batch_norm};
use chainrule::tensor::{DType, Order};
use serde::Deserialize;

use super::layers::tensors;
use super::pictures::{conv_outputs, in_both_orders};
use super::torch::batch_norm_steps;
use super::{array, tensor};
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// Strides, padding, dilation and groups, with and without a bias.
pub fn conv2d(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        groups: usize,
        bias: bool,
    }
    let (Args { stride, padding, dilation, groups, bias }, inputs) =
        (case.args()?, Inputs::of(case)?);
    let params = Conv2dParams { stride, pad: padding, dilation, groups };
    let [x, w, dout] = tensors(&inputs, ["x", "w", "dout"])?;
    let b = if bias { Some(tensor(inputs.get("b")?)) } else { None };
    in_both_orders(case, &x, |x| {
        let (out, cache) = conv2d::naive::forward(x, &w, b.as_ref(), &params);
        conv_outputs(&out, &conv2d::naive::backward(&dout, &cache))
    })?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = conv2d::forward(x, &w, b.as_ref(), &params);
        conv_outputs(&out, &conv2d::backward(&dout, &cache))
    })
}

pub fn max_pool2d(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    }
    let Args { kernel, stride, padding } = case.args()?;
    let params = MaxPool2dParams { kernel, stride, pad: padding };
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = max_pool2d::forward(x, &params);
        outputs([("out", array(&out)), ("dx", array(&max_pool2d::backward(&dout, &cache)))])
    })
}

/// In either memory order, which must give the same bits.
pub fn batch_norm2d(case: &Case) -> Result<Outputs, String> {
    let run = |order: Order| {
        batch_norm_steps(case, |x, ([weight, bias], params, mode), running, dout| {
            let x = x.to_order(order);
            let (out, cache) = spatial_batch_norm::forward(&x, weight, bias, params, mode, running);
            (out, spatial_batch_norm::backward(dout, &cache))
        })
    };
    let (rows, last) = (run(Order::RowMajor)?, run(Order::ChannelsLast)?);
    if format!("{rows:?}") != format!("{last:?}") {
        return Err("the memory order changes the result".into());
    }
    Ok(last)
}

pub fn avg_pool2d(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        count_include_pad: bool,
    }
    let Args { kernel, stride, padding, count_include_pad } = case.args()?;
    let params = AvgPool2dParams { kernel, stride, pad: padding, count_include_pad };
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = avg_pool2d::forward(x, &params);
        outputs([("out", array(&out)), ("dx", array(&avg_pool2d::backward(&dout, &cache)))])
    })
}

pub fn adaptive_avg_pool2d(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        output: [usize; 2],
    }
    let Args { output } = case.args()?;
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = adaptive_avg_pool2d::forward(x, output);
        let dx = adaptive_avg_pool2d::backward(&dout, &cache);
        outputs([("out", array(&out)), ("dx", array(&dx))])
    })
}

pub fn group_norm(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        groups: usize,
        eps: f64,
    }
    let Args { groups, eps } = case.args()?;
    let params = GroupNormParams { groups, eps };
    let [x, weight, bias, dout] = tensors(&Inputs::of(case)?, ["x", "weight", "bias", "dout"])?;
    in_both_orders(case, &x, |x| {
        let (out, cache) = spatial_group_norm::forward(x, &weight, &bias, &params);
        let grads = spatial_group_norm::backward(&dout, &cache);
        outputs([
            ("out", array(&out)),
            ("dx", array(&grads.dx)),
            ("dweight", array(&grads.dgamma)),
            ("dbias", array(&grads.dbeta)),
        ])
    })
}

/// A depthwise separable convolution: depthwise, then one by one, each with batch norm and ReLU. A pass of training, forward and
/// backward, then a test.
pub fn dwsep(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        cin: usize,
        cout: usize,
        stride: usize,
    }
    let (Args { cin, cout, stride }, inputs) = (case.args()?, Inputs::of(case)?);
    let names = ["depthwise.weight", "bn1.weight", "bn1.bias"].map(|n| format!("param:{n}"));
    let [w1, gamma1, beta1] = tensors(&inputs, names.each_ref().map(String::as_str))?;
    let names = ["pointwise.weight", "bn2.weight", "bn2.bias"].map(|n| format!("param:{n}"));
    let [w2, gamma2, beta2] = tensors(&inputs, names.each_ref().map(String::as_str))?;
    let [x, dout] = tensors(&inputs, ["x", "dout"])?;
    let depthwise = Conv2dParams { groups: cin, ..Conv2dParams::new(stride, 1) };
    let params = BatchNormParams { momentum: 0.9, unbiased: true, ..BatchNormParams::default() };
    in_both_orders(case, &x, |x| {
        let mut first = RunningStats::unit(cin, DType::F64);
        let mut second = RunningStats::unit(cout, DType::F64);
        let mut pass = |mode| {
            let norm = Norm::Batch { gamma: &gamma1, beta: &beta1, params, running: &mut first };
            let (h, below) = conv_norm_relu::forward(x, &w1, None, &depthwise, norm, None, mode);
            let norm = Norm::Batch { gamma: &gamma2, beta: &beta2, params, running: &mut second };
            let one = Conv2dParams::default();
            let (y, above) = conv_norm_relu::forward(&h, &w2, None, &one, norm, None, mode);
            (y, below, above)
        };
        let (out, below, above) = pass(Mode::Train);
        let (eval, ..) = pass(Mode::Test);
        let upper = conv_norm_relu::backward(&dout, &above);
        let lower = conv_norm_relu::backward(&upper.dx, &below);
        let grads = outputs([
            ("depthwise.weight", array(&lower.dw)),
            ("bn1.weight", array(&lower.dgamma)),
            ("bn1.bias", array(&lower.dbeta)),
            ("pointwise.weight", array(&upper.dw)),
            ("bn2.weight", array(&upper.dgamma)),
            ("bn2.bias", array(&upper.dbeta)),
        ]);
        let buffers = outputs([
            ("bn1.running_mean", array(&first.mean)),
            ("bn1.running_var", array(&first.var)),
            ("bn1.num_batches_tracked", 1usize.into()),
            ("bn2.running_mean", array(&second.mean)),
            ("bn2.running_var", array(&second.var)),
            ("bn2.num_batches_tracked", 1usize.into()),
        ]);
        let order = ["depthwise.weight", "bn1.weight", "bn1.bias"].into_iter();
        let order = order.chain(["pointwise.weight", "bn2.weight", "bn2.bias"]);
        outputs([
            ("out", array(&out)),
            ("dx", array(&lower.dx)),
            ("grads", Out::Map(grads)),
            ("buffers", Out::Map(buffers)),
            ("param_order", order.collect::<Vec<_>>().into()),
            ("eval_out_after", array(&eval)),
        ])
    })
}
