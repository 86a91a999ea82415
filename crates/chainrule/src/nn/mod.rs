//! Modules: layers that own their parameters, and what is built of them.
//!
//! ```
//! use chainrule::nn::{Linear, Module, Params};
//! use chainrule::rng::Rng;
//! use chainrule::tape::{Tape, Var};
//! use chainrule::tensor::{DType, Tensor};
//!
//! #[derive(Params)]
//! struct Net {
//!     fc1: Linear,
//!     fc2: Linear,
//! }
//!
//! impl Module for Net {
//!     fn forward(&self, x: &Var) -> Var {
//!         x.flatten().apply(&self.fc1).relu().apply(&self.fc2)
//!     }
//! }
//!
//! let mut rng = Rng::new(0);
//! let net = Net { fc1: Linear::new(12, 8, &mut rng), fc2: Linear::new(8, 3, &mut rng) };
//! let tape = Tape::train(0);
//! let loss = tape.constant(Tensor::ones([5, 3, 2, 2], DType::F32)).apply(&net).cross_entropy(&[0, 1, 2, 0, 1]);
//! let grads = loss.backward();
//! assert_eq!(grads[&net.fc1.weight].shape()[..], [8, 12]);
//! assert_eq!(net.named_params()[0].0, "fc1.weight");
//! ```
//! Names, layouts, defaults and initial values are PyTorch's, so weights go both ways: `fc1.weight` is (out, in),
//! `bn1.running_mean` is a buffer. A module is written once, in its forward pass; mode and randomness come from the tape.

mod conv;
mod dropout;
pub mod init;
mod linear;
mod loss;
mod norm;
mod param;
mod pool;
mod sequential;
mod shape;
mod trace;

pub use chainrule_derive::Params;
pub use conv::Conv2d;
pub use dropout::Dropout;
pub use linear::Linear;
pub use loss::{CrossEntropy, Reduction};
pub use norm::{BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm};
pub use param::{Buffer, Entry, EntryMut, Param, Params, Path, Place};
pub use pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
pub use sequential::{Builder, Sequential};
pub use shape::{Activation, Concat, Flatten, Identity, PRelu, Residual};
pub(crate) use trace::first_not_finite;
pub use trace::{Traced, trace};

use crate::check;
use crate::tape::Var;
use crate::tensor::Shape;
use chainrule_kernels::conv::ConvShape;

/// A layer or a network: a function of a variable that owns parameters.
pub trait Module: Params {
    /// The output for a batch x.
    ///
    /// # Panics
    /// If x does not fit.
    fn forward(&self, x: &Var) -> Var;

    /// The output behind a ReLU, with the bits of `forward(x).relu()`. Layers that can apply it while they write their output
    /// do; whoever knows that a ReLU comes next asks for this.
    ///
    /// # Panics
    /// If x does not fit.
    #[track_caller]
    fn forward_relu(&self, x: &Var) -> Var {
        self.forward(x).relu()
    }

    /// Whether it is a ReLU, which the layer before it may apply.
    fn is_relu(&self) -> bool {
        false
    }

    /// What it is, as summaries and messages print it: `Linear(784 -> 10)`.
    fn describe(&self) -> String {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name).to_string()
    }

    /// Multiply-adds of the forward pass of one example, given the shapes of its input and output without the batch axis. A
    /// module that is made of others counts only its own.
    fn multiply_adds(&self, _x: &[usize], _y: &[usize]) -> usize {
        0
    }

    /// The convolution that it is, if it is one, of one example of this shape: its passes take memory for themselves.
    fn convolution(&self, _x: &[usize]) -> Option<ConvShape> {
        None
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        (**self).forward(x)
    }

    #[track_caller]
    fn forward_relu(&self, x: &Var) -> Var {
        (**self).forward_relu(x)
    }

    fn is_relu(&self) -> bool {
        (**self).is_relu()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn multiply_adds(&self, x: &[usize], y: &[usize]) -> usize {
        (**self).multiply_adds(x, y)
    }

    fn convolution(&self, x: &[usize]) -> Option<ConvShape> {
        (**self).convolution(x)
    }
}

impl Var {
    /// The output of a module for this: `x.apply(&self.conv1).relu()`.
    ///
    /// # Panics
    /// As the module's forward pass.
    #[track_caller]
    pub fn apply<M: Module + ?Sized>(&self, module: &M) -> Var {
        let Some(mut entered) = trace::enter(self) else { return module.forward(self) };
        let y = module.forward(self);
        let (what, path, params) = (module.describe(), module.path(), module.num_params());
        entered.leave(what, path, params, y.value(), |x| {
            let example = |shape: &Shape| shape.get(1..).unwrap_or(&[]).to_vec();
            let x = example(x);
            (module.multiply_adds(&x, &example(y.shape())), module.convolution(&x))
        });
        y
    }

    /// The output of a module behind a ReLU, in one pass where the module can: the bits of `x.apply(module).relu()`.
    ///
    /// # Panics
    /// As the module's forward pass.
    #[track_caller]
    pub fn apply_relu<M: Module + ?Sized>(&self, module: &M) -> Var {
        if trace::active() { self.apply(module).relu() } else { module.forward_relu(self) }
    }
}

/// Panics because x does not fit a module: the message ends with what the module is, and where in its network.
#[track_caller]
fn misfit<M: Module + ?Sized>(op: &str, reason: String, (x, axes): (&Var, &str), module: &M) -> ! {
    check::fail(op, reason, &[("x", x.value(), axes)], placed(module))
}

/// What a module is, behind its path if that is known.
fn placed<M: Module + ?Sized>(module: &M) -> String {
    let place = module.path().map_or_else(String::new, |path| format!("{path}: "));
    format!("{place}{}", module.describe())
}

/// Panics unless x holds what the module's weights hold.
#[track_caller]
fn same_type<M: Module + ?Sized>(op: &str, x: (&Var, &str), weight: &Param, module: &M) {
    let (is, want) = (x.0.dtype(), weight.value().dtype());
    if is != want {
        let reason = format!("x holds {}, the layer {}", is.name(), want.name());
        misfit(op, reason, x, module);
    }
}

/// Says so if a x b pixels are more than pictures of h x w with their padding have.
fn too_large([a, b]: [usize; 2], [h, w]: [usize; 2], pad: [usize; 2]) -> Option<String> {
    let (h, w) = (h + 2 * pad[0], w + 2 * pad[1]);
    let padding = if pad == [0, 0] { "" } else { " with padding" };
    (a > h || b > w).then(|| format!("{a} x {b} does not fit into pictures of {h} x {w}{padding}"))
}

#[cfg(test)]
mod tests;
