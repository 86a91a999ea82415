//! The course's convolutional network: losses, gradients, scores, gradient check.

use chainrule::models::{Model, ThreeLayerConvConfig, ThreeLayerConvNet};
use chainrule::rng::{NumpyRng, Rng};
use chainrule::tensor::{DType, Tensor};
use serde::Deserialize;

use super::array;
use super::net::gradcheck;
use crate::compare::{Out, Outputs, outputs};
use crate::draws::perform;
use crate::format::{Array, Case, Draw};

/// A network in the course's words. What is missing has the course's default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNet {
    #[serde(rename = "class")]
    _class: Option<String>,
    input_dim: Option<[usize; 3]>,
    num_filters: Option<usize>,
    filter_size: Option<usize>,
    hidden_dim: Option<usize>,
    num_classes: Option<usize>,
    weight_scale: Option<f64>,
    reg: Option<f64>,
    dtype: Option<String>,
}

impl ConvNet {
    /// Constructs it. It computes in `f64`, as the course's does on `f64` pictures; its weights are rounded to its own type.
    /// `input` and `classes` hold where the network does not say otherwise.
    pub fn construct(
        &self,
        input: &[usize],
        classes: usize,
        rng: &mut Rng,
    ) -> Result<ThreeLayerConvNet, String> {
        let defaults = ThreeLayerConvConfig::default();
        let &[c, h, w] = input else { return Err(format!("inputs of shape {input:?}")) };
        let config = ThreeLayerConvConfig {
            input_shape: self.input_dim.unwrap_or([c, h, w]),
            filters: self.num_filters.unwrap_or(defaults.filters),
            filter_size: self.filter_size.unwrap_or(defaults.filter_size),
            hidden: self.hidden_dim.unwrap_or(defaults.hidden),
            classes: self.num_classes.unwrap_or(classes),
            weight_scale: self.weight_scale.or(defaults.weight_scale),
            reg: self.reg.unwrap_or(0.0),
            dtype: DType::F64,
            weights: match self.dtype.as_deref() {
                None | Some("f32") => DType::F32,
                Some("f64") => DType::F64,
                Some(other) => return Err(format!("unknown dtype {other:?}")),
            },
            ..defaults
        };
        Ok(ThreeLayerConvNet::new(config, rng))
    }
}

/// One network and its data, in either order, under several strengths of regularization.
pub fn cell(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(non_snake_case)]
    struct Args {
        seed: u32,
        pre_draws: Vec<Draw>,
        order: String,
        N: usize,
        models: [ConvNet; 1],
        regs: Vec<f64>,
        num_classes: usize,
        gradcheck_h: Option<f64>,
    }
    let args: Args = case.args()?;
    let [spec] = &args.models;
    let mut rng = NumpyRng::new(args.seed);
    for draw in &args.pre_draws {
        perform(draw, &mut rng)?;
    }
    let input = spec.input_dim.unwrap_or([3, 32, 32]);
    let data = |rng: &mut NumpyRng| {
        let x = rng.randn(args.N * input.iter().product::<usize>());
        let [c, h, w] = input;
        (Tensor::from_f64([args.N, c, h, w], &x), rng.choice(args.num_classes, args.N))
    };
    let (mut net, (x, labels)) = match args.order.as_str() {
        "model_first" => {
            let mut source = Rng::Numpy(rng);
            let net = spec.construct(&input, args.num_classes, &mut source)?;
            let Rng::Numpy(mut rng) = source else { unreachable!("it was put in") };
            (net, data(&mut rng))
        }
        "data_first" => {
            let data = data(&mut rng);
            (spec.construct(&input, args.num_classes, &mut Rng::Numpy(rng))?, data)
        }
        other => return Err(format!("unknown order {other:?}")),
    };
    let (mut losses, mut grads, mut rng) = (Vec::new(), Vec::new(), Rng::new(0));
    for &reg in &args.regs {
        net.set_reg(reg);
        losses.push(net.loss(&x, &labels, &mut rng, &mut grads));
    }
    let named = net.params().iter().zip(&grads).map(|(p, dw)| (p.name.clone(), array(dw)));
    let mut got = outputs([("grads_last", Out::Map(named.collect()))]);
    let y: Vec<f64> = labels.iter().map(|y| *y as f64).collect();
    got.insert("y".into(), Array::new(&[args.N], y).into());
    got.insert("scores".into(), array(&net.scores(&x)));
    if let Some(h) = args.gradcheck_h {
        let value = losses.last().copied().unwrap_or(f64::NAN);
        let errors = gradcheck(&mut net, (&x, &labels), (value, &grads), h, &mut rng);
        got.insert("gradcheck_rel_error".into(), errors.into());
    }
    got.insert("losses".into(), losses.into());
    Ok(got)
}
