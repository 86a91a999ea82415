//! Where a search stands: each trial's values and its best so far.

use super::journal::{Ended, Entry};
use super::param::plain;
use super::rungs;
use super::space::Space;
use crate::show;
use anyhow::Result;
use toml::Value;

/// A trial, and what is known of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its number, from 1.
    pub number: usize,
    /// Its values, in the order of the parameters.
    pub values: Vec<Value>,
    /// What its last round found out.
    pub last: Option<Entry>,
}

impl Trial {
    /// Its accuracy, once it has one.
    pub fn val_acc(&self) -> Option<f64> {
        self.last.as_ref().and_then(|e| e.val_acc)
    }

    /// What has become of it, in a word.
    pub fn state(&self, over: bool) -> &'static str {
        match self.last.as_ref().map(|e| e.ended) {
            Some(Ended::Finished) => "finished",
            Some(Ended::Paused) if over => "dropped",
            Some(Ended::Paused) => "paused",
            Some(Ended::Diverged) => "diverged",
            None => "waiting",
        }
    }
}

/// All trials.
pub struct Standing {
    /// The parameters' names.
    pub names: Vec<String>,
    /// The trials, in order.
    pub trials: Vec<Trial>,
}

impl Standing {
    /// Before the first trial.
    ///
    /// # Errors
    /// If a grid does not know its values.
    pub fn new(space: &Space) -> Result<Standing> {
        let trial = |number| Ok(Trial { number, values: space.values(number)?, last: None });
        let trials = (1..=space.trials).map(trial).collect::<Result<_>>()?;
        Ok(Standing { names: space.params.iter().map(|p| p.key.clone()).collect(), trials })
    }

    /// A round has found out this.
    pub fn learn(&mut self, entry: &Entry) {
        let last = self.trials.get_mut(entry.trial.wrapping_sub(1)).map(|trial| &mut trial.last);
        // A search that goes on reads old rounds first.
        if let Some(last) = last {
            *last = Some(entry.clone());
        }
    }

    /// The trials with an accuracy, the best first: those of a later round before those that it dropped.
    pub fn ranked(&self) -> Vec<&Trial> {
        let rung = |t: &&Trial| t.last.as_ref().map_or(0, |e| e.rung);
        let results: Vec<(usize, Option<f64>)> =
            self.trials.iter().map(|t| (t.number, t.val_acc())).collect();
        let best = rungs::best(&results, results.len());
        let mut ranked: Vec<&Trial> = best.into_iter().map(|n| &self.trials[n - 1]).collect();
        // The sort keeps the order of accuracies within a round.
        ranked.sort_by_key(|t| std::cmp::Reverse(rung(t)));
        ranked
    }

    /// Names and values of a trial in one line.
    pub fn told(&self, trial: &Trial) -> String {
        let pairs = self.names.iter().zip(&trial.values).map(|(k, v)| format!("{k} {}", plain(v)));
        pairs.collect::<Vec<_>>().join("  ")
    }

    /// The table of the best as lines of at most 79 columns: a head, then at most `most` trials.
    pub fn table(&self, most: usize) -> Vec<String> {
        let head = ["trial", "val", "epochs"].map(str::to_string);
        let mut rows = vec![[&head[..], &self.names[..]].concat()];
        for trial in self.ranked().into_iter().take(most) {
            let accuracy = trial.val_acc().map_or(String::new(), percent);
            let epochs = trial.last.as_ref().map_or(0, |e| e.epochs);
            let values = trial.values.iter().map(plain);
            let own = [trial.number.to_string(), accuracy, epochs.to_string()];
            rows.push(own.into_iter().chain(values).collect());
        }
        let wide = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0) + 2;
        let widths: Vec<usize> = (0..rows[0].len()).map(wide).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}"));
            show::cut(cells.collect::<String>().trim_end(), 79)
        };
        rows.iter().map(line).collect()
    }
}

/// An accuracy as people read it.
pub fn percent(accuracy: f64) -> String {
    format!("{:.1}%", 100.0 * accuracy)
}
