//! Whoever wants to show something of a training observes it.

use super::state::SolverState;
use crate::error::Result;
use crate::models::Model;
use crate::tensor::Tensor;
use std::io::Write;

/// A finished step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepEvent {
    /// Which step, from 1.
    pub step: usize,
    /// How many there will be.
    pub steps: usize,
    /// The epoch it belongs to, from 0.
    pub epoch: usize,
    /// The loss of its batch, before the update.
    pub loss: f64,
    /// The learning rate of its update.
    pub learning_rate: f64,
    /// Examples in its batch.
    pub examples: usize,
}

/// A finished check of the accuracies: after the first step, after each epoch, after the last step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckEvent {
    /// Steps done.
    pub step: usize,
    /// Epochs done.
    pub epoch: usize,
    /// How many there will be.
    pub epochs: usize,
    /// Accuracy on (a sample of) the training examples.
    pub train_accuracy: f64,
    /// Accuracy on (a sample of) the validation examples.
    pub val_accuracy: f64,
    /// Whether this is the best validation accuracy so far.
    pub best: bool,
}

/// The moment between two steps, when everything is in order: where a checkpoint is taken, and where a training can stop.
pub struct Moment<'a> {
    /// Steps done.
    pub step: usize,
    /// Whether the last of them ended an epoch.
    pub epoch_ended: bool,
    /// Whether the training is over.
    pub is_last: bool,
    pub(super) state: &'a dyn Fn() -> SolverState,
}

impl Moment<'_> {
    /// Everything that the steps to come depend on. Cheap: its tensors share storage with the training's, and what is written
    /// next is copied first.
    pub fn state(&self) -> SolverState {
        (self.state)()
    }
}

/// Whether a training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next step.
    Go,
    /// Not now: it ends here, with the best parameters so far.
    Stop,
}

/// Sees what happens in a training. An error stops it.
pub trait Observer {
    /// After each step.
    fn step(&mut self, _event: &StepEvent) -> Result<()> {
        Ok(())
    }

    /// After each check of the accuracies.
    fn check(&mut self, _event: &CheckEvent) -> Result<()> {
        Ok(())
    }

    /// After each check too: the model, and the gradient of each of its parameters in the last step.
    fn weights(
        &mut self,
        _event: &CheckEvent,
        _model: &dyn Model,
        _grads: &[Tensor],
    ) -> Result<()> {
        Ok(())
    }

    /// Between two steps, after what the two above were told of the first; and after the last.
    fn moment(&mut self, _moment: &Moment<'_>) -> Result<Flow> {
        Ok(Flow::Go)
    }
}

/// Several observers, one after the other. The training stops if one of them says so.
impl<const N: usize> Observer for [&mut dyn Observer; N] {
    fn step(&mut self, event: &StepEvent) -> Result<()> {
        self.iter_mut().try_for_each(|o| o.step(event))
    }

    fn check(&mut self, event: &CheckEvent) -> Result<()> {
        self.iter_mut().try_for_each(|o| o.check(event))
    }

    fn weights(&mut self, event: &CheckEvent, model: &dyn Model, grads: &[Tensor]) -> Result<()> {
        self.iter_mut().try_for_each(|o| o.weights(event, model, grads))
    }

    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        let mut flow = Flow::Go;
        for observer in self {
            if observer.moment(moment)? == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        Ok(flow)
    }
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {}

/// Writes the course's lines: `(Iteration 1 / 40) loss: 2.302585` every `every` steps, and
/// `(Epoch 1 / 20) train acc: 0.400000; val_acc: 0.132000` at every check.
#[derive(Debug)]
pub struct CourseLog<W> {
    /// Where the lines go. A closed pipe is not an error of the training.
    pub out: W,
    /// Print the loss of every so many steps.
    pub every: usize,
}

impl<W: Write> Observer for CourseLog<W> {
    fn step(&mut self, e: &StepEvent) -> Result<()> {
        if (e.step - 1).is_multiple_of(self.every.max(1)) {
            let _ = writeln!(self.out, "(Iteration {} / {}) loss: {:.6}", e.step, e.steps, e.loss);
        }
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> Result<()> {
        let CheckEvent { epoch, epochs, train_accuracy, val_accuracy, .. } = e;
        let _ = writeln!(
            self.out,
            "(Epoch {epoch} / {epochs}) train acc: {train_accuracy:.6}; val_acc: {val_accuracy:.6}"
        );
        Ok(())
    }
}
