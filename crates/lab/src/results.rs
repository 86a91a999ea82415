//! What is left when a training is over: the weights, the figures, the report.

use crate::pictures::About;
use crate::report::{EpochPoint, Report, WeightGrid};
use crate::run::Run;
use crate::settings::Plan;
use crate::{machine, show};
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::data::{Dataset, Splits};
use chainrule::models::{Model, count_params, summary};
use chainrule::train::{Confusion, History, save_weights};
use std::collections::HashMap;

/// What is measured once training is over.
pub struct Outcome {
    /// Of the validation pictures.
    val: Confusion,
    /// Accuracy on the test pictures.
    test: f64,
}

/// Measures the returned model, and writes the weights and the report.
pub fn finish(
    plan: &Plan,
    splits: &Splits,
    about: &About,
    model: &dyn Model,
    run: &Run,
    history: &History,
    seconds: f64,
) -> Result<Outcome> {
    // One note only: the format keeps them in no fixed order, and equal weights should be equal files.
    let note = format!("{} {}", env!("CARGO_PKG_VERSION"), model.name());
    let notes = HashMap::from([("chainrule".to_string(), note)]);
    save_weights(model, notes, &run.directory.join("best.safetensors"))?;
    let outcome = Outcome {
        val: Confusion::of(model, &about.seen(&splits.val)),
        test: Confusion::of(model, &about.seen(&splits.test)).accuracy(),
    };
    let report = report(plan, splits, model, run, history, &outcome, seconds);
    chainrule::train::write_atomically(
        &run.directory.join("report.html"),
        report.to_html().as_bytes(),
    )?;
    Ok(outcome)
}

fn report(
    plan: &Plan,
    splits: &Splits,
    model: &dyn Model,
    run: &Run,
    history: &History,
    outcome: &Outcome,
    seconds: f64,
) -> Report {
    let percent = |v: f64| format!("{:.1}%", v * 100.0);
    let pictures: usize = run.steps.iter().map(|s| s.examples).sum();
    let headline = vec![
        ("validation accuracy".to_string(), percent(history.best_val_accuracy)),
        ("test accuracy".to_string(), percent(outcome.test)),
        (
            "final loss".to_string(),
            history.loss.last().map_or("none".into(), |l| format!("{l:.3}")),
        ),
        ("steps".to_string(), summary::thousands(history.loss.len())),
        ("seconds".to_string(), format!("{seconds:.1}")),
        ("pictures a second".to_string(), summary::thousands((pictures as f64 / seconds) as usize)),
        ("parameters".to_string(), short(count_params(model))),
    ];
    let config =
        serde_json::to_value(plan).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let [train, val, test] = [&splits.train, &splits.val, &splits.test].map(Dataset::len);
    let pictures_used =
        ("pictures".to_string(), format!("{train} training, {val} validation, {test} test"));
    let text = |v: serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
    Report {
        title: format!("{} on the {}", model.title(), splits.name),
        run: run.name(),
        command: command_line(),
        headline,
        loss: run.steps.iter().map(|s| (s.step as u64, s.loss)).collect(),
        learning_rate: run.steps.iter().map(|s| (s.step as u64, s.learning_rate)).collect(),
        accuracy: run
            .checks
            .iter()
            .map(|c| EpochPoint {
                epoch: c.epoch as f64,
                train: c.train_accuracy,
                val: c.val_accuracy,
            })
            .collect(),
        classes: splits.val.classes().to_vec(),
        confusion: outcome.val.counts.clone(),
        confusion_split: "validation".to_string(),
        weights: weights(model),
        config: config.into_iter().map(|(k, v)| (k, text(v))).chain([pictures_used]).collect(),
        machine: machine::facts(),
        notes: Vec::new(),
    }
}

/// A large number in four characters or so: `1.71 M`.
fn short(n: usize) -> String {
    if n < 100_000 { summary::thousands(n) } else { format!("{:.2} M", n as f64 / 1e6) }
}

/// The command that made this run, as it can be pasted into a shell.
fn command_line() -> String {
    let plain = |a: &String| {
        !a.is_empty() && a.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=,+:@".contains(c))
    };
    let quoted = |a: String| if plain(&a) { a } else { format!("'{}'", a.replace('\'', r"'\''")) };
    std::iter::once("chainrule".to_string())
        .chain(std::env::args().skip(1).map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The weights into each of the first units as pictures in a grid, if they can be seen as colours.
fn weights(model: &dyn Model) -> Option<WeightGrid> {
    const MOST: usize = 100;
    let filters = model.first_filters()?;
    let [n, _, _, 3] = filters.shape()[..] else { return None };
    let units = n.min(MOST);
    let grid = chainrule::visualize::grid(&filters.first(units), 255.0, 1);
    let rgb = grid.to_vec().into_iter().map(|v| v as u8).collect();
    let caption = format!(
        "What each of {units} units of the first layer looks for: its weights as a picture, each scaled on its own."
    );
    Some(WeightGrid { width: grid.shape()[1] as u32, height: grid.shape()[0] as u32, rgb, caption })
}

/// Says where the results are.
pub fn announce(plan: &Plan, run: &Run, history: &History, outcome: &Outcome, seconds: f64) {
    let report = run.directory.join("report.html");
    if plan.json {
        let line = serde_json::json!({
            "best_val_acc": history.best_val_accuracy, "test_acc": outcome.test, "final_loss": history.loss.last(),
            "steps": history.loss.len(), "seconds": seconds, "run": run.directory,
        });
        return show::line(line.to_string());
    }
    let good = show::color(AnsiColor::Green);
    show::line(format!(
        "{good}validation accuracy {:.1}%{good:#}, test accuracy {:.1}%, {} steps in {seconds:.1} s",
        history.best_val_accuracy * 100.0,
        outcome.test * 100.0,
        history.loss.len(),
    ));
    show::line(format!("report: {}", report.display()));
}
