//! Experiments to look at: one file each (or a folder, with a file for each part), and one line in [`LABS`].
//!
//! A [`Lab`] is a list of [`Cell`]s, done one after the other. A cell is a function from a [`Context`] (pictures, random numbers,
//! what earlier cells kept) to what it [`Found`]: lines, charts, tables, pictures, checks, questions with answers. Its page shows
//! the code that ran: a part between `// show: NAME` and `// end` of the lab's own source. `image_processing.rs` is a short,
//! complete example.
//!
//! [`engine::run`] runs a lab and stores each finished cell, so that a stopped lab goes on where it was; `page.rs` and
//! `markdown.rs` write what was found.

mod batch_normalization;
mod convolutional_networks;
mod course;
mod dropout;
pub mod engine;
pub mod found;
mod frameworks;
mod fully_connected_nets;
mod going_on;
mod gradients;
mod image_processing;
pub mod markdown;
pub mod page;
mod progress;
mod source;

use anyhow::Result;
pub use engine::Context;
pub use found::Found;

/// An experiment.
pub struct Lab {
    /// The name, as `chainrule lab` takes it.
    pub name: &'static str,
    /// One line for people who choose.
    pub about: &'static str,
    /// The heading of its page.
    pub title: &'static str,
    /// The text of its own files, from which the code on its page is cut.
    pub sources: &'static [&'static str],
    /// The seed of NumPy's legacy sequence that its first cell begins with.
    pub seed: u32,
    /// What it does, in this order.
    pub cells: &'static [Cell],
}

/// A part of an experiment.
pub struct Cell {
    /// The name of the file it is stored in.
    pub name: &'static str,
    /// The heading.
    pub title: &'static str,
    /// What is done and why, in paragraphs; words between backticks are code.
    pub prose: &'static [&'static str],
    /// The names of the parts of the lab's sources that are shown.
    pub code: &'static [&'static str],
    /// Does it.
    pub run: fn(&mut Context<'_>) -> Result<Found>,
}

/// All of them.
pub static LABS: &[&Lab] = &[
    &fully_connected_nets::LAB,
    &batch_normalization::LAB,
    &dropout::LAB,
    &convolutional_networks::LAB,
    &image_processing::LAB,
    &frameworks::LAB,
];

/// The sources that all labs use.
static SHARED: &[&str] = &[
    include_str!("course.rs"),
    include_str!("found.rs"),
    include_str!("going_on.rs"),
    include_str!("gradients.rs"),
    include_str!("engine.rs"),
    include_str!("../../../../data/course-logs.json"),
];

#[cfg(test)]
mod tests;

#[cfg(test)]
mod parts {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cell_has_a_name_of_its_own_and_shows_code_that_is_there() {
        for lab in LABS {
            let names: BTreeSet<&str> = lab.cells.iter().map(|cell| cell.name).collect();
            assert_eq!(names.len(), lab.cells.len(), "{}: two cells of one name", lab.name);
            for cell in lab.cells {
                assert!(!cell.prose.is_empty(), "{}: {} says nothing", lab.name, cell.name);
                for part in cell.code {
                    let code = source::part(lab.sources, part);
                    let code = code.unwrap_or_else(|| panic!("{}: no part {part}", lab.name));
                    assert!(!code.trim().is_empty(), "{}: {part} shows nothing", lab.name);
                }
            }
        }
    }
}
