//! The framework half: expressions on the tape, modules, trainings. What is computed is PyTorch's; names are those of its modules.

use chainrule::models::{Model, ModuleModel, ResNetCe, ResidualBlock, SqueezeExcite};
use chainrule::nn::{Conv2d, CrossEntropy, Entry, Linear, Module, Params, Reduction};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::ops::sum::Over;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Order, Tensor};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::layers::tensors;
use super::optim::{Made, make};
use super::{array, tensor};
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

const ROWS: Over<'static> = Over { axes: &[0], keep: false };

/// The expressions of the autograd cases.
pub fn autograd(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        expr: String,
    }
    let (Args { expr }, inputs) = (case.args()?, Inputs::of(case)?);
    let tape = Tape::train(0);
    let expr = expr.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_string()
        + if expr.contains("permute") { " views" } else { "" };
    match expr.as_str() {
        "sum" => {
            let [a, b, c, d] = tensors(&inputs, ["a", "b", "c", "d"])?;
            let y = ((tape.leaf(&a).matmul(&b) + &c).relu() * tape.constant(d)).sum();
            finished(&y, [("da", &a), ("db", &b), ("dc", &c)])
        }
        "backward" => {
            let [a] = tensors(&inputs, ["a"])?;
            let x = tape.leaf(&a);
            let first = x.square().sum();
            let mut sum = first.backward()[&a].clone();
            let first_grad = array(&sum);
            let x = tape.leaf(&a);
            let second = (x.exp() / (1.0 + x.abs())).mean();
            sum.add_scaled(1.0, &second.backward()[&a]);
            Ok(outputs([
                ("first_grad", first_grad),
                ("accumulated_grad", array(&sum)),
                ("l1", first.item().into()),
                ("l2", second.item().into()),
            ]))
        }
        "z" => {
            let [a, b] = tensors(&inputs, ["a", "b"])?;
            let (x, y) = (tape.leaf(&a), tape.leaf(&b));
            let z = &x * &y + &x / (&y * &y + 1.0) - &y;
            finished(&(z.sigmoid() * z.tanh()).sum(), [("da", &a), ("db", &b)])
        }
        "h" => {
            let [a, w] = tensors(&inputs, ["a", "w"])?;
            let start = tape.leaf(&a);
            let mut h = start.clone();
            for _ in 0..3 {
                h = h.matmul(&w).tanh();
            }
            let std = Var::concat(&[h.clone(), start], 1).std(Over::ALL);
            finished(&(h.square().sum().sqrt() + std), [("da", &a), ("dw", &w)])
        }
        "p views" => {
            let [a] = tensors(&inputs, ["a"])?;
            let x = tape.leaf(&a);
            let [n, rows, columns] = a.shape()[..] else { return Err("three axes".into()) };
            let p = x.permute(&[0, 2, 1]).reshape(&[columns * n, rows]);
            let (m, places) = p.max_over(1);
            let v = p.log_softmax().mean_over(ROWS);
            let y = m.pow(3.0).sum() + (&v * &v).sum() + x.slice(1, 1..rows).mean();
            let mut got = finished(&y, [("da", &a)])?;
            got.insert("max_values".into(), array(m.value()));
            let places: Vec<f64> = places.into_iter().map(|i| i as f64).collect();
            got.insert("max_indices".into(), array(&Tensor::from_f64(*m.shape(), &places)));
            Ok(got)
        }
        other => Err(format!("an expression that begins with {other:?}")),
    }
}

/// A value, and gradients by the names of the file.
fn finished<const N: usize>(y: &Var, of: [(&str, &Tensor); N]) -> Result<Outputs, String> {
    let grads = y.backward();
    let mut got = outputs([("value", y.item().into())]);
    for (name, t) in of {
        got.insert(name.to_string(), array(&grads[t]));
    }
    Ok(got)
}

/// Softmax of the last axis, or its logarithm.
pub fn softmax(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        dim: usize,
    }
    let Args { dim } = case.args()?;
    let [x, dout] = tensors(&Inputs::of(case)?, ["x", "dout"])?;
    if dim + 1 != x.shape().len() {
        return Err(format!("the softmax of axis {dim}"));
    }
    let tape = Tape::train(0);
    let x_var = tape.leaf(&x);
    let out = if case.op.ends_with("log_softmax") { x_var.log_softmax() } else { x_var.softmax() };
    let dx = out.backward_from(&dout);
    Ok(outputs([("out", array(out.value())), ("dx", array(&dx[&x]))]))
}

/// The cross-entropy with class weights and reductions. Where there is one loss an example, its gradient is that of their sum.
pub fn cross_entropy(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        label_smoothing: f64,
        reduction: String,
        weighted: bool,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let [x] = tensors(&inputs, ["x"])?;
    let weights = if args.weighted { Some(tensor(inputs.get("class_weight")?)) } else { None };
    let reduction = match args.reduction.as_str() {
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "none" => Reduction::None,
        other => return Err(format!("reduction {other:?}")),
    };
    let loss = CrossEntropy { weights, label_smoothing: args.label_smoothing, reduction };
    let y = loss.of(&Tape::train(0).leaf(&x), &inputs.labels("y")?);
    let shown = if y.shape().is_empty() { y.item().into() } else { array(y.value()) };
    let dx = y.sum().backward()[&x].clone();
    Ok(outputs([("loss", shown), ("dx", array(&dx))]))
}

/// Bytes (H, W, C) as a picture (C, H, W) of numbers up to 1, normalised channel by channel.
pub fn transforms(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        mean: Vec<f64>,
        std: Vec<f64>,
    }
    let (Args { mean, std }, inputs) = (case.args()?, Inputs::of(case)?);
    let x = tensor(inputs.get("bytes_hwc")?).permute(&[2, 0, 1]) / 255.0;
    let channel = |v: &[f64]| Tensor::from_f64([v.len(), 1, 1], v);
    let normalized = (&x - channel(&mean)) / channel(&std);
    Ok(outputs([("to_tensor", array(&x)), ("normalized", array(&normalized))]))
}

/// Gives a module the values that were drawn for its parameters, in `f64`; returns them by name.
fn fill(module: &mut dyn Params, inputs: &Inputs) -> Result<Vec<(String, Tensor)>, String> {
    module.convert(DType::F64);
    for (name, _) in module.named_params() {
        let value = tensor(inputs.get(&format!("param:{name}"))?);
        if !module.set_value(&name, &value) {
            return Err(format!("{name} has another shape than {:?}", value.shape()));
        }
    }
    Ok(module.named_params())
}

fn named(tensors: Vec<(String, Tensor)>) -> Out {
    Out::Map(tensors.into_iter().map(|(name, t)| (name.clone(), shown(&name, &t))).collect())
}

/// A buffer or parameter; the number of batches is a whole number.
fn shown(name: &str, t: &Tensor) -> Out {
    if name.ends_with("num_batches_tracked") { (t.item() as usize).into() } else { array(t) }
}

/// Blocks of the residual net: a pass there and back in training, then one in a test.
pub fn block(case: &Case) -> Result<Outputs, String> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Args {
        channels: usize,
        reduction: usize,
        cin: usize,
        cout: usize,
        stride: usize,
        se: bool,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let (channels, rng) = ([args.cin, args.cout], &mut Rng::new(0));
    match case.op.as_str() {
        "torch.block.se" => {
            run_block(SqueezeExcite::new(args.channels, args.reduction, rng), &inputs)
        }
        _ => {
            let reduction = args.se.then_some(args.reduction);
            run_block(ResidualBlock::new(channels, args.stride, reduction, rng), &inputs)
        }
    }
}

fn run_block(mut module: impl Module, inputs: &Inputs) -> Result<Outputs, String> {
    let order = fill(&mut module, inputs)?;
    let order: Vec<&str> = order.iter().map(|(name, _)| &name[..]).collect();
    let [x, dout] = tensors(inputs, ["x", "dout"])?;
    let x = x.to_order(Order::ChannelsLast);
    let tape = Tape::train(0);
    let out = tape.leaf(&x).apply(&module);
    let mut grads = out.backward_from(&dout);
    let mut of_params = Vec::new();
    module.visit(&mut Default::default(), &mut |name, entry| {
        if let Entry::Param(p) = entry {
            of_params.extend(grads.take(p).map(|g| (name.to_string(), g)));
        }
    });
    let eval = Tape::eval().constant(x.clone()).apply(&module);
    Ok(outputs([
        ("out", array(out.value())),
        ("dx", array(&grads[&x])),
        ("grads", named(of_params)),
        ("buffers", named(module.named_buffers())),
        ("param_order", order.into()),
        ("eval_out_after", array(eval.value())),
    ]))
}

#[derive(Params)]
struct TwoLayerFc {
    fc1: Linear,
    fc2: Linear,
}

impl Module for TwoLayerFc {
    fn forward(&self, x: &Var) -> Var {
        x.flatten().apply(&self.fc1).relu().apply(&self.fc2)
    }
}

#[derive(Params)]
struct ThreeLayerConvNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Module for ThreeLayerConvNet {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv1).relu().apply(&self.conv2).relu().flatten().apply(&self.fc)
    }
}

/// Some steps of training. PyTorch's weight decay is for all parameters alike.
pub fn train(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        net: String,
        #[serde(default)]
        input: usize,
        #[serde(default)]
        hidden: usize,
        classes: usize,
        #[serde(default)]
        in_channel: usize,
        #[serde(default)]
        channel_1: usize,
        #[serde(default)]
        channel_2: usize,
        #[serde(default)]
        hw: [usize; 2],
        #[serde(default)]
        dropout: f64,
        optimizer: String,
        config: Map<String, Value>,
        steps: usize,
    }
    let (args, inputs): (Args, _) = (case.args()?, Inputs::of(case)?);
    let rng = &mut Rng::new(0);
    let made = make(&args.optimizer, &args.config)?;
    let (steps, classes) = (args.steps, args.classes);
    match args.net.as_str() {
        "TwoLayerFC" => {
            let fc1 = Linear::new(args.input, args.hidden, rng);
            let net = TwoLayerFc { fc1, fc2: Linear::new(args.hidden, classes, rng) };
            run_training(net, &inputs, made, steps)
        }
        "ThreeLayerConvNet" => {
            let [c0, c1, c2] = [args.in_channel, args.channel_1, args.channel_2];
            let conv = |from, to, size, rng: &mut Rng| {
                Conv2d::new(from, to, size, Conv2dParams::same(size), rng)
            };
            let net = ThreeLayerConvNet {
                conv1: conv(c0, c1, 5, rng),
                conv2: conv(c1, c2, 3, rng),
                fc: Linear::new(c2 * args.hw[0] * args.hw[1], classes, rng),
            };
            run_training(net, &inputs, made, steps)
        }
        "ResNetCE" => run_training(ResNetCe::new(classes, args.dropout, rng), &inputs, made, steps),
        other => Err(format!("the net {other:?}")),
    }
}

fn run_training(
    mut net: impl Module,
    inputs: &Inputs,
    made: Made,
    steps: usize,
) -> Result<Outputs, String> {
    let order = fill(&mut net, inputs)?.into_iter();
    let pair = |(name, t): (String, Tensor)| {
        Out::List(vec![Out::from(&name[..]), t.shape().to_vec().into()])
    };
    let order = order.map(pair).collect();
    let (x, labels) = (tensor(inputs.get("x")?), inputs.labels("y")?);
    net.set_decay(&|_| true);
    let num_params = net.num_params();
    let train_scores = {
        // Running averages are put back: this pass is only looked at.
        let buffers = net.named_buffers();
        let scores = Tape::train(0).constant(x.clone()).apply(&net).value().clone();
        buffers.iter().for_each(|(name, t)| assert!(net.set_value(name, t)));
        scores
    };
    let mut model = ModuleModel::new(net, &x.shape()[1..]);
    let initial = model.scores(&x);
    let Made { mut rule, learning_rate, .. } = made;
    let (mut grads, mut first, mut losses) = (Vec::new(), None, Vec::new());
    for _ in 0..steps {
        losses.push(model.loss(&x, &labels, &mut Rng::new(0), &mut grads));
        let names = model.params().iter().map(|p| p.name.clone());
        first.get_or_insert_with(|| named(names.zip(grads.iter().cloned()).collect()));
        rule.begin_step();
        for (slot, (p, g)) in model.params_mut().iter_mut().zip(&grads).enumerate() {
            rule.update(slot, &mut p.value, g, learning_rate, p.decay);
        }
    }
    let params = model.params().iter().map(|p| (p.name.clone(), p.value.clone())).collect();
    Ok(outputs([
        ("param_order", Out::List(order)),
        ("num_params", num_params.into()),
        ("eval_scores_initial", array(&initial)),
        ("train_scores_first", array(&train_scores)),
        ("grads_first", first.ok_or("no step")?),
        ("losses", losses.into()),
        ("params_final", named(params)),
        ("buffers_final", named(model.buffers())),
        ("eval_scores_final", array(&model.scores(&x))),
    ]))
}
