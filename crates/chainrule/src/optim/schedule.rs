//! Schedules: the learning rate of every step, as a pure function of where the training is.
//!
//! With the base rate `lr`, the epoch `e` and the step `s` of `S`, both counted from 0:
//!
//! | name | rate |
//! |---|---|
//! | `constant` | `lr` |
//! | `step` | `lr * gamma^floor(e / every)` |
//! | `multistep` | `lr * gamma^(number of milestones <= e)` |
//! | `exponential` | `lr * gamma^e`: the course's `lr_decay` |
//! | `cosine` | `min_lr + (lr - min_lr) * (1 + cos(pi s / S)) / 2` |
//! | `one-cycle` | a cosine from `lr / div_factor` up to `lr`, then one down to `lr / (div_factor * final_div_factor)` |
//!
//! Each can begin with a linear warm-up of `W = warmup_epochs * steps_per_epoch` steps, in which the rate is multiplied by
//! `(s + 1) / W`. Cosine and one-cycle then run over the `S - W` steps that are left; epochs count from the beginning.
//! A function of the place alone needs no state: a run that is resumed goes on as if it had not stopped.
//!
//! Sources: Loshchilov, Hutter 2017 (cosine); Smith, Topin 2018 (one-cycle; here PyTorch's `OneCycleLR`, two phases); Goyal et
//! al. 2017 (warm-up).

use crate::error::{Error, Result};
use crate::keys::{check_taken, keys, unknown};
use std::f64::consts::PI;

/// Where the training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of this step, from 0.
    pub step: usize,
    /// How many steps the whole training has.
    pub steps: usize,
    /// The number of this epoch, from 0.
    pub epoch: usize,
    /// How many steps an epoch has.
    pub steps_per_epoch: usize,
}

impl Progress {
    /// Step `step` (from 0) of `steps`, with whole epochs of `steps_per_epoch`.
    pub fn new(step: usize, steps: usize, steps_per_epoch: usize) -> Progress {
        Progress { step, steps, epoch: step / steps_per_epoch.max(1), steps_per_epoch }
    }
}

keys! {
    /// What a user has set of a schedule; the rest is up to the schedule. Which takes which, and with what defaults, is in
    /// [`SCHEDULES`].
    ScheduleConfig,
    /// [`ScheduleConfig`] with the schedule's defaults.
    Values;

    /// Epochs between two drops of the rate.
    every: usize, "it must be at least 1 epoch", |v| *v > 0;
    /// Epochs (from 0) with which a drop of the rate begins.
    milestones: Vec<usize>, "it must be a list of epochs, each larger than the one before",
        |v| !v.is_empty() && v.is_sorted_by(|a, b| a < b);
    /// What the rate is multiplied by.
    gamma: f64, "it must be above 0 and at most 1", |v| *v > 0.0 && *v <= 1.0;
    /// The rate at the end of the cosine.
    min_lr: f64, "it must be a number from 0 up", |v| v.is_finite() && *v >= 0.0;
    /// Epochs of linear warm-up; parts of an epoch are fine.
    warmup_epochs: f64, "it must be a number from 0 up", |v| v.is_finite() && *v >= 0.0;
    /// The part of the steps in which one-cycle rises.
    pct_start: f64, "it must be from 0 to 1", |v| (0.0..=1.0).contains(v);
    /// The largest rate over the first.
    div_factor: f64, "it must be a number above 0", |v| v.is_finite() && *v > 0.0;
    /// The first rate over the last.
    final_div_factor: f64, "it must be a number above 0", |v| v.is_finite() && *v > 0.0;
}

/// A schedule in the list: how it is called, what it takes.
pub struct Kind {
    /// The name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// One line for `--help`.
    pub about: &'static str,
    /// The keys that the schedule takes, with their defaults. A key that is `None` here is not taken.
    pub defaults: ScheduleConfig,
    /// A key that has no default and must be given.
    pub required: Option<&'static str>,
    curve: Curve,
}

/// The rate without the warm-up's factor. `s` of `n` are the steps after the warm-up.
type Curve = fn(&Values, lr: f64, epoch: usize, s: usize, n: usize) -> f64;

const PLAIN: ScheduleConfig = ScheduleConfig { warmup_epochs: Some(0.0), ..ScheduleConfig::NONE };

/// All schedules.
pub static SCHEDULES: &[Kind] = &[
    Kind {
        name: "constant",
        aliases: &[],
        about: "the same rate throughout",
        defaults: PLAIN,
        required: None,
        curve: |_, lr, _, _, _| lr,
    },
    Kind {
        name: "step",
        aliases: &[],
        about: "times gamma every few epochs",
        defaults: ScheduleConfig { every: Some(10), gamma: Some(0.1), ..PLAIN },
        required: None,
        curve: |v, lr, epoch, _, _| lr * power(v.gamma, epoch / v.every),
    },
    Kind {
        name: "multistep",
        aliases: &[],
        about: "times gamma at the milestones",
        defaults: ScheduleConfig { milestones: Some(Vec::new()), gamma: Some(0.1), ..PLAIN },
        required: Some("milestones"),
        curve: |v, lr, epoch, _, _| {
            lr * power(v.gamma, v.milestones.iter().filter(|m| **m <= epoch).count())
        },
    },
    Kind {
        name: "exponential",
        aliases: &[],
        about: "times gamma every epoch",
        defaults: ScheduleConfig { gamma: Some(0.95), ..PLAIN },
        required: None,
        curve: |v, lr, epoch, _, _| lr * power(v.gamma, epoch),
    },
    Kind {
        name: "cosine",
        aliases: &[],
        about: "half a cosine down to min_lr",
        defaults: ScheduleConfig { min_lr: Some(0.0), ..PLAIN },
        required: None,
        curve: |v, lr, _, s, n| half_cosine(lr, v.min_lr, s as f64 / n.max(1) as f64),
    },
    Kind {
        name: "one-cycle",
        aliases: &["onecycle", "one_cycle"],
        about: "half a cosine up to the rate, half a cosine down to almost nothing",
        defaults: ScheduleConfig {
            pct_start: Some(0.3),
            div_factor: Some(25.0),
            final_div_factor: Some(1e4),
            ..PLAIN
        },
        required: None,
        curve: one_cycle,
    },
];

fn power(gamma: f64, n: usize) -> f64 {
    libm::pow(gamma, n as f64)
}

/// From `from` at 0 to `to` at 1.
fn half_cosine(from: f64, to: f64, at: f64) -> f64 {
    to + (from - to) * (1.0 + libm::cos(PI * at.min(1.0))) / 2.0
}

/// PyTorch's two phases: the top is at step `pct_start * n - 1`, the bottom at the last step, `n - 1`.
fn one_cycle(v: &Values, lr: f64, _epoch: usize, s: usize, n: usize) -> f64 {
    let (first, last) = (lr / v.div_factor, lr / v.div_factor / v.final_div_factor);
    let (s, end) = (s as f64, n.saturating_sub(1) as f64);
    let top = (v.pct_start * n as f64 - 1.0).max(0.0);
    if top > 0.0 && s <= top {
        half_cosine(first, lr, s / top)
    } else if s < end {
        half_cosine(lr, last, (s - top) / (end - top))
    } else {
        last
    }
}

/// How the learning rate changes during training. See the [module](self).
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: &'static Kind,
    values: Values,
}

impl Kind {
    /// The schedule with this name or alias.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Kind> {
        let names: Vec<&str> = SCHEDULES.iter().map(|k| k.name).collect();
        let found = SCHEDULES.iter().find(|k| k.name == name || k.aliases.contains(&name));
        found.ok_or_else(|| unknown("schedule", name, &names))
    }

    /// `config` with the schedule's defaults for what it leaves open.
    ///
    /// # Errors
    /// If a key is set that the schedule does not take, one that it needs is not, or a value makes no sense.
    pub fn effective(&self, config: &ScheduleConfig) -> Result<ScheduleConfig> {
        let given = config.given();
        check_taken(&given, self.name, &self.defaults.given())?;
        if let Some(key) = self.required.filter(|key| !given.contains(key)) {
            return Err(Error::value(key, "it is not given", format!("{} needs it", self.name)));
        }
        config.check()?;
        Ok(config.or(&self.defaults))
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Schedule {
    /// The schedule with this name, these keys, and its defaults for the others.
    ///
    /// # Errors
    /// If there is no such schedule, it does not take a key that is set, or a value makes no sense.
    pub fn by_name(name: &str, config: &ScheduleConfig) -> Result<Schedule> {
        let kind = Kind::named(name)?;
        Ok(Schedule { kind, values: kind.effective(config)?.values() })
    }

    /// The same rate throughout.
    pub fn constant() -> Schedule {
        Schedule { kind: &SCHEDULES[0], values: PLAIN.values() }
    }

    /// The name in [`SCHEDULES`].
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// The learning rate at `at`, for the base rate `lr`.
    pub fn lr(&self, lr: f64, at: Progress) -> f64 {
        let warmup = (self.values.warmup_epochs * at.steps_per_epoch as f64).round() as usize;
        let (s, n) = (at.step.saturating_sub(warmup), at.steps.saturating_sub(warmup));
        let rate = (self.kind.curve)(&self.values, lr, at.epoch, s, n);
        match at.step < warmup {
            true => rate * ((at.step + 1) as f64 / warmup as f64),
            false => rate,
        }
    }
}

#[cfg(test)]
mod tests;
