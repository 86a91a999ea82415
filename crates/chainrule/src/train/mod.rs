//! Training: the solver, what it reports, and what it leaves behind.

mod accuracy;
mod examples;
mod log;
pub mod metrics;
mod observer;
mod solver;
mod tensorboard;
mod weights;

pub use accuracy::{Confusion, accuracy, argmax_rows, predictions};
pub use examples::{Arrays, Examples};
pub use log::{LoggedCheck, LoggedStep, Metrics};
pub use metrics::{ClassScore, ClassScores, Evaluation};
pub use observer::{CheckEvent, CourseLog, Observer, Quiet, StepEvent};
pub use solver::{History, OnNonFinite, Sampling, Solver, SolverOptions};
pub use tensorboard::EventWriter;
pub use weights::{load_weights, save_weights, write_atomically};
