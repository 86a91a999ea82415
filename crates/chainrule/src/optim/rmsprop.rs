//! RMSprop: each number's step is scaled by a running average of its squared gradients.
//!
//! ```text
//! cache = decay_rate * cache + (1 - decay_rate) * g^2
//! u = g / (sqrt(cache) + eps)                       w -= lr * u: the course's rmsprop
//! centered:   mean = decay_rate * mean + (1 - decay_rate) * g,   u = g / (sqrt(cache - mean^2) + eps)
//! momentum:   v = momentum * v + u,   w -= lr * v
//! ```
//! Sources: Hinton 2012, lecture 6e; Graves 2013 (centered); `torch.optim.RMSprop`, whose `alpha` is `decay_rate`.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::Result;
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::{
    RmsProp, rmsprop, rmsprop_centered, rmsprop_centered_velocity, rmsprop_velocity,
};

pub(super) const RULE: Rule = Rule {
    name: "rmsprop",
    aliases: &[],
    about: "steps scaled by a running average of squared gradients (centered, momentum)",
    learning_rate: 1e-2,
    defaults: OptimConfig {
        decay_rate: Some(0.99),
        eps: Some(1e-8),
        momentum: Some(0.0),
        centered: Some(false),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

struct Rms {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    let names: &[&str] = match (hyper.centered, hyper.momentum > 0.0) {
        (false, false) => &["cache"],
        (false, true) => &["cache", "velocity"],
        (true, false) => &["cache", "mean"],
        (true, true) => &["cache", "mean", "velocity"],
    };
    Ok(Box::new(Rms { hyper: hyper.clone(), slots: Slots::new(RULE.name, names, 0.0) }))
}

impl UpdateRule for Rms {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let weight_decay = decay_of(&self.hyper, decay);
        let Hyper { decay_rate, eps, momentum, centered, .. } = self.hyper;
        let p = RmsProp { lr, decay_rate, eps, momentum, weight_decay };
        let (state, _) = self.slots.of(slot, w, &dw);
        float!(w.dtype(), T => {
            let (w, dw) = (w.data_mut::<T>(), dw.data());
            match state {
                [cache] => rmsprop(w, dw, cache.data_mut(), p),
                [cache, mean] if centered => {
                    rmsprop_centered(w, dw, cache.data_mut(), mean.data_mut(), p);
                }
                [cache, v] => rmsprop_velocity(w, dw, cache.data_mut(), v.data_mut(), p),
                [cache, mean, v] => {
                    let state = (cache.data_mut(), mean.data_mut(), v.data_mut());
                    rmsprop_centered_velocity(w, dw, state.0, state.1, state.2, p);
                }
                _ => unreachable!("one to three tensors are kept"),
            }
        });
    }

    remembered!();
}
