//! A residual net with squeeze-and-excitation, for pictures of 32 x 32.
//!
//! ```text
//! conv 3 -> 64 - bn - relu - 2 x residual(64) - transition(128) - 3 x residual(128) - transition(256) - 2 x residual(256)
//! - bn - relu - global average - dropout - linear 256 -> classes
//! ```
//! A residual block is `SE(conv(relu(bn(conv(relu(bn(x))))))) + shortcut(x)`; a transition halves the picture by a depthwise and
//! a pointwise convolution. 3,469,002 parameters for ten classes. Sources: K. He et al., "Identity mappings in deep residual
//! networks", ECCV 2016; J. Hu et al., "Squeeze-and-excitation networks", CVPR 2018; A. Howard et al., "MobileNets", 2017. The
//! arrangement is the course's.

use super::architecture::{Architecture, ModelConfig, Recipe, stages};
use super::{checks, module};
use crate::error::Error;
use crate::nn::init::{Fan, Gain, constant, kaiming_normal, normal};
use crate::nn::{
    Activation, AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, EntryMut, Flatten, Linear, Module,
    Params, Path, Sequential,
};
use crate::ops::conv2d::Conv2dParams;
use crate::ops::elementwise::sigmoid;
use crate::rng::Rng;
use crate::tape::Var;

/// In the list of architectures, with the course's training of it.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "resnet-ce",
    about: "the course's residual net with squeeze-and-excitation",
    defaults: || ModelConfig {
        channels: Some(vec![64, 64, 128, 128, 128, 256, 256]),
        dropout_keep: Some(0.7),
        ..ModelConfig::NONE
    },
    small: || ModelConfig { channels: Some(vec![2, 3, 4]), ..ModelConfig::NONE },
    recipe: Recipe {
        epochs: 10,
        batch: 64,
        optim: "adamw",
        schedule: "constant",
        lr: 1e-3,
        weight_decay: 0.05,
        decay_of: "weights",
        label_smoothing: 0.0,
        normalize: "channels",
        augment: "none",
    },
    checks: || checks::module("resnet-ce", 1),
    make: |task, values, rng| {
        let stages = stages(&values.channels);
        let &[first, second, third] = &stages[..] else {
            let found = format!("resnet-ce has three stages, not {}", stages.len());
            return Err(Error::value(
                "channels",
                found,
                "give three different numbers, as in 64,128,256",
            ));
        };
        let channels = module::channels("resnet-ce", task)?;
        let dropout = 1.0 - values.dropout_keep;
        let net = ResNetCe::sized(channels, [first, second, third], task.classes, dropout, rng);
        Ok(module::listed("resnet-ce", net, task))
    },
};

/// Channels scaled by a number between 0 and 1 each, which follows from the means of all of them.
#[derive(Params)]
pub struct SqueezeExcite {
    squeeze_excite: Sequential,
}

impl SqueezeExcite {
    /// For so many channels, with a hidden layer `reduction` times narrower, but of one unit at least.
    pub fn new(channels: usize, reduction: usize, rng: &mut Rng) -> SqueezeExcite {
        let hidden = (channels / reduction).max(1);
        let squeeze_excite = Sequential::of(vec![
            Box::new(AdaptiveAvgPool2d::new([1, 1])),
            Box::new(Flatten),
            Box::new(Linear::new(channels, hidden, rng)),
            Box::new(Activation::relu()),
            Box::new(Linear::new(hidden, channels, rng)),
            Box::new(Activation::new(sigmoid::ACTIVATION)),
        ]);
        SqueezeExcite { squeeze_excite }
    }
}

impl Module for SqueezeExcite {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let gates = x.apply(&self.squeeze_excite);
        let [n, c] = gates.shape()[..] else { unreachable!("the last layer is linear") };
        x * gates.reshape(&[n, c, 1, 1])
    }
}

/// Two convolutions, each behind a batch norm and a ReLU, with a shortcut around both.
#[derive(Params)]
pub struct ResidualBlock {
    bn1: BatchNorm2d,
    conv1: Conv2d,
    bn2: BatchNorm2d,
    conv2: Conv2d,
    se: Option<SqueezeExcite>,
    shortcut: Sequential,
}

impl ResidualBlock {
    /// From `inputs` to `outputs` channels; `reduction` is that of squeeze-and-excitation, if there is one. The shortcut is the
    /// identity, or a convolution of one pixel and a batch norm where the shape changes.
    pub fn new(
        [inputs, outputs]: [usize; 2],
        stride: usize,
        reduction: Option<usize>,
        rng: &mut Rng,
    ) -> ResidualBlock {
        let conv1 = Conv2d::new(inputs, outputs, 3, Conv2dParams::new(stride, 1), rng).no_bias();
        let conv2 = Conv2d::new(outputs, outputs, 3, Conv2dParams::same(3), rng).no_bias();
        let se = reduction.map(|reduction| SqueezeExcite::new(outputs, reduction, rng));
        let mut shortcut: Vec<Box<dyn Module>> = Vec::new();
        if stride != 1 || inputs != outputs {
            let params = Conv2dParams::new(stride, 0);
            shortcut.push(Box::new(Conv2d::new(inputs, outputs, 1, params, rng).no_bias()));
            shortcut.push(Box::new(BatchNorm2d::new(outputs)));
        }
        let (bn1, bn2) = (BatchNorm2d::new(inputs), BatchNorm2d::new(outputs));
        ResidualBlock { bn1, conv1, bn2, conv2, se, shortcut: Sequential::of(shortcut) }
    }
}

impl Module for ResidualBlock {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let h = x.apply_relu(&self.bn1).apply(&self.conv1);
        let h = h.apply_relu(&self.bn2).apply(&self.conv2);
        let h = self.se.as_ref().map_or(h.clone(), |se| h.apply(se));
        h + x.apply(&self.shortcut)
    }
}

/// A convolution of each channel by itself, then one of each pixel by itself, each with a batch norm and a ReLU behind it.
#[derive(Params)]
pub struct DepthwiseSeparable {
    depthwise: Conv2d,
    bn1: BatchNorm2d,
    pointwise: Conv2d,
    bn2: BatchNorm2d,
}

impl DepthwiseSeparable {
    /// From `inputs` to `outputs` channels.
    pub fn new([inputs, outputs]: [usize; 2], stride: usize, rng: &mut Rng) -> DepthwiseSeparable {
        let params = Conv2dParams { groups: inputs, ..Conv2dParams::new(stride, 1) };
        DepthwiseSeparable {
            depthwise: Conv2d::new(inputs, inputs, 3, params, rng).no_bias(),
            bn1: BatchNorm2d::new(inputs),
            pointwise: Conv2d::new(inputs, outputs, 1, Conv2dParams::default(), rng).no_bias(),
            bn2: BatchNorm2d::new(outputs),
        }
    }
}

impl Module for DepthwiseSeparable {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let h = x.apply(&self.depthwise).apply_relu(&self.bn1);
        h.apply(&self.pointwise).apply_relu(&self.bn2)
    }
}

/// The network of this file.
#[derive(Params)]
pub struct ResNetCe {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    stage1: Vec<ResidualBlock>,
    transition1: DepthwiseSeparable,
    stage2: Vec<ResidualBlock>,
    transition2: DepthwiseSeparable,
    stage3: Vec<ResidualBlock>,
    bn_final: BatchNorm2d,
    dropout: Dropout,
    fc: Linear,
}

impl ResNetCe {
    /// With so many classes; the last layer's inputs are dropped with probability `dropout` (0.3 in the course).
    ///
    /// # Panics
    /// If that is not a probability below 1.
    #[track_caller]
    pub fn new(classes: usize, dropout: f64, rng: &mut Rng) -> ResNetCe {
        ResNetCe::sized(3, [(64, 2), (128, 3), (256, 2)], classes, dropout, rng)
    }

    /// For pictures of so many channels, with three stages of (channels, residual blocks).
    ///
    /// # Panics
    /// If `dropout` is not a probability below 1.
    #[track_caller]
    pub fn sized(
        inputs: usize,
        [(c1, n1), (c2, n2), (c3, n3)]: [(usize, usize); 3],
        classes: usize,
        dropout: f64,
        rng: &mut Rng,
    ) -> ResNetCe {
        let stage = |channels: usize, blocks: usize, rng: &mut Rng| -> Vec<ResidualBlock> {
            let block = |_| ResidualBlock::new([channels; 2], 1, Some(16), rng);
            (0..blocks).map(block).collect()
        };
        let mut net = ResNetCe {
            conv1: Conv2d::new(inputs, c1, 3, Conv2dParams::same(3), rng).no_bias(),
            bn1: BatchNorm2d::new(c1),
            stage1: stage(c1, n1, rng),
            transition1: DepthwiseSeparable::new([c1, c2], 2, rng),
            stage2: stage(c2, n2, rng),
            transition2: DepthwiseSeparable::new([c2, c3], 2, rng),
            stage3: stage(c3, n3, rng),
            bn_final: BatchNorm2d::new(c3),
            dropout: Dropout::new(dropout),
            fc: Linear::new(c3, classes, rng),
        };
        initialise(&mut net, rng);
        net
    }
}

/// Convolutions normal by their fan out, linear layers normal with deviation 0.01 and bias 0; batch norms begin at 1 and 0.
fn initialise(net: &mut ResNetCe, rng: &mut Rng) {
    net.visit_mut(&mut Path::default(), &mut |name, entry| {
        let EntryMut::Param(p) = entry else { return };
        let shape = *p.value().shape();
        let linear = name.starts_with("fc.") || name.contains("squeeze_excite.");
        let value = match shape.len() {
            4 => kaiming_normal(&shape, Fan::Out, Gain::Relu, rng),
            2 => normal(shape, 0.01, rng),
            _ if linear => constant(shape, 0.0),
            _ => return,
        };
        *p.value_mut() = value;
    });
}

impl Module for ResNetCe {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.apply(&self.conv1).apply_relu(&self.bn1);
        for block in &self.stage1 {
            x = x.apply(block);
        }
        x = x.apply(&self.transition1);
        for block in &self.stage2 {
            x = x.apply(block);
        }
        x = x.apply(&self.transition2);
        for block in &self.stage3 {
            x = x.apply(block);
        }
        x.apply_relu(&self.bn_final).global_avg_pool().apply(&self.dropout).apply(&self.fc)
    }

    fn describe(&self) -> String {
        "ResNetCE".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_parameters_of_the_specification() {
        let net = ResNetCe::new(10, 0.3, &mut Rng::new(0));
        let named = net.named_params();
        assert_eq!((net.num_params(), named.len()), (3_469_002, 89));
        let std = |name: &str| {
            let (_, t) = named.iter().find(|(n, _)| n == name).expect("it is there");
            let v = t.to_vec();
            (v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64).sqrt()
        };
        for (name, want) in [
            ("stage1.0.conv1.weight", 0.058926),
            ("stage3.1.conv2.weight", 0.029463),
            ("transition1.depthwise.weight", 0.058926),
            ("transition2.pointwise.weight", 0.088388),
            ("fc.weight", 0.01),
            ("stage2.2.se.squeeze_excite.4.weight", 0.01),
        ] {
            assert!((std(name) / want - 1.0).abs() < 0.12, "{name}: {} {want}", std(name));
        }
        assert_eq!(std("fc.bias"), 0.0);
        assert_eq!(std("bn_final.weight"), 1.0);
    }
}
