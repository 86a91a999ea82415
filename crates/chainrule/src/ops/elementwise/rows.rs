//! What a row of a table of functions is, and what follows from it.

use crate::check;
use crate::tape::{Operands, Var};
use crate::tensor::{Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::elementwise::{self as kernels, Function};

/// What a derivative is written in, and so what backward needs of forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The input.
    X,
    /// The output.
    Y,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    pub(in crate::ops) name: &'static str,
    pub(in crate::ops) doc: &'static str,
    pub(in crate::ops) saved: Saved,
    pub(in crate::ops) parameter: Option<(&'static str, f64)>,
    pub(in crate::ops) kinks: &'static [f64],
    pub(in crate::ops) forward: fn(&Tensor, f64, &mut Tensor),
    pub(in crate::ops) backward: fn(&Tensor, &Tensor, f64, &mut Tensor),
}

/// An activation: a row of the table, and its parameter if it has one.
#[derive(Clone, Copy)]
pub struct Activation {
    pub(in crate::ops) row: &'static Row,
    pub(in crate::ops) parameter: f64,
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pub(in crate::ops) kept: Tensor,
    pub(in crate::ops) activation: Activation,
}

impl Activation {
    /// The activation of this name, such as `relu` or `gelu_tanh`, with its usual parameter.
    pub fn by_name(name: &str) -> Option<Activation> {
        super::ALL.iter().find(|a| a.row.name == name).copied()
    }

    /// Its name: that of its module.
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Its formula and source.
    pub fn doc(&self) -> &'static str {
        self.row.doc
    }

    /// The name and value of its parameter, if it has one.
    pub fn parameter(&self) -> Option<(&'static str, f64)> {
        self.row.parameter.map(|(name, _)| (name, self.parameter))
    }

    /// The points where it has no derivative.
    pub fn kinks(&self) -> &'static [f64] {
        self.row.kinks
    }

    /// Whether its derivative is written in x or in y.
    pub fn saved(&self) -> Saved {
        self.row.saved
    }

    /// The same with another parameter, such as the slope of `leaky_relu`.
    ///
    /// # Panics
    /// If it has none, is not finite, or is negative and the derivative is written in y, which then does not tell the sign of x.
    #[track_caller]
    pub fn with(self, parameter: f64) -> Activation {
        let Some((what, _)) = self.row.parameter else {
            check::fail(
                self.name(),
                format!("there is no parameter to set to {parameter}"),
                &[],
                "",
            )
        };
        if !parameter.is_finite() || (parameter < 0.0 && self.saved() == Saved::Y) {
            check::fail(
                self.name(),
                format!("{what} is {parameter}; it must be 0 or more"),
                &[],
                "",
            );
        }
        Activation { parameter, ..self }
    }

    /// `y = f(x)`, of x's shape, type and memory order.
    pub fn forward(self, x: &Tensor) -> (Tensor, Cache) {
        let mut y = x.dirty_like();
        (self.row.forward)(x, self.parameter, &mut y);
        let kept = if self.row.saved == Saved::X { x.clone() } else { y.clone() };
        (y, Cache { kept, activation: self })
    }
}

impl std::fmt::Debug for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parameter() {
            Some((name, value)) => write!(f, "{}({name} {value})", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

/// `dx = dy f'(x)`, of x's shape, type and memory order.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { kept, activation } = cache;
    check::upstream(activation.name(), dy, kept.shape(), kept);
    let dy = dy.to_order(kept.order());
    let mut dx = kept.dirty_like();
    (activation.row.backward)(&dy, kept, activation.parameter, &mut dx);
    dx
}

impl Var {
    /// An activation on the tape: `x.activation(leaky_relu::ACTIVATION.with(0.2))`. Each row has a method of its own with its
    /// usual parameter too.
    pub fn activation(&self, activation: Activation) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = activation.forward(&on.values[0]);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// An activation of every element.
    pub fn activation(&self, activation: Activation) -> Tensor {
        activation.forward(self).0
    }
}

/// A row's forward pass for tensors of either type.
pub(in crate::ops) fn run_forward<F: Function>(x: &Tensor, p: f64, y: &mut Tensor) {
    float!(x.dtype(), T => kernels::forward::<F, T>(x.data(), T::from_f64(p), y.data_mut()));
}

/// A row's backward pass for tensors of either type.
pub(in crate::ops) fn run_backward<F: Function>(
    dy: &Tensor,
    kept: &Tensor,
    p: f64,
    dx: &mut Tensor,
) {
    float!(dy.dtype(), T => {
        kernels::backward::<F, T>(dy.data(), kept.data(), T::from_f64(p), dx.data_mut());
    });
}

/// Makes a module of each row of a table, and `ALL` of them all.
macro_rules! rows {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $(($parameter:ident = $usual:literal))? kinks $kinks:expr;
        f($x:ident) = $f:expr;
        df($kept:ident in $saved:ident) = $df:expr;
    )+) => {
        /// Every activation with its usual parameter, in the order of the table.
        pub const ALL: &[Activation] = &[$($name::ACTIVATION),+];

        $(
            $(#[doc = $doc])+
            pub mod $name {
                use super::*;
                pub use super::{Cache, backward};

                /// The row, with its usual parameter.
                pub const ACTIVATION: Activation = Activation {
                    row: &Row {
                        name: stringify!($name),
                        doc: concat!($($doc),+),
                        saved: Saved::$saved,
                        parameter: [$(Some((stringify!($parameter), $usual)),)? None][0],
                        kinks: &$kinks,
                        forward: run_forward::<F>,
                        backward: run_backward::<F>,
                    },
                    parameter: [$($usual,)? 0.0][0],
                };

                /// `y = f(x)`, of x's shape, type and memory order, with the usual parameter if there is one.
                pub fn forward(x: &Tensor) -> (Tensor, Cache) {
                    ACTIVATION.forward(x)
                }

                struct F;
                impl Function for F {
                    #[inline(always)]
                    fn value<T: Real>($x: T, _p: T) -> T {
                        $(let $parameter = _p;)?
                        $f
                    }
                    #[inline(always)]
                    fn slope<T: Real>($kept: T, _p: T) -> T {
                        $(let $parameter = _p;)?
                        $df
                    }
                }
            }
        )+
    };
}

pub(in crate::ops) use rows;

/// Makes a method of variables and of tensors of each row, with its usual parameter if it has one.
macro_rules! methods {
    ($($name:ident),+ $(,)?) => {
        impl Var {
            $(#[doc = concat!("[`", stringify!($name), "`](mod@", stringify!($name), ") of every element.")]
            pub fn $name(&self) -> Var {
                self.activation($name::ACTIVATION)
            })+
        }

        impl Tensor {
            $(#[doc = concat!("[`", stringify!($name), "`](mod@", stringify!($name), ") of every element.")]
            pub fn $name(&self) -> Tensor {
                self.activation($name::ACTIVATION)
            })+
        }
    };
}
pub(in crate::ops) use methods;
