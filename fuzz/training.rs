//! A training of a few numbers: what a checkpoint of the target `checkpoint` is of.

use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Norm};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{Arrays, Solver, SolverOptions};

/// Hands a solver of six steps, none of which is done, to `use_it`.
pub fn with<T>(use_it: impl FnOnce(Solver<'_>, Rng) -> T) -> T {
    let mut rng = Rng::new(1);
    let x = Tensor::randn([12, 3], 1.0, DType::F32, &mut rng);
    let data = Arrays::new(x, (0..12).map(|i| i % 2).collect());
    let config = FullyConnectedConfig {
        input_shape: vec![3],
        hidden: vec![2],
        classes: 2,
        norm: Norm::Batch,
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut rng);
    let rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { batch_size: 4, epochs: 2, ..SolverOptions::default() };
    use_it(Solver::new(&mut net, rule, &data, &data, options), rng)
}
