//! A residual net of 18 layers, for pictures of 32 x 32.
//!
//! ```text
//! conv 3x3 - bn - relu - 2 x block(64) - 2 x block(128) - 2 x block(256) - 2 x block(512) - global average - linear
//! ```
//! A block is `relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))`; the first of a stage, but for the first stage, halves the picture.
//! For pictures this small the stem is one convolution of 3 x 3 without a pooling; the names are those of torchvision.
//! 11,173,962 parameters for ten classes. Source: K. He et al., "Deep residual learning for image recognition", CVPR 2016.

use super::architecture::{Architecture, ModelConfig, Recipe, stages};
use super::{checks, module};
use crate::error::Error;
use crate::nn::init::{Fan, Gain, kaiming_normal};
use crate::nn::{BatchNorm2d, Conv2d, EntryMut, Linear, Module, Params, Path, Sequential};
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::Var;

/// In the list of architectures.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "resnet-18",
    about: "residual blocks of two convolutions, four stages",
    defaults: || ModelConfig {
        channels: Some(vec![64, 64, 128, 128, 256, 256, 512, 512]),
        ..ModelConfig::NONE
    },
    small: || ModelConfig { channels: Some(vec![3, 4, 5, 6]), ..ModelConfig::NONE },
    recipe: Recipe { epochs: 12, lr: 2e-3, weight_decay: 0.05, ..Recipe::CONVOLUTIONAL },
    checks: || checks::module("resnet-18", 0),
    make: |task, values, rng| {
        let stages = stages(&values.channels);
        let Ok(stages) = <[(usize, usize); 4]>::try_from(&stages[..]) else {
            let found = format!("resnet-18 has four stages, not {}", stages.len());
            let want = "give four different numbers, as in 64,64,128,128,256,256,512,512";
            return Err(Error::value("channels", found, want));
        };
        let channels = module::channels("resnet-18", task)?;
        Ok(module::listed("resnet-18", ResNet18::sized(channels, stages, task.classes, rng), task))
    },
};

/// Two convolutions with a shortcut around both.
#[derive(Params)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential>,
}

impl BasicBlock {
    /// From `inputs` to `outputs` channels. The shortcut is the identity, or a convolution of one pixel and a batch norm where
    /// the shape changes.
    pub fn new([inputs, outputs]: [usize; 2], stride: usize, rng: &mut Rng) -> BasicBlock {
        let conv1 = Conv2d::new(inputs, outputs, 3, Conv2dParams::new(stride, 1), rng).no_bias();
        let conv2 = Conv2d::new(outputs, outputs, 3, Conv2dParams::same(3), rng).no_bias();
        let shortcut = |rng: &mut Rng| {
            let conv = Conv2d::new(inputs, outputs, 1, Conv2dParams::new(stride, 0), rng).no_bias();
            Sequential::of(vec![Box::new(conv), Box::new(BatchNorm2d::new(outputs))])
        };
        let downsample = (stride != 1 || inputs != outputs).then(|| shortcut(rng));
        let [bn1, bn2] = [BatchNorm2d::new(outputs), BatchNorm2d::new(outputs)];
        BasicBlock { conv1, bn1, conv2, bn2, downsample }
    }
}

impl Module for BasicBlock {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let h = x.apply(&self.conv1).apply(&self.bn1).relu();
        let h = h.apply(&self.conv2).apply(&self.bn2);
        let shortcut = self.downsample.as_ref().map_or_else(|| x.clone(), |d| x.apply(d));
        (h + shortcut).relu()
    }
}

/// The network of this file.
#[derive(Params)]
pub struct ResNet18 {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    layer4: Vec<BasicBlock>,
    fc: Linear,
}

impl ResNet18 {
    /// For colour pictures and so many classes.
    pub fn new(classes: usize, rng: &mut Rng) -> ResNet18 {
        ResNet18::sized(3, [64, 128, 256, 512].map(|c| (c, 2)), classes, rng)
    }

    /// For pictures of so many channels, with four stages of (channels, blocks).
    ///
    /// # Panics
    /// If a stage has no block.
    #[track_caller]
    pub fn sized(
        inputs: usize,
        stages: [(usize, usize); 4],
        classes: usize,
        rng: &mut Rng,
    ) -> ResNet18 {
        assert!(stages.iter().all(|(_, blocks)| *blocks > 0), "a stage has at least one block");
        let conv1 = Conv2d::new(inputs, stages[0].0, 3, Conv2dParams::same(3), rng).no_bias();
        let mut before = stages[0].0;
        let mut stride = 1;
        let layers = stages.map(|(channels, blocks)| {
            let widths = |i: usize| [if i == 0 { before } else { channels }, channels];
            let block = |i| BasicBlock::new(widths(i), if i == 0 { stride } else { 1 }, rng);
            let layer: Vec<BasicBlock> = (0..blocks).map(block).collect();
            (before, stride) = (channels, 2);
            layer
        });
        let [layer1, layer2, layer3, layer4] = layers;
        let (bn1, fc) = (BatchNorm2d::new(stages[0].0), Linear::new(before, classes, rng));
        let mut net = ResNet18 { conv1, bn1, layer1, layer2, layer3, layer4, fc };
        normal_convolutions(&mut net, rng);
        net
    }
}

/// Draws the weights of all convolutions anew: normal by their fan out, so that the backward pass keeps its variance.
pub(super) fn normal_convolutions(net: &mut dyn Module, rng: &mut Rng) {
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        if let EntryMut::Param(p) = entry
            && p.value().shape().len() == 4
        {
            let shape = *p.value().shape();
            *p.value_mut() = kaiming_normal(&shape, Fan::Out, Gain::Relu, rng);
        }
    });
}

impl Module for ResNet18 {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.apply(&self.conv1).apply(&self.bn1).relu();
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten()
        {
            x = x.apply(block);
        }
        x.global_avg_pool().apply(&self.fc)
    }

    fn describe(&self) -> String {
        "ResNet-18".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_parameters_of_the_paper_for_small_pictures() {
        let net = ResNet18::new(10, &mut Rng::new(0));
        let named = net.named_params();
        assert_eq!((net.num_params(), named.len()), (11_173_962, 62));
        assert_eq!((&named[0].0[..], &named[15].0[..]), ("conv1.weight", "layer2.0.conv1.weight"));
        assert!(named.iter().any(|(name, _)| name == "layer4.0.downsample.1.bias"));
    }
}
