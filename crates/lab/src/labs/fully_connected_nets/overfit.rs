//! Learning fifty pictures by heart.

use super::super::course::{self, Plan, Training, last};
use super::super::{Context, Found};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
use chainrule::tensor::DType;

pub fn three_layers(context: &mut Context<'_>) -> Result<Found> {
    // show: overfit-three
    let config = FullyConnectedConfig {
        hidden: vec![100, 100],
        weight_scale: Some(3e-2),
        dtype: DType::F64,
        ..FullyConnectedConfig::default()
    };
    let plan = Plan { rule: "sgd", learning_rate: 4e-3, epochs: 20, batch: 25, every: 10 };
    // end
    let training = fifty(context, config, plan)?;
    told(context, "FC[5] three-layer overfit 50", &training)
}

pub fn five_layers(context: &mut Context<'_>) -> Result<Found> {
    // show: overfit-five
    let config = FullyConnectedConfig {
        hidden: vec![100; 4],
        weight_scale: Some(7e-2),
        dtype: DType::F64,
        ..FullyConnectedConfig::default()
    };
    let plan = Plan { rule: "sgd", learning_rate: 2e-3, epochs: 20, batch: 25, every: 10 };
    // end
    let training = fifty(context, config, plan)?;
    let mut found = told(context, "FC[6] five-layer overfit 50", &training)?;
    let three = context.kept("overfit-three-layers", "loss");
    let (three, five) = (three.first().copied().unwrap_or(f64::NAN), training.loss[0]);
    found.question(
        "Which of the two networks is more sensitive to the scale of its first weights, and why?",
        format!(
            "The deeper one. Each layer of 100 units multiplies the size of what passes by about the scale times sqrt(100 / 2), forward \
             and backward; with five layers that factor is raised to a higher power. It is 1 at a scale of sqrt(2 / 100) = 0.141: at \
             0.03 a layer leaves 0.21 of a signal, at 0.07 half of it. Too small a scale and nothing is learned, because gradients \
             vanish; too large and the loss explodes. The first layer sees 3,072 raw pixels with a standard deviation of about 64, \
             which is why the first losses here, {three:.1} with three layers and {five:.1} with five, lie so far above ln 10 = 2.3.",
        ),
    );
    Ok(found)
}

fn fifty(context: &mut Context<'_>, config: FullyConnectedConfig, plan: Plan) -> Result<Training> {
    let pictures = context.pictures()?;
    let small = pictures.small(50);
    let mut net = FullyConnectedNet::new(config, &mut context.rng);
    course::train(context, "fifty pictures", &mut net, (&small, &pictures.val), plan)
}

fn told(context: &Context<'_>, name: &str, training: &Training) -> Result<Found> {
    let printed = course::printed(name)?;
    let mut found = Found::default();
    training.lines.iter().for_each(|line| found.print(line));
    let loss = Plot::new("Training loss history", "iteration", Values::Numbers)
        .dots("ours", training.losses())
        .dots("printed by the course", printed.loss.iter().copied());
    found.plot(loss);
    course::accuracy_plots(printed, training).into_iter().for_each(|plot| found.plot(plot));
    let accuracy = last(&training.train);
    found.check("training accuracy after 20 epochs", accuracy, "1", accuracy == 1.0);
    if context.is_excerpt() {
        found.text(
            "The course does not seed its random numbers here, but they follow from the cells before, so that the first batch and the \
             first weights are the course's. What remains is the mean picture, an estimate: the first losses differ by less than \
             0.1%. Later ones differ more, because each step builds on the rounding of those before, and the validation pictures are \
             others.",
        );
    }
    course::check_first_loss(&mut found, printed, training, 1e-3);
    course::check_accuracies(&mut found, printed, training, !context.is_excerpt());
    found.keep("loss", training.loss.clone());
    Ok(found)
}
