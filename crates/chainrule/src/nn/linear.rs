//! The fully connected layer.

use super::{Module, Param, Params, init, misfit, same_type};
use crate::rng::Rng;
use crate::tape::{OnTape, Var};

/// `y = x weight^T + bias` on the last axis: (..., in) to (..., out). `torch.nn.Linear`.
#[derive(Clone, Debug, Params)]
pub struct Linear {
    /// (out, in).
    pub weight: Param,
    /// (out), unless it was left out.
    pub bias: Option<Param>,
}

impl Linear {
    /// From `inputs` to `outputs` features. Weights and biases are uniform within 1 / sqrt(inputs).
    pub fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
        let weight = Param::new(init::default_of([outputs, inputs], inputs, rng));
        let bias = Some(Param::new(init::default_of([outputs], inputs, rng)));
        Linear { weight, bias }
    }

    /// The same without a bias.
    pub fn no_bias(inputs: usize, outputs: usize, rng: &mut Rng) -> Linear {
        let weight = Param::new(init::default_of([outputs, inputs], inputs, rng));
        Linear { weight, bias: None }
    }

    /// The sizes, in and out.
    fn sizes(&self) -> [usize; 2] {
        let shape = self.weight.value().shape();
        [shape[1], shape[0]]
    }

    /// Panics if x does not fit.
    #[track_caller]
    fn check(&self, x: &Var) {
        let [inputs, _] = self.sizes();
        if x.shape().last() == Some(&inputs) {
            return same_type("linear", (x, "... D"), &self.weight, self);
        }
        let found = x.shape().last().copied().unwrap_or(0);
        let flat = x.shape().iter().skip(1).product::<usize>() == inputs;
        let hint = if flat { "; flatten it first" } else { "" };
        let reason = format!("x has {found} features, the layer expects {inputs}{hint}");
        misfit("linear", reason, (x, "... D"), self);
    }
}

impl Module for Linear {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        self.check(x);
        x.linear(&self.weight, self.bias.as_ref().map(|b| b as &dyn OnTape))
    }

    #[track_caller]
    fn forward_relu(&self, x: &Var) -> Var {
        let Some(bias) = &self.bias else { return self.forward(x).relu() };
        self.check(x);
        x.linear_relu(&self.weight, bias)
    }

    fn describe(&self) -> String {
        let [inputs, outputs] = self.sizes();
        let bias = if self.bias.is_none() { ", no bias" } else { "" };
        format!("Linear({inputs} -> {outputs}{bias})")
    }

    fn multiply_adds(&self, _x: &[usize], y: &[usize]) -> usize {
        y.iter().product::<usize>() * self.sizes()[0]
    }
}
