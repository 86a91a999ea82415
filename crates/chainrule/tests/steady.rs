//! Training in its steady state asks the system for no memory: neither the pool of blocks nor the global allocator.
//! One test in a process of its own, because it counts the requests of every thread.

use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Norm};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::train::{Solver, SolverOptions};
use chainrule_kernels::buffer::pool_stats;
use chainrule_kernels::counting::{Counting, requests};
use chainrule_kernels::threads::set_threads;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_training_step_asks_the_system_for_no_memory() {
    set_threads(2);
    let splits = embedded().expect("the embedded pictures");
    let mean = Normalization::MeanImage(mean_image(&splits.train));
    let (train, val) = (Pictures::new(splits.train, mean.clone()), Pictures::new(splits.val, mean));
    for (norm, dropout_keep, rule) in
        [(Norm::None, 1.0, "sgd"), (Norm::Batch, 0.8, "adam"), (Norm::Layer, 1.0, "adamw")]
    {
        let config = FullyConnectedConfig {
            hidden: vec![200, 150],
            norm,
            dropout_keep,
            reg: 1e-3,
            ..Default::default()
        };
        let mut rng = Rng::new(1);
        let mut model = FullyConnectedNet::new(config, &mut rng);
        let rule = make(rule, &OptimConfig::default()).expect("a known rule");
        let options = SolverOptions { batch_size: 100, epochs: 20, ..SolverOptions::default() };
        let mut solver = Solver::new(&mut model, rule, &train, &val, options);
        // A few steps to warm up, then a whole epoch and more, across its new order.
        for t in 0..30 {
            rng.at(t / 40, t);
            solver.step(t as usize, 1e-3, &mut rng).expect("a finite loss");
        }
        let (before, pool) = (requests(), pool_stats().system_requests);
        for t in 30..100 {
            rng.at(t / 40, t);
            solver.step(t as usize, 1e-3, &mut rng).expect("a finite loss");
        }
        let after = (requests() - before, pool_stats().system_requests - pool);
        assert_eq!(
            after,
            (0, 0),
            "{norm:?}: requests of the allocator and of the pool in 70 steps"
        );
    }
}
