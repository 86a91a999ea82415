//! Training in its steady state asks the system for no memory, neither the pool of blocks nor the global allocator; it takes the
//! memory that `summary` predicts; and pictures stay in one memory order.
//! A program of its own without the test harness, because it counts what every thread does: the harness says so when a test runs
//! for more than a minute, and asks for memory to say it.

use chainrule::data::{Augment, Augmented, Normalization, Pictures, embedded};
use chainrule::models::{Architecture, Loss, ModelConfig, Norm, Task, summary};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::DType;
use chainrule::train::{Solver, SolverOptions};
use chainrule_kernels::buffer::{pool_stats, release_free_blocks, reset_peak};
use chainrule_kernels::counting::{Counting, reorderings, requests};
use chainrule_kernels::threads::set_threads;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A training: its model, rule, batch, numbers that the rule remembers of each parameter, and how often a step may change the
/// memory order of a batch.
struct Training {
    model: &'static str,
    config: ModelConfig,
    rule: &'static str,
    states: usize,
    batch: usize,
    reorderings: usize,
}

fn trainings() -> Vec<Training> {
    let dense = |norm, dropout_keep, rule, states| Training {
        model: "fully-connected",
        config: ModelConfig {
            hidden: Some(vec![200, 150]),
            norm: Some(norm),
            dropout_keep: Some(dropout_keep),
            ..ModelConfig::NONE
        },
        rule,
        states,
        batch: 100,
        reorderings: 0,
    };
    let conv = |model, rule, states, batch, reorderings| Training {
        model,
        config: ModelConfig::NONE,
        rule,
        states,
        batch,
        reorderings,
    };
    vec![
        dense(Norm::None, 1.0, "sgd", 0),
        dense(Norm::Batch, 0.8, "adam", 2),
        dense(Norm::Layer, 1.0, "adamw", 2),
        conv("small-convnet", "adamw", 2, 64, 0),
        // Where pictures become rows of numbers in the order of W2, and where their gradient comes back.
        conv("three-layer-convnet", "adam", 2, 50, 2),
        // A module on the tape, whose pictures become rows too.
        conv("course-convnet", "sgd", 1, 32, 2),
    ]
}

fn main() {
    set_threads(2);
    for training in trainings() {
        release_free_blocks();
        check(&training);
    }
}

fn check(t: &Training) {
    let what = format!("{} {:?} {}", t.model, t.config.norm, t.rule);
    let splits = embedded().expect("the embedded pictures");
    // Few pictures, so that the measured steps reach into new epochs.
    let train = splits.train.slice(0..10 * t.batch);
    let normalization = Normalization::of("channels", &train).expect("a known normalization");
    let augment = Augment::named("flip,crop").expect("known changes");
    let train = Augmented::new(train, normalization.clone(), augment, 3);
    let val = Pictures::new(splits.val, normalization);
    let task = Task {
        input_shape: vec![3, 32, 32],
        classes: 10,
        loss: Loss::default(),
        reg: 1e-3,
        dtype: DType::F32,
    };
    let in_use = pool_stats().in_use;
    let mut rng = Rng::new(1);
    let architecture = Architecture::named(t.model).expect("a known model");
    let mut model = architecture.make(&task, &t.config, &mut rng).expect("a model of pictures");
    let predicted = summary::memory(&*model, t.batch, t.states).total() as f64;
    let rule = make(t.rule, &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { batch_size: t.batch, epochs: 20, ..SolverOptions::default() };
    let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
    let mut step = 0;
    let mut steps = |n: u64| {
        for _ in 0..n {
            rng.at(step / 10, step);
            solver.step(step as usize, 1e-3, &mut rng).expect("a finite loss");
            step += 1;
        }
    };
    // Into the second epoch, so that every kind of step has been made. From then on there is no request, ever.
    steps(12);
    reset_peak();
    let counts = || [requests(), pool_stats().system_requests, reorderings()];
    let before = counts();
    steps(44);
    let after = counts();
    let asked = [0, 1, 2].map(|i| after[i] - before[i]);
    let [allocator, pool, reordered] = asked;
    assert_eq!((allocator, pool), (0, 0), "{what}: requests of the allocator and of the pool");
    assert_eq!(reordered, 44 * t.reorderings, "{what}: changes of memory order in 44 steps");
    let measured = (pool_stats().peak - in_use) as f64;
    let ratio = predicted / measured;
    eprintln!("{what}: predicted {predicted}, measured {measured}, ratio {ratio:.3}");
    assert!((0.8..=1.2).contains(&ratio), "{what}: {predicted} bytes predicted, {measured} taken");
}
