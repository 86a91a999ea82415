//! What the labs have of the course: trainings as its notebooks run them, and what those printed.

use super::Context;
use super::found::Found;
use crate::report::plot::{Plot, Values};
use anyhow::{Context as _, Result};
use chainrule::data::Pictures;
use chainrule::models::Model;
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::train::{CheckEvent, CourseLog, Observer, Solver, SolverOptions, StepEvent};
use serde::Deserialize;
use std::sync::LazyLock;

/// How a notebook trains.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The update rule.
    pub rule: &'static str,
    /// The learning rate.
    pub learning_rate: f64,
    /// Passes over the pictures.
    pub epochs: usize,
    /// Pictures a step.
    pub batch: usize,
    /// Print the loss of every so many steps.
    pub every: usize,
}

/// What a training went through.
#[derive(Clone, Debug)]
pub struct Training {
    /// The loss of each step.
    pub loss: Vec<f64>,
    /// Training accuracy after the first step and after each epoch.
    pub train: Vec<f64>,
    /// Validation accuracy, likewise.
    pub val: Vec<f64>,
    /// The lines that the course's solver prints.
    pub lines: Vec<String>,
}

/// Trains as the course's solver does, with the context's random numbers, and says how far it is.
///
/// # Errors
/// If the rule is unknown.
pub fn train(
    context: &mut Context<'_>,
    what: &str,
    net: &mut dyn Model,
    (train, val): (&Pictures, &Pictures),
    plan: Plan,
) -> Result<Training> {
    let rule = make(plan.rule, &OptimConfig::NONE)?;
    let options = SolverOptions {
        batch_size: plan.batch,
        epochs: plan.epochs,
        learning_rate: plan.learning_rate,
        ..SolverOptions::course()
    };
    let mut rng = std::mem::replace(&mut context.rng, Rng::numpy(0));
    let mut log = CourseLog { out: Vec::new(), every: plan.every };
    let mut shown = Shown { context, what };
    let mut solver = Solver::new(net, rule, train, val, options);
    let observer: &mut dyn Observer = &mut [&mut log as &mut dyn Observer, &mut shown];
    let history = solver.train(&mut rng, observer);
    context.rng = rng;
    let history = history?;
    let lines = String::from_utf8_lossy(&log.out).lines().map(String::from).collect();
    Ok(Training {
        loss: history.loss,
        train: history.train_accuracy,
        val: history.val_accuracy,
        lines,
    })
}

/// Shows how far a training is.
pub struct Shown<'a, 'b> {
    /// Where to show it.
    pub context: &'a mut Context<'b>,
    /// What is being trained.
    pub what: &'a str,
}

impl Observer for Shown<'_, '_> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        if e.step.is_multiple_of(8) {
            self.context.doing(self.what, e.step, e.steps);
        }
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.context.doing(self.what, e.epoch, e.epochs);
        Ok(())
    }
}

impl Training {
    /// The loss over the steps, from 1.
    pub fn losses(&self) -> Vec<(f64, f64)> {
        over(1.0, &self.loss)
    }

    /// The best validation accuracy.
    pub fn best(&self) -> f64 {
        self.val.iter().copied().fold(0.0, f64::max)
    }
}

/// Values over whole numbers, from `first`.
pub fn over(first: f64, values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(i, v)| (first + i as f64, *v)).collect()
}

/// The last value, or NaN.
pub fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or(f64::NAN)
}

/// A training that a notebook printed.
#[derive(Debug, Deserialize)]
pub struct Printed {
    /// Its name: the notebook, the cell, and what it is.
    pub name: String,
    /// Pairs of iteration (from 1) and loss.
    pub loss: Vec<(f64, f64)>,
    /// Epoch, training accuracy, validation accuracy.
    pub acc: Vec<(f64, f64, f64)>,
}

#[derive(Deserialize)]
struct Logs {
    numpy_runs: Vec<Printed>,
    torch_runs: Vec<PrintedRun>,
    hparam_search: Vec<PrintedTrial>,
}

static LOGS: LazyLock<Option<Logs>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../../data/course-logs.json")).ok());

/// The training of this name in `data/course-logs.json`.
///
/// # Errors
/// If there is none.
pub fn printed(name: &str) -> Result<&'static Printed> {
    let found = LOGS.as_ref().and_then(|logs| logs.numpy_runs.iter().find(|r| r.name == name));
    found.with_context(|| format!("data/course-logs.json has no training {name:?}"))
}

/// A training of the last notebook, as it printed it.
#[derive(Debug, Deserialize)]
pub struct PrintedRun {
    /// Its name: the notebook, the cell, and what it is.
    pub name: String,
    /// Step of the epoch (from 0), loss of its batch, how many of 1,000 validation pictures were right after it.
    pub rows: Vec<(f64, f64, f64)>,
}

/// The training of this name of the last notebook in `data/course-logs.json`.
///
/// # Errors
/// If there is none.
pub fn printed_run(name: &str) -> Result<&'static PrintedRun> {
    let found = LOGS.as_ref().and_then(|logs| logs.torch_runs.iter().find(|r| r.name == name));
    found.with_context(|| format!("data/course-logs.json has no training {name:?}"))
}

/// Our trainings beside the printed ones: a table of first losses and last accuracies.
pub fn beside<'a>(
    found: &mut Found,
    trainings: impl IntoIterator<Item = (&'a str, &'a Printed, &'a Training)>,
) {
    let share = |v: f64| format!("{v:.3}");
    let rows = trainings.into_iter().map(|(name, printed, ours)| {
        let (_, train, val) = printed.acc.last().copied().unwrap_or((0.0, f64::NAN, f64::NAN));
        let best = printed.acc.iter().map(|row| row.2).fold(0.0, f64::max);
        [
            name.to_string(),
            printed.loss.first().map_or(String::new(), |p| format!("{:.6}", p.1)),
            format!("{:.6}", ours.loss[0]),
            share(train),
            share(last(&ours.train)),
            share(val),
            share(last(&ours.val)),
            share(best),
            share(ours.best()),
        ]
    });
    let head = [
        "training",
        "first loss, printed",
        "ours",
        "last train acc., printed",
        "ours",
        "last val acc., printed",
        "ours",
        "best val acc., printed",
        "ours",
    ];
    found.table("Printed by the course, and ours", head, rows);
}

/// Requires a training's first loss to be the printed one, up to a relative tolerance.
pub fn check_first_loss(found: &mut Found, printed: &Printed, ours: &Training, tolerance: f64) {
    let first = printed.loss.first().map_or(f64::NAN, |p| p.1);
    let digits = (ours.loss[0] * 1e6).round() / 1e6;
    found.check_printed(format!("first loss of {}", printed.name), digits, first, tolerance);
}

/// How far an accuracy may be from the printed one: rounding alone moves it by some hundredths in the course of a training.
const NEAR: f64 = 0.1;

/// Requires each training accuracy to be near the printed one, and each validation accuracy where the pictures are the course's
/// (`val`).
pub fn check_accuracies(found: &mut Found, printed: &Printed, ours: &Training, val: bool) {
    type Row = (f64, f64, f64);
    let mut check = |what: &str, ours: &[f64], pick: fn(&Row) -> f64| {
        let off = printed.acc.iter().zip(ours).map(|(row, ours)| (pick(row) - ours).abs());
        let farthest = off.fold(0.0, f64::max);
        found.check(
            format!("{what} accuracies of {}, farthest from those printed", printed.name),
            format!("{farthest:.3}"),
            format!("at most {NEAR}"),
            farthest <= NEAR,
        );
    };
    check("training", &ours.train, |row| row.1);
    if val {
        check("validation", &ours.val, |row| row.2);
    }
}

/// Training and validation accuracy over the epochs, each with the printed values as dots.
pub fn accuracy_plots(printed: &Printed, ours: &Training) -> [Plot; 2] {
    let plot = |title, values: &[f64], row: fn(&(f64, f64, f64)) -> f64| {
        Plot::new(title, "epoch", Values::Shares)
            .line("ours", over(0.0, values))
            .dots("printed by the course", printed.acc.iter().map(|p| (p.0, row(p))))
    };
    [
        plot("Training accuracy", &ours.train, |p| p.1),
        plot("Validation accuracy", &ours.val, |p| p.2),
    ]
}

/// A trial of the search as the course printed it: number, learning rate, weight scale, regularization, kept share, accuracy.
pub type PrintedTrial = (f64, f64, f64, f64, f64, f64);

/// The trials of the course's search.
///
/// # Errors
/// If `data/course-logs.json` cannot be read.
pub fn printed_search() -> Result<&'static [PrintedTrial]> {
    let logs = LOGS.as_ref().context("data/course-logs.json cannot be read")?;
    Ok(&logs.hparam_search)
}
