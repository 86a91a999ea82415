//! Gradient descent with momentum, the course's form.
//!
//! ```text
//! v = momentum * v - lr * g
//! w += v
//! ```
//! The learning rate is inside of the velocity: what was gathered under an old rate stays. PyTorch's form is
//! [`sgd`](super::sgd) with `momentum`. Source: Polyak 1964; the course's `sgd_momentum`.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::Result;
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::{Momentum, momentum};

pub(super) const RULE: Rule = Rule {
    name: "momentum",
    aliases: &["sgd_momentum"],
    about: "gradient descent with momentum, the learning rate inside of the velocity",
    learning_rate: 1e-2,
    defaults: OptimConfig { momentum: Some(0.9), weight_decay: Some(0.0), ..OptimConfig::NONE },
    make,
};

struct SgdMomentum {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    let slots = Slots::new(RULE.name, &["velocity"], 0.0);
    Ok(Box::new(SgdMomentum { hyper: hyper.clone(), slots }))
}

impl UpdateRule for SgdMomentum {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let weight_decay = decay_of(&self.hyper, decay);
        let p = Momentum { lr, momentum: self.hyper.momentum, weight_decay };
        let ([v], _) = self.slots.of(slot, w, &dw) else { unreachable!("one tensor is kept") };
        float!(w.dtype(), T => momentum(w.data_mut::<T>(), dw.data(), v.data_mut(), p));
    }

    remembered!();
}
