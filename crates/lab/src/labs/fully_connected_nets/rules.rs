//! Update rules: one step of each, and whole trainings beside each other.

use super::super::course::{self, Plan, Printed, Training, last, over};
use super::super::{Context, Found};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::gradcheck::rel_error;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
use chainrule::optim::{OptimConfig, State, make};
use chainrule::tensor::Tensor;

/// Numbers (4, 5) evenly spread from one value to another, with NumPy's rounding.
fn linspace(from: f64, to: f64) -> Tensor {
    let step = (to - from) / 19.0;
    let value = |i: u8| if i == 19 { to } else { f64::from(i) * step + from };
    Tensor::from_f64([4, 5], &(0..20).map(value).collect::<Vec<_>>())
}

/// The relative error of a tensor against itself rounded to eight decimals.
fn error_of_rounding(exact: &Tensor) -> f64 {
    let round = |v: f64| format!("{v:.8}").parse().unwrap_or(f64::NAN);
    let table: Vec<f64> = exact.to_vec().into_iter().map(round).collect();
    rel_error(&Tensor::from_f64(&exact.shape()[..], &table), exact)
}

/// A rule, what it starts from, and the errors that the course printed, of the weights and of each part of its state.
struct Step {
    rule: &'static str,
    learning_rate: f64,
    taken: u64,
    state: &'static [(&'static str, f64, f64)],
    printed: &'static [f64],
}

const STEPS: [Step; 3] = [
    Step {
        rule: "momentum",
        learning_rate: 1e-3,
        taken: 0,
        state: &[("velocity", 0.6, 0.9)],
        printed: &[8.882347033505819e-9, 4.269287743278663e-9],
    },
    Step {
        rule: "rmsprop",
        learning_rate: 1e-2,
        taken: 0,
        state: &[("cache", 0.6, 0.9)],
        printed: &[9.524687511038133e-8, 2.6477955807156126e-9],
    },
    Step {
        rule: "adam",
        learning_rate: 1e-2,
        taken: 5,
        state: &[("m", 0.6, 0.9), ("v", 0.7, 0.5)],
        printed: &[1.1395691798535431e-7, 4.214963193114416e-9, 4.208314038113071e-9],
    },
];

pub fn one_step(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    for Step { rule: name, learning_rate, taken, state, printed } in STEPS {
        let slots = state.iter().map(|(name, from, to)| (name.to_string(), linspace(*from, *to)));
        let slots = vec![slots.collect()];
        // show: one-step
        let (mut w, dw) = (linspace(-0.4, 0.6), linspace(-0.6, 0.4));
        let mut rule = make(name, &OptimConfig::NONE)?;
        rule.load_state(State { step: taken, slots })?;
        rule.begin_step();
        rule.update(0, &mut w, &dw, learning_rate, true);
        // end
        let state = rule.state().slots.into_iter().flatten();
        let after = [("next weights".to_string(), w)].into_iter().chain(state);
        for ((part, value), printed) in after.zip(printed) {
            let what = format!("{name}: error of the {part} against eight decimals");
            found.check_printed(what, error_of_rounding(&value), *printed, 1e-6);
        }
    }
    Ok(found)
}

const SGD: Plan = Plan { rule: "sgd", learning_rate: 5e-3, epochs: 5, batch: 100, every: 10 };
const MOMENTUM: Plan = Plan { rule: "momentum", ..SGD };
const ADAM: Plan = Plan { rule: "adam", learning_rate: 1e-3, ..SGD };
const RMSPROP: Plan = Plan { rule: "rmsprop", learning_rate: 1e-4, ..SGD };

/// Trains the network of this comparison with a plan.
fn train(context: &mut Context<'_>, plan: Plan) -> Result<Training> {
    // show: compare-rules
    let pictures = context.pictures()?;
    let small = pictures.small(4000);
    let config = FullyConnectedConfig {
        hidden: vec![100; 5],
        weight_scale: Some(5e-2),
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut context.rng);
    course::train(context, plan.rule, &mut net, (&small, &pictures.val), plan)
    // end
}

pub fn sgd_and_momentum(context: &mut Context<'_>) -> Result<Found> {
    let (sgd, momentum) = (train(context, SGD)?, train(context, MOMENTUM)?);
    let mut found = Found::default();
    let of = [("sgd", &sgd), ("momentum", &momentum)];
    let series = |pick: fn(&Training) -> &Vec<f64>| of.map(|(name, t)| (name, pick(t).as_slice()));
    plots(&mut found, series(|t| &t.loss), series(|t| &t.train), series(|t| &t.val));
    let printed = [course::printed("FC[8] sgd")?, course::printed("FC[8] sgd_momentum")?];
    told(&mut found, context, [("sgd", printed[0], &sgd), ("momentum", printed[1], &momentum)]);
    let (slow, fast) = (last(&sgd.train), last(&momentum.train));
    found.check(
        "last training accuracy with momentum",
        format!("{fast:.3}"),
        format!("more than {slow:.3} without"),
        fast > slow,
    );
    for (name, training) in of {
        keep(&mut found, name, training);
    }
    Ok(found)
}

pub fn adam_and_rmsprop(context: &mut Context<'_>) -> Result<Found> {
    // show: four-rules
    let adam = train(context, ADAM)?; // learning rate 1e-3
    let rmsprop = train(context, RMSPROP)?; // learning rate 1e-4
    // end
    let mut found = Found::default();
    let before = "sgd-and-momentum";
    let series = |part: &str, adam, rmsprop| {
        let kept = |name: &str| context.kept(before, &format!("{name} {part}"));
        [("sgd", kept("sgd")), ("momentum", kept("momentum")), ("adam", adam), ("rmsprop", rmsprop)]
    };
    plots(
        &mut found,
        series("loss", adam.loss.as_slice(), rmsprop.loss.as_slice()),
        series("train", &adam.train, &rmsprop.train),
        series("val", &adam.val, &rmsprop.val),
    );
    let printed = [course::printed("FC[10] adam")?, course::printed("FC[10] rmsprop")?];
    told(&mut found, context, [("adam", printed[0], &adam), ("rmsprop", printed[1], &rmsprop)]);
    let (sgd, of_adam) = (last(context.kept(before, "sgd train")), last(&adam.train));
    found.check(
        "last training accuracy with Adam",
        format!("{of_adam:.3}"),
        format!("more than {sgd:.3} with plain gradient descent"),
        of_adam > sgd,
    );
    found.question(
        "AdaGrad divides each step by the root of the sum of all squared gradients so far. Why do its steps become tiny, and does Adam \
         have the same trouble?",
        format!(
            "The sum only grows: with steady gradients it grows like the number of steps t, and the step shrinks like 1 / sqrt(t), \
             whether or not there is anything left to learn. Adam and RMSprop divide by an average that forgets (Adam's over about \
             1 / (1 - 0.999) = 1,000 steps), so that it can fall again when gradients do; and Adam corrects for the average's start \
             from 0. Momentum is not what cures it. Here, after five epochs, Adam is at {:.1}% of the training pictures and RMSprop \
             at {:.1}%, with plain gradient descent at {:.1}%.",
            100.0 * of_adam,
            100.0 * last(&rmsprop.train),
            100.0 * sgd,
        ),
    );
    Ok(found)
}

/// Loss and accuracies of several trainings over each other.
fn plots<'a, const N: usize>(
    found: &mut Found,
    loss: [(&str, &'a [f64]); N],
    train: [(&str, &'a [f64]); N],
    val: [(&str, &'a [f64]); N],
) {
    let mut plot = Plot::new("Training loss", "iteration", Values::Numbers);
    for (name, values) in loss {
        plot = plot.dots(name, over(1.0, values));
    }
    found.plot(plot);
    for (title, all) in [("Training accuracy", train), ("Validation accuracy", val)] {
        let mut plot = Plot::new(title, "epoch", Values::Shares);
        for (name, values) in all {
            plot = plot.line(name, over(0.0, values));
        }
        found.plot(plot);
    }
}

fn told<'a, const N: usize>(
    found: &mut Found,
    context: &Context<'_>,
    of: [(&'a str, &'a Printed, &'a Training); N],
) {
    for (name, _, training) in &of {
        found.print(format!("Running with  {name}"));
        training.lines.iter().for_each(|line| found.print(line));
        found.print("");
    }
    course::beside(found, of);
    if !context.is_excerpt() {
        for (_, printed, ours) in of {
            course::check_first_loss(found, printed, ours, 1e-2);
            course::check_accuracies(found, printed, ours, true);
        }
    }
    found.text(if context.is_excerpt() {
        "The random numbers are the course's, but its 4,000 pictures are the first of one file; the excerpt's are the first 1,000 of \
         four files. A quarter of each batch is the same."
    } else {
        "The random numbers are the course's; pixels decoded from JPEG and each step's rounding make the difference."
    });
}

fn keep(found: &mut Found, name: &str, training: &Training) {
    let Training { loss, train, val, .. } = training;
    for (part, values) in [("loss", loss), ("train", train), ("val", val)] {
        found.keep(&format!("{name} {part}"), values.clone());
    }
}
