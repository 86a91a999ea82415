//! AdamW: [`adam`] with weight decay that is no part of the gradient, so that its moments do not see it.
//!
//! ```text
//! w -= lr * weight_decay * w
//! w -= lr * mhat / (sqrt(vhat) + eps)               m and v from dw alone
//! ```
//! Sources: Loshchilov, Hutter 2019, algorithm 2; `torch.optim.AdamW`.

use super::adam::{Decay, moments, step};
use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, adam, decay_of, remembered};
use crate::error::Result;
use crate::tensor::Tensor;

pub(super) const RULE: Rule = Rule {
    name: "adamw",
    about: "Adam with weight decay on the weights instead of the gradient",
    defaults: OptimConfig { weight_decay: Some(1e-2), ..adam::RULE.defaults },
    make,
    ..adam::RULE
};

struct AdamW {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(AdamW { hyper: hyper.clone(), slots: moments(RULE.name, hyper) }))
}

impl UpdateRule for AdamW {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let decay = Decay::Weights(lr * decay_of(&self.hyper, decay));
        step(&mut self.slots, &self.hyper, slot, (w, dw), lr, decay);
    }

    remembered!();
}
