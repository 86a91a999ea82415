//! Dropout.

use super::{Module, Params};
use crate::check;
use crate::tape::Var;

/// Drops units at random in training and scales the others by 1 / (1 - p); the identity in a test. `torch.nn.Dropout`.
#[derive(Clone, Copy, Debug, Params)]
pub struct Dropout {
    /// The probability of *dropping* a unit, PyTorch's convention. (The op [`Var::dropout`] takes that of keeping it.)
    #[params(skip)]
    pub p: f64,
}

impl Dropout {
    /// Drops with probability p.
    ///
    /// # Panics
    /// If p is not at least 0 and below 1.
    #[track_caller]
    pub fn new(p: f64) -> Dropout {
        if !(0.0..1.0).contains(&p) {
            let reason = format!("p is {p}; a probability of dropping is at least 0 and below 1");
            check::fail("dropout", reason, &[], "");
        }
        Dropout { p }
    }
}

impl Module for Dropout {
    fn forward(&self, x: &Var) -> Var {
        if self.p == 0.0 { x.clone() } else { x.dropout(1.0 - self.p) }
    }

    fn describe(&self) -> String {
        // A p that was computed, as 1 - 0.7, has digits that nobody wants to read.
        format!("Dropout(p {})", (self.p * 1e6).round() / 1e6)
    }
}
