//! The open challenge: 70% of the validation pictures within ten epochs.

use super::super::course::over;
use super::super::{Context, Found, going_on};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::data::{Augment, Augmented, Normalization, Pictures};
use chainrule::models::{Loss, ModuleModel, count_params};
use chainrule::nn::Sequential;
use chainrule::optim::{OptimConfig, Schedule, ScheduleConfig, make};
use chainrule::rng::Rng;
use chainrule::train::{Solver, SolverOptions, accuracy};

/// Pictures that the course's ten epochs look at.
const ALLOWED: usize = 490_000;

pub fn challenge(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let splits = context.splits()?;
    let n = splits.train.len();
    let epochs = match (context.quick, n > 20_000) {
        (true, false) => 4,
        (false, false) => 25,
        (true, true) => 1,
        (false, true) => 10,
    };
    // show: challenge
    let normalization = Normalization::of("channels", &splits.train)?;
    let (val, test) = (&splits.val, &splits.test);
    let [val, test] = [val, test].map(|data| Pictures::new(data.clone(), normalization.clone()));
    let train = Augmented::new(splits.train, normalization, Augment::named("flip,crop")?, 0);

    let mut rng = Rng::new(0);
    let net = Sequential::on([3, 32, 32], &mut rng)
        .conv2d_no_bias(32, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .conv2d_no_bias(64, 3)
        .batch_norm()
        .relu()
        .conv2d_no_bias(64, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .conv2d_no_bias(128, 3)
        .batch_norm()
        .relu()
        .conv2d_no_bias(128, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(10)
        .build();
    let loss = Loss::Softmax { label_smoothing: 0.1 };
    let mut model = ModuleModel::new(net, [3, 32, 32]).with_loss(loss);
    let rule = make("adamw", &OptimConfig { weight_decay: Some(0.01), ..OptimConfig::NONE })?;
    let options = SolverOptions {
        batch_size: 64,
        epochs,
        learning_rate: 5e-3,
        schedule: Schedule::by_name("one-cycle", &ScheduleConfig::default())?,
        ..SolverOptions::default()
    };
    let mut solver = Solver::new(&mut model, rule, &train, &val, options);
    // end
    let an_epoch = solver.steps_per_epoch();
    let history = going_on::train(context, "a small convnet", &mut solver, &mut rng)?;
    let test = accuracy(&model, &test, &(0..splits.test.len()).collect::<Vec<_>>());
    let percent = |v: f64| format!("{:.1}%", 100.0 * v);
    for (e, val) in history.val_accuracy.iter().enumerate() {
        found.print(format!(
            "(Epoch {e} / {epochs}) train acc: {}; val acc: {}",
            percent(history.train_accuracy[e]),
            percent(*val)
        ));
    }
    found.print(format!("Test set accuracy: {}", percent(test)));
    found.plot(
        Plot::new("Training loss", "iteration", Values::Numbers)
            .line("ours", over(0.0, &history.loss)),
    );
    found.plot(
        Plot::new("Accuracy", "epoch", Values::Shares)
            .line("training", over(0.0, &history.train_accuracy))
            .line("validation", over(0.0, &history.val_accuracy)),
    );
    let seen = an_epoch * epochs * 64;
    found.check(
        "pictures looked at",
        seen,
        format!("at most the course's {ALLOWED}"),
        seen <= ALLOWED,
    );
    let best = history.best_val_accuracy;
    let wanted = if context.quick { 0.45 } else { 0.7 };
    found.check(
        "best validation accuracy",
        percent(best),
        format!("above {}", percent(wanted)),
        best > wanted,
    );
    let size = count_params(&model);
    found.text(format!(
        "{size} parameters, a twelfth of the residual net's, and {seen} pictures looked at, {n} of them {epochs} times over. Pictures are \
         mirrored and moved at random, which the residual net was not given; the learning rate rises and falls once; a tenth of each \
         target is spread over all classes. `chainrule train` begins from the same settings, and `chainrule train --model` names \
         other architectures to try.",
    ));
    Ok(found)
}
