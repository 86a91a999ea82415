//! Hyperparameters of update rules by name: what a user may set.

use crate::keys::keys;

keys! {
    /// The hyperparameters of update rules that a user has set; the rest is up to the rule. Which rule takes which, and with
    /// what defaults, is in [`RULES`](super::RULES). The learning rate is not among them: it comes with every update.
    OptimConfig,
    /// The hyperparameters of a rule: [`OptimConfig`] with the rule's defaults.
    Hyper;

    /// Factor of the old velocity.
    momentum: f64, "it must be from 0 to 1", |v| (0.0..=1.0).contains(v);
    /// Whether the step looks ahead along the velocity (Nesterov).
    nesterov: bool, "", |_| true;
    /// What the gradient loses before it enters the velocity, as a part of itself.
    dampening: f64, "it must be from 0 to 1", |v| (0.0..=1.0).contains(v);
    /// Decay of the average of gradients.
    beta1: f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Decay of the average of squared gradients.
    beta2: f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Added to the root in the denominator.
    eps: f64, "it must be a number from 0 up", from_zero;
    /// The learning rate of what is no matrix, as a part of the matrices' (Muon).
    vector_rate: f64, "it must be a number from 0 up", from_zero;
    /// Decay of RMSprop's averages; PyTorch's `alpha`.
    decay_rate or "alpha": f64, "it must be at least 0 and below 1", |v| (0.0..1.0).contains(v);
    /// Whether RMSprop divides by the root of the variance instead of the mean square.
    centered: bool, "", |_| true;
    /// Whether Adam divides by the largest average of squares met so far.
    amsgrad: bool, "", |_| true;
    /// Pull of the weights towards zero. Added to the gradient (L2); AdamW applies it to the weights.
    weight_decay: f64, "it must be a number from 0 up", from_zero;
    /// How fast Adagrad lowers its learning rate: it divides by 1 + (t - 1) lr_decay.
    lr_decay: f64, "it must be a number from 0 up", from_zero;
    /// What Adagrad's sum of squares starts from.
    initial_accumulator: f64, "it must be a number from 0 up", from_zero;
}

fn from_zero(v: &f64) -> bool {
    v.is_finite() && *v >= 0.0
}
