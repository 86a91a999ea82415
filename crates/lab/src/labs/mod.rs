//! Small experiments to look at: one file each, and one line in [`LABS`].

mod image_processing;

use anyhow::Result;

/// An experiment.
pub struct Lab {
    /// The name, as `chainrule lab` takes it.
    pub name: &'static str,
    /// One line for people who choose.
    pub about: &'static str,
    /// Does it.
    pub run: fn() -> Result<Found>,
}

/// What an experiment has to show.
pub struct Found {
    /// Lines for the terminal.
    pub lines: Vec<String>,
    /// A page that needs nothing else.
    pub page: String,
}

/// All of them.
pub static LABS: &[Lab] = &[image_processing::LAB];
