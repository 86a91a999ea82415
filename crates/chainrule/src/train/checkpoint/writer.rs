//! Checkpoints beside the training: a thread of its own writes them, and the training waits for it only when it ends.

use super::{Checkpoint, LAST, System, save};
use crate::error::{Error, Result};
use crate::train::{Flow, Moment, Observer, SolverState};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// How often checkpoints are written. One is always written at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cadence {
    /// After an epoch if the last is ten seconds old, and within an epoch if it is a minute old: little is ever lost, and a
    /// training of small steps does not spend its time on writing.
    Auto,
    /// After every epoch.
    Epochs,
    /// After every so many steps.
    Steps(usize),
    /// After every so many seconds.
    Seconds(f64),
    /// Only at the end.
    End,
}

impl FromStr for Cadence {
    type Err = Error;

    /// `auto`, `epoch`, `end`, a number of steps as `500`, or of seconds as `30s`.
    fn from_str(text: &str) -> Result<Cadence> {
        let steps = || text.parse().ok().filter(|n| *n > 0).map(Cadence::Steps);
        let seconds = || text.strip_suffix('s')?.parse().ok().filter(|s: &f64| *s > 0.0);
        match text {
            "auto" => Ok(Cadence::Auto),
            "epoch" => Ok(Cadence::Epochs),
            "end" => Ok(Cadence::End),
            _ => steps().or_else(|| seconds().map(Cadence::Seconds)).ok_or_else(|| {
                let want = "it must be auto, epoch, end, a number of steps (500) or seconds (30s)";
                Error::value("checkpoint-every", format!("{text:?}"), want)
            }),
        }
    }
}

/// Writes a training's checkpoints into a directory: an observer of its [`Solver`](crate::train::Solver). A checkpoint that
/// cannot be written does not stop the training; [`Checkpoints::problem`] tells, and the files that are there stay as they are.
pub struct Checkpoints {
    directory: PathBuf,
    config: String,
    cadence: Cadence,
    thread: Option<Writer>,
    /// When the last state was handed over.
    last: Instant,
    /// The last outcome if it was a failure, and whether it was told.
    failure: Option<(Error, bool)>,
}

/// The thread that writes.
struct Writer {
    states: Sender<SolverState>,
    outcomes: Receiver<Result<()>>,
    handle: thread::JoinHandle<()>,
    /// States handed over whose outcome is not known yet.
    pending: usize,
}

impl Checkpoints {
    /// Checkpoints in this directory, which must exist, so often. `config` is kept with each, for whoever goes on from it.
    pub fn new(directory: &Path, cadence: Cadence, config: &str) -> Checkpoints {
        Checkpoints {
            directory: directory.to_path_buf(),
            config: config.to_string(),
            cadence,
            thread: None,
            last: Instant::now(),
            failure: None,
        }
    }

    /// Hands the present state over to be written, whether it is time or not. Returns at once.
    pub fn save(&mut self, moment: &Moment<'_>) {
        self.last = Instant::now();
        if self.thread.is_none() {
            self.thread = Writer::start(&self.directory, &self.config);
        }
        let state = moment.state();
        match &mut self.thread {
            Some(writer) => writer.hand_over(state),
            // The system gives no more threads: then the training waits.
            None => {
                let checkpoint = Checkpoint { state, config: self.config.clone() };
                let outcome = save(&System, &self.directory, &checkpoint, true);
                self.failure = outcome.err().map(|e| (e, false));
            }
        }
    }

    /// Why the last checkpoint could not be written: told once, until one succeeds and another fails.
    pub fn problem(&mut self) -> Option<&Error> {
        self.collect();
        let (error, told) = self.failure.as_mut()?;
        (!std::mem::replace(told, true)).then_some(error)
    }

    /// Waits until the last checkpoint is on the disk.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn finish(mut self) -> Result<()> {
        self.close();
        self.failure.take().map_or(Ok(()), |(error, _)| Err(error))
    }

    /// Ends the thread when it has written what it was handed.
    fn close(&mut self) {
        let Some(Writer { states, outcomes, handle, pending }) = self.thread.take() else { return };
        drop(states);
        let panicked = handle.join().is_err();
        for outcome in outcomes.try_iter().take(pending) {
            self.failure = outcome.err().map(|e| (e, false));
        }
        if panicked {
            let source = std::io::Error::other("its thread has ended");
            self.failure = Some((Error::io("write", &self.directory.join(LAST))(source), false));
        }
    }

    /// Learns what became of the states handed over.
    fn collect(&mut self) {
        let Some(writer) = &mut self.thread else { return };
        for outcome in writer.outcomes.try_iter() {
            writer.pending -= 1;
            self.failure = match (outcome, self.failure.take()) {
                (Ok(()), _) => None,
                // A disk that stays full is one problem, not one a minute.
                (Err(_), Some(same)) => Some(same),
                (Err(e), None) => Some((e, false)),
            };
        }
        if writer.handle.is_finished() {
            self.close();
        }
    }

    fn is_due(&self, moment: &Moment<'_>) -> bool {
        let age = self.last.elapsed().as_secs_f64();
        match self.cadence {
            Cadence::Auto => age >= if moment.epoch_ended { 10.0 } else { 60.0 },
            Cadence::Epochs => moment.epoch_ended,
            Cadence::Steps(n) => moment.step.is_multiple_of(n),
            Cadence::Seconds(seconds) => age >= seconds,
            Cadence::End => false,
        }
    }
}

impl Observer for Checkpoints {
    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        self.collect();
        // While one is being written the next waits, so that at most one copy of the tensors is kept for it.
        let is_idle = self.thread.as_ref().is_none_or(|writer| writer.pending == 0);
        if moment.is_last || (is_idle && self.is_due(moment)) {
            self.save(moment);
        }
        Ok(Flow::Go)
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.close();
    }
}

impl Writer {
    fn start(directory: &Path, config: &str) -> Option<Writer> {
        let (states, received) = channel::<SolverState>();
        let (told, outcomes) = channel();
        let (directory, config) = (directory.to_path_buf(), config.to_string());
        let work = move || {
            // A damaged file must not take the place of the one before it.
            let mut worth_keeping = super::is_whole(&directory.join(LAST));
            for state in received {
                let checkpoint = Checkpoint { state, config: config.clone() };
                let outcome = save(&System, &directory, &checkpoint, worth_keeping);
                // Their memory goes back before the training may hand over more.
                drop(checkpoint);
                worth_keeping |= outcome.is_ok();
                if told.send(outcome).is_err() {
                    return;
                }
            }
        };
        let handle = thread::Builder::new().name("checkpoints".to_string()).spawn(work).ok()?;
        Some(Writer { states, outcomes, handle, pending: 0 })
    }

    fn hand_over(&mut self, state: SolverState) {
        // A thread that has ended is noticed when its outcome is missing.
        if self.states.send(state).is_ok() {
            self.pending += 1;
        }
    }
}
