//! What a training does, as options.

use super::Group;
use crate::optim::Schedule;

/// Which examples a step sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Each epoch visits the examples in a new order, keyed by (seed, epoch); a last batch that is not full is left out, so
    /// that every step has the same size. What is left out changes from epoch to epoch.
    Shuffled,
    /// Each step draws its examples with replacement, as the course does: an epoch is only a count.
    WithReplacement,
}

/// What to do when a loss or a gradient is not a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNonFinite {
    /// Stop before the weights are touched.
    Stop,
    /// Go on, as the course does.
    Continue,
}

/// How to train. The default is our own way; [`SolverOptions::course`] is the course's.
#[derive(Clone, Debug)]
pub struct SolverOptions {
    /// Examples a step.
    pub batch_size: usize,
    /// Passes over the training examples.
    pub epochs: usize,
    /// The learning rate before the schedule.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Training examples that a check of the accuracy samples; all if there are not more.
    pub train_samples: usize,
    /// Validation examples that a check samples; `None` for all.
    pub val_samples: Option<usize>,
    /// Which examples a step sees.
    pub sampling: Sampling,
    /// Whether the best state includes running averages. The course forgot them.
    pub best_includes_buffers: bool,
    /// What happens to a loss that is not finite.
    pub on_non_finite: OnNonFinite,
    /// Stop after so many epochs in a row without a better validation accuracy.
    pub patience: Option<usize>,
    /// Shrink the gradients of a step together so that their norm is at most this.
    pub clip_norm: Option<f64>,
    /// Pull every number of a gradient into [-value, value]; before [`SolverOptions::clip_norm`].
    pub clip_value: Option<f64>,
    /// Keep a running average of the weights with this decay, between 0 and 1: the checks measure it, and it is what the best
    /// state holds.
    pub average: Option<f64>,
    /// Parameters that are trained differently.
    pub groups: Vec<Group>,
}

impl Default for SolverOptions {
    fn default() -> Self {
        SolverOptions {
            batch_size: 100,
            epochs: 10,
            learning_rate: 1e-2,
            schedule: Schedule::constant(),
            train_samples: 1000,
            val_samples: None,
            sampling: Sampling::Shuffled,
            best_includes_buffers: true,
            on_non_finite: OnNonFinite::Stop,
            patience: None,
            clip_norm: None,
            clip_value: None,
            average: None,
            groups: Vec::new(),
        }
    }
}

impl SolverOptions {
    /// The course's defaults: batches with replacement, running averages left as they end, no stop at infinity.
    pub fn course() -> Self {
        SolverOptions {
            sampling: Sampling::WithReplacement,
            best_includes_buffers: false,
            on_non_finite: OnNonFinite::Continue,
            ..SolverOptions::default()
        }
    }

    /// Every option as (name, value), to compare a training with the one it goes on from.
    pub(super) fn described(&self) -> Vec<(String, String)> {
        // No `..`: a new option cannot be forgotten.
        let SolverOptions {
            batch_size,
            epochs,
            learning_rate,
            schedule,
            train_samples,
            val_samples,
            sampling,
            best_includes_buffers,
            on_non_finite,
            patience,
            clip_norm,
            clip_value,
            average,
            groups,
        } = self;
        let options: [(&str, &dyn std::fmt::Debug); 14] = [
            ("batch_size", batch_size),
            ("epochs", epochs),
            ("learning_rate", learning_rate),
            ("schedule", schedule),
            ("train_samples", train_samples),
            ("val_samples", val_samples),
            ("sampling", sampling),
            ("best_includes_buffers", best_includes_buffers),
            ("on_non_finite", on_non_finite),
            ("patience", patience),
            ("clip_norm", clip_norm),
            ("clip_value", clip_value),
            ("average", average),
            ("groups", groups),
        ];
        options.map(|(name, value)| (name.to_string(), format!("{value:?}"))).into()
    }
}
