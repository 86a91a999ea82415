//! What a search leaves: `results.csv`, `report.html`, a line of JSON.

use super::param::{Range, plain};
use super::space::Space;
use super::standing::{Standing, Trial, percent};
use crate::report::{Axis, Searched};
use crate::results::{Outcome, command_line};
use crate::show;
use anyhow::Result;
use chainrule::train::{Metrics, write_atomically};
use serde_json::{Value, json};
use std::path::Path;

/// How many trials the report lists and draws the curves of.
const LISTED: usize = 50;

/// Writes `results.csv`: a line a trial in the order of their numbers. Nothing in it depends on the machine.
///
/// # Errors
/// If the disk is full, say.
pub fn write_csv(directory: &Path, standing: &Standing) -> Result<()> {
    let head = ["trial", "state", "epochs", "best_val_acc"].map(str::to_string);
    let mut rows = vec![[&head[..], &standing.names[..]].concat()];
    for trial in &standing.trials {
        let accuracy = trial.val_acc().map_or(String::new(), |a| a.to_string());
        let epochs = trial.last.as_ref().map_or(0, |e| e.epochs);
        let state = trial.state(true).to_string();
        let own = [trial.number.to_string(), state, epochs.to_string(), accuracy];
        rows.push(own.into_iter().chain(trial.values.iter().map(plain)).collect());
    }
    let line = |row: &Vec<String>| row.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",");
    let text: String = rows.iter().map(|row| line(row) + "\n").collect();
    Ok(write_atomically(&directory.join("results.csv"), text.as_bytes())?)
}

/// A cell of a CSV file (RFC 4180).
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_string()
}

/// Writes `report.html`.
///
/// # Errors
/// If the disk is full, say.
pub fn write_report(
    directory: &Path,
    space: &Space,
    standing: &Standing,
    last: Option<&Outcome>,
) -> Result<()> {
    let page = searched(directory, space, standing, last).to_html();
    Ok(write_atomically(&directory.join("report.html"), page.as_bytes())?)
}

fn searched(
    directory: &Path,
    space: &Space,
    standing: &Standing,
    last: Option<&Outcome>,
) -> Searched {
    let ranked = standing.ranked();
    let best = ranked.first();
    let mut headline = Vec::new();
    let mut say = |label: &str, value: String| headline.push((label.to_string(), value));
    if let Some(accuracy) = best.and_then(|t| t.val_acc()) {
        say("best validation accuracy", percent(accuracy));
    }
    if let Some(last) = last {
        say("final training, validation", percent(last.best_val_acc));
        last.test_acc.into_iter().for_each(|a| say("final training, test", percent(a)));
    }
    say("trials", standing.trials.len().to_string());
    let lasts = || standing.trials.iter().filter_map(|t| t.last.as_ref());
    say("epochs trained", lasts().map(|e| e.epochs).sum::<usize>().to_string());
    let diverged = standing.trials.iter().filter(|t| t.state(true) == "diverged").count();
    if diverged > 0 {
        say("diverged", diverged.to_string());
    }
    let curve = |trial: &&Trial| {
        let run = directory.join("trials").join(format!("{:04}", trial.number));
        let metrics = Metrics::read(&run.join("metrics.jsonl")).ok()?;
        Some(metrics.checks.iter().map(|c| (c.epoch as f64, c.val_accuracy)).collect())
    };
    let name = space.path.file_stem().map(|n| n.to_string_lossy().into_owned());
    Searched {
        title: format!("Search {}", name.unwrap_or_default()),
        command: command_line(),
        headline,
        axes: (0..space.params.len()).map(|i| axis(space, i, &ranked)).collect(),
        columns: standing.names.clone(),
        rows: ranked.iter().take(LISTED).map(|t| row(t)).collect(),
        curves: ranked.iter().take(LISTED).filter_map(curve).collect(),
        space: space.text().unwrap_or_default(),
    }
}

/// A trial in the report's table.
fn row(trial: &Trial) -> Vec<String> {
    let epochs = trial.last.as_ref().map_or(0, |e| e.epochs).to_string();
    let accuracy = trial.val_acc().map_or(String::new(), percent);
    let own = [trial.number.to_string(), accuracy, epochs, trial.state(true).to_string()];
    own.into_iter().chain(trial.values.iter().map(plain)).collect()
}

/// The trials over one parameter.
fn axis(space: &Space, i: usize, ranked: &[&Trial]) -> Axis {
    let param = &space.params[i];
    let categories: Vec<String> = match &param.range {
        Range::Choice(values) => values.iter().map(plain).collect(),
        _ => Vec::new(),
    };
    let place = |value: &toml::Value| match value {
        toml::Value::Float(v) if categories.is_empty() => *v,
        toml::Value::Integer(v) if categories.is_empty() => *v as f64,
        other => categories.iter().position(|c| *c == plain(other)).unwrap_or(0) as f64,
    };
    let point = |t: &&Trial| Some((place(&t.values[i]), t.val_acc()?, t.number));
    Axis {
        name: param.key.clone(),
        log: matches!(param.range, Range::LogUniform(_)),
        points: ranked.iter().filter_map(point).collect(),
        categories,
    }
}

/// One JSON object about a search.
pub fn as_json(directory: &Path, standing: &Standing, last: Option<&Outcome>) -> Value {
    let value = |v: &toml::Value| serde_json::to_value(v).unwrap_or_default();
    let trial = |t: &Trial| {
        let values = standing.names.iter().cloned().zip(t.values.iter().map(value));
        json!({
            "trial": t.number, "state": t.state(true), "best_val_acc": t.val_acc(),
            "epochs": t.last.as_ref().map_or(0, |e| e.epochs),
            "values": values.collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({
        "search": directory, "best": standing.ranked().first().map(|t| trial(t)),
        "trials": standing.trials.iter().map(trial).collect::<Vec<_>>(),
        "final": last.map(|o| json!({
            "run": directory.join("final"), "best_val_acc": o.best_val_acc, "test_acc": o.test_acc,
        })),
        "csv": directory.join("results.csv"), "report": directory.join("report.html"),
    })
}

/// Says how a search came out.
pub fn announce(directory: &Path, standing: &Standing, last: Option<&Outcome>) {
    standing.table(10).into_iter().for_each(show::line);
    if let Some(best) = standing.ranked().first() {
        let config = directory.join("trials").join(format!("{:04}/config.toml", best.number));
        let config = show::quoted(&config.display().to_string());
        show::line(format!("the best again: chainrule train --config {config}"));
    }
    if let Some(last) = last {
        let test = last.test_acc.map_or(String::new(), |a| format!(", test {}", percent(a)));
        let (val, run) = (percent(last.best_val_acc), directory.join("final"));
        show::line(format!("final training: validation {val}{test} ({})", run.display()));
    }
    show::line(format!("results: {}", directory.join("results.csv").display()));
    show::line(format!("report: {}", directory.join("report.html").display()));
}
