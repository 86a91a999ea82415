//! A densely connected net for pictures of 32 x 32: every layer of a block sees what all layers before it made.
//!
//! ```text
//! conv 3x3 - {dense block - transition} - {dense block - transition} - dense block - bn - relu - global average - linear
//! ```
//! A layer of a block adds `growth` channels to those it sees: `concat(x, conv3x3(relu(bn(conv1x1(relu(bn(x)))))))`, with 4 growth
//! channels between the convolutions. A transition, `pool2x2(conv1x1(relu(bn(x))))`, halves channels and picture. The stem has 2
//! growth channels. With the defaults, three blocks of six layers and a growth of 12, this is the paper's DenseNet-BC of depth 40:
//! 176,122 parameters for ten classes. Source: G. Huang et al., "Densely connected convolutional networks", CVPR 2017.

use super::architecture::{Architecture, ModelConfig, Recipe};
use super::resnet18::normal_convolutions;
use super::{checks, module};
use crate::error::Error;
use crate::nn::{AvgPool2d, BatchNorm2d, Concat, Conv2d, Linear, Module, Params};
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::Var;

/// In the list of architectures.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "densenet",
    about: "dense blocks: every layer sees all before it",
    defaults: || ModelConfig { growth: Some(12), layers: Some(vec![6, 6, 6]), ..ModelConfig::NONE },
    small: || ModelConfig { growth: Some(3), layers: Some(vec![2, 1]), ..ModelConfig::NONE },
    recipe: Recipe { epochs: 15, lr: 1e-2, weight_decay: 0.05, ..Recipe::CONVOLUTIONAL },
    checks: || checks::module("densenet", 7),
    make: |task, values, rng| {
        let channels = module::channels("densenet", task)?;
        let halvings = values.layers.len() - 1;
        let [h, w] = [task.input_shape[1], task.input_shape[2]];
        if h.min(w) >> halvings == 0 {
            let found =
                format!("{halvings} transitions halve pictures of {h} x {w} pixels to nothing");
            return Err(Error::value("layers", found, "give fewer blocks"));
        }
        let net = DenseNet::new(channels, &values.layers, values.growth, task.classes, rng);
        Ok(module::listed("densenet", net, task))
    },
};

/// The new channels of a layer of a dense block.
#[derive(Params)]
pub struct Bottleneck {
    bn1: BatchNorm2d,
    conv1: Conv2d,
    bn2: BatchNorm2d,
    conv2: Conv2d,
}

impl Module for Bottleneck {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let h = x.apply(&self.bn1).relu().apply(&self.conv1);
        h.apply(&self.bn2).relu().apply(&self.conv2)
    }
}

/// What halves channels and picture between two dense blocks.
#[derive(Params)]
pub struct Transition {
    bn: BatchNorm2d,
    conv: Conv2d,
    pool: AvgPool2d,
}

impl Module for Transition {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.bn).relu().apply(&self.conv).apply(&self.pool)
    }
}

/// The network of this file.
#[derive(Params)]
pub struct DenseNet {
    conv: Conv2d,
    blocks: Vec<Vec<Concat<Bottleneck>>>,
    transitions: Vec<Transition>,
    bn: BatchNorm2d,
    fc: Linear,
}

impl DenseNet {
    /// For pictures of so many channels, with a dense block of so many layers for each number in `layers`.
    ///
    /// # Panics
    /// If there is no block.
    #[track_caller]
    pub fn new(
        inputs: usize,
        layers: &[usize],
        growth: usize,
        classes: usize,
        rng: &mut Rng,
    ) -> DenseNet {
        assert!(!layers.is_empty(), "a dense net has at least one block");
        let pixel = Conv2dParams::default();
        let mut channels = 2 * growth;
        let conv = Conv2d::new(inputs, channels, 3, Conv2dParams::same(3), rng).no_bias();
        let (mut blocks, mut transitions) = (Vec::new(), Vec::new());
        for (i, &count) in layers.iter().enumerate() {
            let layer = |j: usize| {
                let (seen, inner) = (channels + j * growth, 4 * growth);
                let conv1 = Conv2d::new(seen, inner, 1, pixel, rng).no_bias();
                let conv2 = Conv2d::new(inner, growth, 3, Conv2dParams::same(3), rng).no_bias();
                let [bn1, bn2] = [seen, inner].map(BatchNorm2d::new);
                Concat { body: Bottleneck { bn1, conv1, bn2, conv2 } }
            };
            blocks.push((0..count).map(layer).collect());
            channels += count * growth;
            if i + 1 < layers.len() {
                let conv = Conv2d::new(channels, channels / 2, 1, pixel, rng).no_bias();
                let bn = BatchNorm2d::new(channels);
                transitions.push(Transition { bn, conv, pool: AvgPool2d::new(2) });
                channels /= 2;
            }
        }
        let (bn, fc) = (BatchNorm2d::new(channels), Linear::new(channels, classes, rng));
        let mut net = DenseNet { conv, blocks, transitions, bn, fc };
        normal_convolutions(&mut net, rng);
        net
    }
}

impl Module for DenseNet {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.apply(&self.conv);
        for (i, block) in self.blocks.iter().enumerate() {
            for layer in block {
                x = x.apply(layer);
            }
            if let Some(transition) = self.transitions.get(i) {
                x = x.apply(transition);
            }
        }
        x.apply(&self.bn).relu().global_avg_pool().apply(&self.fc)
    }

    fn describe(&self) -> String {
        "DenseNet".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_parameters_of_the_papers_smallest() {
        let net = DenseNet::new(3, &[6, 6, 6], 12, 10, &mut Rng::new(0));
        assert_eq!(net.num_params(), 176_122);
        assert_eq!(net.named_params()[1].0, "blocks.0.0.body.bn1.weight");
    }
}
