//! Trainings of minutes or hours within a cell, which go on where they were stopped.

use super::Context;
use super::course::Shown;
use crate::show;
use anyhow::Result;
use chainrule::rng::Rng;
use chainrule::train::checkpoint::{Cadence, Checkpoints, load};
use chainrule::train::{History, Observer, Solver};

/// Trains to the end, from the last checkpoint of this very cell if there is one, and says how far it is.
///
/// # Errors
/// If a loss is not finite, or the folder for checkpoints cannot be made.
pub fn train(
    context: &mut Context<'_>,
    what: &str,
    solver: &mut Solver<'_>,
    rng: &mut Rng,
) -> Result<History> {
    let workplace = context.workplace()?;
    let mut shown = Shown { context, what };
    let Some((folder, key)) = workplace else { return Ok(solver.train(rng, &mut shown)?) };
    // A checkpoint that is of something else, or damaged, is worth no more than none.
    if let Ok(Some(found)) = load(&folder)
        && found.checkpoint.config == key
        && solver.restore(found.checkpoint.state, rng).is_ok()
    {
        show::note(&format!("    going on after step {}", solver.steps_done()));
    }
    let mut checkpoints = Checkpoints::new(&folder, Cadence::Auto, &key);
    let observer: &mut dyn Observer = &mut [&mut checkpoints as &mut dyn Observer, &mut shown];
    let history = solver.train(rng, observer)?;
    if let Err(error) = checkpoints.finish() {
        show::warning(&format!("{error}; the training is complete"));
    }
    Ok(history)
}
