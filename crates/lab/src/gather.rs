//! What a report shows, gathered from a run directory, its model and its pictures.

use crate::model::Trained;
use crate::report::{EpochPoint, Report, Shown, WeightGrid};
use crate::stored::{State, Stored};
use chainrule::data::{Dataset, Splits};
use chainrule::models::{Model, count_params, summary};
use chainrule::train::metrics::{ExampleLoss, cross_entropy, hinge, ranking, score_rows, softmax};
use chainrule::train::{Evaluation, accuracy};

/// How many of the most wrong pictures a report shows.
const WORST: usize = 18;
/// How many pictures a report shows whatever became of them.
const SAMPLE: usize = 12;
/// How many units of the first layer a report shows.
const UNITS: usize = 100;
/// How many classes are named beside a picture.
const GUESSES: usize = 3;
/// Pictures are shown with at most so many pixels a side.
const LARGEST_SHOWN: usize = 64;

/// The loss by which a run's examples are judged, one by one.
pub fn example_loss(trained: &Trained) -> ExampleLoss {
    if trained.plan.loss == "svm" { hinge } else { cross_entropy }
}

/// The report of a run; without its model and pictures only the curves and the settings.
pub fn report(stored: &Stored, used: Option<(&Trained, &Splits)>) -> Report {
    let metrics = &stored.metrics;
    let mut report = Report {
        title: format!("{} run", stored.plan.model),
        run: stored.name(),
        loss: metrics.steps.iter().map(|s| (s.step, s.loss)).collect(),
        learning_rate: metrics.steps.iter().map(|s| (s.step, s.learning_rate)).collect(),
        accuracy: metrics
            .checks
            .iter()
            .map(|c| EpochPoint {
                epoch: c.epoch as f64,
                train: c.train_accuracy,
                val: c.val_accuracy,
            })
            .collect(),
        config: settings(stored),
        notes: notes(stored),
        ..Report::default()
    };
    if let Some(outcome) = &stored.outcome {
        report.command = outcome.command.clone();
        report.machine = outcome.machine.clone();
    }
    let test = used.and_then(|(trained, splits)| test_accuracy(stored, trained, splits));
    let evaluation = used.map(|(trained, splits)| add_pictures(&mut report, trained, splits));
    report.headline = headline(stored, used.map(|u| &*u.0.model), test, evaluation.as_ref());
    report
}

/// Every setting as (key, value).
fn settings(stored: &Stored) -> Vec<(String, String)> {
    let config = serde_json::to_value(&stored.plan).ok();
    let config = config.and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let text = |v: serde_json::Value| match v {
        serde_json::Value::String(s) if s.is_empty() => "\u{2013}".to_string(),
        serde_json::Value::String(s) => s,
        serde_json::Value::Array(list) => {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    config.into_iter().map(|(k, v)| (k, text(v))).collect()
}

/// What a reader should know before the curves.
fn notes(stored: &Stored) -> Vec<String> {
    let mut notes = Vec::new();
    let (done, all) = (stored.epochs(), stored.plan.epochs);
    match stored.state() {
        State::Finished => {}
        State::Running => {
            notes.push(format!("This run is still training: {done} of {all} epochs are done."))
        }
        State::Interrupted => {
            notes.push(format!("This run ended early: {done} of {all} epochs are done."))
        }
    }
    match stored.metrics.unreadable {
        0 => {}
        1 => notes.push("One line of metrics.jsonl could not be read.".to_string()),
        n => notes.push(format!("{n} lines of metrics.jsonl could not be read.")),
    }
    notes
}

fn test_accuracy(stored: &Stored, trained: &Trained, splits: &Splits) -> Option<f64> {
    let all: Vec<usize> = (0..splits.test.len()).collect();
    let measured = || accuracy(&*trained.model, &trained.about.seen(&splits.test), &all);
    match &stored.outcome {
        Some(outcome) => outcome.test_acc,
        None => (!all.is_empty()).then(measured),
    }
}

fn headline(
    stored: &Stored,
    model: Option<&dyn Model>,
    test: Option<f64>,
    evaluation: Option<&Evaluation>,
) -> Vec<(String, String)> {
    let percent = |v: f64| format!("{:.1}%", v * 100.0);
    let mut all = Vec::new();
    let mut say = |label: &str, value: String| all.push((label.to_string(), value));
    if let Some(best) = stored.metrics.best() {
        say("validation accuracy", percent(best.val_accuracy));
    }
    if let Some(e) = evaluation.filter(|e| e.classes > 5) {
        say("validation, top 5", percent(e.top(5)));
    }
    if let Some(test) = test {
        say("test accuracy", percent(test));
    }
    if let Some(last) = stored.metrics.steps.last() {
        say("final loss", format!("{:.3}", last.loss));
    }
    say("steps", summary::thousands(stored.steps() as usize));
    if let Some(outcome) = &stored.outcome {
        let steps = outcome.steps.saturating_sub(outcome.resumed_at);
        let speed = (steps * stored.plan.batch) as f64 / outcome.seconds.max(1e-9);
        say("seconds", format!("{:.1}", outcome.seconds));
        if steps > 0 {
            say("pictures a second", summary::thousands(speed as usize));
        }
    }
    if let Some(model) = model {
        say("parameters", short(count_params(model)));
    }
    all
}

/// A large number in four characters or so: `1.71 M`.
fn short(n: usize) -> String {
    if n < 100_000 { summary::thousands(n) } else { format!("{:.2} M", n as f64 / 1e6) }
}

/// What the model makes of the validation pictures, and its first weights.
fn add_pictures(report: &mut Report, trained: &Trained, splits: &Splits) -> Evaluation {
    let model = &*trained.model;
    report.title = format!("{} on the {}", model.title(), splits.name);
    let [train, val, test] = [&splits.train, &splits.val, &splits.test].map(Dataset::len);
    let counts = format!("{train} training, {val} validation, {test} test");
    report.config.push(("pictures".to_string(), counts));
    report.classes = trained.about.classes.clone();
    report.weights = weights(model, UNITS);
    let evaluation = Evaluation::of(model, &trained.about.seen(&splits.val), example_loss(trained));
    report.confusion = evaluation.confusion().counts;
    report.confusion_split = "validation".to_string();
    report.worst = shown(trained, &splits.val, &evaluation, &evaluation.worst(WORST));
    let sample: Vec<usize> = (0..SAMPLE.min(val)).map(|k| k * val / SAMPLE.min(val)).collect();
    report.sample = shown(trained, &splits.val, &evaluation, &sample);
    evaluation
}

/// These pictures with the classes that the model gives them.
fn shown(trained: &Trained, data: &Dataset, all: &Evaluation, which: &[usize]) -> Vec<Shown> {
    let rows = score_rows(&*trained.model, &trained.about.seen(data), which);
    let class = |k: usize| trained.about.classes[k].clone();
    let one = |(row, &i): (&Vec<f64>, &usize)| {
        let (shares, verdict) = (softmax(row), all.verdicts[i]);
        let best = ranking(row).into_iter().take(GUESSES);
        let (width, height, rgb) = picture(data, i);
        Shown {
            width,
            height,
            rgb,
            number: i,
            truth: class(verdict.label),
            share: shares[verdict.label],
            guesses: best.map(|k| (class(k), shares[k])).collect(),
            loss: verdict.loss,
        }
    };
    rows.iter().zip(which).map(one).collect()
}

/// A picture of a data set as rows of red, green, blue; large ones are thinned out.
pub fn picture(data: &Dataset, i: usize) -> (u32, u32, Vec<u8>) {
    let [channels, height, width] = *data.shape();
    let every = height.max(width).div_ceil(LARGEST_SHOWN);
    let planes = data.picture(i);
    let mut rgb = Vec::new();
    for y in (0..height).step_by(every) {
        for x in (0..width).step_by(every) {
            rgb.extend((0..3).map(|c| planes[(c.min(channels - 1) * height + y) * width + x]));
        }
    }
    (width.div_ceil(every) as u32, height.div_ceil(every) as u32, rgb)
}

/// The weights into each of the first `most` units as pictures in a grid, if they can be seen as colours.
pub fn weights(model: &dyn Model, most: usize) -> Option<WeightGrid> {
    let filters = model.first_filters()?;
    let [n, _, _, 3] = filters.shape()[..] else { return None };
    let units = n.min(most);
    let grid = chainrule::visualize::grid(&filters.first(units), 255.0, 1);
    let rgb = grid.to_vec().into_iter().map(|v| v as u8).collect();
    let caption = format!(
        "What each of {units} units of the first layer looks for: its weights as a picture, each scaled on its own."
    );
    Some(WeightGrid { width: grid.shape()[1] as u32, height: grid.shape()[0] as u32, rgb, caption })
}
