//! Trainings with and without batch norm.

use super::super::course::{self, Plan, Training, over};
use super::super::{Context, Found, gradients};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Norm};
use chainrule::tensor::{DType, Tensor};

pub fn network_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = Tensor::from_f64([2, 15], &context.randn(2 * 15));
    let mut labels = Vec::new();
    context.rng.choice(10, 2, &mut labels);
    // In the order of the names: W, b, beta, gamma. The course's 3.14 is no pi.
    #[allow(clippy::approx_constant)]
    const PRINTED: [(f64, f64, [f64; 10]); 2] = [
        (
            0.0,
            2.2611955101340957,
            [
                1.10e-4, 5.65e-6, 4.14e-10, 2.66e-7, 4.16e-8, 1.02e-10, 7.33e-9, 1.17e-9, 7.47e-9,
                3.35e-9,
            ],
        ),
        (
            3.14,
            6.996533220108303,
            [
                1.98e-6, 2.28e-6, 1.11e-8, 1.38e-8, 7.99e-7, 1.73e-10, 6.65e-9, 3.48e-9, 6.27e-9,
                4.67e-9,
            ],
        ),
    ];
    for (reg, loss, printed) in PRINTED {
        // show: net-with-norm
        let config = FullyConnectedConfig {
            input_shape: vec![15],
            hidden: vec![20, 30],
            norm: Norm::Batch,
            weight_scale: Some(5e-2),
            reg,
            dtype: DType::F64,
            ..FullyConnectedConfig::default()
        };
        let mut net = FullyConnectedNet::new(config, &mut context.rng);
        let errors = gradients::errors(&mut net, &x, &labels, 1e-5, &mut context.rng);
        // end
        errors.tell(&mut found, &format!("reg = {reg}"), loss, &printed);
    }
    found.text(
        "The bias below a batch norm has no influence, because the mean is subtracted: its derivative is 0, and what is compared is \
         rounding with rounding.",
    );
    Ok(found)
}

const PLAN: Plan = Plan { rule: "adam", learning_rate: 1e-3, epochs: 10, batch: 50, every: 20 };

fn net(context: &mut Context<'_>, hidden: &[usize], scale: f64, norm: Norm) -> FullyConnectedNet {
    let config = FullyConnectedConfig {
        hidden: hidden.to_vec(),
        weight_scale: Some(scale),
        norm,
        ..FullyConnectedConfig::default()
    };
    FullyConnectedNet::new(config, &mut context.rng)
}

pub fn deep_network(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    // show: with-and-without
    let pictures = context.pictures()?;
    let data = (&pictures.small(1000), &pictures.val);
    let mut with = net(context, &[100; 5], 2e-2, Norm::Batch);
    let mut without = net(context, &[100; 5], 2e-2, Norm::None);
    let with = course::train(context, "with batch norm", &mut with, data, PLAN)?;
    let without = course::train(context, "without batch norm", &mut without, data, PLAN)?;
    // end
    found.print("Solver with batch norm:");
    with.lines.iter().for_each(|line| found.print(line));
    found.print("");
    found.print("Solver without batch norm:");
    without.lines.iter().for_each(|line| found.print(line));
    found.plot(
        Plot::new("Training loss", "iteration", Values::Numbers)
            .dots("with_norm", with.losses())
            .dots("baseline", without.losses()),
    );
    for (title, a, b) in [
        ("Training accuracy", &with.train, &without.train),
        ("Validation accuracy", &with.val, &without.val),
    ] {
        found.plot(
            Plot::new(title, "epoch", Values::Shares)
                .line("with_norm", over(0.0, a))
                .line("baseline", over(0.0, b)),
        );
    }
    let printed = [course::printed("BN[9] with batchnorm")?, course::printed("BN[9] without")?];
    course::beside(
        &mut found,
        [("with batch norm", printed[0], &with), ("without", printed[1], &without)],
    );
    // Batch norm subtracts whatever mean picture there is, so with it the digits are the printed ones.
    course::check_first_loss(&mut found, printed[0], &with, 1e-6);
    course::check_first_loss(&mut found, printed[1], &without, 1e-3);
    for (printed, ours) in printed.into_iter().zip([&with, &without]) {
        course::check_accuracies(&mut found, printed, ours, !context.is_excerpt());
    }
    if context.is_excerpt() {
        found.text(
            "Pixels of the 1,000 training pictures, first weights and batches are the course's, and batch norm cancels the mean picture: \
             its first loss is the printed one. From then on each step builds on the rounding of those before, and by the twentieth the \
             digits part. Validation pictures are others.",
        );
    }
    let (a, b) = (with.train[5], without.train[5]);
    found.check(
        "training accuracy after five epochs with batch norm",
        format!("{a:.3}"),
        format!("more than {b:.3} without"),
        a > b,
    );
    Ok(found)
}

/// What a training at one weight scale came to.
struct Point {
    scale: f64,
    batch: Training,
    plain: Training,
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// The mean of the last hundred losses.
fn end(training: &Training) -> f64 {
    let tail = &training.loss[training.loss.len().saturating_sub(100)..];
    tail.iter().sum::<f64>() / tail.len() as f64
}

pub fn weight_scales(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let every = if context.quick { 2 } else { 1 };
    let mut points = Vec::new();
    // show: scales
    for i in (0..20).step_by(every) {
        let scale = 10f64.powf(-4.0 + 4.0 * f64::from(i) / 19.0);
        let pictures = context.pictures()?;
        let data = (&pictures.small(1000), &pictures.val);
        let mut batch = net(context, &[50; 7], scale, Norm::Batch);
        let mut plain = net(context, &[50; 7], scale, Norm::None);
        found.print(format!("Running weight scale {} / 20", i + 1));
        let what = format!("weight scale {} of 20", i + 1);
        let batch = course::train(context, &what, &mut batch, data, PLAN)?;
        let plain = course::train(context, &what, &mut plain, data, PLAN)?;
        points.push(Point { scale, batch, plain });
    }
    // end
    let of = |f: &dyn Fn(&Training) -> f64, pick: fn(&Point) -> &Training| {
        points.iter().map(|p| (p.scale, f(pick(p)))).collect::<Vec<_>>()
    };
    let plot = |title: &str, y, f: &dyn Fn(&Training) -> f64| {
        Plot::new(title, "weight initialization scale", y)
            .over_decades()
            .line("baseline", of(f, |p| &p.plain))
            .line("batchnorm", of(f, |p| &p.batch))
    };
    let shares = Values::Shares;
    found
        .plot(plot("Best val accuracy vs. weight initialization scale", shares, &|t| most(&t.val)));
    found.plot(plot("Best train accuracy vs. weight initialization scale", shares, &|t| {
        most(&t.train)
    }));
    let title = "Final training loss vs. weight initialization scale";
    found.plot(plot(title, Values::Between(1.0, 3.5), &end));
    let rows = points.iter().map(|p| {
        let accuracies =
            [most(&p.batch.train), most(&p.plain.train), most(&p.batch.val), most(&p.plain.val)];
        let [a, b, c, d] = accuracies.map(|v| format!("{v:.3}"));
        let scale = format!("{:.5}", p.scale);
        [scale, a, b, c, d, format!("{:.3}", end(&p.batch)), format!("{:.3}", end(&p.plain))]
    });
    let head = [
        "scale",
        "train, batch norm",
        "plain",
        "val, batch norm",
        "plain",
        "loss, batch norm",
        "plain",
    ];
    found.table("", head, rows);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(found) };
    let better = points.iter().filter(|p| most(&p.batch.train) > most(&p.plain.train)).count();
    let (small, small_plain) = (most(&first.batch.train), most(&first.plain.train));
    let best = |pick: fn(&Point) -> &Training| {
        let best =
            points.iter().max_by(|a, b| most(&pick(a).train).total_cmp(&most(&pick(b).train)));
        best.map_or((f64::NAN, f64::NAN), |p| (p.scale, most(&pick(p).train)))
    };
    let ((at_batch, batch), (at_plain, plain)) = (best(|p| &p.batch), best(|p| &p.plain));
    found.check(
        "training accuracy at the smallest scale with batch norm",
        format!("{small:.3}"),
        format!("well above {small_plain:.3} without"),
        small > small_plain + 0.1,
    );
    found.question(
        "How does the scale of the first weights affect networks with and without batch norm, and why?",
        format!(
            "Without it, only a window of scales works: at 0.0001 the plain network reaches {:.1}% of its training pictures, at its best \
             scale, {at_plain:.3}, {:.1}%. Batch norm, which brings each layer's outputs back to one size, reaches {:.1}% even at \
             0.0001 and {:.1}% at {at_batch:.3}; it is ahead at {better} of {} scales. But not at all of them: near sqrt(2 / 50) = 0.2, \
             where a plain layer of 50 units keeps the size of a signal by itself, it needs no help. Nor is batch norm flat: at \
             tiny scales the 0.00001 that is added to each variance outweighs the variance itself, and the last layer, which has no \
             norm, still follows the scale (at 1: {:.1}% with, {:.1}% without). The course's losses become infinite at large scales, \
             because it takes the logarithm of a probability that has become 0; ours are computed without that step and stay \
             finite.",
            100.0 * small_plain,
            100.0 * plain,
            100.0 * small,
            100.0 * batch,
            points.len(),
            100.0 * most(&last.batch.train),
            100.0 * most(&last.plain.train),
        ),
    );
    let all = points.iter().flat_map(|p| p.batch.loss.iter().chain(&p.plain.loss));
    let finite = all.clone().filter(|loss| loss.is_finite()).count();
    let all = all.count();
    found.check("losses that are finite", finite, format!("all {all}"), finite == all);
    Ok(found)
}
