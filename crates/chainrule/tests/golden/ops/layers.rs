//! The course's layer functions, forward and backward.

use chainrule::ops::batch_norm::{self, BatchNormParams, RunningStats};
use chainrule::ops::elementwise::relu;
use chainrule::ops::layer_norm::{self, LayerNormParams};
use chainrule::ops::softmax_cross_entropy::{self, CrossEntropyParams};
use chainrule::ops::{Mode, affine, affine_relu, dropout, multiclass_svm};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use serde::Deserialize;

use super::{array, tensor};
use crate::compare::{Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// The inputs of these names, as tensors.
pub fn tensors<const N: usize>(inputs: &Inputs, names: [&str; N]) -> Result<[Tensor; N], String> {
    let mut found = Vec::with_capacity(N);
    for name in names {
        found.push(tensor(inputs.get(name)?));
    }
    found.try_into().map_err(|_| "as many inputs as names".into())
}

/// Arguments of an op that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

pub fn affine(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    let (out, cache) = affine::forward(&x, &w, &b);
    let affine::Grads { dx, dw, db } = affine::backward(&dout, &cache);
    Ok(outputs([("out", array(&out)), ("dx", array(&dx)), ("dw", array(&dw)), ("db", array(&db))]))
}

pub fn relu(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    let (out, cache) = relu::forward(&x);
    Ok(outputs([("out", array(&out)), ("dx", array(&relu::backward(&dout, &cache)))]))
}

pub fn affine_relu(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let [x, w, b, dout] = tensors(&Inputs::of(case)?, ["x", "w", "b", "dout"])?;
    let (out, cache) = affine_relu::forward(&x, &w, &b);
    let affine_relu::Grads { dx, dw, db } = affine_relu::backward(&dout, &cache);
    Ok(outputs([("out", array(&out)), ("dx", array(&dx)), ("dw", array(&dw)), ("db", array(&db))]))
}

/// Dropout on NumPy's sequence, which a seed restarts.
pub fn dropout(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        p: f64,
        mode: String,
        seed: Option<u32>,
    }
    let (Args { p, mode, seed }, inputs) = (case.args()?, Inputs::of(case)?);
    let mode = match mode.as_str() {
        "train" => Mode::Train,
        "test" => Mode::Test,
        other => return Err(format!("unknown mode {other:?}")),
    };
    let [x, dout] = tensors(&inputs, ["x", "dout"])?;
    let mut rng = Rng::Numpy(inputs.rng);
    let (out, cache) = match seed {
        Some(seed) => dropout::forward_seeded(&x, p, seed, mode, &mut rng),
        None => dropout::forward(&x, p, mode, &mut rng),
    };
    let kept = out.to_vec().into_iter().filter(|v| *v != 0.0).count();
    let dx = dropout::backward(&dout, &cache);
    Ok(outputs([("out", array(&out)), ("dx", array(&dx)), ("kept", kept.into())]))
}

pub fn softmax_loss(case: &Case) -> Result<Outputs, String> {
    let (NoArgs {}, inputs) = (case.args()?, Inputs::of(case)?);
    let (scores, labels) = (tensor(inputs.get("x")?), inputs.labels("y")?);
    let (loss, cache) =
        softmax_cross_entropy::forward(&scores, &labels, &CrossEntropyParams::default());
    let dx = softmax_cross_entropy::backward(&cache);
    Ok(outputs([("loss", loss.into()), ("dx", array(&dx))]))
}

pub fn svm_loss(case: &Case) -> Result<Outputs, String> {
    let (NoArgs {}, inputs) = (case.args()?, Inputs::of(case)?);
    let (scores, labels) = (tensor(inputs.get("x")?), inputs.labels("y")?);
    let (loss, cache) = multiclass_svm::forward(&scores, &labels);
    Ok(outputs([("loss", loss.into()), ("dx", array(&multiclass_svm::backward(&cache)))]))
}

/// One training pass from zero running averages. Both backward passes must agree with the file.
pub fn batchnorm(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        mode: String,
        eps: Option<f64>,
    }
    let Args { mode, eps } = case.args()?;
    if mode != "train" {
        return Err(format!("mode {mode:?}: the format has train alone"));
    }
    let [x, gamma, beta, dout] = tensors(&Inputs::of(case)?, ["x", "gamma", "beta", "dout"])?;
    let mut params = BatchNormParams::default();
    params.eps = eps.unwrap_or(params.eps);
    let mut running = RunningStats::zeros(gamma.len(), DType::F64);
    let (out, cache) = batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
    let gradients = |grads: batch_norm::Grads| {
        outputs([
            ("out", array(&out)),
            ("dx", array(&grads.dx)),
            ("dgamma", array(&grads.dgamma)),
            ("dbeta", array(&grads.dbeta)),
            ("running_mean", array(&running.mean)),
            ("running_var", array(&running.var)),
        ])
    };
    let of_graph = gradients(batch_norm::backward_graph(&dout, &cache));
    let wrong = crate::compare::compare(case, &of_graph).wrong;
    if !wrong.is_empty() {
        return Err(format!("along the computation graph: {}", wrong.join("; ")));
    }
    Ok(gradients(batch_norm::backward(&dout, &cache)))
}

pub fn layernorm(case: &Case) -> Result<Outputs, String> {
    let NoArgs {} = case.args()?;
    let [x, gamma, beta, dout] = tensors(&Inputs::of(case)?, ["x", "gamma", "beta", "dout"])?;
    let (out, cache) = layer_norm::forward(&x, &gamma, &beta, &LayerNormParams::default());
    let layer_norm::Grads { dx, dgamma, dbeta } = layer_norm::backward(&dout, &cache);
    Ok(outputs([
        ("out", array(&out)),
        ("dx", array(&dx)),
        ("dgamma", array(&dgamma)),
        ("dbeta", array(&dbeta)),
    ]))
}
