//! Layers as PyTorch defines them. Gradients are called d<input>.

use chainrule::ops::batch_norm::{self, BatchNormParams, RunningStats};
use chainrule::ops::elementwise::{self, Activation};
use chainrule::ops::layer_norm::{self, LayerNormParams};
use chainrule::ops::softmax_cross_entropy::{self, CrossEntropyParams};
use chainrule::ops::{Mode, affine, maxout, prelu};
use chainrule::tensor::{DType, Tensor};
use serde::Deserialize;

use super::layers::{NoArgs, tensors};
use super::{array, tensor};
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// An activation, with its parameter if the case gives one.
pub fn activation(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        negative_slope: Option<f64>,
        alpha: Option<f64>,
        approximate: Option<String>,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let name = match (case.op.trim_start_matches("torch.act."), args.approximate.as_deref()) {
        (name, None | Some("none")) => name.to_string(),
        (name, Some(approximate)) => format!("{name}_{approximate}"),
    };
    let found =
        Activation::by_name(&name).ok_or_else(|| format!("there is no activation {name}"))?;
    let parameter = args.negative_slope.or(args.alpha);
    let activation = parameter.map_or(found, |parameter| found.with(parameter));
    let (out, cache) = activation.forward(&tensor(inputs.get("x")?));
    let dx = elementwise::backward(&tensor(inputs.get("dout")?), &cache);
    Ok(outputs([("out", array(&out)), ("dx", array(&dx))]))
}

/// One slope, or one for each channel.
pub fn prelu(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        num_parameters: usize,
    }
    let Args { num_parameters } = case.args()?;
    let [x, weight, dout] = tensors(&Inputs::of(case)?, ["x", "weight", "dout"])?;
    if weight.len() != num_parameters {
        return Err(format!("{num_parameters} parameters, {} slopes", weight.len()));
    }
    let (out, cache) = prelu::forward(&x, &weight);
    let prelu::Grads { dx, dslope } = prelu::backward(&dout, &cache);
    Ok(outputs([("out", array(&out)), ("dx", array(&dx)), ("dweight", array(&dslope))]))
}

pub fn maxout(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        pieces: usize,
    }
    let Args { pieces } = case.args()?;
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    let (out, cache) = maxout::forward(&x, pieces);
    Ok(outputs([("out", array(&out)), ("dx", array(&maxout::backward(&dout, &cache)))]))
}

/// The affine map with the weights as PyTorch lays them out, (out, in).
pub fn linear(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    let (out, cache) = affine::forward(&x, &w.transpose(), &b);
    let affine::Grads { dx, dw, db } = affine::backward(&dout, &cache);
    let dw = array(&dw.transpose());
    Ok(outputs([("out", array(&out)), ("dx", array(&dx)), ("dw", dw), ("db", array(&db))]))
}

/// Layer norm over all axes but the first, which are seen as one.
pub fn layer_norm(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        normalized_shape: Vec<usize>,
        eps: f64,
    }
    let Args { normalized_shape, eps } = case.args()?;
    let [x, weight, bias, dout] = tensors(&Inputs::of(case)?, ["x", "weight", "bias", "dout"])?;
    if x.shape()[1..] != normalized_shape[..] {
        return Err(format!("normalized_shape {normalized_shape:?} of x {:?}", x.shape()));
    }
    let (n, d) = x.rows();
    let flat = |t: &Tensor| t.reshape([d]);
    let (out, cache) = layer_norm::forward(
        &x.reshape([n, d]),
        &flat(&weight),
        &flat(&bias),
        &LayerNormParams { eps },
    );
    let grads = layer_norm::backward(&dout.reshape([n, d]), &cache);
    Ok(outputs([
        ("out", array(&out.reshape(*x.shape()))),
        ("dx", array(&grads.dx.reshape(*x.shape()))),
        ("dweight", array(&grads.dgamma.reshape(*weight.shape()))),
        ("dbias", array(&grads.dbeta.reshape(*bias.shape()))),
    ]))
}

/// What batch norm is given besides x: scales and shifts, settings, mode.
pub type NormInputs<'a> = ([&'a Tensor; 2], &'a BatchNormParams, Mode);

/// Batch norm with PyTorch's conventions: running averages begin at 0 and 1, momentum is that of the new value, the running
/// variance is unbiased. Some steps of training, then a test of the next input. `layer` runs forward, and backward from dout.
pub fn batch_norm_steps(
    case: &Case,
    layer: impl Fn(&Tensor, NormInputs, &mut RunningStats, &Tensor) -> (Tensor, batch_norm::Grads),
) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        momentum: f64,
        eps: f64,
        steps: usize,
    }
    let (Args { momentum, eps, steps }, inputs) = (case.args()?, Inputs::of(case)?);
    let [weight, bias, dout] = tensors(&inputs, ["weight", "bias", "dout"])?;
    let params = BatchNormParams { eps, momentum: 1.0 - momentum, unbiased: true };
    let mut running = RunningStats::unit(weight.len(), DType::F64);
    let mut results = Outputs::new();
    for step in 0..=steps {
        let x = tensor(inputs.get(&format!("x{step}"))?);
        let (mode, name) = match step {
            _ if step == steps => (Mode::Test, "eval".to_string()),
            _ => (Mode::Train, format!("train{step}")),
        };
        let (out, grads) = layer(&x, ([&weight, &bias], &params, mode), &mut running, &dout);
        let got = outputs([
            ("out", array(&out)),
            ("dx", array(&grads.dx)),
            ("dweight", array(&grads.dgamma)),
            ("dbias", array(&grads.dbeta)),
            ("running_mean", array(&running.mean)),
            ("running_var", array(&running.var)),
            ("num_batches_tracked", (step + 1).into()),
        ]);
        results.insert(name, Out::Map(got));
    }
    Ok(results)
}

pub fn batch_norm1d(case: &Case) -> Result<Outputs, String> {
    batch_norm_steps(case, |x, ([weight, bias], params, mode), running, dout| {
        let (out, cache) = batch_norm::forward(x, weight, bias, params, mode, running);
        (out, batch_norm::backward(dout, &cache))
    })
}

/// The mean cross-entropy, with label smoothing.
pub fn cross_entropy(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    struct Args {
        label_smoothing: f64,
    }
    let (Args { label_smoothing }, inputs) = (case.args()?, Inputs::of(case)?);
    let (scores, labels) = (tensor(inputs.get("x")?), inputs.labels("y")?);
    let (loss, cache) =
        softmax_cross_entropy::forward(&scores, &labels, &CrossEntropyParams { label_smoothing });
    let dx = softmax_cross_entropy::backward(&cache);
    Ok(outputs([("loss", loss.into()), ("dx", array(&dx))]))
}
