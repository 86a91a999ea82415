//! Update rules: how a gradient changes a parameter. And the [schedules](schedule) of their learning rate.
//!
//! ```text
//! rule.begin_step();                                    // once a step
//! for (slot, (w, dw)) in parameters.enumerate() {
//!     rule.update(slot, w, dw, lr, decay);              // once a parameter
//! }
//! ```
//! One file a rule: formula, source, defaults, and what it shares with no other rule. To add one: its file, and one word in
//! [`RULES`].
//!
//! In the formulas `w` is the parameter, `dw` its gradient, `g = dw + weight_decay * w`, `t` the step counted from 1, and all
//! state starts from zero. Two traditions meet here: the course's (momentum with the learning rate inside of the velocity) and
//! PyTorch's (outside). Where they agree, one rule serves both.

pub mod adagrad;
pub mod adam;
pub mod adamw;
mod config;
pub mod lion;
pub mod momentum;
pub mod muon;
pub mod rmsprop;
pub mod schedule;
pub mod sgd;
mod state;

use crate::error::Result;
use crate::keys::{check_taken, unknown};
use crate::tensor::{DType, Tensor};
use config::Hyper;
pub use config::OptimConfig;
pub use schedule::{Progress, Schedule, ScheduleConfig};
pub use state::State;

/// A rule that changes parameters by their gradients.
pub trait UpdateRule: Send {
    /// The name in [`RULES`].
    fn name(&self) -> &'static str;

    /// Begins a step: once for all parameters, before their updates.
    fn begin_step(&mut self);

    /// Changes the parameter with the number `slot`. Weight decay applies only if `decay`.
    ///
    /// # Panics
    /// If `dw` does not have the shape and type of `w`, or no step has begun.
    fn update(&mut self, slot: usize, w: &mut Tensor, dw: &Tensor, lr: f64, decay: bool);

    /// The hyperparameters it works with, to compare them with those of a saved training.
    fn hyperparameters(&self) -> String;

    /// What the rule remembers, to be saved.
    fn state(&self) -> State;

    /// Goes on from a saved state: the updates that follow are those that would have followed then, bit for bit.
    ///
    /// # Errors
    /// If the state is another rule's, or of this rule with another configuration. The rule is unchanged then.
    /// That the state is of these parameters is checked by [`State::check`].
    fn load_state(&mut self, state: State) -> Result<()>;
}

/// An update rule in the list: how it is called, what it takes.
pub struct Rule {
    /// The name.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// One line for `--help`.
    pub about: &'static str,
    /// The learning rate to start from when none is given.
    pub learning_rate: f64,
    /// The keys that the rule takes, with their defaults. A key that is `None` here is not taken.
    pub defaults: OptimConfig,
    make: fn(&Hyper) -> Result<Box<dyn UpdateRule>>,
}

/// All rules.
pub static RULES: &[Rule] = &[
    sgd::RULE,
    momentum::RULE,
    rmsprop::RULE,
    adagrad::RULE,
    adam::RULE,
    adamw::RULE,
    lion::RULE,
    muon::RULE,
];

impl Rule {
    /// The rule with this name or alias.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Rule> {
        let names: Vec<&str> = RULES.iter().map(|r| r.name).collect();
        let found = RULES.iter().find(|r| r.name == name || r.aliases.contains(&name));
        found.ok_or_else(|| unknown("optim", name, &names))
    }

    /// The names of the keys that the rule takes.
    pub fn keys(&self) -> Vec<&'static str> {
        self.defaults.given()
    }

    /// `config` with the rule's defaults for what it leaves open.
    ///
    /// # Errors
    /// If a key is set that the rule does not take, or a value makes no sense.
    pub fn effective(&self, config: &OptimConfig) -> Result<OptimConfig> {
        check_taken(&config.given(), self.name, &self.keys())?;
        config.check()?;
        Ok(config.or(&self.defaults))
    }

    /// The rule at work.
    ///
    /// # Errors
    /// As [`Rule::effective`], and if keys contradict each other.
    pub fn make(&self, config: &OptimConfig) -> Result<Box<dyn UpdateRule>> {
        (self.make)(&self.effective(config)?.values())
    }
}

/// The rule with this name, with these hyperparameters and its defaults for the others.
///
/// # Errors
/// If there is no such rule, it does not take a key that is set, or a value makes no sense.
pub fn make(name: &str, config: &OptimConfig) -> Result<Box<dyn UpdateRule>> {
    Rule::named(name)?.make(config)
}

/// How many numbers a new rule remembers of each weight: a step on a matrix of one tells.
pub fn states(mut rule: Box<dyn UpdateRule>) -> usize {
    let mut w = Tensor::ones([1, 1], DType::F64);
    rule.begin_step();
    rule.update(0, &mut w, &Tensor::ones([1, 1], DType::F64), 0.1, true);
    rule.state().slots.first().map_or(0, Vec::len)
}

/// The weight decay of a parameter: 0 for one that is not to decay.
fn decay_of(hyper: &Hyper, decay: bool) -> f64 {
    if decay { hyper.weight_decay } else { 0.0 }
}

/// The methods of [`UpdateRule`] that are the same for all: the rule's struct has `hyper` and `slots`.
macro_rules! remembered {
    () => {
        fn name(&self) -> &'static str {
            RULE.name
        }
        fn begin_step(&mut self) {
            self.slots.begin_step();
        }
        fn hyperparameters(&self) -> String {
            format!("{:?}", self.hyper)
        }
        fn state(&self) -> super::State {
            self.slots.save()
        }
        fn load_state(&mut self, state: super::State) -> crate::Result<()> {
            self.slots.load(state)
        }
    };
}
use remembered;

#[cfg(test)]
mod tests;
