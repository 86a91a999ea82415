//! Adagrad: each number's step is scaled by the sum of all its squared gradients.
//!
//! ```text
//! sum += g^2                                        sum starts from initial_accumulator
//! w -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum) + eps)
//! ```
//! Sources: Duchi, Hazan, Singer 2011; `torch.optim.Adagrad`.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::Result;
use crate::tensor::{Tensor, float};
use chainrule_kernels::update;

pub(super) const RULE: Rule = Rule {
    name: "adagrad",
    aliases: &[],
    about: "steps scaled by the sum of all squared gradients",
    learning_rate: 1e-2,
    defaults: OptimConfig {
        lr_decay: Some(0.0),
        initial_accumulator: Some(0.0),
        eps: Some(1e-10),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

struct Adagrad {
    hyper: Hyper,
    slots: Slots,
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    let slots = Slots::new(RULE.name, &["sum"], hyper.initial_accumulator);
    Ok(Box::new(Adagrad { hyper: hyper.clone(), slots }))
}

impl UpdateRule for Adagrad {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let dw = dw.to_order(w.order());
        let lr = lr / (1.0 + (self.slots.step() - 1.0) * self.hyper.lr_decay);
        let weight_decay = decay_of(&self.hyper, decay);
        let p = update::Adagrad { lr, eps: self.hyper.eps, weight_decay };
        let ([sum], _) = self.slots.of(slot, w, &dw) else { unreachable!("one tensor is kept") };
        float!(w.dtype(), T => update::adagrad(w.data_mut::<T>(), dw.data(), sum.data_mut(), p));
    }

    remembered!();
}
