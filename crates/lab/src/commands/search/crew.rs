//! Several trials at once. Which thread trains which trial is chance, and changes nothing of what a trial finds.

use super::journal::{Ended, Entry};
use super::trial::{Reached, advance};
use crate::settings::Plan;
use anyhow::{Context, Result};
use chainrule::data::Splits;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

/// What trials do in a round.
pub struct Round<'a> {
    /// Which, from 0.
    pub rung: usize,
    /// The trials, from 1.
    pub trials: &'a [usize],
    /// Until how many epochs they train.
    pub until: usize,
    /// The plans of all trials.
    pub plans: &'a [Plan],
    /// All pictures.
    pub splits: &'a Splits,
    /// The directory with a directory for each trial.
    pub directory: &'a Path,
}

/// News of a trial.
pub enum News {
    /// It has done an epoch, with this accuracy.
    Epoch(usize, usize, f64),
    /// It is through with the round.
    Done(Entry),
    /// It was stopped on the way.
    Stopped,
}

impl Round<'_> {
    /// Trains, `jobs` trials at a time. `tell` hears the news in the order in which they come; an error of it stops all.
    ///
    /// # Errors
    /// The first of a trial, or of `tell`. The others are stopped, and saved.
    pub fn train(&self, jobs: usize, mut tell: impl FnMut(News) -> Result<()>) -> Result<()> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, news) = channel::<Result<News>>();
        thread::scope(|scope| {
            for _ in 0..jobs.min(self.trials.len()) {
                let (sender, next, stop) = (sender.clone(), &next, &stop);
                scope.spawn(move || {
                    while let Some(&trial) = self.trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let _ = sender.send(self.one(trial, &sender, stop));
                    }
                });
            }
            drop(sender);
            let mut first = Ok(());
            for event in news {
                let told = event.and_then(&mut tell);
                if told.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                first = first.and(told);
            }
            first
        })
    }

    /// One trial. A signal makes it the last of its thread.
    fn one(&self, trial: usize, sender: &Sender<Result<News>>, stop: &AtomicBool) -> Result<News> {
        let started = Instant::now();
        let directory = self.directory.join(format!("{trial:04}"));
        let see = |epochs, accuracy| {
            let _ = sender.send(Ok(News::Epoch(trial, epochs, accuracy)));
        };
        let plan = &self.plans[trial - 1];
        let reached = advance(&directory, plan, self.splits, self.until, &see, stop)
            .with_context(|| format!("trial {trial}"))?;
        let Reached { epochs, val_acc, ended } = reached;
        let Some(ended) = ended else {
            stop.store(true, Ordering::Relaxed);
            return Ok(News::Stopped);
        };
        let val_acc = val_acc.filter(|_| ended != Ended::Diverged);
        let seconds = started.elapsed().as_secs_f64();
        Ok(News::Done(Entry { trial, rung: self.rung, epochs, val_acc, ended, seconds }))
    }
}
