//! A net as a chain of calls, which infers every size, and a solver that trains it.
//!
//!     cargo run --release -p chainrule --example 04_sequential

use chainrule::Result;
use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::models::{ModuleModel, summary};
use chainrule::nn::Sequential;
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::train::{CourseLog, Solver, SolverOptions};

fn main() -> Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::MeanImage(mean_image(&splits.train));
    let train = Pictures::new(splits.train, normalization.clone());
    let val = Pictures::new(splits.val, normalization);

    let mut rng = Rng::new(0);
    let net = Sequential::on([3, 32, 32], &mut rng)
        .conv2d(16, 3)
        .batch_norm()
        .relu()
        .max_pool2d(4)
        .flatten()
        .linear(10)
        .build();
    let mut model = ModuleModel::new(net, [3, 32, 32]);
    println!("{}", summary::table(&model, 64, 2));

    let rule = make("adamw", &OptimConfig::default())?;
    let options = SolverOptions {
        batch_size: 64,
        epochs: 3,
        learning_rate: 1e-3,
        ..SolverOptions::default()
    };
    let mut log = CourseLog { out: std::io::stdout(), every: 30 };
    Solver::new(&mut model, rule, &train, &val, options).train(&mut rng, &mut log)?;
    Ok(())
}
