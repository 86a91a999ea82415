//! The training loop, as the course's Solver runs it, with our choices as options.

use super::Examples;
use super::accuracy::accuracy;
use super::observer::{CheckEvent, Observer, StepEvent};
use crate::error::{Error, Result};
use crate::models::Model;
use crate::optim::{Progress, Schedule, UpdateRule};
use crate::rng::Rng;
use crate::tensor::{Tensor, float};
use chainrule_kernels::reduce::all_finite;

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
}

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

/// The parameters, and the buffers, at the best check.
struct Best {
    params: Vec<Tensor>,
    buffers: Vec<(String, Tensor)>,
}

/// Trains a model. Owns the loop and the history; whoever wants to show something observes it.
pub struct Solver<'a> {
    model: &'a mut dyn Model,
    rule: Box<dyn UpdateRule>,
    train: &'a dyn Examples,
    val: &'a dyn Examples,
    options: SolverOptions,
    history: History,
    best: Option<Best>,
    order: Vec<usize>,
    indices: Vec<usize>,
    labels: Vec<usize>,
    grads: Vec<Tensor>,
}

impl<'a> Solver<'a> {
    /// A solver for a model, an update rule, training and validation examples.
    ///
    /// # Panics
    /// If the batch size is 0, or the examples do not have the model's input shape.
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
        let mut solver = Solver {
            model,
            rule,
            train,
            val,
            options,
            history: History::default(),
            best: None,
            order: Vec::new(),
            indices: Vec::new(),
            labels: Vec::new(),
            grads: Vec::new(),
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

    /// Trains to the end and leaves the model with the parameters (and buffers) of its best check.
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
        let (steps, per_epoch) = (self.steps(), self.steps_per_epoch());
        for t in 0..steps {
            let epoch = self.history.epoch;
            rng.at(epoch as u64, t as u64);
            let learning_rate = self.rate(t);
            let loss = self.step(t, learning_rate, rng)?;
            let examples = self.indices.len();
            observer.step(&StepEvent {
                step: t + 1,
                steps,
                epoch,
                loss,
                learning_rate,
                examples,
            })?;
            let epoch_ends = (t + 1) % per_epoch == 0;
            if epoch_ends {
                self.history.epoch += 1;
            }
            self.history.learning_rate = self.rate(t + 1);
            if t == 0 || epoch_ends || t + 1 == steps {
                let event = self.check(t + 1, rng);
                observer.check(&event)?;
                observer.weights(&event, self.model, &self.grads)?;
            }
        }
        Ok(())
    }

    fn rate(&self, step: usize) -> f64 {
        let at = Progress::new(step, self.steps(), self.steps_per_epoch());
        self.options.schedule.lr(self.options.learning_rate, at)
    }

    /// One step: a batch, its loss and gradients, an update of every parameter. Returns the loss.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite and that is not allowed; nothing has changed then but running averages.
    pub fn step(&mut self, t: usize, learning_rate: f64, rng: &mut Rng) -> Result<f64> {
        self.sample(t, rng);
        let x = self.train.training_batch(
            &self.indices,
            (t / self.steps_per_epoch()) as u64,
            self.model.dtype(),
            self.model.order(),
        );
        self.labels.clear();
        self.labels.extend(self.indices.iter().map(|i| self.train.label(*i)));
        let loss = self.model.loss(&x, &self.labels, rng, &mut self.grads);
        if self.options.on_non_finite == OnNonFinite::Stop {
            self.refuse_non_finite(t + 1, loss)?;
        }
        self.history.loss.push(loss);
        self.rule.begin_step();
        for (slot, (param, grad)) in self.model.params_mut().iter_mut().zip(&self.grads).enumerate()
        {
            self.rule.update(slot, &mut param.value, grad, learning_rate, param.decay);
        }
        Ok(loss)
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
        self.indices
            .extend_from_slice(&self.order[(within * batch).min(n)..((within + 1) * batch).min(n)]);
    }

    fn refuse_non_finite(&self, step: usize, loss: f64) -> Result<()> {
        let refusal = |what: String, value| {
            let advice =
                "the weights were left as they were; try a smaller learning rate or weight scale";
            Err(Error::NotFinite { step, what, value, advice: advice.to_string() })
        };
        if !loss.is_finite() {
            return refusal("the loss".to_string(), loss);
        }
        for (param, grad) in self.model.params().iter().zip(&self.grads) {
            if !float!(grad.dtype(), T => all_finite(grad.data::<T>())) {
                let value = grad.to_vec().into_iter().find(|v| !v.is_finite());
                return refusal(format!("a gradient of {}", param.name), value.unwrap_or(f64::NAN));
            }
        }
        Ok(())
    }

    /// Measures both accuracies and remembers the model if it is the best so far.
    fn check(&mut self, step: usize, rng: &mut Rng) -> CheckEvent {
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
