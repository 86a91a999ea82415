//! A run directory as it lies on disk: what every command that uses a run reads first.

use crate::results::Outcome;
use crate::settings::{Plan, Settings};
use anyhow::Result;
use chainrule::Error;
use chainrule::data::files;
use chainrule::train::Metrics;
use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a run left, or has left so far.
pub struct Stored {
    /// Where it is.
    pub directory: PathBuf,
    /// Its settings.
    pub plan: Plan,
    /// Its curves.
    pub metrics: Metrics,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To its end.
    Finished,
    /// A process is training it.
    Running,
    /// It ended before its end.
    Interrupted,
}

impl State {
    /// Its name, in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Finished => "finished",
            State::Running => "running",
            State::Interrupted => "interrupted",
        }
    }
}

impl Stored {
    /// Reads a run directory: `config.toml`, `metrics.jsonl`, and `result.json` if there is one.
    ///
    /// # Errors
    /// If it is no run directory, or one of its files is damaged.
    pub fn open(directory: &Path) -> Result<Stored> {
        let kind = fs::metadata(directory).map_err(Error::io("read", directory))?;
        let want = "expected the directory of a run, such as runs/small-convnet-0001; `chainrule runs` lists them";
        if !kind.is_dir() {
            return Err(Error::file(directory, "is a file, not a directory", want).into());
        }
        let config = directory.join("config.toml");
        if !config.is_file() {
            return Err(Error::file(directory, "holds no config.toml", want).into());
        }
        Ok(Stored {
            plan: Settings::default().complete(Some(&config))?,
            metrics: Metrics::read(&directory.join("metrics.jsonl"))?,
            outcome: Outcome::read(directory)?,
            directory: directory.to_path_buf(),
        })
    }

    /// The name of the run: its directory's.
    pub fn name(&self) -> String {
        let full = fs::canonicalize(&self.directory).unwrap_or_else(|_| self.directory.clone());
        full.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// How far it has come.
    pub fn state(&self) -> State {
        match self.outcome {
            Some(_) => State::Finished,
            None if is_locked(&self.directory.join("lock")) => State::Running,
            None => State::Interrupted,
        }
    }

    /// Steps it took, or has taken so far.
    pub fn steps(&self) -> u64 {
        self.metrics.steps.last().map_or(0, |s| s.step)
    }

    /// Whole epochs it took, or has taken so far.
    pub fn epochs(&self) -> u64 {
        self.metrics.checks.last().map_or(0, |c| c.epoch)
    }

    /// Seconds it took; of a run without an end, those from its first file to its last line.
    pub fn seconds(&self) -> Option<f64> {
        if let Some(outcome) = &self.outcome {
            return Some(outcome.seconds);
        }
        let written = |name: &str| -> Option<SystemTime> {
            fs::metadata(self.directory.join(name)).ok()?.modified().ok()
        };
        let (first, last) = (written("config.toml")?, written("metrics.jsonl")?);
        Some(last.duration_since(first).unwrap_or_default().as_secs_f64())
    }
}

/// Whether a process is at work in a run directory: it holds the lock of this file as long as it lives.
fn is_locked(path: &Path) -> bool {
    files::regular(path, "expected the lock of a run")
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_as_long_as_its_process_lives() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let path = dir.path().join("lock");
        assert!(!is_locked(&path), "there is none");
        let file = fs::File::create(&path).expect("room");
        assert!(!is_locked(&path), "what a process left behind says nothing");
        file.lock().expect("nobody else has it");
        assert!(is_locked(&path));
        drop(file);
        assert!(!is_locked(&path));
    }
}
