//! A training of the last notebook: what it printed, and ours beside it.

use super::super::course::{self, over};
use super::super::{Context, Found};
use super::data::Loaders;
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::data::DataLoader;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::train::Labels;

/// Untrained networks whose losses are compared with the first one printed.
const UNTRAINED: u64 = 8;

/// Whose lines a loop prints: those of the notebook's first loop, or of its second.
#[derive(Clone, Copy, PartialEq)]
pub enum Wording {
    /// Of the loop over bare tensors.
    Bare,
    /// Of the loop over modules.
    Modules,
}

/// The accuracy that must be reached: by the few steps that the excerpt gives, and by an epoch of all pictures, as the notebook
/// asks for it.
#[derive(Clone, Copy)]
pub struct Bar {
    /// On the excerpt.
    pub excerpt: f64,
    /// On all pictures.
    pub all: f64,
}

/// A training in progress.
pub struct Run<'a, 'b> {
    /// The batches.
    pub loaders: &'a Loaders,
    context: &'a mut Context<'b>,
    what: &'static str,
    wording: Wording,
    /// The loss of each step.
    loss: Vec<f64>,
    /// At which steps the accuracy was checked, and how many pictures were right.
    checks: Vec<(usize, usize)>,
    lines: Vec<String>,
    /// The first loss of networks that begin with other seeds.
    untrained: Vec<f64>,
}

/// How many pictures get their own class the highest score.
fn correct(loader: &DataLoader, scores: impl Fn(&Var) -> Var) -> usize {
    // show: check-accuracy
    let tape = Tape::eval(); // in test mode, and nothing is recorded
    let right = |(x, labels)| {
        let Labels::Classes(labels) = labels else { return 0 };
        let predicted = scores(&tape.constant(x)).value().argmax(1);
        predicted.iter().zip(&labels).filter(|(p, y)| p == y).count()
    };
    loader.epoch(0).map(right).sum()
    // end
}

impl<'a, 'b> Run<'a, 'b> {
    /// A training that has not begun.
    pub fn new(
        context: &'a mut Context<'b>,
        what: &'static str,
        wording: Wording,
        loaders: &'a Loaders,
    ) -> Run<'a, 'b> {
        let (loss, checks, lines, untrained) = Default::default();
        Run { loaders, context, what, wording, loss, checks, lines, untrained }
    }

    /// Measures the first loss of several networks that `make` makes, each on a batch of its own.
    pub fn untrained<F: Fn(&Var) -> Var>(&mut self, make: impl Fn(&mut Rng) -> F) {
        let first = |seed| {
            let scores = make(&mut Rng::new(seed));
            let (x, labels) = self.loaders.train.clone().shuffled(seed).epoch(0).next()?;
            Some(scores(&Tape::eval().constant(x)).cross_entropy(&labels).item())
        };
        self.untrained = (1..=UNTRAINED).filter_map(first).collect();
    }

    /// After each step: its loss, and how the network now scores pictures.
    pub fn step(&mut self, loss: f64, scores: impl Fn(&Var) -> Var) {
        let (t, n) = (self.loss.len(), self.loaders.train.batches());
        self.loss.push(loss);
        self.context.doing(self.what, t + 1, n);
        if !t.is_multiple_of(self.loaders.every) && t + 1 != n {
            return;
        }
        let (right, of) = (correct(&self.loaders.val, scores), self.loaders.val.examples());
        let percent = 100.0 * right as f64 / of as f64;
        self.checks.push((t, right));
        self.lines.push(format!("Iteration {t}, loss = {loss:.4}"));
        self.lines.extend(match self.wording {
            Wording::Bare => [
                "Checking accuracy on the val set".to_string(),
                format!("Got {right} / {of} correct ({percent:.2}%)"),
            ],
            Wording::Modules => [
                "Checking accuracy on validation set".to_string(),
                format!("Got {right} / {of} correct ({percent:.2})"),
            ],
        });
        self.lines.push(String::new());
    }

    /// The share of validation pictures that were right at each check.
    fn accuracy(&self) -> Vec<(f64, f64)> {
        let of = self.loaders.val.examples() as f64;
        self.checks.iter().map(|(t, right)| (*t as f64, *right as f64 / of)).collect()
    }
}

/// What a training came to, beside the course's.
pub fn told(name: &str, run: Run<'_, '_>, bar: Bar) -> Result<Found> {
    let mut found = Found::default();
    let printed = course::printed_run(name)?;
    run.lines.iter().for_each(|line| found.print(line));
    let of =
        |pick: fn(&(f64, f64, f64)) -> f64| printed.rows.iter().map(move |row| (row.0, pick(row)));
    found.plot(
        Plot::new("Training loss", "iteration", Values::Numbers)
            .line("ours", over(0.0, &run.loss))
            .dots("printed by the course", of(|row| row.1)),
    );
    found.plot(
        Plot::new("Validation accuracy", "iteration", Values::Shares)
            .line("ours", run.accuracy())
            .dots("printed by the course", of(|row| row.2 / 1000.0)),
    );
    beside(&mut found, &printed.rows, &run);
    first_loss(&mut found, printed.rows[0].1, &run.untrained);
    let accuracy: Vec<f64> = run.accuracy().iter().map(|a| a.1).collect();
    let best = accuracy.iter().copied().fold(0.0, f64::max);
    let whole = run.loss.len() >= 700;
    let (wanted, why) = match whole {
        true => (bar.all, "as the course asks for"),
        false => (bar.excerpt, "after so few steps"),
    };
    found.check(
        "best validation accuracy",
        format!("{:.1}%", 100.0 * best),
        format!("above {:.0}%, {why}", 100.0 * wanted),
        best > wanted,
    );
    if !whole {
        let steps = run.loss.len();
        found.text(format!(
            "The excerpt gives {steps} steps, the course's pictures 766: ours is the beginning of such a curve. `--data` with all of \
             CIFAR-10 makes it whole."
        ));
    }
    found.keep("best", [best]);
    Ok(found)
}

/// Losses and accuracies at the same steps.
fn beside(found: &mut Found, printed: &[(f64, f64, f64)], run: &Run<'_, '_>) {
    let steps = printed.iter().map(|row| row.0 as usize).chain(run.checks.iter().map(|c| c.0));
    let mut steps: Vec<usize> = steps.collect();
    steps.sort_unstable();
    steps.dedup();
    let rows = steps.into_iter().map(|t| {
        let theirs = printed.iter().find(|row| row.0 as usize == t);
        let right = run.checks.iter().find(|c| c.0 == t).map(|c| c.1);
        let text = |value: Option<String>| value.unwrap_or_default();
        [
            t.to_string(),
            text(theirs.map(|row| format!("{:.4}", row.1))),
            text(run.loss.get(t).map(|loss| format!("{loss:.4}"))),
            text(theirs.map(|row| format!("{:.0}", row.2))),
            text(right.map(|right| right.to_string())),
        ]
    });
    let head = ["iteration", "loss, printed", "ours", "correct of 1,000, printed", "ours"];
    found.table("Printed by the course, and ours", head, rows);
}

/// Whether the first loss that the course printed is one of those that such networks have.
fn first_loss(found: &mut Found, printed: f64, untrained: &[f64]) {
    let n = untrained.len() as f64;
    let mean = untrained.iter().sum::<f64>() / n;
    let std = (untrained.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    found.check(
        "first loss printed by the course",
        format!("{printed:.4}"),
        format!("{mean:.4} give or take 4 x {std:.4}, as {n} untrained networks of ours"),
        (printed - mean).abs() <= 4.0 * std,
    );
    found.keep("untrained", [mean, std]);
}
