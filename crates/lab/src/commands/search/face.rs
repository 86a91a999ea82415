//! What is seen of a search while it goes on: in a terminal a table of the best that changes in its place, elsewhere a line a
//! finished trial.

use super::journal::{Ended, Entry};
use super::standing::{Standing, percent};
use crate::show;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many of the best are shown.
const BEST: usize = 5;

/// Shows it.
pub struct Face {
    kind: Kind,
    started: Instant,
    /// Trials that are training, with epochs and accuracy.
    running: BTreeMap<usize, (usize, f64)>,
    /// The round as people count it, and how many there are.
    round: (usize, usize),
    /// Trials through with the round, of how many, and how many of them in this call.
    done: usize,
    all: usize,
    here: usize,
}

enum Kind {
    /// Lines that change in their place: one on how far it is, then the table.
    Terminal(MultiProgress, Vec<ProgressBar>),
    /// Plain lines to standard output.
    Lines,
    /// Nothing.
    Quiet,
}

impl Face {
    /// A face; a silent one if `quiet`.
    pub fn new(quiet: bool) -> Face {
        let kind = match (quiet, show::Bar::possible()) {
            (true, _) => Kind::Quiet,
            (_, false) => Kind::Lines,
            (_, true) => {
                let (all, style) = (MultiProgress::new(), ProgressStyle::with_template("{msg}"));
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                let line = |_| all.add(ProgressBar::new(1).with_style(style.clone()));
                let lines = (0..BEST + 2).map(line).collect();
                Kind::Terminal(all, lines)
            }
        };
        let running = BTreeMap::new();
        Face { kind, started: Instant::now(), running, round: (1, 1), done: 0, all: 0, here: 0 }
    }

    /// A round begins, of so many trials, some of which are done already.
    pub fn round(&mut self, round: (usize, usize), done: usize, all: usize, standing: &Standing) {
        (self.round, self.done, self.all, self.here) = (round, done, all, 0);
        self.started = Instant::now();
        self.running.clear();
        self.draw(standing);
    }

    /// A trial has done an epoch.
    pub fn epoch(&mut self, trial: usize, epochs: usize, accuracy: f64, standing: &Standing) {
        self.running.insert(trial, (epochs, accuracy));
        self.draw(standing);
    }

    /// A trial is through with the round.
    pub fn done(&mut self, entry: &Entry, standing: &Standing) {
        self.running.remove(&entry.trial);
        (self.done, self.here) = (self.done + 1, self.here + 1);
        if let Kind::Lines = self.kind {
            show::line(self.line(entry, standing));
        }
        self.draw(standing);
    }

    /// Leaves the terminal as it was.
    pub fn finish(&self) {
        if let Kind::Terminal(all, lines) = &self.kind {
            lines.iter().for_each(ProgressBar::finish_and_clear);
            let _ = all.clear();
        }
    }

    /// A finished trial in a line of at most 79 columns.
    fn line(&self, entry: &Entry, standing: &Standing) -> String {
        let Some(trial) = standing.trials.get(entry.trial - 1) else { return String::new() };
        let found = match (entry.ended, entry.val_acc) {
            (Ended::Diverged, _) | (_, None) => "diverged".to_string(),
            (_, Some(accuracy)) => percent(accuracy),
        };
        let (done, all, number) = (self.done, self.all, entry.trial);
        let text = format!("{done}/{all}  trial {number}  {found}  {}", standing.told(trial));
        show::cut(&text, 79)
    }

    fn draw(&self, standing: &Standing) {
        let Kind::Terminal(_, lines) = &self.kind else { return };
        let (round, rounds) = self.round;
        let seconds = self.started.elapsed().as_secs_f64();
        let left = match self.here {
            0 => String::new(),
            n => {
                let left = seconds / n as f64 * (self.all - self.done) as f64;
                format!("  {} left", show::duration(left))
            }
        };
        let running = self.running.iter().map(|(trial, (epochs, accuracy))| {
            format!("  {trial}: {} after {epochs}", percent(*accuracy))
        });
        let rounds =
            if rounds > 1 { format!("round {round} of {rounds}  ") } else { String::new() };
        let (done, all, running) = (self.done, self.all, running.collect::<String>());
        let head = format!("{rounds}{done} of {all} trials{left}{running}");
        let table = standing.table(BEST);
        let shown = std::iter::once(show::cut(&head, 79)).chain(table);
        for (bar, text) in lines.iter().zip(shown.chain(std::iter::repeat(String::new()))) {
            bar.set_message(text);
        }
    }
}
