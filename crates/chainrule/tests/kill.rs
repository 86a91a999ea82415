//! Trainings killed with SIGKILL at random moments, most of them while a checkpoint is being written, and gone on with: each
//! ends with the bits of the one that was left alone. The trainings are processes of this very program.

use chainrule::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model, Norm};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::{Key, KeyedRng, Purpose, Rng};
use chainrule::tensor::{DType, Tensor};
use chainrule::train::checkpoint::{Cadence, Checkpoints, load};
use chainrule::train::{Arrays, Flow, Moment, Observer, Solver, SolverOptions, write_atomically};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DIRECTORY: &str = "CHAINRULE_TRAINING_TO_KILL";
const DONE: &str = "done";

/// Takes its time, so that there are moments to be killed at.
struct Slow;

impl Observer for Slow {
    fn moment(&mut self, _: &Moment<'_>) -> Result<Flow> {
        std::thread::sleep(Duration::from_micros(300));
        Ok(Flow::Go)
    }
}

#[test]
#[ignore = "the other test starts it"]
fn the_training_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    chainrule_kernels::threads::set_threads(1);
    let mut rng = Rng::new(9);
    let x = Tensor::randn([48, 5], 1.0, DType::F32, &mut rng);
    let data = Arrays::new(x, (0..48).map(|i| i % 3).collect());
    let config = FullyConnectedConfig {
        input_shape: vec![5],
        hidden: vec![16, 8],
        classes: 3,
        norm: Norm::Batch,
        dropout_keep: 0.9,
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut rng);
    let rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { batch_size: 8, epochs: 10, ..SolverOptions::default() };
    let mut solver = Solver::new(&mut net, rule, &data, &data, options);
    if let Some(found) = load(directory).expect("a whole checkpoint, whatever was killed") {
        solver.restore(found.checkpoint.state, &mut rng).expect("a state of this training");
    }
    let mut checkpoints = Checkpoints::new(directory, Cadence::Steps(1), "");
    let observers = &mut [&mut Slow as &mut dyn Observer, &mut checkpoints];
    let history = solver.train(&mut rng, observers).expect("a finite loss");
    checkpoints.finish().expect("room for a small file");
    let weights = net.params().iter().flat_map(|p| p.value.to_vec());
    let averages = net.buffers().into_iter().flat_map(|(_, t)| t.to_vec());
    let all = history.loss.into_iter().chain(weights).chain(averages);
    let bytes: Vec<u8> = all.flat_map(f64::to_le_bytes).collect();
    write_atomically(&directory.join(DONE), &bytes).expect("room for a small file");
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "the_training_that_is_killed"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Lets a training come to its end; what it ends with.
fn finish(directory: &Path) -> Vec<u8> {
    let status = start(directory).wait().expect("it ends");
    assert!(status.success(), "{}: {status}", directory.display());
    std::fs::read(directory.join(DONE)).expect("what a finished training leaves")
}

#[test]
fn a_hundred_trainings_killed_at_random_moments_end_with_the_same_bits() {
    let whole = tempfile::tempdir().expect("a directory");
    let started = Instant::now();
    let wanted = finish(whole.path());
    let takes = started.elapsed();
    let mut random = KeyedRng::new(Key::new(1, Purpose::Check));
    let (mut amid, mut torn) = (0, 0);
    for n in 0..100 {
        let dir = tempfile::tempdir().expect("a directory");
        // One training in five is killed twice.
        for _ in 0..1 + usize::from(n % 5 == 0) {
            let mut child = start(dir.path());
            std::thread::sleep(takes.mul_f64(random.uniform()));
            child.kill().expect("a child of ours");
            child.wait().expect("it is dead");
        }
        amid += usize::from(load(dir.path()).expect("a whole one, if any").is_some());
        torn += usize::from(dir.path().join(".last.ckpt.new").exists());
        let ended = finish(dir.path());
        assert!(ended == wanted, "training {n} ended with other bits");
    }
    assert!(amid > 0, "no training was killed between its first step and its end");
    println!("killed amid the steps: {amid} of 100, amid a save: {torn}");
}
