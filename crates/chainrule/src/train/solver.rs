//! The training loop, as the course's Solver runs it, with our choices as options.

use super::accuracy::accuracy;
use super::examples::{Examples, Labels, nth_batch, training_step};
use super::observer::{CheckEvent, Flow, Moment, Observer, StepEvent};
use super::options::{OnNonFinite, Sampling, SolverOptions};
use super::state::Best;
use super::{Group, average, clip, finite};
use crate::error::Result;
use crate::models::Model;
use crate::optim::{Progress, UpdateRule};
use crate::rng::Rng;
use crate::tensor::Tensor;

/// What a training went through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The loss of each step, before its update.
    pub loss: Vec<f64>,
    /// Training accuracy at each check.
    pub train_accuracy: Vec<f64>,
    /// Validation accuracy at each check.
    pub val_accuracy: Vec<f64>,
    /// The best validation accuracy; 0 if none was above.
    pub best_val_accuracy: f64,
    /// Epochs done.
    pub epoch: usize,
    /// The learning rate that the next step would use.
    pub learning_rate: f64,
}

/// Trains a model. Owns the loop and the history; whoever wants to show something observes it.
///
/// Everything that the steps to come depend on can be taken out ([`Solver::state`]) and put back ([`Solver::restore`]); the
/// training then goes on bit for bit.
pub struct Solver<'a> {
    pub(super) model: &'a mut dyn Model,
    pub(super) rule: Box<dyn UpdateRule>,
    pub(super) train: &'a dyn Examples,
    pub(super) val: &'a dyn Examples,
    pub(super) options: SolverOptions,
    pub(super) history: History,
    pub(super) best: Option<Best>,
    /// Epochs since the best check.
    pub(super) waited: usize,
    /// The order in which the epoch visits the examples; empty while it has none.
    pub(super) order: Vec<usize>,
    pub(super) indices: Vec<usize>,
    pub(super) labels: Labels,
    pub(super) grads: Vec<Tensor>,
    /// The averages of the weights; none before the first step, or if they are not wanted.
    pub(super) averages: Vec<Tensor>,
    /// For each parameter the factor of its learning rate, and whether it decays.
    pub(super) treatment: Vec<(f64, bool)>,
}

impl<'a> Solver<'a> {
    /// A solver for a model, an update rule, training and validation examples.
    ///
    /// # Panics
    /// If the batch size is 0, the examples do not have the model's input shape, or a group of the options has no parameters.
    #[track_caller]
    pub fn new(
        model: &'a mut dyn Model,
        rule: Box<dyn UpdateRule>,
        train: &'a dyn Examples,
        val: &'a dyn Examples,
        options: SolverOptions,
    ) -> Solver<'a> {
        assert!(options.batch_size > 0, "a batch needs at least one example");
        assert!(!train.is_empty(), "there are no training examples");
        let input: usize = model.input_shape().iter().product();
        for (name, examples) in [("training", train), ("validation", val)] {
            let size: usize = examples.shape().iter().product();
            assert_eq!(
                size,
                input,
                "{name} examples of shape {:?} for inputs {:?}",
                examples.shape(),
                model.input_shape()
            );
        }
        let treatment = match Group::settle(&options.groups, model.params()) {
            Ok(treatment) => treatment,
            Err(error) => panic!("solver: {error}"),
        };
        let mut solver = Solver {
            model,
            rule,
            train,
            val,
            options,
            history: History::default(),
            best: None,
            waited: 0,
            order: Vec::new(),
            indices: Vec::new(),
            labels: Labels::default(),
            grads: Vec::new(),
            averages: Vec::new(),
            treatment,
        };
        solver.history.loss.reserve(solver.steps());
        solver.history.learning_rate = solver.rate(0);
        solver
    }

    /// Steps an epoch: as many full batches as there are, but at least one.
    pub fn steps_per_epoch(&self) -> usize {
        (self.train.len() / self.options.batch_size).max(1)
    }

    /// Steps in all.
    pub fn steps(&self) -> usize {
        self.steps_per_epoch() * self.options.epochs
    }

    /// The model as it is now.
    pub fn model(&self) -> &dyn Model {
        self.model
    }

    /// The history so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.history.loss.len()
    }

    /// Whether there is nothing left to do: all steps are done, or the patience is over.
    pub fn is_done(&self) -> bool {
        self.steps_done() >= self.steps() || self.is_out_of_patience()
    }

    /// Whether the training ended, or will end, because the validation accuracy got no better.
    pub fn is_out_of_patience(&self) -> bool {
        self.options.patience.is_some_and(|most| self.waited >= most)
    }

    /// Trains to the end, from the first step or from where [`Solver::restore`] put it, and leaves the model with the parameters
    /// (and buffers) of its best check.
    ///
    /// # Errors
    /// If a loss or gradient is not finite (unless that is allowed), or the observer returns an error. The model then has the
    /// best parameters so far.
    pub fn train(&mut self, rng: &mut Rng, observer: &mut dyn Observer) -> Result<History> {
        let result = self.run(rng, observer);
        self.restore_best();
        result.map(|()| self.history.clone())
    }

    fn run(&mut self, rng: &mut Rng, observer: &mut dyn Observer) -> Result<()> {
        let steps = self.steps();
        while !self.is_done() {
            let (t, epoch) = (self.steps_done(), self.history.epoch);
            rng.at(epoch as u64, t as u64);
            let learning_rate = self.rate(t);
            let loss = self.step(t, learning_rate, rng)?;
            let examples = self.examples_a_step();
            observer.step(&StepEvent {
                step: t + 1,
                steps,
                epoch,
                loss,
                learning_rate,
                examples,
            })?;
            let epoch_ended = self.ends_epoch(t);
            self.history.epoch += usize::from(epoch_ended);
            self.history.learning_rate = self.rate(t + 1);
            if self.is_checked(t) {
                let event = self.check(t + 1, rng);
                self.waited = match (event.best, epoch_ended) {
                    (true, _) => 0,
                    (false, ended) => self.waited + usize::from(ended),
                };
                observer.check(&event)?;
                observer.weights(&event, self.model, &self.grads)?;
            }
            let (is_last, state) = (self.is_done(), || self.state(rng));
            let moment = Moment { step: t + 1, epoch_ended, is_last, state: &state };
            if observer.moment(&moment)? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// Whether step `t` (from 0) is the last of its epoch.
    pub(super) fn ends_epoch(&self, t: usize) -> bool {
        (t + 1).is_multiple_of(self.steps_per_epoch())
    }

    /// Whether the accuracies are measured after step `t` (from 0): the first, the last of each epoch, the very last.
    pub(super) fn is_checked(&self, t: usize) -> bool {
        t == 0 || self.ends_epoch(t) || t + 1 == self.steps()
    }

    pub(super) fn rate(&self, step: usize) -> f64 {
        let at = Progress::new(step, self.steps(), self.steps_per_epoch());
        self.options.schedule.lr(self.options.learning_rate, at)
    }

    /// One step: a batch, its loss and gradients, an update of every parameter. Returns the loss.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite and that is not allowed; nothing has changed then but running averages.
    pub fn step(&mut self, t: usize, learning_rate: f64, rng: &mut Rng) -> Result<f64> {
        self.sample(t, rng);
        let epoch = (t / self.steps_per_epoch()) as u64;
        let form = (self.model.dtype(), self.model.order());
        let x = training_step(self.train, &self.indices, epoch, form, &mut self.labels);
        let loss = self.model.loss_of(&x, (&self.labels).into(), rng, &mut self.grads);
        if self.options.on_non_finite == OnNonFinite::Stop {
            let again = || {
                let mut rng = rng.clone();
                rng.at(epoch, t as u64);
                rng
            };
            finite::require(t + 1, loss, self.model, &self.grads, &x, again)?;
        }
        clip::clip(&mut self.grads, self.options.clip_value, self.options.clip_norm);
        self.history.loss.push(loss);
        self.rule.begin_step();
        let params = self.model.params_mut().iter_mut().zip(&self.grads);
        for (slot, ((param, grad), (rate, decay))) in params.zip(&self.treatment).enumerate() {
            self.rule.update(slot, &mut param.value, grad, learning_rate * rate, *decay);
        }
        if let Some(decay) = self.options.average {
            average::follow(&mut self.averages, self.model.params(), decay, t + 1);
        }
        Ok(loss)
    }

    /// How many examples a step sees.
    pub(super) fn examples_a_step(&self) -> usize {
        match self.options.sampling {
            Sampling::WithReplacement => self.options.batch_size,
            Sampling::Shuffled => self.options.batch_size.min(self.train.len()),
        }
    }

    /// Chooses the examples of step `t`.
    fn sample(&mut self, t: usize, rng: &mut Rng) {
        let (n, batch) = (self.train.len(), self.options.batch_size);
        if self.options.sampling == Sampling::WithReplacement {
            return rng.choice(n, batch, &mut self.indices);
        }
        let within = t % self.steps_per_epoch();
        if within == 0 || self.order.len() != n {
            rng.epoch_order(n, &mut self.order);
        }
        self.indices.clear();
        self.indices.extend_from_slice(nth_batch(&self.order, batch, within));
    }

    /// Measures both accuracies, by the averages of the weights if there are any, and remembers the model if it is the best so far.
    fn check(&mut self, step: usize, rng: &mut Rng) -> CheckEvent {
        average::exchange(&mut self.averages, self.model);
        let train_accuracy =
            self.sampled_accuracy(self.train, Some(self.options.train_samples), rng);
        let val_accuracy = self.sampled_accuracy(self.val, self.options.val_samples, rng);
        self.history.train_accuracy.push(train_accuracy);
        self.history.val_accuracy.push(val_accuracy);
        let best = val_accuracy > self.history.best_val_accuracy;
        if best {
            self.history.best_val_accuracy = val_accuracy;
            let params = self.model.params().iter().map(|p| p.value.clone()).collect();
            let buffers =
                if self.options.best_includes_buffers { self.model.buffers() } else { Vec::new() };
            self.best = Some(Best { params, buffers });
        }
        average::exchange(&mut self.averages, self.model);
        let epoch = self.history.epoch;
        CheckEvent { step, epoch, epochs: self.options.epochs, train_accuracy, val_accuracy, best }
    }

    /// The accuracy on a random sample with replacement, or on all examples if there are not more than `samples`.
    fn sampled_accuracy(
        &mut self,
        examples: &dyn Examples,
        samples: Option<usize>,
        rng: &mut Rng,
    ) -> f64 {
        match samples {
            Some(k) if k < examples.len() => rng.choice(examples.len(), k, &mut self.indices),
            _ => {
                self.indices.clear();
                self.indices.extend(0..examples.len());
            }
        }
        accuracy(self.model, examples, &self.indices)
    }

    /// Puts the best parameters (and buffers) back. If no check was above 0, the model stays as it is.
    fn restore_best(&mut self) {
        let Some(best) = self.best.take() else { return };
        self.model.params_mut().iter_mut().zip(best.params).for_each(|(p, t)| p.value = t);
        for (name, value) in &best.buffers {
            self.model.set_buffer(name, value);
        }
    }
}
