//! One trial: a run directory of its own, trained until the end of a round, or on from where it was left.

use super::journal::Ended;
use crate::commands::train::{Ready, ready_to_learn};
use crate::model::begin_with_weights;
use crate::results::{Outcome, command_line, keep_weights};
use crate::run::Run;
use crate::settings::Plan;
use crate::{machine, pictures, show, signals};
use anyhow::Result;
use chainrule::Error;
use chainrule::data::Splits;
use chainrule::rng::Rng;
use chainrule::train::checkpoint::{Checkpoints, Found, load};
use chainrule::train::{CheckEvent, Flow, Moment, Observer, Solver, StepEvent};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a trial has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// Epochs it has trained.
    pub epochs: usize,
    /// The best validation accuracy so far; `None` if it diverged.
    pub val_acc: Option<f64>,
    /// How it came out of the round; `None` if it was stopped before.
    pub ended: Option<Ended>,
}

/// Trains in `directory` until `until` epochs are done or all are. `see` is told epochs done and accuracy after each, and
/// whoever sets `stop` stops it.
///
/// # Errors
/// If the plan does not fit the pictures, or the disk refuses.
pub fn advance(
    directory: &Path,
    plan: &Plan,
    splits: &Splits,
    until: usize,
    see: &dyn Fn(usize, f64),
    stop: &AtomicBool,
) -> Result<Reached> {
    let started = Instant::now();
    let Ready { splits, about, mut model, rule, options } =
        Ready::with(plan, pictures::chosen(splits.clone(), plan)?)?;
    let (mut run, found) = open(directory, plan)?;
    if found.is_none() {
        begin_with_weights(plan, &mut *model)?;
    }
    about.write(directory)?;
    let (train, val) = (ready_to_learn(plan, &splits, &about)?, about.seen(&splits.val));
    let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
    let mut rng = Rng::new(plan.seed);
    if let Some(Found { checkpoint, path, .. }) = found {
        let unfit = |e: Error| Error::file(&path, e.to_string(), "put the trial back as it was");
        solver.restore(checkpoint.state, &mut rng).map_err(unfit)?;
    }
    run.go_on(&solver)?;
    let (epochs, done) = (solver.history().epoch, solver.is_done());
    if epochs >= until && !done {
        let best = best_until(&solver.history().val_accuracy, until);
        return Ok(Reached { epochs: until, val_acc: Some(best), ended: Some(Ended::Paused) });
    }
    let checkpoints = Checkpoints::new(directory, plan.checkpoint_every.parse()?, &run.config);
    let mut watch = Watch { run: &mut run, checkpoints, until, epochs, see, stop };
    let trained = solver.train(&mut rng, &mut watch);
    let saved = watch.checkpoints.finish();
    let (epochs, done) = (solver.history().epoch, solver.is_done());
    let history = match trained {
        Ok(history) => history,
        Err(Error::NotFinite { .. }) => {
            return Ok(Reached { epochs, val_acc: None, ended: Some(Ended::Diverged) });
        }
        Err(error) => return Err(error.into()),
    };
    // What was not saved could not be gone on with.
    saved?;
    run.flush()?;
    let val_acc = Some(best_until(&history.val_accuracy, until));
    if !done {
        let ended = (epochs >= until).then_some(Ended::Paused);
        return Ok(Reached { epochs, val_acc, ended });
    }
    keep_weights(&*model, directory)?;
    // The test pictures are for whoever was chosen.
    let outcome = Outcome {
        best_val_acc: history.best_val_accuracy,
        test_acc: None,
        final_loss: history.loss.last().copied().filter(|l| l.is_finite()),
        steps: history.loss.len(),
        seconds: started.elapsed().as_secs_f64(),
        resumed_at: run.resumed_at,
        command: command_line(),
        machine: machine::facts(),
    };
    outcome.write(directory)?;
    Ok(Reached { epochs, val_acc, ended: Some(Ended::Finished) })
}

/// The best of the checks up to the end of an epoch; the first check is that of the first step.
fn best_until(accuracies: &[f64], epochs: usize) -> f64 {
    accuracies.iter().take(epochs.saturating_add(1)).fold(0.0, |best, a| a.max(best))
}

/// The run of a trial, new or as it was left. What cannot be gone on with begins anew.
fn open(directory: &Path, plan: &Plan) -> Result<(Run, Option<Found>)> {
    let config = directory.join("config.toml");
    if config.is_file() {
        let run = Run::open(directory)?;
        match load(directory) {
            Ok(Some(found)) => {
                plan.require_unchanged(&found.checkpoint.config, &config)?;
                return Ok((run, Some(found)));
            }
            Ok(None) => {}
            Err(error) => show::warning(&format!("{error}")),
        }
    }
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(Error::io("remove", directory))?;
    }
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    Ok((Run::create_in(directory.to_path_buf(), plan)?, None))
}

/// Records a trial, and stops it at the end of its round.
struct Watch<'a> {
    run: &'a mut Run,
    checkpoints: Checkpoints,
    until: usize,
    epochs: usize,
    see: &'a dyn Fn(usize, f64),
    stop: &'a AtomicBool,
}

impl Observer for Watch<'_> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.run.step(e)
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.epochs = e.epoch;
        (self.see)(e.epoch, e.val_accuracy);
        self.run.check(e)
    }

    fn moment(&mut self, moment: &Moment<'_>) -> chainrule::Result<Flow> {
        self.checkpoints.moment(moment)?;
        let over = moment.epoch_ended && self.epochs >= self.until;
        let asked = signals::asked().is_some() || self.stop.load(Ordering::Relaxed);
        if !over && !asked {
            return Ok(Flow::Go);
        }
        if !moment.is_last {
            self.checkpoints.save(moment);
        }
        Ok(Flow::Stop)
    }
}
