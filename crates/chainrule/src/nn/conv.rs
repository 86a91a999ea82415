//! The convolutional layer.

use super::{Module, Param, Params, init, misfit, same_type, too_large};
use crate::check;
use crate::ops::conv2d::Conv2dParams;
use crate::rng::Rng;
use crate::tape::{OnTape, Var};
use chainrule_kernels::conv::ConvShape;

/// A convolution of pictures: (N, in, H, W) to (N, out, H', W'). `torch.nn.Conv2d`.
#[derive(Clone, Debug, Params)]
pub struct Conv2d {
    /// (out, in / groups, kh, kw).
    pub weight: Param,
    /// (out), unless it was left out.
    pub bias: Option<Param>,
    /// Stride, padding, dilation and groups.
    #[params(skip)]
    pub params: Conv2dParams,
}

impl Conv2d {
    /// `outputs` filters of `size` x `size` over `inputs` channels. Weights and biases are uniform within 1 / sqrt(fan in).
    ///
    /// # Panics
    /// If the groups do not divide the channels and the filters.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        size: usize,
        params: Conv2dParams,
        rng: &mut Rng,
    ) -> Conv2d {
        let groups = params.groups;
        if groups == 0 || !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            let reason =
                format!("{groups} groups must divide {inputs} channels and {outputs} filters");
            check::fail("conv2d", reason, &[], "");
        }
        let fan_in = inputs / groups * size * size;
        let shape = [outputs, inputs / groups, size, size];
        let weight = Param::new(init::default_of(shape, fan_in, rng));
        let bias = Some(Param::new(init::default_of([outputs], fan_in, rng)));
        Conv2d { weight, bias, params }
    }

    /// Without the bias, as before a batch norm, which has its own.
    pub fn no_bias(self) -> Conv2d {
        Conv2d { bias: None, ..self }
    }

    fn inputs(&self) -> usize {
        self.weight.value().shape()[1] * self.params.groups
    }

    /// Panics if x does not fit.
    #[track_caller]
    fn check(&self, x: &Var) {
        let reason = match x.shape()[..] {
            [_, c, _, _] if c != self.inputs() => {
                format!("x has {c} channels, the layer expects {}", self.inputs())
            }
            [_, _, h, w] => {
                let Conv2dParams { pad, dilation, .. } = self.params;
                let spans =
                    |axis: usize| dilation[axis] * (self.weight.value().shape()[2 + axis] - 1) + 1;
                match too_large([spans(0), spans(1)], [h, w], pad) {
                    None => return same_type("conv2d", (x, "N C H W"), &self.weight, self),
                    Some(reason) => format!("a filter that spans {reason}"),
                }
            }
            _ => "x must be pictures (N, C, H, W)".to_string(),
        };
        misfit("conv2d", reason, (x, "N C H W"), self);
    }
}

impl Module for Conv2d {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        self.check(x);
        x.conv2d(&self.weight, self.bias.as_ref().map(|b| b as &dyn OnTape), &self.params)
    }

    #[track_caller]
    fn forward_relu(&self, x: &Var) -> Var {
        self.check(x);
        x.conv_relu(&self.weight, self.bias.as_ref().map(|b| b as &dyn OnTape), &self.params)
    }

    fn describe(&self) -> String {
        let [outputs, _, kh, kw] = self.weight.value().shape()[..] else {
            unreachable!("made with four axes")
        };
        let Conv2dParams { stride, pad, dilation, groups } = self.params;
        let mut text = format!("Conv2d({} -> {outputs}, {kh}x{kw}", self.inputs());
        let pair = |[a, b]: [usize; 2]| if a == b { a.to_string() } else { format!("{a}x{b}") };
        for (name, value, usual) in
            [("stride", stride, [1; 2]), ("pad", pad, [0; 2]), ("dilation", dilation, [1; 2])]
        {
            if value != usual {
                text += &format!(", {name} {}", pair(value));
            }
        }
        if groups != 1 {
            text += &format!(", groups {groups}");
        }
        text + if self.bias.is_none() { ", no bias)" } else { ")" }
    }

    fn multiply_adds(&self, _x: &[usize], y: &[usize]) -> usize {
        let filter: usize = self.weight.value().shape()[1..].iter().product();
        y.iter().product::<usize>() * filter
    }

    fn convolution(&self, x: &[usize]) -> Option<ConvShape> {
        let (&[c, h, w], &[filters, _, kh, kw]) = (x, &self.weight.value().shape()[..]) else {
            return None;
        };
        Some(self.params.shape([1, c, h, w], [filters, kh, kw]))
    }
}
