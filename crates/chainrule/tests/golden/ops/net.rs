//! Fully connected networks: loss, gradients, test-mode scores, gradient check.

use std::collections::BTreeMap;

use chainrule::gradcheck::{numerical_gradient, rel_error};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model, Norm};
use chainrule::rng::{NumpyRng, Rng};
use chainrule::tensor::{DType, Tensor};
use serde::Deserialize;

use super::array;
use crate::compare::{Out, Outputs, outputs};
use crate::format::Case;

/// A network in the course's words. What is missing has the course's default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Net {
    #[serde(rename = "class")]
    _class: Option<String>,
    hidden: Option<Vec<usize>>,
    weight_scale: Option<f64>,
    reg: Option<f64>,
    normalization: Option<String>,
    dropout_keep_ratio: Option<f64>,
    seed: Option<u32>,
    dtype: Option<String>,
}

impl Net {
    /// Constructs it, for inputs of this shape. `hidden` and `dtype` hold where the network does not say otherwise.
    pub fn construct(
        &self,
        (input, classes): (&[usize], usize),
        (hidden, dtype): (&[usize], DType),
        rng: &mut Rng,
    ) -> Result<FullyConnectedNet, String> {
        let defaults = FullyConnectedConfig::default();
        let config = FullyConnectedConfig {
            input_shape: input.to_vec(),
            hidden: self.hidden.clone().unwrap_or_else(|| hidden.to_vec()),
            classes,
            norm: match self.normalization.as_deref() {
                None => Norm::None,
                Some("batchnorm") => Norm::Batch,
                Some("layernorm") => Norm::Layer,
                Some(other) => return Err(format!("unknown normalization {other:?}")),
            },
            dropout_keep: self.dropout_keep_ratio.unwrap_or(1.0),
            dropout_seed: self.seed,
            reg: self.reg.unwrap_or(0.0),
            weight_scale: self.weight_scale.or(defaults.weight_scale),
            dtype: match self.dtype.as_deref() {
                None => dtype,
                Some("f32") => DType::F32,
                Some("f64") => DType::F64,
                Some(other) => return Err(format!("unknown dtype {other:?}")),
            },
            ..defaults
        };
        Ok(FullyConnectedNet::new(config, rng))
    }

    /// Whether two losses with the same weights are equal, so that a numerical gradient means something.
    fn is_repeatable(&self) -> bool {
        self.dropout_keep_ratio.is_none_or(|keep| keep == 1.0) || self.seed.is_some()
    }
}

/// The parameters of a network by name.
pub fn params(net: &dyn Model) -> Out {
    let named = net.params().iter().map(|param| (param.name.clone(), array(&param.value)));
    Out::Map(named.collect())
}

/// Several networks, constructed one after another, on the same data.
pub fn fully_connected(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(non_snake_case)]
    struct Args {
        seed: u32,
        N: usize,
        input_dim: usize,
        hidden: Vec<usize>,
        num_classes: usize,
        models: Vec<Net>,
        gradcheck_h: f64,
    }
    let args: Args = case.args()?;
    let mut rng = NumpyRng::new(args.seed);
    let x = Tensor::from_f64([args.N, args.input_dim], &rng.randn(args.N * args.input_dim));
    let labels = rng.choice(args.num_classes, args.N);
    let mut rng = Rng::Numpy(rng);
    let mut models = Vec::new();
    for spec in &args.models {
        let sizes = (&[args.input_dim][..], args.num_classes);
        let mut net = spec.construct(sizes, (&args.hidden, DType::F64), &mut rng)?;
        let mut got = outputs([("params", params(&net))]);
        let x = x.to_dtype(net.dtype());
        let mut grads = Vec::new();
        let loss = net.loss(&x, &labels, &mut rng, &mut grads);
        got.insert("loss".into(), loss.into());
        got.insert("scores_test".into(), array(&net.scores(&x)));
        let named = net.params().iter().zip(&grads).map(|(p, dw)| (p.name.clone(), array(dw)));
        got.insert("grads".into(), Out::Map(named.collect()));
        if net.dtype() == DType::F64 && spec.is_repeatable() {
            let errors =
                gradcheck(&mut net, (&x, &labels), (loss, &grads), args.gradcheck_h, &mut rng);
            got.insert("gradcheck_rel_error".into(), errors.into());
        }
        models.push(Out::Map(got));
    }
    Ok(outputs([("models", models.into())]))
}

/// The error of every parameter's gradient against differences of losses in train mode.
pub fn gradcheck(
    net: &mut dyn Model,
    (x, labels): (&Tensor, &[usize]),
    (value, grads): (f64, &[Tensor]),
    h: f64,
    rng: &mut Rng,
) -> BTreeMap<String, f64> {
    // What the rounding of two losses, two units in the last place each, adds to a difference. A gradient that is 0 in theory,
    // such as that of a bias below batch norm, consists of nothing else: whether a loss moves by a unit there is chance, and its
    // relative error says nothing.
    let resolution = 4.0 * f64::EPSILON * value.abs() / (2.0 * h);
    let mut errors = BTreeMap::new();
    for (i, gradient) in grads.iter().enumerate() {
        let before = net.params()[i].value.clone();
        let loss = |probe: &Tensor| {
            net.params_mut()[i].value = probe.clone();
            net.loss(x, labels, rng, &mut Vec::new())
        };
        let mut numerical = numerical_gradient(loss, &before, h);
        net.params_mut()[i].value = before;
        for (n, a) in numerical.data_mut::<f64>().iter_mut().zip(gradient.data::<f64>()) {
            if (*n - a).abs() <= resolution {
                *n = *a;
            }
        }
        errors.insert(net.params()[i].name.clone(), rel_error(&numerical, gradient));
    }
    errors
}
