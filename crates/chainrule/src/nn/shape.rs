//! Layers without weights of their own: activations, shapes, and ways around other layers.

use super::{Module, Param, Params, misfit, placed, same_type};
use crate::check;
use crate::ops::elementwise::{self, relu};
use crate::ops::prelu;
use crate::tape::Var;
use crate::tensor::{DType, Tensor};

/// An activation of the table [`elementwise`].
#[derive(Clone, Copy, Debug, Params)]
pub struct Activation {
    /// Which.
    #[params(skip)]
    pub function: elementwise::Activation,
}

impl Activation {
    /// This one: `Activation::new(silu::ACTIVATION)`.
    pub fn new(function: elementwise::Activation) -> Activation {
        Activation { function }
    }

    /// ReLU.
    pub fn relu() -> Activation {
        Activation::new(relu::ACTIVATION)
    }
}

impl Module for Activation {
    fn forward(&self, x: &Var) -> Var {
        x.activation(self.function)
    }

    fn is_relu(&self) -> bool {
        self.function.name() == relu::ACTIVATION.name()
    }

    fn describe(&self) -> String {
        format!("{:?}", self.function)
    }
}

/// A leaky ReLU whose slope is learned, one for all channels or one for each. `torch.nn.PReLU`.
#[derive(Clone, Debug, Params)]
pub struct PRelu {
    /// The slopes, (1) or (C).
    pub weight: Param,
}

impl PRelu {
    /// One slope, or one for each of so many channels, at first 0.25.
    pub fn new(slopes: usize) -> PRelu {
        PRelu { weight: Param::new(Tensor::full([slopes], prelu::INITIAL, DType::F32)) }
    }
}

impl Module for PRelu {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let (slopes, channels) = (self.weight.value().len(), x.shape().get(1).copied());
        if slopes != 1 && channels != Some(slopes) {
            let found = channels.map_or("no channels".to_string(), |c| format!("{c} channels"));
            let reason = format!("x has {found}, the layer a slope for each of {slopes}");
            misfit("prelu", reason, (x, "N C ..."), self);
        }
        same_type("prelu", (x, "N C ..."), &self.weight, self);
        x.prelu(&self.weight)
    }

    fn describe(&self) -> String {
        format!("PRelu({})", self.weight.value().len())
    }
}

/// Every axis but the first joined into one: (N, ...) to (N, D). `torch.nn.Flatten`.
#[derive(Clone, Copy, Debug, Default, Params)]
pub struct Flatten;

impl Module for Flatten {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        x.flatten()
    }
}

/// What comes in goes out. `torch.nn.Identity`.
#[derive(Clone, Copy, Debug, Default, Params)]
pub struct Identity;

impl Module for Identity {
    fn forward(&self, x: &Var) -> Var {
        x.clone()
    }
}

/// `body(x) + x`, or `body(x) + shortcut(x)`. K. He et al., "Deep residual learning for image recognition", CVPR 2016.
#[derive(Clone, Debug, Params)]
pub struct Residual<B, S = Identity> {
    /// What is added to the input.
    pub body: B,
    /// What the input goes through on the other way.
    pub shortcut: S,
}

impl<B: Module> Residual<B> {
    /// Around `body`, whose output must have the shape of its input.
    pub fn new(body: B) -> Residual<B> {
        Residual { body, shortcut: Identity }
    }
}

impl<B: Module, S: Module> Module for Residual<B, S> {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let (y, shortcut) = (x.apply(&self.body), x.apply(&self.shortcut));
        if y.shape() != shortcut.shape() {
            let operands = [("body", y.value(), ""), ("shortcut", shortcut.value(), "")];
            let reason = "what the two ways give must have one shape";
            check::fail("residual", reason, &operands, placed(self));
        }
        y + shortcut
    }
}

/// x and `body(x)` side by side along the channels: a step of a dense block. G. Huang et al., "Densely connected convolutional
/// networks", CVPR 2017.
#[derive(Clone, Debug, Params)]
pub struct Concat<B> {
    /// What makes the new channels.
    pub body: B,
}

impl<B: Module> Module for Concat<B> {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let new = x.apply(&self.body);
        let [a, b] = [x.shape(), new.shape()];
        if a.len() < 2 || a.len() != b.len() || a[0] != b[0] || a[2..] != b[2..] {
            let operands = [("x", x.value(), "N C ..."), ("body", new.value(), "N C ...")];
            let reason = "only the channels may differ of what is put side by side";
            check::fail("concat", reason, &operands, placed(self));
        }
        Var::concat(&[x.clone(), new], 1)
    }
}
