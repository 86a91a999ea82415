//! Dropout: statistics, gradients, and what it does for a small training set.

use super::course::{self, Plan, Training, last, over};
use super::{Cell, Context, Found, Lab, gradients};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::gradcheck::{numerical_gradient_array, rel_error};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
use chainrule::ops::{Mode, dropout};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};

pub const LAB: Lab = Lab {
    name: "dropout",
    about: "statistics, gradients, overfitting with and without",
    title: "Dropout",
    sources: &[include_str!("dropout.rs"), include_str!("gradients.rs")],
    seed: 231,
    cells: &[
        Cell {
            name: "statistics",
            title: "What is kept, and how large it is",
            prose: &[
                "In training each unit is kept with a given probability and divided by it, so that the mean stays; in a test nothing \
                 happens. A quarter of a million numbers of mean 10, three probabilities.",
            ],
            code: &["statistics"],
            run: statistics,
        },
        Cell {
            name: "gradient",
            title: "The gradient",
            prose: &[
                "The derivative for each input against a numerical one, with a seed so that the same units are dropped each time.",
            ],
            code: &["gradient"],
            run: gradient,
        },
        Cell {
            name: "network-gradients",
            title: "A whole network with dropout",
            prose: &[
                "Every derivative of a network of two hidden layers that keeps all, three quarters, and half of its units.",
            ],
            code: &["net-with-dropout", "gradient-errors"],
            run: network_gradients,
        },
        Cell {
            name: "regularization",
            title: "Dropout against overfitting",
            prose: &[
                "One hidden layer of 500 units and 500 pictures, twenty-five epochs: the network can learn them by heart. A second one keeps \
                 a quarter of its units in each step.",
            ],
            code: &["regularization"],
            run: regularization,
        },
    ],
};

fn mean(values: &[f64]) -> f64 {
    // Rows first, so that rounding stays small.
    values.chunks(500).map(|row| row.iter().sum::<f64>()).sum::<f64>() / values.len() as f64
}

fn statistics(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let values: Vec<f64> = context.randn(500 * 500).into_iter().map(|v| v + 10.0).collect();
    let x = Tensor::from_f64([500, 500], &values);
    const PRINTED: [(f64, f64, f64); 3] = [
        (0.25, 10.014059116977283, 0.749784),
        (0.4, 9.977917658761159, 0.600796),
        (0.7, 9.987811912159426, 0.30074),
    ];
    for (keep, printed_mean, printed_zeros) in PRINTED {
        // show: statistics
        let (training, _) = dropout::forward(&x, keep, Mode::Train, &mut context.rng);
        let (testing, _) = dropout::forward(&x, keep, Mode::Test, &mut context.rng);
        let [of_x, of_training, of_testing] = [&x, &training, &testing].map(|t| mean(&t.to_vec()));
        let zeros = training.to_vec().iter().filter(|v| **v == 0.0).count() as f64 / 250_000.0;
        // end
        found.print(format!("Running tests with p =  {keep}"));
        found.print(format!("Mean of input:  {of_x}"));
        found.print(format!("Mean of train-time output:  {of_training}"));
        found.print(format!("Mean of test-time output:  {of_testing}"));
        found.print(format!("Fraction of train-time output set to zero:  {zeros}"));
        found.print("");
        for (what, value, printed) in [
            ("mean of the input", of_x, 10.000207878477502),
            ("mean in training", of_training, printed_mean),
            ("mean in a test", of_testing, 10.000207878477502),
        ] {
            found.check_printed(format!("{what}, keeping {keep}"), value, printed, 1e-14);
        }
        found.check_printed(format!("share of zeros, keeping {keep}"), zeros, printed_zeros, 0.0);
    }
    found.question(
        "What goes wrong when the kept units are not divided by the probability of keeping?",
        "In training a unit's output would on average be the probability times what it is in a test, so the layer above would be shown \
         larger sums in the test than it ever saw. Dividing in training makes both means the same, as the figures above show, and the \
         test needs nothing.",
    );
    Ok(found)
}

fn gradient(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let values: Vec<f64> = context.randn(100).into_iter().map(|v| v + 10.0).collect();
    let x = Tensor::from_f64([10, 10], &values);
    let dout = Tensor::from_f64([10, 10], &context.randn(100));
    // show: gradient
    let mut rng = Rng::numpy(0);
    let mut run = |x: &Tensor| dropout::forward_seeded(x, 0.2, 123, Mode::Train, &mut rng);
    let dx = dropout::backward(&dout, &run(&x).1);
    let numerical = numerical_gradient_array(|x| run(x).0, &x, &dout, 1e-5);
    let error = rel_error(&dx, &numerical);
    // end
    found.print(format!("dx relative error:  {error:e}"));
    found.check_printed("error of dx", error, 5.44560814873387e-11, 1e-9);
    Ok(found)
}

fn network_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = Tensor::from_f64([2, 15], &context.randn(2 * 15));
    let mut labels = Vec::new();
    context.rng.choice(10, 2, &mut labels);
    const PRINTED: [(f64, f64, [f64; 6]); 3] = [
        (1.0, 2.300479089768492, [1.03e-7, 2.21e-5, 4.56e-7, 4.66e-9, 2.09e-9, 1.69e-10]),
        (0.75, 2.302371489704412, [1.85e-7, 2.15e-6, 4.56e-8, 1.16e-8, 1.82e-9, 1.48e-10]),
        (0.5, 2.30427592207859, [3.11e-7, 2.48e-8, 6.43e-8, 5.37e-9, 1.91e-9, 1.85e-10]),
    ];
    for (keep, loss, printed) in PRINTED {
        // show: net-with-dropout
        let config = FullyConnectedConfig {
            input_shape: vec![15],
            hidden: vec![20, 30],
            weight_scale: Some(5e-2),
            dropout_keep: keep,
            dropout_seed: Some(123), // each call drops the same units
            dtype: DType::F64,
            ..FullyConnectedConfig::default()
        };
        let mut net = FullyConnectedNet::new(config, &mut context.rng);
        let errors = gradients::errors(&mut net, &x, &labels, 1e-5, &mut context.rng);
        // end
        errors.tell(&mut found, &format!("keeping {keep}"), loss, &printed);
    }
    Ok(found)
}

fn regularization(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let mut train = |keep: f64| -> Result<Training> {
        // show: regularization
        let pictures = context.pictures()?;
        let data = (&pictures.small(500), &pictures.val);
        let config = FullyConnectedConfig {
            hidden: vec![500],
            dropout_keep: keep,
            ..FullyConnectedConfig::default()
        };
        let mut net = FullyConnectedNet::new(config, &mut context.rng);
        let plan = Plan { rule: "adam", learning_rate: 5e-4, epochs: 25, batch: 100, every: 100 };
        course::train(context, &format!("keeping {keep}"), &mut net, data, plan)
        // end
    };
    let (all, quarter) = (train(1.0)?, train(0.25)?);
    for (keep, training) in [("1", &all), ("0.25", &quarter)] {
        found.print(keep);
        training.lines.iter().for_each(|line| found.print(line));
        found.print("");
    }
    for (title, a, b) in
        [("Train accuracy", &all.train, &quarter.train), ("Val accuracy", &all.val, &quarter.val)]
    {
        found.plot(
            Plot::new(title, "epoch", Values::Shares)
                .dots("1.00 dropout_keep_ratio", over(0.0, a))
                .dots("0.25 dropout_keep_ratio", over(0.0, b)),
        );
    }
    let printed = [course::printed("DO[8] keep 1")?, course::printed("DO[8] keep 0.25")?];
    course::beside(
        &mut found,
        [("keeps all", printed[0], &all), ("keeps a quarter", printed[1], &quarter)],
    );
    for (printed, ours) in printed.into_iter().zip([&all, &quarter]) {
        course::check_first_loss(&mut found, printed, ours, 1e-3);
        course::check_accuracies(&mut found, printed, ours, !context.is_excerpt());
    }
    let (a, b) = (last(&all.train), last(&quarter.train));
    found.check("last training accuracy with dropout", b, format!("below {a} without"), b < a);
    found.question(
        "Compare the accuracies with and without dropout: what do they say about it as a regularizer?",
        format!(
            "With dropout fewer of the training pictures are learned by heart, {:.1}% instead of {:.1}%, while on validation pictures the \
             best accuracy is {:.1}% against {:.1}% and the last {:.1}% against {:.1}%. That is what a regularizer does: the gap between \
             the two shrinks from {:.0} to {:.0} points. With 1,000 validation pictures an accuracy has a standard error of about 1.5 \
             points, so one training each is weak evidence for which of the two does better on them.",
            100.0 * b,
            100.0 * a,
            100.0 * quarter.best(),
            100.0 * all.best(),
            100.0 * last(&quarter.val),
            100.0 * last(&all.val),
            100.0 * (a - last(&all.val)),
            100.0 * (b - last(&quarter.val)),
        ),
    );
    Ok(found)
}
