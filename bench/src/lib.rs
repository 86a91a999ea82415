//! Timings behind a quiet-machine gate.
//!
//! Shared and virtual machines change their speed by a factor of two within seconds, and the guest does not see why. A plain
//! stopwatch then compares weather. [`gate::measure`] looks at the sky before and after each short chunk of samples and lets
//! only samples of a quiet machine into the median.

#![forbid(unsafe_code)]

mod canary;
pub mod gate;
pub mod layers;
mod load;
pub mod modules;
pub mod single;
pub mod workloads;

pub use load::peak_process_bytes;
