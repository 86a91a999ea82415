//! Initial values. Weights are (out, in) or (out, in / groups, kh, kw); fans are counted as PyTorch does.
//!
//! | function | distribution |
//! |---|---|
//! | [`kaiming_normal`] | normal, standard deviation gain / sqrt(fan) |
//! | [`kaiming_uniform`] | uniform, +- gain sqrt(3 / fan) |
//! | [`xavier_normal`] | normal, standard deviation gain sqrt(2 / (fan in + fan out)) |
//! | [`xavier_uniform`] | uniform, +- gain sqrt(6 / (fan in + fan out)) |
//!
//! Sources: K. He et al., "Delving deep into rectifiers", ICCV 2015; X. Glorot, Y. Bengio, "Understanding the difficulty of
//! training deep feedforward neural networks", AISTATS 2010. All draw from the generator's stream of initial weights.

use crate::check;
use crate::rng::Rng;
use crate::tensor::{DType, Shape, Tensor};

/// Which connections of a unit to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Those into a unit: the forward pass keeps its variance.
    In,
    /// Those out of a unit, whatever the groups: the backward pass keeps its variance.
    Out,
}

/// What follows the weights, and so how large they should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gain {
    /// Nothing, or a sigmoid: 1.
    Linear,
    /// ReLU: sqrt(2).
    Relu,
    /// Leaky ReLU with this slope: sqrt(2 / (1 + slope^2)).
    LeakyRelu(f64),
    /// Hyperbolic tangent: 5/3.
    Tanh,
    /// SELU: 3/4.
    Selu,
}

impl Gain {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Gain::Linear => 1.0,
            Gain::Relu => 2f64.sqrt(),
            Gain::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Gain::Tanh => 5.0 / 3.0,
            Gain::Selu => 0.75,
        }
    }
}

/// The connections into and out of a unit: `in` is the product of all sizes but the first, `out` that of all but the second.
///
/// # Panics
/// If there are not two axes or more.
#[track_caller]
pub fn fans(shape: &[usize]) -> (f64, f64) {
    let &[outputs, inputs, ..] = shape else {
        let reason = format!("weights need two axes or more to have fans, not {shape:?}");
        check::fail("init", reason, &[], "")
    };
    let field: usize = shape[2..].iter().product();
    ((inputs * field) as f64, (outputs * field) as f64)
}

#[track_caller]
fn fan(shape: &[usize], which: Fan) -> f64 {
    let (inputs, outputs) = fans(shape);
    if which == Fan::In { inputs } else { outputs }
}

/// Normal values around 0.
pub fn normal(shape: impl Into<Shape>, std: f64, rng: &mut Rng) -> Tensor {
    Tensor::randn(shape, std, DType::F32, rng)
}

/// Uniform values from -bound to bound.
pub fn uniform(shape: impl Into<Shape>, bound: f64, rng: &mut Rng) -> Tensor {
    let shape = shape.into();
    let mut values = vec![0.0; shape.elements()];
    rng.fill_uniform(bound, &mut values);
    Tensor::from_f64(shape, &values).to_dtype(DType::F32)
}

/// One value.
pub fn constant(shape: impl Into<Shape>, value: f64) -> Tensor {
    Tensor::full(shape, value, DType::F32)
}

/// Normal values with standard deviation gain / sqrt(fan).
///
/// # Panics
/// If there are not two axes or more, as all that follow.
#[track_caller]
pub fn kaiming_normal(shape: &[usize], which: Fan, gain: Gain, rng: &mut Rng) -> Tensor {
    normal(shape, gain.value() / fan(shape, which).sqrt(), rng)
}

/// Uniform values within gain sqrt(3 / fan).
#[track_caller]
pub fn kaiming_uniform(shape: &[usize], which: Fan, gain: Gain, rng: &mut Rng) -> Tensor {
    uniform(shape, gain.value() * (3.0 / fan(shape, which)).sqrt(), rng)
}

/// Normal values with standard deviation gain sqrt(2 / (fan in + fan out)).
#[track_caller]
pub fn xavier_normal(shape: &[usize], gain: Gain, rng: &mut Rng) -> Tensor {
    let (inputs, outputs) = fans(shape);
    normal(shape, gain.value() * (2.0 / (inputs + outputs)).sqrt(), rng)
}

/// Uniform values within gain sqrt(6 / (fan in + fan out)).
#[track_caller]
pub fn xavier_uniform(shape: &[usize], gain: Gain, rng: &mut Rng) -> Tensor {
    let (inputs, outputs) = fans(shape);
    uniform(shape, gain.value() * (6.0 / (inputs + outputs)).sqrt(), rng)
}

/// PyTorch's default of linear and convolutional layers, weights and biases alike: uniform within 1 / sqrt(fan in).
pub(super) fn default_of(shape: impl Into<Shape>, fan_in: usize, rng: &mut Rng) -> Tensor {
    uniform(shape, 1.0 / (fan_in.max(1) as f64).sqrt(), rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, standard deviation and largest absolute value.
    fn moments(t: &Tensor) -> (f64, f64, f64) {
        let v = t.to_vec();
        let n = v.len() as f64;
        let mean = v.iter().sum::<f64>() / n;
        let std = (v.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        (mean, std, v.iter().fold(0.0, |m: f64, x| m.max(x.abs())))
    }

    #[test]
    fn moments_and_bounds_are_those_of_the_formulas() {
        let mut rng = Rng::new(3);
        let conv = [64, 32, 3, 3];
        for (t, std, bound) in [
            (kaiming_normal(&conv, Fan::In, Gain::Relu, &mut rng), 0.083333, None),
            (kaiming_normal(&conv, Fan::Out, Gain::Relu, &mut rng), 0.058926, None),
            // Depthwise: the fan out counts all channels, whatever the groups.
            (kaiming_normal(&[128, 1, 3, 3], Fan::Out, Gain::Relu, &mut rng), 0.041667, None),
            (kaiming_normal(&[400, 3072], Fan::In, Gain::Relu, &mut rng), 0.025516, None),
            (
                kaiming_uniform(&conv, Fan::In, Gain::LeakyRelu(5f64.sqrt()), &mut rng),
                0.034021,
                Some(0.058926),
            ),
            (xavier_normal(&[100, 300], Gain::Linear, &mut rng), 0.070711, None),
            (xavier_uniform(&[100, 300], Gain::Tanh, &mut rng), 0.117851, Some(0.204124)),
            (default_of([100, 3072], 3072, &mut rng), 0.010417, Some(0.018042)),
            (constant([4, 5], 0.0), 0.0, Some(0.0)),
        ] {
            let (mean, found, largest) = moments(&t);
            let n = (t.len() as f64).sqrt();
            // Four standard errors.
            assert!(mean.abs() <= 4.0 * std / n + 1e-12, "mean {mean}");
            assert!((found - std).abs() <= 4.0 * std / n + 1e-6, "{found} {std}");
            let bound = bound.unwrap_or(6.0 * std);
            assert!(largest <= bound * 1.0001 && largest >= bound * 0.6, "{largest} {bound}");
        }
        assert_eq!(fans(&[10, 4, 3, 2]), (24.0, 60.0));
        assert!((Gain::Selu.value(), Gain::Tanh.value()) == (0.75, 5.0 / 3.0));
    }
}
