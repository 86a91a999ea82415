//! Everything that a training's coming steps depend on, as a value: taken between two steps, put back later, perhaps by another
//! process.

use super::observer::{CheckEvent, Observer, StepEvent};
use super::options::Sampling;
use super::solver::{History, Solver};
use crate::error::{Error, Result};
use crate::optim;
use crate::rng::{Rng, RngState};
use crate::tensor::{Shape, Tensor};

/// A training between two steps. Whoever goes on from it comes to the same bits as the training it was taken from.
#[derive(Clone, Debug)]
pub struct SolverState {
    /// The architecture.
    pub model: String,
    /// The parameters, by name, in their order.
    pub params: Vec<(String, Tensor)>,
    /// The running averages and the like, by name.
    pub buffers: Vec<(String, Tensor)>,
    /// The averages of the parameters, in their order; none before the first step, or if they are not wanted.
    pub averages: Vec<Tensor>,
    /// The update rule, and its hyperparameters.
    pub rule: (String, String),
    /// What the rule remembers.
    pub optim: optim::State,
    /// The solver's options as (name, value), to be compared.
    pub options: Vec<(String, String)>,
    /// How many examples there are to train and to validate, to be compared.
    pub examples: [usize; 2],
    /// The position of the random numbers.
    pub rng: RngState,
    /// The loss of each step that is done.
    pub losses: Vec<f64>,
    /// The training accuracy of each check.
    pub train_accuracy: Vec<f64>,
    /// The validation accuracy of each check.
    pub val_accuracy: Vec<f64>,
    /// The best model so far.
    pub best: Option<Best>,
    /// Epochs since the best check.
    pub waited: usize,
    /// The order in which the present epoch visits the examples; empty where (seed, epoch) give it again.
    pub order: Vec<usize>,
}

/// The parameters, and the buffers, at the best check.
#[derive(Clone, Debug)]
pub struct Best {
    /// The parameters, in the model's order.
    pub params: Vec<Tensor>,
    /// The buffers by name; none if the best state is not to have them.
    pub buffers: Vec<(String, Tensor)>,
}

impl Solver<'_> {
    /// Everything that the coming steps depend on. Tensors share storage with the training's own until one of them changes.
    pub fn state(&self, rng: &Rng) -> SolverState {
        // No `..`: whoever gives the solver a new field must say here whether it is part of its state.
        let Solver {
            model,
            rule,
            train,
            val,
            options,
            history,
            best,
            waited,
            order,
            averages,
            // Follows from the model and the options.
            treatment: _,
            // Made anew by every step.
            indices: _,
            labels: _,
            grads: _,
        } = self;
        let History {
            loss,
            train_accuracy,
            val_accuracy,
            // Functions of the others.
            best_val_accuracy: _,
            epoch: _,
            learning_rate: _,
        } = history;
        let keyed = matches!(rng, Rng::Keyed(_));
        SolverState {
            model: model.name().to_string(),
            params: model.params().iter().map(|p| (p.name.clone(), p.value.clone())).collect(),
            buffers: model.buffers(),
            averages: averages.clone(),
            rule: (rule.name().to_string(), rule.hyperparameters()),
            optim: rule.state(),
            options: options.described(),
            examples: [train.len(), val.len()],
            rng: rng.state(),
            losses: loss.clone(),
            train_accuracy: train_accuracy.clone(),
            val_accuracy: val_accuracy.clone(),
            best: best.clone(),
            waited: *waited,
            order: if keyed { Vec::new() } else { order.clone() },
        }
    }

    /// Puts a state back, and the random numbers with it.
    ///
    /// # Errors
    /// If the state is not of this model, update rule, options and number of examples, or contradicts itself: it names what
    /// differs. Nothing has changed then.
    pub fn restore(&mut self, state: SolverState, rng: &mut Rng) -> Result<()> {
        self.require_same_training(&state)?;
        self.require_consistent(&state)?;
        let restored = Rng::from_state(state.rng)?;
        state.optim.check(self.model.params().iter().map(|p| &p.value))?;
        self.rule.load_state(state.optim)?;
        *rng = restored;
        let params = self.model.params_mut().iter_mut();
        params.zip(state.params).for_each(|(p, (_, value))| p.value = value);
        for (name, value) in &state.buffers {
            assert!(self.model.set_buffer(name, value), "{name}: a buffer the model just named");
        }
        self.best = state.best;
        self.averages = state.averages;
        self.waited = state.waited;
        self.order = state.order;
        let done = state.losses.len();
        self.history.loss.clear();
        self.history.loss.extend(state.losses);
        self.history.train_accuracy = state.train_accuracy;
        self.history.best_val_accuracy = state.val_accuracy.iter().copied().fold(0.0, f64::max);
        self.history.val_accuracy = state.val_accuracy;
        self.history.epoch = done / self.steps_per_epoch();
        self.history.learning_rate = self.rate(done);
        Ok(())
    }

    /// That a state comes from a training like this one.
    fn require_same_training(&self, state: &SolverState) -> Result<()> {
        let here = [self.train.len(), self.val.len()];
        let rule = (self.rule.name().to_string(), self.rule.hyperparameters());
        same("model", &state.model, &self.model.name())?;
        same("update rule", &state.rule, &rule)?;
        same("training and validation examples", &state.examples, &here)?;
        for (then, now) in state.options.iter().zip(&self.options.described()) {
            same(&format!("option {}", now.0), then, now)?;
        }
        same("number of options", &state.options.len(), &self.options.described().len())?;
        let params = self.model.params().iter().map(|p| (&p.name[..], &p.value));
        alike("parameter", named(&state.params), params.clone())?;
        let buffers = self.model.buffers();
        alike("buffer", named(&state.buffers), named(&buffers))?;
        let averaged = self.options.average.is_some() && !state.losses.is_empty();
        let names = params.clone().map(|(name, _)| name);
        same(
            "number of averages",
            &state.averages.len(),
            &if averaged { params.len() } else { 0 },
        )?;
        if averaged {
            alike("average", names.zip(&state.averages), params.clone())?;
        }
        if let Some(best) = &state.best {
            same("number of best parameters", &best.params.len(), &params.len())?;
            let best_params = params.clone().map(|(name, _)| name).zip(&best.params);
            alike("best parameter", best_params, params)?;
            let wanted: &[_] = if self.options.best_includes_buffers { &buffers } else { &[] };
            alike("best buffer", named(&best.buffers), named(wanted))?;
        }
        Ok(())
    }

    /// That the parts of a state fit together.
    fn require_consistent(&self, state: &SolverState) -> Result<()> {
        let (done, n) = (state.losses.len(), self.train.len());
        let checks = (0..done).filter(|t| self.is_checked(*t)).count();
        let at_most = |what: &str, found: usize, most: usize| match found <= most {
            true => Ok(()),
            false => Err(differs(what, found.to_string(), format!("at most {most}"))),
        };
        at_most("steps done", done, self.steps())?;
        at_most("epochs waited", state.waited, self.options.epochs)?;
        same("training accuracies", &state.train_accuracy.len(), &checks)?;
        same("validation accuracies", &state.val_accuracy.len(), &checks)?;
        let shuffled = self.options.sampling == Sampling::Shuffled;
        if !state.order.is_empty() {
            let mut seen = vec![false; n];
            let fresh = |i: &usize| seen.get_mut(*i).is_some_and(|s| !std::mem::replace(s, true));
            let whole = state.order.len() == n && state.order.iter().all(fresh);
            if !whole || !shuffled {
                let found = format!("{} numbers", state.order.len());
                return Err(differs(
                    "order of the epoch",
                    found,
                    format!("0 to {}, shuffled", n - 1),
                ));
            }
        }
        Ok(())
    }

    /// Tells an observer everything that has happened so far, as if it had been there: what a chart or a file of metrics needs
    /// when a training goes on.
    ///
    /// # Errors
    /// Those of the observer.
    pub fn replay(&self, observer: &mut dyn Observer) -> Result<()> {
        let (steps, per_epoch) = (self.steps(), self.steps_per_epoch());
        let (mut checks, mut best_so_far) = (0, 0.0);
        for (t, loss) in self.history.loss.iter().enumerate() {
            observer.step(&StepEvent {
                step: t + 1,
                steps,
                epoch: t / per_epoch,
                loss: *loss,
                learning_rate: self.rate(t),
                examples: self.examples_a_step(),
            })?;
            if self.is_checked(t) {
                let val_accuracy = self.history.val_accuracy[checks];
                observer.check(&CheckEvent {
                    step: t + 1,
                    epoch: (t + 1) / per_epoch,
                    epochs: self.options.epochs,
                    train_accuracy: self.history.train_accuracy[checks],
                    val_accuracy,
                    best: val_accuracy > best_so_far,
                })?;
                best_so_far = val_accuracy.max(best_so_far);
                checks += 1;
            }
        }
        Ok(())
    }
}

/// That two values agree; the error names what they are of, the state's and ours.
fn same<T: std::fmt::Debug, U: std::fmt::Debug + PartialEq<T>>(
    what: &str,
    then: &T,
    now: &U,
) -> Result<()> {
    if now == then { Ok(()) } else { Err(differs(what, format!("{then:?}"), format!("{now:?}"))) }
}

fn differs(what: &str, found: String, want: String) -> Error {
    Error::value(
        format!("saved training, {what}"),
        format!("it has {found}"),
        format!("this one has {want}"),
    )
}

fn named(tensors: &[(String, Tensor)]) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
    tensors.iter().map(|(name, t)| (&name[..], t))
}

/// That two lists of tensors agree in names, shapes and types.
fn alike<'a>(
    what: &str,
    then: impl ExactSizeIterator<Item = (&'a str, &'a Tensor)>,
    now: impl ExactSizeIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<()> {
    let describe = |(name, t): (&'a str, &'a Tensor)| -> (&'a str, Shape, &'static str) {
        (name, *t.shape(), t.dtype().name())
    };
    same(&format!("number of {what}s"), &then.len(), &now.len())?;
    then.zip(now).try_for_each(|(then, now)| same(what, &describe(then), &describe(now)))
}
