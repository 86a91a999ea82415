//! What a checkpoint costs the training loop. Not a test of anything: timings are for a quiet machine.
//!
//!     cargo test --release -p chainrule --test cost -- --ignored --nocapture

use chainrule::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, count_params};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::checkpoint::{Cadence, Checkpoints, LAST};
use chainrule::train::{Arrays, Observer, Quiet, Solver, SolverOptions};
use std::time::Instant;

/// Steps of a round. The checkpoint is taken after the first third, so that it is on the disk before the round ends.
const STEPS: usize = 45;

/// Seconds that a round takes, without or with a checkpoint, and the bytes of the checkpoint.
fn round(hidden: usize, checkpoint: bool) -> Result<(f64, u64)> {
    let mut rng = Rng::new(0);
    let x = Tensor::randn([100, 3072], 1.0, DType::F32, &mut rng);
    let data = Arrays::new(x, (0..100).map(|i| i % 10).collect());
    let config = FullyConnectedConfig { hidden: vec![hidden], ..FullyConnectedConfig::default() };
    let mut net = FullyConnectedNet::new(config, &mut rng);
    let parameters = count_params(&net);
    let rule = make("adam", &OptimConfig::default())?;
    let options = SolverOptions { batch_size: 100, epochs: STEPS, ..SolverOptions::default() };
    let dir = tempfile::tempdir().expect("a directory");
    let mut checkpoints = Checkpoints::new(dir.path(), Cadence::Steps(STEPS / 3), "");
    let mut once = Once { checkpoints: &mut checkpoints, left: usize::from(checkpoint) };
    let observer: &mut dyn Observer = if checkpoint { &mut once } else { &mut Quiet };
    let mut solver = Solver::new(&mut net, rule, &data, &data, options);
    let started = Instant::now();
    solver.train(&mut rng, observer)?;
    let seconds = started.elapsed().as_secs_f64();
    checkpoints.finish()?;
    let bytes = std::fs::metadata(dir.path().join(LAST)).map_or(0, |m| m.len());
    assert!(!checkpoint || bytes > 12 * parameters as u64, "weights and both moments");
    Ok((seconds, bytes))
}

/// The first checkpoint that is due, and no other.
struct Once<'a> {
    checkpoints: &'a mut Checkpoints,
    left: usize,
}

impl Observer for Once<'_> {
    fn moment(&mut self, moment: &chainrule::train::Moment<'_>) -> Result<chainrule::train::Flow> {
        if self.left > 0 && moment.step == STEPS / 3 {
            self.left -= 1;
            self.checkpoints.save(moment);
        }
        Ok(chainrule::train::Flow::Go)
    }
}

#[test]
#[ignore = "a timing for a quiet machine"]
fn what_a_checkpoint_costs_the_loop() {
    // 12 bytes a parameter for the weight and Adam's two moments; the best model so far is beside them in the file.
    for (hidden, what) in [
        (1350, "50 MB of weights and Adam's state"),
        (4060, "50 MB of weights, 100 MB of Adam's state"),
    ] {
        let mut costs = Vec::new();
        let mut size = 0;
        for _ in 0..5 {
            let (without, _) = round(hidden, false).expect("a finite loss");
            let (with, bytes) = round(hidden, true).expect("a finite loss");
            costs.push(1e3 * (with - without));
            size = bytes;
        }
        costs.sort_by(f64::total_cmp);
        let (least, median, most) = (costs[0], costs[2], costs[4]);
        println!(
            "{what} (a file of {:.0} MB): {median:.0} ms ({least:.0} to {most:.0})",
            size as f64 / 1e6
        );
    }
}
