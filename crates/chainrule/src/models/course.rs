//! The two nets of the course's last notebook, as modules.
//!
//! ```text
//! course-fc         flatten - linear - relu - linear
//! course-convnet    conv 5x5 - relu - conv 3x3 - relu - flatten - linear
//! ```
//! The convolutions keep the size of pictures. 12,332,010 and 170,906 parameters for CIFAR-10 with the defaults. Initial weights
//! are drawn in one of three ways, [`Init`]. Trained for one epoch of CIFAR-10 in batches of 64 by plain gradient descent the
//! course asks for 40% and 45%, and for 55% of the second with Nesterov's momentum and uniform weights.

use super::architecture::{Architecture, ModelConfig, Recipe, Task, Values};
use super::{checks, module};
use crate::error::{Error, Result};
use crate::nn::init::{Fan, Gain, constant, kaiming_normal};
use crate::nn::{Conv2d, EntryMut, Linear, Module, Params, Path};
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::Var;
use serde::{Deserialize, Serialize};

/// In the list of architectures, with the course's training of it.
pub(super) const FC: Architecture = Architecture {
    name: "course-fc",
    about: "two linear layers, the course's first module",
    defaults: || ModelConfig {
        hidden: Some(vec![4000]),
        init: Some(Init::Kaiming),
        ..ModelConfig::NONE
    },
    small: || ModelConfig { hidden: Some(vec![20]), ..ModelConfig::NONE },
    recipe: Recipe { lr: 1e-2, ..RECIPE },
    checks: || checks::module("course-fc", 0),
    make: |task, values, rng| {
        let &[hidden] = &values.hidden[..] else {
            let found = format!("course-fc has one hidden layer, not {}", values.hidden.len());
            return Err(Error::value("hidden", found, "give one width"));
        };
        let mut net = TwoLayerFc::new(task.input_shape.iter().product(), hidden, task.classes, rng);
        initialise(&mut net, values.init, rng);
        Ok(module::listed("course-fc", net, task))
    },
};

/// In the list of architectures, with the course's training of it.
pub(super) const CONVNET: Architecture = Architecture {
    name: "course-convnet",
    about: "two convolutions and a linear layer, the course's second module",
    defaults: || ModelConfig {
        channels: Some(vec![32, 16]),
        init: Some(Init::Kaiming),
        ..ModelConfig::NONE
    },
    small: || ModelConfig { channels: Some(vec![4, 3]), ..ModelConfig::NONE },
    recipe: Recipe { lr: 3e-3, ..RECIPE },
    checks: || checks::module("course-convnet", 0),
    make: |task, values, rng| {
        let mut net = convnet(task, values, rng)?;
        initialise(&mut net, values.init, rng);
        Ok(module::listed("course-convnet", net, task))
    },
};

/// The course's training of both; the rates differ.
const RECIPE: Recipe = Recipe {
    epochs: 10,
    batch: 64,
    optim: "sgd",
    schedule: "constant",
    lr: 1e-2,
    weight_decay: 0.0,
    decay_of: "weights",
    label_smoothing: 0.0,
    normalize: "channels",
    augment: "none",
};

/// How initial weights are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Weights normal with deviation sqrt(2 / inputs) (He et al. 2015), biases uniform within 1 / sqrt(inputs).
    #[default]
    Kaiming,
    /// Weights as with Kaiming, biases 0: the course's nets of bare tensors.
    ZeroBias,
    /// Weights and biases uniform within 1 / sqrt(inputs), PyTorch's default.
    Uniform,
}

impl Init {
    /// All of them.
    pub const ALL: [Init; 3] = [Init::Kaiming, Init::ZeroBias, Init::Uniform];

    /// The name as options and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Init::Kaiming => "kaiming",
            Init::ZeroBias => "zero-bias",
            Init::Uniform => "uniform",
        }
    }
}

fn convnet(task: &Task, values: &Values, rng: &mut Rng) -> Result<ThreeLayerConvModule> {
    let channels = module::channels("course-convnet", task)?;
    let &[first, second] = &values.channels[..] else {
        let found = format!("course-convnet has two convolutions, not {}", values.channels.len());
        return Err(Error::value("channels", found, "give two numbers, as in 32,16"));
    };
    let size = [task.input_shape[1], task.input_shape[2]];
    Ok(ThreeLayerConvModule::new([channels, first, second], size, task.classes, rng))
}

/// Draws weights and biases anew, or leaves those that the layers were made with.
fn initialise(net: &mut dyn Module, init: Init, rng: &mut Rng) {
    if init == Init::Uniform {
        return;
    }
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        let EntryMut::Param(p) = entry else { return };
        let shape = *p.value().shape();
        if shape.len() >= 2 {
            *p.value_mut() = kaiming_normal(&shape, Fan::In, Gain::Relu, rng);
        } else if init == Init::ZeroBias {
            *p.value_mut() = constant(shape, 0.0);
        }
    });
}

/// Two linear layers with a ReLU between them.
#[derive(Params)]
pub struct TwoLayerFc {
    fc1: Linear,
    fc2: Linear,
}

impl TwoLayerFc {
    /// From `inputs` numbers over `hidden` units to so many classes, with PyTorch's initial values.
    pub fn new(inputs: usize, hidden: usize, classes: usize, rng: &mut Rng) -> TwoLayerFc {
        let fc1 = Linear::new(inputs, hidden, rng);
        TwoLayerFc { fc1, fc2: Linear::new(hidden, classes, rng) }
    }
}

impl Module for TwoLayerFc {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.flatten().apply(&self.fc1).relu().apply(&self.fc2)
    }

    fn describe(&self) -> String {
        "Two-layer net".to_string()
    }
}

/// Two convolutions, each with a ReLU, and a linear layer.
#[derive(Params)]
pub struct ThreeLayerConvModule {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl ThreeLayerConvModule {
    /// With these channels before, between and after the convolutions, for pictures of this size; PyTorch's initial values.
    pub fn new(
        [inputs, first, second]: [usize; 3],
        [height, width]: [usize; 2],
        classes: usize,
        rng: &mut Rng,
    ) -> ThreeLayerConvModule {
        let conv1 = Conv2d::new(inputs, first, 5, Conv2dParams::same(5), rng);
        let conv2 = Conv2d::new(first, second, 3, Conv2dParams::same(3), rng);
        let fc = Linear::new(second * height * width, classes, rng);
        ThreeLayerConvModule { conv1, conv2, fc }
    }
}

impl Module for ThreeLayerConvModule {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let x = x.apply(&self.conv1).relu().apply(&self.conv2).relu();
        x.flatten().apply(&self.fc)
    }

    fn describe(&self) -> String {
        "Three-layer convnet".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_have_the_parameters_of_the_course() {
        let mut rng = Rng::new(0);
        let fc = TwoLayerFc::new(3072, 4000, 10, &mut rng);
        let convnet = ThreeLayerConvModule::new([3, 32, 16], [32, 32], 10, &mut rng);
        assert_eq!((fc.num_params(), convnet.num_params()), (12_332_010, 170_906));
    }

    #[test]
    fn each_kind_of_initial_values_is_as_it_says() {
        for init in Init::ALL {
            let mut rng = Rng::new(1);
            let mut net = ThreeLayerConvModule::new([3, 32, 16], [8, 8], 10, &mut rng);
            initialise(&mut net, init, &mut rng);
            let values = |i: usize| net.named_params()[i].1.to_vec();
            let std = |v: Vec<f64>| (v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64).sqrt();
            let (weight, bias) = match init {
                Init::Kaiming => (0.163299, 0.0667),
                Init::ZeroBias => (0.163299, 0.0),
                Init::Uniform => (0.066667, 0.0667),
            };
            assert!((std(values(0)) / weight - 1.0).abs() < 0.05, "{init:?}");
            assert!((std(values(1)) - bias).abs() < 0.02, "{init:?}: {}", std(values(1)));
        }
    }
}
