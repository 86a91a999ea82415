//! Writes the checkpoints that the target `checkpoint` begins with: `cargo run --example checkpoint_seeds`.

use chainrule::Result;
use chainrule::train::checkpoint::Checkpoint;
use chainrule::train::{Flow, Moment, Observer};
use std::fs::{self, File};
use std::path::Path;

#[path = "../training.rs"]
mod training;

/// Keeps the state after the second step and after the last.
struct Keep<'a>(&'a Path);

impl Observer for Keep<'_> {
    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        if [2, 6].contains(&moment.step) {
            let checkpoint = Checkpoint { state: moment.state(), config: "seed = 0\n".into() };
            let path = self.0.join(format!("step{}", moment.step));
            let mut file = File::create(path).expect("a place for a seed");
            checkpoint.write(&mut file).expect("room for a seed");
        }
        Ok(Flow::Go)
    }
}

fn main() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/checkpoint");
    fs::create_dir_all(&seeds).expect("a place for seeds");
    training::with(|mut solver, mut rng| solver.train(&mut rng, &mut Keep(&seeds)))
        .expect("a finite loss");
}
