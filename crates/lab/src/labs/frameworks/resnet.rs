//! The course's own network: its parts, its gradients, its training.

use super::super::course::{self, last, over};
use super::super::{Context, Found, going_on};
use crate::report::plot::{Plot, Values};
use anyhow::{Context as _, Result};
use chainrule::data::{Normalization, Pictures};
use chainrule::gradcheck::check;
use chainrule::models::{ModuleModel, ResNetCe, checked_models};
use chainrule::nn::{Params, trace};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{Group, History, Solver, SolverOptions, accuracy};

/// The parts of the network, with their names and how many parameters the course's have.
const PARTS: [(&str, &str, usize); 13] = [
    ("first convolution", "conv1", 1_728),
    ("its batch norm", "bn1", 128),
    ("residual block, 64 channels", "stage1.0", 74_564),
    ("residual block, 64 channels", "stage1.1", 74_564),
    ("transition from 64 to 128", "transition1", 9_152),
    ("residual block, 128 channels", "stage2.0", 297_608),
    ("residual block, 128 channels", "stage2.1", 297_608),
    ("residual block, 128 channels", "stage2.2", 297_608),
    ("transition from 128 to 256", "transition2", 34_688),
    ("residual block, 256 channels", "stage3.0", 1_189_136),
    ("residual block, 256 channels", "stage3.1", 1_189_136),
    ("last batch norm", "bn_final", 512),
    ("linear layer", "fc", 2_570),
];

/// Deviations with which the course draws some of the weights.
const DEVIATIONS: [(&str, f64); 6] = [
    ("stage1.0.conv1.weight", 0.058926),
    ("stage2.1.conv2.weight", 0.041667),
    ("stage3.1.conv1.weight", 0.029463),
    ("transition2.pointwise.weight", 0.088388),
    ("stage3.0.se.squeeze_excite.2.weight", 0.01),
    ("fc.weight", 0.01),
];

pub fn parts(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: resnet-parts
    let net = ResNetCe::new(10, 0.3, &mut Rng::new(0));
    let applied = trace(&net, Tensor::zeros([1, 3, 32, 32], DType::F32));
    // end
    let named = net.named_params();
    let size = |part: &str| -> usize {
        let within = |name: &str| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        named.iter().filter(|(name, _)| within(name)).map(|(_, t)| t.len()).sum()
    };
    let shape = |part: &str| {
        let row = applied.iter().find(|row| row.path.as_deref() == Some(part));
        row.map_or(String::new(), |row| format!("{:?}", &row.output[1..]))
    };
    let rows = PARTS.map(|(what, part, wanted)| {
        let (wanted, ours) = (wanted.to_string(), size(part).to_string());
        [what.to_string(), part.to_string(), shape(part), wanted, ours]
    });
    found.table("", ["part", "name", "output", "parameters, the course's", "ours"], rows);
    let right = PARTS.iter().filter(|(_, part, wanted)| size(part) == *wanted).count();
    let all = PARTS.len();
    found.check("parts of the right size", right, format!("all {all}"), right == all);
    let (n, tensors) = (net.num_params(), named.len());
    found.check("parameters", n, "3469002 as the course's has", n == 3_469_002);
    found.check("tensors of parameters", tensors, "89 as the course's has", tensors == 89);
    let adds: usize = applied.iter().map(|row| row.multiply_adds).sum();
    let millions = adds as f64 / 1e6;
    found.check(
        "multiplications for a picture",
        format!("{millions:.0} million"),
        "about 535 million",
        (530.0..540.0).contains(&millions),
    );
    for (name, wanted) in DEVIATIONS {
        let values = named.iter().find(|(n, _)| n == name).map_or(Vec::new(), |(_, t)| t.to_vec());
        let n = values.len().max(1) as f64;
        let ours = (values.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
        let near = 4.0 / (2.0 * n).sqrt();
        found.check(
            format!("deviation of `{name}`"),
            format!("{ours:.6}"),
            format!("{wanted}, within {:.1}%", 100.0 * near),
            (ours / wanted - 1.0).abs() < near,
        );
    }
    Ok(found)
}

pub fn gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    // show: resnet-gradients
    let net = checked_models().find(|model| model.name == "resnet-ce");
    let cases = (net.context("resnet-ce is not in the list of models")?.checks)();
    let outcomes = cases.iter().flat_map(check);
    // end
    let (mut rows, mut right) = (Vec::new(), 0);
    for outcome in outcomes {
        context.doing("the gradients of a small one", rows.len(), rows.len() + 1);
        right += usize::from(outcome.passed());
        let [error, allowed] = [outcome.error, outcome.tolerance].map(|e| format!("{e:.0e}"));
        rows.push([
            outcome.input.to_string(),
            error,
            allowed,
            format!("{:.0e}", outcome.error_f32),
        ]);
    }
    let all = rows.len();
    found.table("", ["gradient of", "error", "allowed", "off in 32 bits"], rows);
    found.check("gradients that are right", right, format!("all {all}"), right == all && all > 0);
    Ok(found)
}

/// How long the training is: passes over how many pictures, and how many an accuracy looks at.
struct Length {
    epochs: usize,
    pictures: usize,
    looked_at: usize,
}

pub fn training(context: &mut Context<'_>) -> Result<Found> {
    let splits = context.splits()?;
    // A few steps show that it learns. Ten epochs take minutes on the excerpt, and hours on all pictures.
    let Length { epochs, pictures, looked_at } = match context.quick {
        true => Length { epochs: 1, pictures: 1536, looked_at: 300 },
        false => Length { epochs: 10, pictures: splits.train.len(), looked_at: 1000 },
    };
    let learned = splits.train.slice(0..pictures.min(splits.train.len()));
    // show: resnet-training
    let normalization = Normalization::of("cifar10", &splits.train)?;
    let seen = |data| Pictures::new(data, normalization.clone());
    let (train, val, test) = (seen(learned), seen(splits.val), seen(splits.test.clone()));

    let mut rng = Rng::new(0);
    let mut model = ModuleModel::new(ResNetCe::new(10, 0.3, &mut rng), [3, 32, 32]);
    let rule = make("adamw", &OptimConfig { weight_decay: Some(0.05), ..OptimConfig::NONE })?;
    let options = SolverOptions {
        batch_size: 64,
        epochs,
        learning_rate: 1e-3,
        groups: vec![Group::decay_all()], // as PyTorch: biases, scales and shifts too
        train_samples: looked_at,
        val_samples: Some(looked_at),
        ..SolverOptions::default()
    };
    let mut solver = Solver::new(&mut model, rule, &train, &val, options);
    // end
    let an_epoch = solver.steps_per_epoch();
    let history = going_on::train(context, "resnet-ce", &mut solver, &mut rng)?;
    let tested = if context.quick { looked_at } else { splits.test.len() };
    context.doing("test pictures", 0, 1);
    let tested: Vec<usize> = (0..tested.min(splits.test.len())).collect();
    let test = accuracy(&model, &test, &tested);
    told(context.quick, &history, an_epoch, (test, tested.len()))
}

/// What the training came to, beside the course's.
fn told(quick: bool, history: &History, an_epoch: usize, test: (f64, usize)) -> Result<Found> {
    let mut found = Found::default();
    let printed = course::printed_run("PT[22] ResNetCE AdamW 10 epochs")?;
    // The steps of the printed rows count from 0 in each epoch, which has 766.
    let mut epoch = 0;
    let rows: Vec<(f64, f64, f64)> = printed
        .rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            epoch += usize::from(i > 0 && row.0 == 0.0);
            ((epoch * 766) as f64 + row.0, row.1, row.2 / 1000.0)
        })
        .collect();
    // A short training stands beside the first epoch that was printed, not beside all ten.
    let end = history.loss.len().max(766) as f64;
    let shown = rows.iter().filter(|row| row.0 < end);
    let steps = |i: usize| if i == 0 { 0.0 } else { (i * an_epoch - 1) as f64 };
    let val = &history.val_accuracy;
    for (e, (val, train)) in val.iter().zip(&history.train_accuracy).enumerate() {
        let t = steps(e) as usize;
        found.print(format!("Iteration {t}, loss = {:.4}", history.loss[t]));
        found.print(format!(
            "Accuracy on training set: {:.2}, on validation set: {:.2}",
            100.0 * train,
            100.0 * val
        ));
    }
    found.print("Checking accuracy on test set");
    let (accuracy, of) = test;
    let right = (accuracy * of as f64).round();
    found.print(format!(
        "Got {right} / {of} correct ({:.2}) (printed by the course: 8402 / 10000)",
        100.0 * accuracy
    ));
    found.plot(
        Plot::new("Training loss", "iteration", Values::Numbers)
            .line("ours", over(0.0, &history.loss))
            .dots("printed by the course", shown.clone().map(|row| (row.0, row.1))),
    );
    found.plot(
        Plot::new("Validation accuracy", "iteration", Values::Shares)
            .line("ours", val.iter().enumerate().map(|(i, v)| (steps(i), *v)))
            .dots("printed by the course", shown.map(|row| (row.0, row.2))),
    );
    let first = history.loss[0];
    let ln10 = 10f64.ln();
    found.check(
        "first loss (printed by the course: 2.2967)",
        format!("{first:.4}"),
        format!("{ln10:.4}, that of ten equal classes, within 0.1"),
        (first - ln10).abs() < 0.1,
    );
    let n = history.loss.len();
    let tail = &history.loss[n.saturating_sub(10)..];
    let end = tail.iter().sum::<f64>() / tail.len() as f64;
    found.check("mean of the last ten losses", format!("{end:.3}"), "below 2", end < 2.0);
    let percent = |v: f64| format!("{:.1}%", 100.0 * v);
    if quick {
        found.text(format!(
            "After {n} steps the training pictures are learned, as the loss shows, but an accuracy is measured with the running averages of \
             twenty batch norms, which follow weights that still change fast: it lags behind. Without `--quick` there are ten epochs.",
        ));
    } else {
        // On all pictures, what the course asks for within ten epochs.
        let (best, bar) = (history.best_val_accuracy, if n < 5000 { 0.45 } else { 0.7 });
        let wanted = format!("above {}", percent(bar));
        found.check("best validation accuracy", percent(best), wanted, best > bar);
        let near = (accuracy - best).abs() < 0.08;
        let wanted = format!("within 8 points of {}", percent(best));
        found.check("test accuracy", percent(accuracy), wanted, near);
    }
    let at_end = rows.iter().rev().step_by(8).map(|row| row.2).collect::<Vec<_>>();
    let table = at_end.iter().rev().enumerate().map(|(e, theirs)| {
        let ours = val.get(e + 1).map_or(String::new(), |v| percent(*v));
        [(e + 1).to_string(), percent(*theirs), ours]
    });
    found.table(
        "Validation accuracy after each epoch",
        ["epoch", "printed by the course", "ours"],
        table,
    );
    found.text(explained(n));
    describe(&mut found, &rows, (history, accuracy));
    Ok(found)
}

fn explained(steps: usize) -> String {
    let share = 100.0 * steps as f64 / 7660.0;
    format!(
        "The course seeded nothing and trained on a GPU, so that no digit can be the same: its 7,660 steps and ours, {steps} or {share:.1}% \
         of them, begin with other weights and see other batches. What can be compared is where the curves lie. A last batch that is not \
         full is left out here, and kept there (40 pictures an epoch).",
    )
}

/// The notebook's last question.
fn describe(found: &mut Found, rows: &[(f64, f64, f64)], (history, test): (&History, f64)) {
    let (last_printed, peak) =
        (rows.last().map_or(0.0, |r| r.2), rows.iter().map(|r| r.2).fold(0.0, f64::max));
    let passed = rows.iter().find(|r| r.2 > 0.7).map_or(0.0, |r| (r.0 / 766.0).floor() + 1.0);
    found.question(
        "Describe the network, and what it reached.",
        format!(
            "Three stages of residual blocks whose batch norms and ReLUs come before the convolutions, so that the shortcut is a plain sum; \
             each block's output is weighed channel by channel by squeeze-and-excitation. Between the stages a depthwise and a pointwise \
             convolution halve the picture at a small part of a full convolution's cost. At the end a global average stands for the \
             large linear layers, and dropout of 0.3 before the last. By its log the course's training passes 70% in epoch \
             {passed:.0}, reaches {:.1}% at most and ends at {:.1}%, with 84.0% on the test pictures (the notebook's text claims 86.2% and \
             85.1%, which its log does not show). Ours, after {} steps, is at {:.1}% of the validation pictures, {:.1}% of the training \
             pictures and {:.1}% of the test pictures.",
            100.0 * peak,
            100.0 * last_printed,
            history.loss.len(),
            100.0 * last(&history.val_accuracy),
            100.0 * last(&history.train_accuracy),
            100.0 * test,
        ),
    );
}
