//! Lion: every number goes equally far, in the direction of the sign of a moment.
//!
//! ```text
//! w -= lr * (sign(beta1 * m + (1 - beta1) * dw) + weight_decay * w)
//! m = beta2 * m + (1 - beta2) * dw
//! ```
//! The moment in the step leans more on the newest gradient than the moment that is kept. Weight decay acts on the weights, as in
//! [`adamw`](super::adamw); rates are three to ten times smaller than there, and decays as much larger. One number of memory a
//! weight. Source: X. Chen et al., "Symbolic discovery of optimization algorithms", 2023, program 1.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::Result;
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::{Lion as Numbers, lion};

pub(super) const RULE: Rule = Rule {
    name: "lion",
    aliases: &[],
    about: "the sign of a moment: every number goes equally far",
    learning_rate: 1e-4,
    defaults: OptimConfig {
        beta1: Some(0.9),
        beta2: Some(0.99),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

struct Lion {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(Lion { hyper: hyper.clone(), slots: Slots::new(RULE.name, &["m"], 0.0) }))
}

impl UpdateRule for Lion {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let Hyper { beta1, beta2, .. } = self.hyper;
        let p = Numbers { lr, beta1, beta2, shrink: lr * decay_of(&self.hyper, decay) };
        let ([m], _) = self.slots.of(slot, w, &dw) else { unreachable!("one tensor is kept") };
        float!(w.dtype(), T => lion(w.data_mut::<T>(), dw.data(), m.data_mut(), p));
    }

    remembered!();
}
