//! Stochastic gradient descent, with PyTorch's momentum if `momentum` is set.
//!
//! ```text
//! w -= lr * g                                            momentum 0: the course's sgd
//! v = g                      in a parameter's first step
//! v = momentum * v + (1 - dampening) * g           later
//! w -= lr * v                or, nesterov,   w -= lr * (g + momentum * v)
//! ```
//! The learning rate is outside of the velocity: a change of it acts at once on all of the velocity. In the course's
//! [`momentum`](super::momentum) it is inside. Sources: Robbins, Monro 1951; Sutskever et al. 2013 (Nesterov); `torch.optim.SGD`.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::{Error, Result};
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::{SgdVelocity, sgd, sgd_velocity};

pub(super) const RULE: Rule = Rule {
    name: "sgd",
    aliases: &[],
    about: "gradient descent; with momentum, PyTorch's form (nesterov, dampening)",
    learning_rate: 1e-2,
    defaults: OptimConfig {
        momentum: Some(0.0),
        dampening: Some(0.0),
        nesterov: Some(false),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

struct Sgd {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    if hyper.momentum == 0.0 && hyper.nesterov {
        return Err(Error::value("nesterov", "momentum is 0", "it needs a momentum above 0"));
    }
    if hyper.momentum == 0.0 && hyper.dampening > 0.0 {
        return Err(Error::value("dampening", "momentum is 0", "it needs a momentum above 0"));
    }
    if hyper.nesterov && hyper.dampening > 0.0 {
        let found = format!("dampening is {}", hyper.dampening);
        return Err(Error::value("nesterov", found, "it needs a dampening of 0"));
    }
    let names: &[&str] = if hyper.momentum == 0.0 { &[] } else { &["velocity"] };
    Ok(Box::new(Sgd { hyper: hyper.clone(), slots: Slots::new(RULE.name, names, 0.0) }))
}

impl UpdateRule for Sgd {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let weight_decay = decay_of(&self.hyper, decay);
        let (state, first) = self.slots.of(slot, w, &dw);
        let [v] = state else {
            return float!(w.dtype(), T => sgd(w.data_mut::<T>(), dw.data(), lr, weight_decay));
        };
        let gain = if first { 1.0 } else { 1.0 - self.hyper.dampening };
        let Hyper { momentum, nesterov, .. } = self.hyper;
        let p = SgdVelocity { lr, momentum, gain, nesterov, weight_decay };
        float!(w.dtype(), T => sgd_velocity(w.data_mut::<T>(), dw.data(), v.data_mut(), p));
    }

    remembered!();
}
