//! Softmax along the last axis, or its logarithm.
//!
//! ```text
//! y_j = e^x_j / sum_k e^x_k             dx = y (dy - sum(dy y))            x, y (..., C)
//! y_j = x_j - log sum_k e^x_k           dx = dy - e^y sum(dy)
//! ```
//! The row's maximum is taken out first, so no finite x overflows. Saved: y (shared). Cost: one or two exponentials an element.

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::softmax;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    y: Tensor,
    log: bool,
}

/// The softmax of the last axis, or its logarithm if `log`.
///
/// # Panics
/// If x is a scalar or its last axis has size 0.
#[track_caller]
pub fn forward(x: &Tensor, log: bool) -> (Tensor, Cache) {
    let n = x.shape().last().copied().unwrap_or(0);
    if n == 0 {
        check::fail("softmax", "there must be a number on the last axis", &[("x", x, "... C")], "");
    }
    let x = x.to_order(Order::RowMajor);
    let mut y = x.dirty_like();
    float!(x.dtype(), T => softmax::softmax(x.data::<T>(), n, log, y.data_mut()));
    (y.clone(), Cache { y, log })
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { y, log } = cache;
    check::upstream("softmax", dy, y.shape(), y);
    let (dy, mut dx) = (dy.to_order(Order::RowMajor), y.dirty_like());
    let n = y.shape().last().copied().unwrap_or(1);
    float!(y.dtype(), T => softmax::softmax_back(dy.data::<T>(), y.data(), n, *log, dx.data_mut()));
    dx
}

impl Var {
    /// The softmax of the last axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn softmax(&self) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], false);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }

    /// The logarithm of the softmax of the last axis: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn log_softmax(&self) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], true);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// The softmax of the last axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn softmax(&self) -> Tensor {
        forward(self, false).0
    }

    /// The logarithm of the softmax of the last axis.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn log_softmax(&self) -> Tensor {
        forward(self, true).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], log: bool| {
        Case::new(if log { "log_softmax" } else { "softmax" }, name)
            .input("x", shape)
            .run(move |[x]| {
                let (y, cache) = forward(x, log);
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| if log { x.log_softmax() } else { x.softmax() })
    };
    [false, true]
        .into_iter()
        .flat_map(|log| {
            [
                case("rows", &[4, 7], log),
                case("three axes", &[2, 3, 20], log),
                case("one row", &[5], log),
            ]
        })
        .chain([case("one class", &[3, 1], true)])
        .collect()
}
