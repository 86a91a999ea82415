//! The reference workloads, as the peers run them: nets on batches of CIFAR-10 pictures that lie ready in memory.
//!
//! | name | network | batch | update rule |
//! |---|---|---|---|
//! | W1-sgdm | 3072 - 5 x 100 - 10 | 100 | SGD, momentum 0.9 |
//! | W1-adam | the same | 100 | Adam |
//! | W2 | the same with batch norm | 50 | Adam |
//! | W3 | 3072 - 200 - 150 - 10, batch norm, dropout keeps 0.8, L2 0.0025 | 256 | Adam |
//! | W4 | 32 filters of 7 x 7, ReLU, pooling, 500 - 10, L2 0.001 | 50 | Adam |
//! | W1-modules | W1-sgdm as a `Sequential` on the tape: what the tape costs | 100 | SGD, momentum 0.9 |
//! | W5 | `Sequential` 3072 - 4000 - 10 | 64 | SGD, Nesterov momentum 0.9 |
//! | W6 | `Sequential`: 5 x 5 to 32, ReLU, 3 x 3 to 16, ReLU, 10 | 64 | SGD, Nesterov momentum 0.9 |
//! | W7 | ResNetCE | 64 | AdamW, weight decay 0.05 |
//!
//! W1 to W4 are the explicit nets of [`chainrule::models`]; W5 to W7 are [modules] on pictures normalised by channels.
//!
//! And every architecture of the program, with its defaults, its update rule, and any batch.

use crate::modules;
use chainrule::data::{self, Normalization, Pictures};
use chainrule::models::{
    Architecture, FullyConnectedConfig, FullyConnectedNet, Loss, Model, ModelConfig, Norm, Task,
    ThreeLayerConvConfig, ThreeLayerConvNet, summary,
};
use chainrule::ops::Mode;
use chainrule::ops::batch_norm::{self, BatchNormParams, RunningStats};
use chainrule::optim::{self, OptimConfig, UpdateRule};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::Examples;
use chainrule_kernels::buffer::block_bytes;

/// The names of the workloads.
pub const NAMES: [&str; 9] =
    ["W1-sgdm", "W1-adam", "W1-modules", "W2", "W3", "W4", "W5", "W6", "W7"];

/// Batches that are used in turn.
const BATCHES: usize = 15;

/// A network, its update rule, and batches to train it on.
pub struct Workload {
    /// The network.
    pub model: Box<dyn Model>,
    /// Bytes that a training step takes, as `summary` predicts.
    pub predicted: usize,
    rule: Box<dyn UpdateRule>,
    learning_rate: f64,
    batches: Vec<(Tensor, Vec<usize>)>,
    grads: Vec<Tensor>,
    rng: Rng,
    steps: usize,
}

impl Workload {
    /// The workload of this name, one of [`NAMES`].
    ///
    /// # Errors
    /// If the embedded pictures cannot be read.
    ///
    /// # Panics
    /// If there is no such workload.
    pub fn new(name: &str) -> chainrule::Result<Workload> {
        let mut rng = Rng::new(0);
        let mut dense = |config| Box::new(FullyConnectedNet::new(config, &mut rng));
        let five = FullyConnectedConfig {
            hidden: vec![100; 5],
            weight_scale: Some(2e-2),
            ..FullyConnectedConfig::default()
        };
        let sgd = OptimConfig { momentum: Some(0.9), ..OptimConfig::default() };
        let adam = OptimConfig::default();
        match name {
            "W1-sgdm" => Workload::of(dense(five), 100, ("sgd", &sgd), 5e-3),
            "W1-adam" => Workload::of(dense(five), 100, ("adam", &adam), 1e-3),
            "W2" => {
                let config = FullyConnectedConfig { norm: Norm::Batch, ..five };
                Workload::of(dense(config), 50, ("adam", &adam), 1e-3)
            }
            "W3" => {
                let config = FullyConnectedConfig {
                    hidden: vec![200, 150],
                    norm: Norm::Batch,
                    dropout_keep: 0.8,
                    reg: 2.5e-3,
                    ..five
                };
                Workload::of(dense(config), 256, ("adam", &adam), 2e-3)
            }
            "W4" => {
                let config = ThreeLayerConvConfig {
                    hidden: 500,
                    weight_scale: Some(2e-2),
                    reg: 1e-3,
                    ..ThreeLayerConvConfig::default()
                };
                let net = ThreeLayerConvNet::new(config, &mut Rng::new(0));
                Workload::of(Box::new(net), 50, ("adam", &adam), 1e-3)
            }
            "W1-modules" => Workload::of(modules::five_layers(&mut rng), 100, ("sgd", &sgd), 5e-3),
            "W5" | "W6" => {
                let nesterov = OptimConfig { nesterov: Some(true), ..sgd };
                let net = if name == "W5" { modules::two_layers } else { modules::conv_net };
                Workload::by_channels(net(&mut rng), ("sgd", &nesterov), 1e-2)
            }
            "W7" => {
                let config = OptimConfig { weight_decay: Some(0.05), ..adam };
                Workload::by_channels(modules::resnet(&mut rng), ("adamw", &config), 1e-3)
            }
            _ => panic!("no workload {name:?}; there are {NAMES:?}"),
        }
    }

    /// A model on batches of 64 pictures normalised by channels.
    fn by_channels(
        model: Box<dyn Model>,
        rule: (&str, &OptimConfig),
        learning_rate: f64,
    ) -> chainrule::Result<Workload> {
        let batches = batches(64, model.order(), "channels")?;
        Ok(Workload { batches, ..Workload::of(model, 64, rule, learning_rate)? })
    }

    /// An architecture as its recipe trains it, but for the batch.
    ///
    /// # Errors
    /// If the embedded pictures cannot be read.
    pub fn training(architecture: &Architecture, batch: usize) -> chainrule::Result<Workload> {
        let task = Task {
            input_shape: vec![3, 32, 32],
            classes: 10,
            loss: Loss::default(),
            reg: 0.0,
            dtype: DType::F32,
        };
        let model = architecture.make(&task, &ModelConfig::NONE, &mut Rng::new(0))?;
        let recipe = &architecture.recipe;
        Workload::of(model, batch, (recipe.optim, &OptimConfig::default()), recipe.lr)
    }

    fn of(
        model: Box<dyn Model>,
        batch: usize,
        (rule, config): (&str, &OptimConfig),
        learning_rate: f64,
    ) -> chainrule::Result<Workload> {
        let states = optim::states(optim::make(rule, config)?);
        Ok(Workload {
            predicted: summary::memory(&*model, batch, states).total(),
            batches: batches(batch, model.order(), "mean-image")?,
            model,
            rule: optim::make(rule, config)?,
            learning_rate,
            grads: Vec::new(),
            rng: Rng::new(0),
            steps: 0,
        })
    }

    /// One training step: forward, loss, backward, update. Returns the loss.
    pub fn step(&mut self) -> f64 {
        let (x, labels) = &self.batches[self.steps % self.batches.len()];
        self.rng.at(0, self.steps as u64);
        self.steps += 1;
        let loss = self.model.loss(x, labels, &mut self.rng, &mut self.grads);
        self.rule.begin_step();
        for (slot, (param, grad)) in self.model.params_mut().iter_mut().zip(&self.grads).enumerate()
        {
            self.rule.update(slot, &mut param.value, grad, self.learning_rate, param.decay);
        }
        loss
    }

    /// Bytes of the batches that wait for their turn: a training would make each when it needs it.
    pub fn waiting(&self) -> usize {
        let bytes = |(x, _): &(Tensor, Vec<usize>)| block_bytes(x.len() * x.dtype().size());
        self.batches.iter().skip(1).map(bytes).sum()
    }

    /// The scores of one batch in test mode.
    pub fn infer(&mut self) -> Tensor {
        let (x, _) = &self.batches[self.steps % self.batches.len()];
        self.steps += 1;
        self.model.scores(x)
    }
}

/// The two backward passes of batch norm on (256, 200), to be timed against each other.
pub const BATCH_NORM: [&str; 2] = ["BN-graph", "BN-simplified"];

/// A function that runs the backward pass of this name, one of [`BATCH_NORM`].
pub fn batch_norm_backward(name: &str) -> impl FnMut() + use<> {
    let mut rng = Rng::new(1);
    let [x, dy] = [(); 2].map(|()| Tensor::randn([256, 200], 1.0, DType::F32, &mut rng));
    let [gamma, beta] = [(); 2].map(|()| Tensor::randn([200], 1.0, DType::F32, &mut rng));
    let mut running = RunningStats::zeros(200, DType::F32);
    let params = BatchNormParams::default();
    let (_, cache) = batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
    let backward =
        if name == "BN-graph" { batch_norm::backward_graph } else { batch_norm::backward };
    move || drop(backward(&dy, &cache))
}

fn batches(
    size: usize,
    order: Order,
    normalize: &str,
) -> chainrule::Result<Vec<(Tensor, Vec<usize>)>> {
    let train = data::embedded()?.train;
    let normalization = Normalization::of(normalize, &train)?;
    let pictures = Pictures::new(train, normalization);
    let batch = |i: usize| {
        let indices: Vec<usize> = (0..size).map(|j| (i * size + j) % pictures.len()).collect();
        let labels = indices.iter().map(|i| pictures.label(*i)).collect();
        (pictures.batch(&indices, DType::F32, order), labels)
    };
    Ok((0..BATCHES).map(batch).collect())
}
