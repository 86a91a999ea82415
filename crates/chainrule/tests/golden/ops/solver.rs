//! Whole trainings with the course's solver.

use chainrule::models::Model;
use chainrule::optim::{Schedule, ScheduleConfig};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{
    Arrays, CourseLog, Examples, Observer, Quiet, Solver, SolverOptions, accuracy,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::conv_net::ConvNet;
use super::net::{Net, params};
use super::optim;
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::{Array, Case};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
struct Data {
    n_train: usize,
    n_val: usize,
    shape: Vec<usize>,
    C: usize,
}

/// The solver's options in the course's words. What is missing has the course's default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    num_epochs: usize,
    batch_size: usize,
    print_every: Option<usize>,
    verbose: Option<bool>,
    num_train_samples: Option<usize>,
    num_val_samples: Option<usize>,
    lr_decay: Option<f64>,
    update_rule: String,
    optim_config: Map<String, Value>,
}

impl Options {
    fn schedule(&self) -> Result<Schedule, String> {
        let Some(decay) = self.lr_decay else { return Ok(Schedule::constant()) };
        let config = ScheduleConfig { gamma: Some(decay), ..ScheduleConfig::NONE };
        Schedule::by_name("exponential", &config).map_err(|e| e.to_string())
    }
}

/// Random examples, made learnable: 1.5 is added to feature (label mod D) of each.
fn examples(inputs: &Inputs, set: &str, n: usize, data: &Data) -> Result<Arrays, String> {
    let labels = inputs.labels(&format!("y_{set}"))?;
    let mut x = inputs.get(&format!("X_{set}"))?.clone();
    let shape: Vec<usize> = [n].iter().chain(&data.shape).copied().collect();
    if labels.len() != n || x.shape != shape {
        return Err(format!("{set}: {} labels, shape {:?}", labels.len(), x.shape));
    }
    let features: usize = data.shape.iter().product();
    for (row, label) in x.data.chunks_exact_mut(features).zip(&labels) {
        row[label % features] += 1.5;
    }
    Ok(Arrays::new(Tensor::from_f64(&x.shape[..], &x.data), labels))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args<N> {
    net: N,
    data: Data,
    solver: Options,
}

/// A training of a fully connected network.
pub fn fully_connected(case: &Case) -> Result<Outputs, String> {
    training(case, |net: &Net, data, rng| {
        let net = net.construct((&data.shape, data.C), (&[], DType::F32), rng)?;
        Ok(Box::new(net))
    })
}

/// A training of the course's convolutional network.
pub fn three_layer_conv(case: &Case) -> Result<Outputs, String> {
    training(case, |net: &ConvNet, data, rng| {
        Ok(Box::new(net.construct(&data.shape, data.C, rng)?))
    })
}

fn training<N: DeserializeOwned>(
    case: &Case,
    construct: impl Fn(&N, &Data, &mut Rng) -> Result<Box<dyn Model>, String>,
) -> Result<Outputs, String> {
    let (args, inputs): (Args<N>, _) = (case.args()?, Inputs::of(case)?);
    let train = examples(&inputs, "train", args.data.n_train, &args.data)?;
    let val = examples(&inputs, "val", args.data.n_val, &args.data)?;
    let mut rng = Rng::Numpy(inputs.rng);
    let mut net = construct(&args.net, &args.data, &mut rng)?;
    let made = optim::make(&args.solver.update_rule, &args.solver.optim_config)?;
    let defaults = SolverOptions::course();
    let options = SolverOptions {
        batch_size: args.solver.batch_size,
        epochs: args.solver.num_epochs,
        learning_rate: made.learning_rate,
        schedule: args.solver.schedule()?,
        train_samples: args.solver.num_train_samples.unwrap_or(defaults.train_samples),
        val_samples: args.solver.num_val_samples,
        ..defaults
    };
    let mut log = CourseLog { out: Vec::new(), every: args.solver.print_every.unwrap_or(10) };
    let verbose = args.solver.verbose.unwrap_or(true);
    let observer: &mut dyn Observer = if verbose { &mut log } else { &mut Quiet };
    let mut solver = Solver::new(&mut *net, made.rule, &train, &val, options);
    let history = solver.train(&mut rng, observer).map_err(|e| e.to_string())?;
    let lines = String::from_utf8(log.out).map_err(|e| e.to_string())?;
    let mut next = [0.0; 2];
    rng.rand_fill(&mut next);
    let losses = Array::new(&[history.loss.len()], history.loss);
    Ok(outputs([
        ("loss_history", losses.into()),
        ("train_acc_history", history.train_accuracy.into()),
        ("val_acc_history", history.val_accuracy.into()),
        ("best_val_acc", history.best_val_accuracy.into()),
        ("epoch", history.epoch.into()),
        ("lines", lines.lines().collect::<Vec<_>>().into()),
        ("final_train_acc", of_all(&*net, &train)),
        ("final_val_acc", of_all(&*net, &val)),
        ("final_params", params(&*net)),
        ("final_lr", history.learning_rate.into()),
        ("next_rand", Array::new(&[2], next.to_vec()).into()),
    ]))
}

/// The accuracy on all examples.
fn of_all(net: &dyn Model, examples: &Arrays) -> Out {
    accuracy(net, examples, &(0..examples.len()).collect::<Vec<_>>()).into()
}
