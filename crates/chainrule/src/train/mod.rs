//! Training: the solver, what it reports, and what it leaves behind.

mod accuracy;
mod average;
pub mod checkpoint;
mod clip;
mod examples;
mod finite;
mod groups;
mod log;
pub mod metrics;
mod observer;
mod options;
mod rate;
mod solver;
mod state;
mod tensorboard;
mod weights;

pub use accuracy::{Confusion, accuracy, argmax_rows, predictions};
pub use clip::global_norm;
pub use examples::{Arrays, Examples, Labels, nth_batch, training_step};
pub use groups::Group;
pub use log::{LoggedCheck, LoggedStep, Metrics};
pub use metrics::{ClassScore, ClassScores, Evaluation};
pub use observer::{CheckEvent, CourseLog, Flow, Moment, Observer, Quiet, StepEvent};
pub use options::{OnNonFinite, Sampling, SolverOptions};
pub use rate::{RateCurve, RateRange};
pub use solver::{History, Solver};
pub use state::{Best, SolverState};
pub use tensorboard::EventWriter;
pub use weights::{load_module, load_weights, save_module, save_weights, write_atomically};
