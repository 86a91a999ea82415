//! The size of a batch, with batch norm and with layer norm.

use super::super::course::{self, Plan, Training, last, over};
use super::super::{Context, Found};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Norm};

const SIZES: [usize; 3] = [5, 10, 50];

/// A plain network with batches of 5, then normalised ones with batches of each size.
fn trainings(context: &mut Context<'_>, norm: Norm) -> Result<(Training, [Training; 3])> {
    context.seed(231);
    // show: sizes
    let pictures = context.pictures()?;
    let data = (&pictures.small(1000), &pictures.val);
    let mut train = |norm: Norm, batch: usize| {
        let config = FullyConnectedConfig {
            hidden: vec![100; 5],
            weight_scale: Some(2e-2),
            norm,
            ..FullyConnectedConfig::default()
        };
        let mut net = FullyConnectedNet::new(config, &mut context.rng);
        let learning_rate = 10f64.powf(-3.5);
        let plan = Plan { rule: "adam", learning_rate, epochs: 10, batch, every: 100 };
        course::train(context, &format!("batches of {batch}"), &mut net, data, plan)
    };
    let plain = train(Norm::None, 5)?;
    let normed = [train(norm, 5)?, train(norm, 10)?, train(norm, 50)?];
    // end
    Ok((plain, normed))
}

/// Both charts, and a table of what the trainings end with.
fn told(context: &mut Context<'_>, norm: Norm, name: &str) -> Result<(Found, [f64; 4])> {
    let mut found = Found::default();
    let (plain, normed) = trainings(context, norm)?;
    found.print("No normalization: batch size =  5");
    SIZES.iter().for_each(|size| found.print(format!("Normalization: batch size =  {size}")));
    for (what, pick) in [
        ("Training accuracy", (|t| &t.train) as fn(&Training) -> &Vec<f64>),
        ("Validation accuracy", |t| &t.val),
    ] {
        let mut plot = Plot::new(&format!("{what} ({name})"), "epoch", Values::Shares);
        for (size, training) in SIZES.into_iter().zip(&normed) {
            plot = plot.line(&format!("with_norm{size}"), over(0.0, pick(training)));
        }
        found.plot(plot.line("baseline5", over(0.0, pick(&plain))));
    }
    let row = |name: String, batch: usize, t: &Training| {
        let [train, val] = [&t.train, &t.val].map(|v| format!("{:.3}", last(v)));
        [name, format!("{}", 1000 / batch), train, val]
    };
    let normed_rows =
        SIZES.into_iter().zip(&normed).map(|(size, t)| row(format!("with_norm{size}"), size, t));
    let rows = [row("baseline5".into(), 5, &plain)].into_iter().chain(normed_rows);
    found.table("", ["network", "steps an epoch", "last train acc.", "last val acc."], rows);
    let [a, b, c] = normed.each_ref().map(|t| last(&t.train));
    Ok((found, [last(&plain.train), a, b, c]))
}

pub fn batch(context: &mut Context<'_>) -> Result<Found> {
    let (mut found, [plain, five, ten, fifty]) = told(context, Norm::Batch, "Batch Normalization")?;
    found.keep("accuracies", [five, ten, fifty]);
    found.check(
        "training accuracy with batches of 50",
        format!("{fifty:.3}"),
        format!("above {ten:.3} (10) and {five:.3} (5)"),
        fifty > ten && ten > five,
    );
    found.question(
        "What is the relation between batch norm and batch size?",
        format!(
            "Means and variances of five examples are a noisy estimate: with batches of 5 batch norm ends at {:.1}% of the training \
             pictures, below the plain network with the same batches ({:.1}%). With 10 it reaches {:.1}%, with 50 {:.1}%, although fewer \
             examples a batch also mean more steps: 200, 100 and 20 an epoch. The validation accuracies are much alike, because \
             1,000 training pictures are what limits them.",
            100.0 * five,
            100.0 * plain,
            100.0 * ten,
            100.0 * fifty,
        ),
    );
    found.question(
        "Which of these ways to prepare pictures is like batch norm, which like layer norm: scaling each picture by the sum of its \
         pixels; subtracting the mean picture of the data set; scaling each row of a picture by its sum; setting pixels to 0 or 1 by \
         a threshold?",
        "Subtracting the mean picture takes its statistics across examples, as batch norm does. Scaling a picture by its own sum takes \
         them within one example, as layer norm does; the sum of each row is within one example too, but of groups of its pixels, like \
         group norm. A threshold is neither.",
    );
    Ok(found)
}

pub fn layer(context: &mut Context<'_>) -> Result<Found> {
    let (mut found, [plain, five, ten, fifty]) = told(context, Norm::Layer, "Layer Normalization")?;
    let before = context.kept("batch-sizes", "accuracies").to_vec();
    let of_batch = before.first().copied().unwrap_or(f64::NAN);
    found.text(format!(
        "Layer norm's statistics do not depend on the batch: with batches of 5 it ends at {:.1}% of the training pictures where batch norm \
         ended at {:.1}%, and the plain network at {:.1}%; with 10 at {:.1}%, with 50 at {:.1}%.",
        100.0 * five,
        100.0 * of_batch,
        100.0 * plain,
        100.0 * ten,
        100.0 * fifty,
    ));
    found.check(
        "training accuracy with batches of 5 and layer norm",
        format!("{five:.3}"),
        format!("above {of_batch:.3} with batch norm"),
        five > of_batch,
    );
    Ok(found)
}
