//! How a fully connected network is made.

use super::FullyConnectedNet;
use crate::models::architecture::{Architecture, ModelConfig, Recipe, Task, Values};
use crate::models::checks;
use crate::models::loss::Loss;
use crate::rng::Rng;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// In the list of architectures, with what does well on the excerpt of CIFAR-10.
pub(in crate::models) const ARCHITECTURE: Architecture = Architecture {
    name: "fully-connected",
    about: "affine layers with ReLU, a norm and dropout",
    defaults: || ModelConfig {
        hidden: Some(vec![512, 256]),
        norm: Some(Norm::Batch),
        dropout_keep: Some(0.6),
        weight_scale: Some(0.0),
        ..ModelConfig::NONE
    },
    small: || ModelConfig { hidden: Some(vec![20, 30]), ..ModelConfig::NONE },
    recipe: Recipe {
        epochs: 30,
        batch: 100,
        optim: "adamw",
        schedule: "one-cycle",
        lr: 1e-3,
        weight_decay: 0.01,
        decay_of: "weights",
        label_smoothing: 0.0,
        normalize: "mean-image",
        augment: "none",
    },
    checks: checks::fully_connected,
    make: |task, values, rng| Ok(Box::new(make(task, values, rng))),
};

fn make(task: &Task, values: &Values, rng: &mut Rng) -> FullyConnectedNet {
    let config = FullyConnectedConfig {
        input_shape: task.input_shape.clone(),
        hidden: values.hidden.clone(),
        classes: task.classes,
        norm: values.norm,
        dropout_keep: values.dropout_keep,
        dropout_seed: None,
        reg: task.reg,
        weight_scale: (values.weight_scale > 0.0).then_some(values.weight_scale),
        loss: task.loss,
        dtype: task.dtype,
    };
    FullyConnectedNet::new(config, rng)
}

/// What follows each hidden affine layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Nothing.
    #[default]
    None,
    /// Batch normalization.
    Batch,
    /// Layer normalization.
    Layer,
}

impl Norm {
    /// All of them.
    pub const ALL: [Norm; 3] = [Norm::None, Norm::Batch, Norm::Layer];

    /// The name as options and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Norm::None => "none",
            Norm::Batch => "batch",
            Norm::Layer => "layer",
        }
    }
}

/// How a [`FullyConnectedNet`] is made. The defaults are the course's; the hidden layers must be given.
#[derive(Clone, Debug)]
pub struct FullyConnectedConfig {
    /// The shape of one input, without the batch axis.
    pub input_shape: Vec<usize>,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// The number of classes.
    pub classes: usize,
    /// What follows each hidden affine layer.
    pub norm: Norm,
    /// Probability that dropout keeps a unit; 1 for no dropout.
    pub dropout_keep: f64,
    /// If given, every dropout layer starts over from this seed at every call, so that it drops the same units.
    pub dropout_seed: Option<u32>,
    /// L2 regularization of the weights.
    pub reg: f64,
    /// Standard deviation of the initial weights; `None` for sqrt(2 / inputs) in each layer (He et al. 2015).
    pub weight_scale: Option<f64>,
    /// The loss.
    pub loss: Loss,
    /// What it computes in.
    pub dtype: DType,
}

impl Default for FullyConnectedConfig {
    fn default() -> Self {
        FullyConnectedConfig {
            input_shape: vec![3, 32, 32],
            hidden: Vec::new(),
            classes: 10,
            norm: Norm::None,
            dropout_keep: 1.0,
            dropout_seed: None,
            reg: 0.0,
            weight_scale: Some(1e-2),
            loss: Loss::default(),
            dtype: DType::F32,
        }
    }
}
