//! Stopping: the first Ctrl-C (SIGINT), SIGTERM or SIGHUP lets a training finish its step and save; the second stops at once.
//!
//! A thread waits for the signals, so that nothing happens inside of a signal handler. Outside of the steps (while data is read,
//! and when the results are made from a training that is already saved) there is nothing to wait for, and the first stops too.

use crate::show;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The first signal; 0 while there was none.
static ASKED: AtomicI32 = AtomicI32::new(0);
static PHASE: AtomicU8 = AtomicU8::new(Phase::Outside as u8);
/// What the last line says when the program stops outside of the steps.
static HINT: Mutex<String> = Mutex::new(String::new());

/// What a signal would interrupt.
#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    /// Nothing that has to be saved.
    Outside = 0,
    /// The steps of a training: it asks [`asked`] after each.
    Steps = 1,
}

/// Begins to wait for signals. Where the system gives no thread for it, they stop the program as they would without us.
pub fn wait_for_them() {
    let wait = || {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
        for signal in signals.forever() {
            let first = ASKED.swap(signal, Ordering::SeqCst) == 0;
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            if first && PHASE.load(Ordering::SeqCst) == Phase::Steps as u8 {
                show::warning(&format!("{name}: stopping after this step; again to stop at once"));
            } else {
                stop_at_once(name, signal);
            }
        }
    };
    let _ = thread::Builder::new().name("signals".to_string()).spawn(wait);
}

/// A file that outgrows a limit (`ulimit -f`) is an error of its writing from now on, and no signal that ends the program.
pub fn outlive_limits() {
    let seen = Arc::new(AtomicBool::new(false));
    // Where it cannot be set, the program ends as it would without us.
    let _ = signal_hook::flag::register(SIGXFSZ, seen);
}

fn stop_at_once(what: &str, signal: i32) {
    let hint = HINT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    show::warning(&format!("{what}: stopped{hint}"));
    signal_hook::low_level::exit(exit_code(signal).into());
}

/// Says what a signal would interrupt from now on, and the run that could be gone on with.
pub fn enter(phase: Phase, run: Option<&Path>) {
    enter_with(phase, run.map(command));
}

/// As [`enter`], with the command that goes on.
pub fn enter_with(phase: Phase, command: Option<String>) {
    let hint = command.map(|c| format!("; go on with: {c}")).unwrap_or_default();
    *HINT.lock().unwrap_or_else(PoisonError::into_inner) = hint;
    PHASE.store(phase as u8, Ordering::SeqCst);
    // One that came while the last step ended is not forgotten.
    if let (Phase::Outside, Some(signal)) = (phase, asked()) {
        stop_at_once("after the last step", signal);
    }
}

/// The signal that asks the training to stop, if one came.
pub fn asked() -> Option<i32> {
    Some(ASKED.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// What a shell expects of a program that a signal stopped: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
pub fn exit_code(signal: i32) -> u8 {
    128u8.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// The command that goes on with a run.
pub fn command(run: &Path) -> String {
    format!("chainrule train --resume {}", show::quoted(&run.display().to_string()))
}
