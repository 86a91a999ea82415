//! Networks of explicit ops: one file an architecture.
//!
//! A [`Model`] names its parameters, scores pictures, and gives the loss with a gradient for every parameter. It is all that a
//! [`crate::train::Solver`] knows of a network.

mod architecture;
mod checks;
mod course;
mod densenet;
mod fully_connected;
mod loss;
mod mobilenet;
mod module;
mod place;
mod resnet18;
mod resnet_ce;
mod small_conv;
pub mod summary;
mod three_layer_conv;
mod vgg;

pub use architecture::{ARCHITECTURES, Architecture, ModelConfig, Recipe, Task};
pub use checks::checked_models;
pub use course::{Init, ThreeLayerConvModule, TwoLayerFc};
pub use densenet::{Bottleneck, DenseNet, Transition};
pub use fully_connected::{FullyConnectedConfig, FullyConnectedNet, Norm};
pub use loss::Loss;
pub use mobilenet::{ConvNorm, InvertedResidual, MobileNet};
pub use module::ModuleModel;
pub use resnet_ce::{DepthwiseSeparable, ResNetCe, ResidualBlock, SqueezeExcite};
pub use resnet18::{BasicBlock, ResNet18};
pub use small_conv::{SmallConvConfig, SmallConvNet};
pub use three_layer_conv::{ThreeLayerConvConfig, ThreeLayerConvNet};
pub use vgg::vgg;

use crate::check;
use crate::ops::Targets;
use crate::ops::batch_norm::RunningStats;
use crate::rng::Rng;
use crate::tensor::{DType, Order, Tensor};

/// A learned tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name within the model: `W1`, `b1`, `gamma1`.
    pub name: String,
    /// Its value.
    pub value: Tensor,
    /// Whether weight decay applies: weights yes; biases, scales and shifts no.
    pub decay: bool,
}

/// A network that a solver can train.
pub trait Model {
    /// The name of the architecture, as `--model` takes it.
    fn name(&self) -> &'static str;

    /// What to call it in a heading: `Fully connected 512-256`.
    fn title(&self) -> String;

    /// The type it computes in.
    fn dtype(&self) -> DType;

    /// The shape of one input, without the batch axis.
    fn input_shape(&self) -> &[usize];

    /// The memory order in which it wants its batches. It takes the other as well, at the cost of a conversion.
    fn order(&self) -> Order {
        Order::RowMajor
    }

    /// The number of classes.
    fn classes(&self) -> usize;

    /// The parameters, in a fixed order.
    fn params(&self) -> &[Param];

    /// The parameters for writing. Shapes and types must stay as they are.
    fn params_mut(&mut self) -> &mut [Param];

    /// What is remembered but not learned, such as running averages, by name. The tensors share storage with the model.
    fn buffers(&self) -> Vec<(String, Tensor)>;

    /// Replaces the buffer of this name; `false` if there is none of this name and shape.
    fn set_buffer(&mut self, name: &str, value: &Tensor) -> bool;

    /// The weights into each unit of the first layer as pictures (units, H, W, C), if its inputs are pictures.
    fn first_filters(&self) -> Option<Tensor>;

    /// Test mode: the scores (N, classes) of a batch (N, ...) of the model's type.
    fn scores(&self, x: &Tensor) -> Tensor;

    /// Train mode: the loss, and in `grads` a gradient for every parameter, in their order. Updates running averages.
    ///
    /// `grads` is cleared first; a caller who passes the same vector again saves its allocation.
    fn loss_of(
        &mut self,
        x: &Tensor,
        targets: Targets<'_>,
        rng: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64;

    /// The same for examples with one right class each.
    fn loss(
        &mut self,
        x: &Tensor,
        labels: &[usize],
        rng: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64 {
        self.loss_of(x, Targets::Classes(labels), rng, grads)
    }

    /// Test mode: what the score of class `classes[i]` owes to picture `i` of x, and to what the last convolution saw of it.
    ///
    /// # Panics
    /// If there is not one class a picture.
    fn trace(&self, x: &Tensor, classes: &[usize]) -> Trace;

    /// Train mode, of which no running average remains: the first layer, on the way up, whose output for x is not all finite
    /// numbers, as a message names it.
    fn first_not_finite(&mut self, x: &Tensor, rng: &mut Rng) -> Option<String>;

    /// The layer of parameter `i`, as a message names it: `layer 3 (affine 100 -> 10)`.
    ///
    /// # Panics
    /// If there are not so many parameters.
    fn place_of(&self, i: usize) -> String {
        place::of_param(&self.layers(), self.params(), i)
    }

    /// The layers in order, for `summary`.
    fn layers(&self) -> Vec<summary::Layer>;
}

/// What scores owe to the pictures: the result of [`Model::trace`].
#[derive(Clone, Debug)]
pub struct Trace {
    /// (N, classes), all scores.
    pub scores: Tensor,
    /// The gradient of each picture's own score by its numbers, shape of x.
    pub dx: Tensor,
    /// The last convolution's output (N, F, H, W), after its ReLU and pooling, and the gradient of the score by it. Of a module:
    /// the last value of four axes and more than one pixel on its way up, if the scores depend on it.
    pub features: Option<[Tensor; 2]>,
}

/// The gradient of one score a row by all scores (N, C): 1 at the row's class.
///
/// # Panics
/// If there is not one class a row, each below C.
#[track_caller]
fn one_hot(scores: &Tensor, classes: &[usize]) -> Tensor {
    check::labels("trace", scores, classes);
    Tensor::one_hot(classes, scores.shape()[1], scores.dtype())
}

/// Running averages by name: `running_mean1`, `running_var1`, `running_mean2`, ...
fn named_buffers(running: &[RunningStats]) -> Vec<(String, Tensor)> {
    let named = |(i, r): (usize, &RunningStats)| {
        [
            (format!("running_mean{}", i + 1), r.mean.clone()),
            (format!("running_var{}", i + 1), r.var.clone()),
        ]
    };
    running.iter().enumerate().flat_map(named).collect()
}

/// Replaces the running average of this name; `false` if there is none of this name and shape.
fn set_named_buffer(running: &mut [RunningStats], name: &str, value: &Tensor) -> bool {
    for (i, r) in running.iter_mut().enumerate() {
        for (kind, slot) in [("running_mean", &mut r.mean), ("running_var", &mut r.var)] {
            if name.strip_prefix(kind).is_some_and(|n| n.parse() == Ok(i + 1))
                && slot.shape() == value.shape()
            {
                *slot = value.to_dtype(slot.dtype());
                return true;
            }
        }
    }
    false
}

/// The number of learned numbers.
pub fn count_params(model: &dyn Model) -> usize {
    model.params().iter().map(|p| p.value.len()).sum()
}
