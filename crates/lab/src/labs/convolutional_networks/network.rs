//! The network of three layers.

use super::super::course::{self, Plan, last};
use super::super::found::Picture;
use super::super::{Context, Found, gradients as of_net};
use super::layers::randn;
use crate::gather;
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::models::{Model, ThreeLayerConvConfig, ThreeLayerConvNet};
use chainrule::tensor::DType;
use chainrule::train::accuracy;

pub fn first_loss(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: first-loss
    let config = ThreeLayerConvConfig { dtype: DType::F64, ..ThreeLayerConvConfig::default() };
    let mut net = ThreeLayerConvNet::new(config, &mut context.rng);
    let x = randn(context, [50, 3, 32, 32]);
    let mut labels = Vec::new();
    context.rng.choice(10, 50, &mut labels);
    let plain = net.loss(&x, &labels, &mut context.rng, &mut Vec::new());
    net.set_reg(0.5);
    let regularized = net.loss(&x, &labels, &mut context.rng, &mut Vec::new());
    // end
    found.print(format!("Initial loss (no regularization):  {plain}"));
    found.print(format!("Initial loss (with regularization):  {regularized}"));
    found.check_printed("loss", plain, 2.302586071243987, 1e-12);
    found.check_printed("loss with regularization", regularized, 2.508255638232932, 1e-7);
    found.text(
        "The course adds up the squares of its weights in 32 bits, which moves the second loss by 2.7e-8; we add them up in 64, so \
         that the reference value stands with a tolerance of 1e-7.",
    );
    Ok(found)
}

pub fn gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = randn(context, [2, 3, 16, 16]);
    let mut labels = Vec::new();
    context.rng.choice(10, 2, &mut labels);
    // show: small-net
    let config = ThreeLayerConvConfig {
        input_shape: [3, 16, 16],
        filters: 3,
        filter_size: 3,
        hidden: 7,
        dtype: DType::F64,
        weights: DType::F64,
        ..ThreeLayerConvConfig::default()
    };
    let mut net = ThreeLayerConvNet::new(config, &mut context.rng);
    let errors = of_net::errors(&mut net, &x, &labels, 1e-6, &mut context.rng);
    // end
    // In the order of the names: W1 W2 W3 b1 b2 b3.
    let printed = [3.053965e-4, 1.822723e-2, 3.422399e-4, 3.397321e-6, 2.517459e-3, 9.711800e-10];
    errors.tell(&mut found, "three layers", 2.302585301275796, &printed);
    Ok(found)
}

pub fn overfit(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    // show: overfit
    let pictures = context.pictures()?;
    let small = pictures.small(100);
    let config =
        ThreeLayerConvConfig { weight_scale: Some(1e-2), ..ThreeLayerConvConfig::default() };
    let mut net = ThreeLayerConvNet::new(config, &mut context.rng);
    let plan = Plan { rule: "adam", learning_rate: 1e-3, epochs: 15, batch: 50, every: 1 };
    let training =
        course::train(context, "a hundred pictures", &mut net, (&small, &pictures.val), plan)?;
    let of = |data, n| accuracy(&net, data, &(0..n).collect::<Vec<_>>());
    let (train, val) = (of(&small, 100), of(&pictures.val, pictures.splits.val.len()));
    // end
    training.lines.iter().for_each(|line| found.print(line));
    found.print(format!("Small data training accuracy: {train} (printed by the course: 0.82)"));
    found.print(format!("Small data validation accuracy: {val} (printed by the course: 0.252)"));
    let printed = course::printed("CNN[28] overfit 100")?;
    found.plot(
        Plot::new("loss", "iteration", Values::Numbers)
            .dots("ours", training.losses())
            .dots("printed by the course", printed.loss.iter().copied()),
    );
    course::accuracy_plots(printed, &training).into_iter().for_each(|plot| found.plot(plot));
    course::beside(&mut found, [("a hundred pictures", printed, &training)]);
    course::check_first_loss(&mut found, printed, &training, 1e-3);
    course::check_accuracies(&mut found, printed, &training, !context.is_excerpt());
    let end = last(&training.train);
    found.check("last accuracy on the hundred pictures", end, "at least 0.9", end >= 0.9);
    found.text(
        "The model that is kept is that of the best validation accuracy, which need not be the one that knows most pictures by heart.",
    );
    Ok(found)
}

pub fn one_epoch(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: one-epoch
    let pictures = context.pictures()?;
    let config = ThreeLayerConvConfig {
        weight_scale: Some(0.001),
        hidden: 500,
        reg: 0.001,
        ..ThreeLayerConvConfig::default()
    };
    let mut net = ThreeLayerConvNet::new(config, &mut context.rng);
    let plan = Plan { rule: "adam", learning_rate: 1e-3, epochs: 1, batch: 50, every: 20 };
    let data = (&pictures.train, &pictures.val);
    let training = course::train(context, "one epoch", &mut net, data, plan)?;
    // end
    training.lines.iter().for_each(|line| found.print(line));
    let of = |data, n| accuracy(&net, data, &(0..n).collect::<Vec<_>>());
    let (train, val) = (
        of(&pictures.train, pictures.splits.train.len()),
        of(&pictures.val, pictures.splits.val.len()),
    );
    found.print(format!("Full data training accuracy: {train} (printed by the course: 0.476)"));
    found.print(format!("Full data validation accuracy: {val} (printed by the course: 0.499)"));
    let printed = course::printed("CNN[32] one epoch full data")?;
    found.plot(
        Plot::new("loss", "iteration", Values::Numbers)
            .line("ours", training.losses())
            .dots("printed by the course", printed.loss.iter().copied()),
    );
    course::beside(&mut found, [("one epoch", printed, &training)]);
    // Tiny weights make the first loss one of the regularization and of ten equal classes, whatever the pictures.
    course::check_first_loss(&mut found, printed, &training, 1e-3);
    match context.is_excerpt() {
        true => found.text(
            "An epoch of the excerpt is 80 steps, one of the course's pictures 980: the first 80 are to be compared. With `--data` \
             it is the course's.",
        ),
        false => {
            found.check("validation accuracy", val, "above 0.4", val > 0.4);
            course::check_accuracies(&mut found, printed, &training, true);
        }
    }
    if let Some(grid) = gather::weights(&net, 32) {
        found.picture(Picture {
            size: [grid.width, grid.height],
            pixels: grid.rgb,
            title: "First-layer filters".into(),
            text: "Thirty-two filters of 7 x 7, each scaled on its own.".into(),
        });
    }
    Ok(found)
}
