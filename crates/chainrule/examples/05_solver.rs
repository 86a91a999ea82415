//! All of it together: a module with a shortcut around its layers, Nesterov momentum, a cosine schedule, label smoothing, flips
//! and crops, and the weights in a file that PyTorch reads.
//!
//!     cargo run --release -p chainrule --example 05_solver [-- DIRECTORY]

use chainrule::Result;
use chainrule::data::{
    Augment, Augmented, Normalization, Pictures, Request, embedded, mean_image, open,
};
use chainrule::models::{Loss, ModuleModel};
use chainrule::nn::{BatchNorm2d, Conv2d, Linear, Module, Params, Residual, Sequential};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::optim::{OptimConfig, Schedule, ScheduleConfig, make};
use chainrule::rng::Rng;
use chainrule::tape::Var;
use chainrule::train::{CourseLog, Solver, SolverOptions, save_weights};
use std::path::Path;

#[derive(Params)]
struct Net {
    stem: Conv2d,
    bn: BatchNorm2d,
    around: Residual<Sequential>,
    fc: Linear,
}

impl Module for Net {
    fn forward(&self, x: &Var) -> Var {
        let x = x.apply(&self.stem).apply(&self.bn).relu();
        x.apply(&self.around).relu().global_avg_pool().apply(&self.fc)
    }
}

fn main() -> Result<()> {
    let splits = match std::env::args_os().nth(1) {
        Some(directory) => open(Path::new(&directory), &Request::default())?,
        None => embedded()?,
    };
    let normalization = Normalization::MeanImage(mean_image(&splits.train));
    let augment = Augment::named("flip,crop")?;
    let train = Augmented::new(splits.train, normalization.clone(), augment, 0);
    let val = Pictures::new(splits.val, normalization);

    let mut rng = Rng::new(0);
    let net = Net {
        stem: Conv2d::new(3, 16, 3, Conv2dParams::new(2, 1), &mut rng).no_bias(),
        bn: BatchNorm2d::new(16),
        around: Residual::new(
            Sequential::on([16, 16, 16], &mut rng).conv2d(16, 3).batch_norm().build(),
        ),
        fc: Linear::new(16, 10, &mut rng),
    };
    let mut model = ModuleModel::new(net, [3, 32, 32])
        .with_loss(Loss::Softmax { label_smoothing: 0.1 })
        .titled("A small residual net");

    let nesterov = OptimConfig {
        momentum: Some(0.9),
        nesterov: Some(true),
        weight_decay: Some(5e-4),
        ..OptimConfig::default()
    };
    let options = SolverOptions {
        batch_size: 64,
        epochs: 3,
        learning_rate: 0.05,
        schedule: Schedule::by_name("cosine", &ScheduleConfig::default())?,
        ..SolverOptions::default()
    };
    let mut log = CourseLog { out: std::io::stdout(), every: 30 };
    let rule = make("sgd", &nesterov)?;
    Solver::new(&mut model, rule, &train, &val, options).train(&mut rng, &mut log)?;

    let file = std::env::temp_dir().join("small-residual-net.safetensors");
    save_weights(&model, Default::default(), &file)?;
    println!("the weights, by PyTorch's names, are in {}", file.display());
    Ok(())
}
