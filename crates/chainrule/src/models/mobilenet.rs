//! A net of inverted residuals for pictures of 32 x 32: wide inside, narrow between, with a convolution a channel.
//!
//! ```text
//! conv 3x3 - bn - relu - inverted residuals - conv 1x1 - bn - relu - global average - dropout - linear
//! ```
//! An inverted residual is `bn(project(relu(bn(depthwise(relu(bn(expand(x))))))))`, plus x where the shape stays: a convolution of
//! one pixel to six times the channels (none in the first stage), a 3 x 3 convolution of each channel by itself, and one of one
//! pixel back. Each stage but the first begins with a stride of 2. The head has four times the last channels. With ReLU where the
//! paper clips at 6 for arithmetic of 8 bits. 96,010 parameters for ten classes with the defaults. Source: M. Sandler et al.,
//! "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018.

use super::architecture::{Architecture, ModelConfig, Recipe, stages};
use super::resnet18::normal_convolutions;
use super::{checks, module};
use crate::nn::{BatchNorm2d, Conv2d, Dropout, Linear, Module, Params};
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::Var;

/// In the list of architectures.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "mobilenet",
    about: "inverted residuals: cheap convolutions, a channel at a time",
    defaults: || ModelConfig {
        channels: Some(vec![16, 24, 24, 32, 32, 32, 64]),
        dropout_keep: Some(0.8),
        ..ModelConfig::NONE
    },
    small: || ModelConfig {
        channels: Some(vec![3, 4, 4]),
        dropout_keep: Some(1.0),
        ..ModelConfig::NONE
    },
    recipe: Recipe { epochs: 25, lr: 1e-2, weight_decay: 0.02, ..Recipe::CONVOLUTIONAL },
    checks: || checks::module("mobilenet", 90),
    make: |task, values, rng| {
        let channels = module::channels("mobilenet", task)?;
        let dropout = 1.0 - values.dropout_keep;
        let net = MobileNet::new(channels, &stages(&values.channels), task.classes, dropout, rng);
        Ok(module::listed("mobilenet", net, task))
    },
};

/// A convolution and its batch norm.
#[derive(Params)]
pub struct ConvNorm {
    conv: Conv2d,
    bn: BatchNorm2d,
}

impl ConvNorm {
    /// From `inputs` to `outputs` channels, without a bias.
    pub fn new(
        [inputs, outputs]: [usize; 2],
        size: usize,
        params: Conv2dParams,
        rng: &mut Rng,
    ) -> ConvNorm {
        let conv = Conv2d::new(inputs, outputs, size, params, rng).no_bias();
        ConvNorm { conv, bn: BatchNorm2d::new(outputs) }
    }
}

impl Module for ConvNorm {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv).apply(&self.bn)
    }
}

/// An inverted residual.
#[derive(Params)]
pub struct InvertedResidual {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    project: ConvNorm,
    #[params(skip)]
    around: bool,
}

impl InvertedResidual {
    /// From `inputs` to `outputs` channels, with `expansion` times the inputs in between.
    pub fn new(
        [inputs, outputs]: [usize; 2],
        expansion: usize,
        stride: usize,
        rng: &mut Rng,
    ) -> InvertedResidual {
        let (inner, pixel) = (expansion * inputs, Conv2dParams::default());
        let expand = (expansion > 1).then(|| ConvNorm::new([inputs, inner], 1, pixel, rng));
        let each = Conv2dParams { groups: inner, ..Conv2dParams::new(stride, 1) };
        let depthwise = ConvNorm::new([inner, inner], 3, each, rng);
        let project = ConvNorm::new([inner, outputs], 1, pixel, rng);
        InvertedResidual { expand, depthwise, project, around: stride == 1 && inputs == outputs }
    }
}

impl Module for InvertedResidual {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let h = self.expand.as_ref().map_or_else(|| x.clone(), |expand| x.apply(expand).relu());
        let h = h.apply(&self.depthwise).relu().apply(&self.project);
        if self.around { h + x } else { h }
    }
}

/// The network of this file.
#[derive(Params)]
pub struct MobileNet {
    stem: ConvNorm,
    blocks: Vec<InvertedResidual>,
    head: ConvNorm,
    dropout: Dropout,
    fc: Linear,
}

impl MobileNet {
    /// For pictures of so many channels, with stages of (channels, blocks); the last layer's inputs are dropped with probability
    /// `dropout`.
    ///
    /// # Panics
    /// If there is no stage, or `dropout` is not a probability below 1.
    #[track_caller]
    pub fn new(
        inputs: usize,
        stages: &[(usize, usize)],
        classes: usize,
        dropout: f64,
        rng: &mut Rng,
    ) -> MobileNet {
        assert!(!stages.is_empty(), "a net has at least one stage");
        let mut before = 2 * stages[0].0;
        let stem = ConvNorm::new([inputs, before], 3, Conv2dParams::same(3), rng);
        let mut blocks = Vec::new();
        for (i, &(channels, count)) in stages.iter().enumerate() {
            let expansion = if i == 0 { 1 } else { 6 };
            for j in 0..count {
                let stride = if i > 0 && j == 0 { 2 } else { 1 };
                blocks.push(InvertedResidual::new([before, channels], expansion, stride, rng));
                before = channels;
            }
        }
        let head = ConvNorm::new([before, 4 * before], 1, Conv2dParams::default(), rng);
        let (dropout, fc) = (Dropout::new(dropout), Linear::new(4 * before, classes, rng));
        let mut net = MobileNet { stem, blocks, head, dropout, fc };
        normal_convolutions(&mut net, rng);
        net
    }
}

impl Module for MobileNet {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.apply(&self.stem).relu();
        for block in &self.blocks {
            x = x.apply(block);
        }
        x.apply(&self.head).relu().global_avg_pool().apply(&self.dropout).apply(&self.fc)
    }

    fn describe(&self) -> String {
        "MobileNet".to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parameters_are_those_of_the_formula() {
        let stages = [(16, 1), (24, 2), (32, 3), (64, 1)];
        let net = MobileNet::new(3, &stages, 10, 0.2, &mut Rng::new(0));
        // Convolution and norm: weights, and a scale and a shift a channel.
        let conv_norm = |weights: usize, channels: usize| weights + 2 * channels;
        let block = |c: usize, out: usize, t: usize| {
            let expand = if t > 1 { conv_norm(c * t * c, t * c) } else { 0 };
            expand + conv_norm(9 * t * c, t * c) + conv_norm(t * c * out, out)
        };
        let blocks = [
            (32, 16, 1),
            (16, 24, 6),
            (24, 24, 6),
            (24, 32, 6),
            (32, 32, 6),
            (32, 32, 6),
            (32, 64, 6),
        ];
        let blocks: usize = blocks.iter().map(|(c, out, t)| block(*c, *out, *t)).sum();
        let want = conv_norm(27 * 32, 32) + blocks + conv_norm(64 * 256, 256) + 256 * 10 + 10;
        assert_eq!((net.num_params(), want), (96_010, 96_010));
    }
}
