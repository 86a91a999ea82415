//! The list of architectures: what each is called, what it takes, how it is best trained, how it is made.

use super::{
    Init, Loss, Model, Norm, course, densenet, fully_connected, mobilenet, resnet_ce, resnet18,
    small_conv, three_layer_conv, vgg,
};
use crate::error::{Error, Result};
use crate::gradcheck::Case;
use crate::keys::{keys, unknown};
use crate::rng::Rng;
use crate::tensor::DType;

keys! {
    /// What a user has set of a model; the rest is up to the architecture. Which takes which, and with what defaults, is in
    /// [`ARCHITECTURES`].
    ModelConfig,
    /// [`ModelConfig`] with the architecture's defaults.
    Values;

    /// Widths of the hidden fully connected layers.
    hidden: Vec<usize>, "widths go from 1 to 65536", |v| v.iter().all(|w| (1..=65536).contains(w));
    /// What follows each hidden layer.
    norm: Norm, "", |_| true;
    /// Probability that dropout keeps a unit; 1 for no dropout.
    dropout_keep: f64, "it must be above 0 and at most 1", |v| *v > 0.0 && *v <= 1.0;
    /// Channels of each convolution, or of each block of them; equal ones make a stage.
    channels: Vec<usize>, "give at least one number, each from 1 to 65536",
        |v| !v.is_empty() && v.iter().all(|w| (1..=65536).contains(w));
    /// Layers of each dense block.
    layers: Vec<usize>, "give at least one number, each from 1 to 256",
        |v| !v.is_empty() && v.iter().all(|n| (1..=256).contains(n));
    /// Channels that each layer of a dense block adds.
    growth: usize, "it must be from 1 to 1024", |v| (1..=1024).contains(v);
    /// How initial weights are drawn.
    init: Init, "", |_| true;
    /// Filters of the convolution.
    filters: usize, "it must be from 1 to 65536", |v| (1..=65536).contains(v);
    /// Height and width of the filters.
    filter_size: usize, "it must be odd, from 1 to 31", |v| v % 2 == 1 && *v < 32;
    /// Standard deviation of the initial weights; 0 for sqrt(2 / inputs) in each layer (He et al. 2015).
    weight_scale: f64, "it must be a number from 0 up", |v| v.is_finite() && *v >= 0.0;
}

/// What every model is told, whatever its architecture: the examples it is for, the loss, the arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The shape of one input, without the batch axis.
    pub input_shape: Vec<usize>,
    /// The number of classes.
    pub classes: usize,
    /// The loss.
    pub loss: Loss,
    /// L2 regularization: adds `0.5 reg sum(W^2)` to the loss.
    pub reg: f64,
    /// What the model computes in.
    pub dtype: DType,
}

/// How an architecture is best trained on small pictures: what a training uses where its user says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples a step.
    pub batch: usize,
    /// The update rule.
    pub optim: &'static str,
    /// The schedule of the learning rate.
    pub schedule: &'static str,
    /// The learning rate for this rule and schedule.
    pub lr: f64,
    /// The weight decay for this rule.
    pub weight_decay: f64,
    /// What it pulls at: `weights` (not biases, scales and shifts), or `all`.
    pub decay_of: &'static str,
    /// Share of the target spread evenly over all classes.
    pub label_smoothing: f64,
    /// How bytes become numbers.
    pub normalize: &'static str,
    /// How training pictures change from epoch to epoch.
    pub augment: &'static str,
}

impl Recipe {
    /// What convolutional nets with batch norm begin from on small sets of pictures; it is that of the default model.
    pub(super) const CONVOLUTIONAL: Recipe = Recipe {
        epochs: 25,
        batch: 64,
        optim: "adamw",
        schedule: "one-cycle",
        lr: 5e-3,
        weight_decay: 0.01,
        decay_of: "weights",
        label_smoothing: 0.1,
        normalize: "channels",
        augment: "flip,crop",
    };
}

/// An architecture in the list.
pub struct Architecture {
    /// The name, as `--model` takes it.
    pub name: &'static str,
    /// One line for people who choose.
    pub about: &'static str,
    /// The keys that it takes, with their defaults. A key that is `None` there is not taken.
    pub defaults: fn() -> ModelConfig,
    /// A form that is small enough to be checked number by number.
    pub small: fn() -> ModelConfig,
    /// How it is best trained.
    pub recipe: Recipe,
    /// The cases of its gradient check.
    pub checks: fn() -> Vec<Case>,
    pub(super) make: fn(&Task, &Values, &mut Rng) -> Result<Box<dyn Model>>,
}

/// All architectures. The first is the default.
pub static ARCHITECTURES: &[Architecture] = &[
    small_conv::ARCHITECTURE,
    three_layer_conv::ARCHITECTURE,
    fully_connected::ARCHITECTURE,
    resnet_ce::ARCHITECTURE,
    resnet18::ARCHITECTURE,
    densenet::ARCHITECTURE,
    mobilenet::ARCHITECTURE,
    vgg::ARCHITECTURE,
    course::FC,
    course::CONVNET,
];

/// The stages that channels make: runs of equal numbers, as (channels, how many).
pub(super) fn stages(channels: &[usize]) -> Vec<(usize, usize)> {
    let runs = channels.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len())).collect()
}

impl Architecture {
    /// The architecture of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Architecture> {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
        ARCHITECTURES.iter().find(|a| a.name == name).ok_or_else(|| unknown("model", name, &names))
    }

    /// `config` with the architecture's defaults for what it leaves open.
    ///
    /// # Errors
    /// If a key is set that the architecture does not take, or a value makes no sense.
    pub fn effective(&self, config: &ModelConfig) -> Result<ModelConfig> {
        let defaults = (self.defaults)();
        let taken = defaults.given();
        if let Some(key) = config.given().into_iter().find(|key| !taken.contains(key)) {
            let takes = |a: &&Architecture| (a.defaults)().given().contains(&key);
            let others: Vec<&str> = ARCHITECTURES.iter().filter(takes).map(|a| a.name).collect();
            let want = format!("it takes {}; {key} is for {}", taken.join(", "), others.join(", "));
            return Err(Error::value(key, format!("{} does not take it", self.name), want));
        }
        config.check()?;
        Ok(config.or(&defaults))
    }

    /// A model with initial weights drawn from `rng`.
    ///
    /// # Errors
    /// As [`Architecture::effective`], and if the architecture cannot take such inputs.
    pub fn make(&self, task: &Task, config: &ModelConfig, rng: &mut Rng) -> Result<Box<dyn Model>> {
        (self.make)(task, &self.effective(config)?.values(), rng)
    }
}
