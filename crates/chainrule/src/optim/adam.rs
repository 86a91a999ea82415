//! Adam: momentum and RMSprop together, both freed of the bias that comes from starting at zero.
//!
//! ```text
//! m = beta1 * m + (1 - beta1) * g          mhat = m / (1 - beta1^t)
//! v = beta2 * v + (1 - beta2) * g^2        vhat = v / (1 - beta2^t)
//! w -= lr * mhat / (sqrt(vhat) + eps)
//! amsgrad:   v_max = max(v_max, v),   vhat = v_max / (1 - beta2^t)
//! ```
//! `eps` stands beside the root of the corrected `vhat`. Computed as `lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) +
//! eps)`: the same but for rounding, with one root and one division a number.
//! Sources: Kingma, Ba 2015, algorithm 1; Reddi et al. 2018 (amsgrad); `torch.optim.Adam`.

use super::state::Slots;
use super::{Hyper, OptimConfig, Rule, UpdateRule, decay_of, remembered};
use crate::error::Result;
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::{self, adam, adam_max};

pub(super) const RULE: Rule = Rule {
    name: "adam",
    aliases: &[],
    about: "momentum and RMSprop with bias correction (amsgrad)",
    learning_rate: 1e-3,
    defaults: OptimConfig {
        beta1: Some(0.9),
        beta2: Some(0.999),
        eps: Some(1e-8),
        amsgrad: Some(false),
        weight_decay: Some(0.0),
        ..OptimConfig::NONE
    },
    make,
};

struct Adam {
    hyper: Hyper,
    slots: Slots,
}

/// The moments that Adam and AdamW keep.
pub(super) fn moments(rule: &'static str, hyper: &Hyper) -> Slots {
    Slots::new(rule, if hyper.amsgrad { &["m", "v", "v_max"] } else { &["m", "v"] }, 0.0)
}

fn make(hyper: &Hyper) -> Result<Box<dyn UpdateRule>> {
    Ok(Box::new(Adam { hyper: hyper.clone(), slots: moments(RULE.name, hyper) }))
}

/// How weight decay acts.
pub(super) enum Decay {
    /// On the gradient, with this factor.
    Gradient(f64),
    /// On the weights: this part of them is taken away.
    Weights(f64),
}

/// One update of Adam or AdamW.
#[track_caller]
pub(super) fn step(
    slots: &mut Slots,
    hyper: &Hyper,
    slot: usize,
    (w, dw): (&mut Tensor, &Tensor),
    lr: f64,
    decay: Decay,
) {
    let dw = dw.to_order(w.order());
    let t = slots.step();
    let (weight_decay, shrink) = match decay {
        Decay::Gradient(factor) => (factor, 0.0),
        Decay::Weights(part) => (0.0, part),
    };
    let p = update::Adam {
        step: lr / (1.0 - libm::pow(hyper.beta1, t)),
        root: 1.0 / (1.0 - libm::pow(hyper.beta2, t)).sqrt(),
        beta1: hyper.beta1,
        beta2: hyper.beta2,
        eps: hyper.eps,
        weight_decay,
        shrink,
    };
    let (state, _) = slots.of(slot, w, &dw);
    float!(w.dtype(), T => match state {
        [m, v] => adam(w.data_mut::<T>(), dw.data(), m.data_mut(), v.data_mut(), p),
        [m, v, v_max] => {
            let (w, dw) = (w.data_mut::<T>(), dw.data());
            adam_max(w, dw, m.data_mut(), v.data_mut(), v_max.data_mut(), p);
        }
        _ => unreachable!("two or three tensors are kept"),
    });
}

impl UpdateRule for Adam {
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool) {
        let decay = Decay::Gradient(decay_of(&self.hyper, decay));
        step(&mut self.slots, &self.hyper, slot, (w, dw), lr, decay);
    }

    remembered!();
}
