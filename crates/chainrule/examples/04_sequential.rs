//! A net as a chain of calls, which infers every size, and a solver that trains it: the course's convnet with Nesterov's momentum.
//!
//!     cargo run --release -p chainrule --example 04_sequential [-- DIRECTORY]
//!
//! With the directory of CIFAR-10 one epoch brings it above 55%.

mod common;

use chainrule::Result;
use chainrule::models::{ModuleModel, summary};
use chainrule::nn::Sequential;
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::train::{CourseLog, Solver, SolverOptions};
use common::Pool;

fn main() -> Result<()> {
    let pool = Pool::open()?;
    let mut rng = Rng::new(0);
    let net = Sequential::on([3, 32, 32], &mut rng)
        .conv2d(32, 5)
        .relu()
        .conv2d(16, 3)
        .relu()
        .flatten()
        .linear(10)
        .build();
    let mut model = ModuleModel::new(net, [3, 32, 32]);
    println!("{}", summary::table(&model, 64, 1));

    let nesterov = OptimConfig { momentum: Some(0.9), nesterov: Some(true), ..OptimConfig::NONE };
    let rule = make("sgd", &nesterov)?;
    let options = SolverOptions {
        batch_size: 64,
        epochs: pool.epochs as usize,
        learning_rate: 1e-2,
        ..SolverOptions::default()
    };
    let mut log = CourseLog { out: std::io::stdout(), every: 100 };
    Solver::new(&mut model, rule, &pool.train, &pool.val, options).train(&mut rng, &mut log)?;
    Ok(())
}
