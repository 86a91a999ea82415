//! A run directory: the configuration, the metrics as they come, the best weights, the report.

use crate::settings::Plan;
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::train::{CheckEvent, Observer, StepEvent};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A run directory that is being written.
pub struct Run {
    /// Where it is.
    pub directory: PathBuf,
    metrics: BufWriter<File>,
}

impl Run {
    /// Makes the directory, `plan.out` or the next free `runs/NAME-NNNN`, and writes the configuration.
    ///
    /// # Errors
    /// If it exists and is not empty, or cannot be written.
    pub fn create(plan: &Plan) -> Result<Run> {
        let directory = if plan.out.as_os_str().is_empty() {
            next_free(Path::new("runs"), &plan.model)?
        } else {
            make_empty(&plan.out)?
        };
        let config =
            toml::to_string(plan).context("the configuration cannot be written as TOML")?;
        chainrule::train::write_atomically(&directory.join("config.toml"), config.as_bytes())?;
        let path = directory.join("metrics.jsonl");
        let metrics = BufWriter::new(File::create(&path).map_err(Error::io("create", &path))?);
        Ok(Run { directory, metrics })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn flush(&mut self) -> chainrule::Result<()> {
        self.metrics.flush().map_err(Error::io("write", &self.directory.join("metrics.jsonl")))
    }

    fn write(&mut self, object: &serde_json::Value) -> chainrule::Result<()> {
        writeln!(self.metrics, "{object}")
            .map_err(Error::io("write", &self.directory.join("metrics.jsonl")))
    }
}

impl Observer for Run {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.write(
            &json!({"step": e.step, "epoch": e.epoch, "loss": e.loss, "lr": e.learning_rate}),
        )
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        let CheckEvent { step, epoch, train_accuracy, val_accuracy, best, .. } = e;
        self.write(&json!({"step": step, "epoch": epoch, "train_acc": train_accuracy, "val_acc": val_accuracy, "best": best}))?;
        self.flush()
    }
}

/// The next free `runs/NAME-NNNN`. Making a directory fails if it exists, so two runs started together get two names.
fn next_free(runs: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    let taken = fs::read_dir(runs).map_err(Error::io("read", runs))?.flatten();
    let number = |e: fs::DirEntry| {
        e.file_name().to_str()?.strip_prefix(name)?.strip_prefix('-')?.parse::<usize>().ok()
    };
    let mut next = taken.filter_map(number).max().unwrap_or(0) + 1;
    loop {
        let path = runs.join(format!("{name}-{next:04}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => next += 1,
            Err(e) => return Err(Error::io("create", &path)(e).into()),
        }
    }
}

/// The directory a user named; it may exist, but must be empty, so that nothing is lost.
fn make_empty(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    let mut entries = fs::read_dir(path).map_err(Error::io("read", path))?;
    if entries.next().is_some() {
        return Err(Error::file(
            path,
            "is not empty",
            "name a new directory with --out, or leave --out away",
        )
        .into());
    }
    Ok(path.to_path_buf())
}
