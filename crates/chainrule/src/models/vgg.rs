//! A plain chain of convolutions, for pictures of 32 x 32.
//!
//! ```text
//! {conv 3x3 - bn - relu} x stage - 2x2 max pool, for each stage - global average - dropout - linear
//! ```
//! Equal numbers of channels make a stage. It is a [`Sequential`], which infers all sizes. With batch norm, and with the average of
//! each channel instead of the paper's two wide layers. 4,507,722 parameters for ten classes with the defaults. Sources: K. Simonyan,
//! A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015; M. Lin et al., "Network in
//! network", ICLR 2014 (global average).

use super::architecture::{Architecture, ModelConfig, Recipe, stages};
use super::resnet18::normal_convolutions;
use super::{checks, module};
use crate::error::{Error, Result};
use crate::nn::Sequential;
use crate::rng::Rng;

/// In the list of architectures.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "vgg",
    about: "a plain chain of 3x3 convolutions with batch norm and ReLU",
    defaults: || ModelConfig {
        channels: Some(vec![64, 128, 256, 256, 512, 512]),
        dropout_keep: Some(0.7),
        ..ModelConfig::NONE
    },
    small: || ModelConfig {
        channels: Some(vec![4, 5, 5]),
        dropout_keep: Some(1.0),
        ..ModelConfig::NONE
    },
    recipe: Recipe { epochs: 20, lr: 2e-3, weight_decay: 0.05, ..Recipe::CONVOLUTIONAL },
    checks: || checks::module("vgg", 0),
    make: |task, values, rng| {
        let channels = module::channels("vgg", task)?;
        let size = [task.input_shape[1], task.input_shape[2]];
        let dropout = 1.0 - values.dropout_keep;
        let net = vgg(channels, size, &stages(&values.channels), task.classes, dropout, rng)?;
        Ok(module::listed("vgg", net, task))
    },
};

/// The network of this file, with stages of (channels, convolutions); the last layer's inputs are dropped with probability
/// `dropout`.
///
/// # Errors
/// If the stages halve the pictures to nothing.
///
/// # Panics
/// If `dropout` is not a probability below 1.
#[track_caller]
pub fn vgg(
    inputs: usize,
    [height, width]: [usize; 2],
    stages: &[(usize, usize)],
    classes: usize,
    dropout: f64,
    rng: &mut Rng,
) -> Result<Sequential> {
    if height.min(width) >> stages.len() == 0 {
        let n = stages.len();
        let found = format!("{n} stages halve pictures of {height} x {width} pixels to nothing");
        return Err(Error::value("channels", found, "give fewer different numbers"));
    }
    let mut net = Sequential::on([inputs, height, width], rng);
    for &(channels, convolutions) in stages {
        for _ in 0..convolutions {
            net = net.conv2d_no_bias(channels, 3).batch_norm().relu();
        }
        net = net.max_pool2d(2);
    }
    let mut net = net.global_avg_pool().dropout(dropout).linear(classes).build();
    normal_convolutions(&mut net, rng);
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;

    #[test]
    fn its_parameters_are_those_of_the_formula() {
        let stages = [(64, 1), (128, 1), (256, 2), (512, 2)];
        let net = vgg(3, [32, 32], &stages, 10, 0.3, &mut Rng::new(0)).expect("it fits");
        let conv = |c: usize, out: usize| 9 * c * out + 2 * out;
        let convs = [(3, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512)];
        let want = convs.iter().map(|(c, out)| conv(*c, *out)).sum::<usize>() + 512 * 10 + 10;
        assert_eq!((net.num_params(), want), (4_507_722, 4_507_722));
    }
}
