//! A deep-learning library one can see through.
#![forbid(unsafe_code)]

// What #[derive(Params)] writes speaks of `chainrule`, here too.
extern crate self as chainrule;

pub mod check;
pub mod data;
pub mod error;
pub mod gradcheck;
mod keys;
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod rng;
pub mod tape;
pub mod tensor;
pub mod train;
pub mod visualize;

pub use error::{Error, Result};
