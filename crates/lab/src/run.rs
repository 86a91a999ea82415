//! A run directory: the configuration, the metrics as they come, checkpoints, the best weights, the report.

mod metrics;

use crate::settings::Plan;
use crate::show;
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::files;
use chainrule::train::{CheckEvent, Observer, Solver, StepEvent};
use metrics::Metrics;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A run directory that is being written.
pub struct Run {
    /// Where it is.
    pub directory: PathBuf,
    /// The text of its configuration.
    pub config: String,
    /// What the metrics hold, should they have to be written again.
    steps: Vec<StepEvent>,
    checks: Vec<CheckEvent>,
    /// How many of the steps another process did.
    pub resumed_at: usize,
    metrics: Metrics,
    /// Keeps others out while it lives; `None` where the file system knows no locks.
    _lock: Option<File>,
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
        Run::create_in(directory, plan)
    }

    /// As [`Run::create`], in a directory that is there and empty.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_in(directory: PathBuf, plan: &Plan) -> Result<Run> {
        let lock = lock(&directory)?;
        let config = text_of(plan)?;
        chainrule::train::write_atomically(&directory.join("config.toml"), config.as_bytes())?;
        let metrics = Metrics::create(&directory)?;
        Ok(Run::new(directory, config, metrics, lock))
    }

    /// Opens a directory that a training left, to go on in it.
    ///
    /// # Errors
    /// If another process is at work in it, or it is none.
    pub fn open(directory: &Path) -> Result<Run> {
        let path = directory.join("config.toml");
        if !path.is_file() {
            let want = "expected the directory of a run that `chainrule train` began";
            return Err(Error::file(directory, "holds no config.toml", want).into());
        }
        let lock = lock(directory)?;
        let config = files::text(&path, 1 << 20, "expected the settings of a run")?;
        let metrics = Metrics::none_yet(directory);
        Ok(Run::new(directory.to_path_buf(), config, metrics, lock))
    }

    fn new(directory: PathBuf, config: String, metrics: Metrics, lock: Option<File>) -> Run {
        let (steps, checks) = (Vec::new(), Vec::new());
        Run { directory, config, steps, checks, resumed_at: 0, metrics, _lock: lock }
    }

    /// Takes over what the solver has behind it: the metrics then hold each of these steps once, and nothing else.
    ///
    /// # Errors
    /// If the metrics cannot be written.
    pub fn go_on(&mut self, solver: &Solver<'_>) -> Result<()> {
        let mut past = Past::default();
        solver.replay(&mut past)?;
        (self.steps, self.checks) = (past.steps, past.checks);
        self.resumed_at = self.steps.len();
        Ok(self.metrics.go_on(&self.steps, &self.checks)?)
    }

    /// Writes out what is buffered, and what a full disk refused before.
    ///
    /// # Errors
    /// If it still refuses.
    pub fn flush(&mut self) -> chainrule::Result<()> {
        self.metrics.complete(&self.steps, &self.checks)
    }

    /// What the metrics could not write, told once.
    fn warn(&mut self) {
        if let Some(problem) = self.metrics.problem() {
            show::warning(&format!("{problem}; the training goes on without"));
        }
    }
}

impl Observer for Run {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.steps.push(*e);
        self.metrics.step(e);
        self.warn();
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.checks.push(*e);
        self.metrics.check(e);
        self.warn();
        Ok(())
    }
}

/// Collects what is replayed.
#[derive(Default)]
struct Past {
    steps: Vec<StepEvent>,
    checks: Vec<CheckEvent>,
}

impl Observer for Past {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.steps.push(*e);
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.checks.push(*e);
        Ok(())
    }
}

/// A plan as the text of a configuration file.
fn text_of(plan: &Plan) -> Result<String> {
    toml::to_string(plan).context("the configuration cannot be written as TOML")
}

const LOCK: &str = "lock";

/// Takes the lock of a run directory: a file with our process id, locked as long as it is open. The system lets go of it when a
/// process ends, however it ends, so what a dead one left behind is no obstacle.
pub fn lock(directory: &Path) -> Result<Option<File>> {
    let path = directory.join(LOCK);
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(Error::io("create", &path))?;
    for tries in 0.. {
        match file.try_lock() {
            Ok(()) => break,
            // Who only looks whether a run is being written (`chainrule runs`) holds the lock for an instant.
            Err(TryLockError::WouldBlock) if tries < 5 => thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                let mut id = String::new();
                // Longer than any process id: a file that we did not write is not read in full.
                let _ = file.take(20).read_to_string(&mut id);
                let found = format!("is in use by process {}", id.trim());
                let want = "two trainings cannot write one run: wait, or stop it";
                return Err(Error::file(directory, found, want).into());
            }
            // Some network file systems know no locks.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    let id = std::process::id().to_string();
    let written = file.set_len(0).and_then(|()| file.write_all(id.as_bytes()));
    written.map_err(Error::io("write", &path))?;
    Ok(Some(file))
}

/// The next free `runs/NAME-NNNN`. Making a directory fails if it exists, so two runs started together get two names.
pub fn next_free(runs: &Path, name: &str) -> Result<PathBuf> {
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
pub fn make_empty(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    let mut entries = fs::read_dir(path).map_err(Error::io("read", path))?;
    if entries.next().is_some() {
        if path.join(LOCK).is_file() {
            // Says so if somebody is at work there.
            drop(lock(path)?);
        }
        let want = match path.join("config.toml").is_file() {
            true => "name a new directory with --out, or go on with this run: --resume",
            false => "name a new directory with --out, or leave --out away",
        };
        return Err(Error::file(path, "is not empty", want).into());
    }
    Ok(path.to_path_buf())
}
