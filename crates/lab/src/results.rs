//! What is left when a training is over: the weights, the figures, the report.

use crate::model::Trained;
use crate::run::Run;
use crate::stored::Stored;
use crate::{gather, machine, show};
use anstyle::AnsiColor;
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::{Splits, files};
use chainrule::models::Model;
use chainrule::train::{History, accuracy, save_weights, write_atomically};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// How a training ended: what a run directory holds as `result.json`, which docs/formats.md describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The best validation accuracy.
    pub best_val_acc: f64,
    /// The accuracy on the test pictures, with the weights of the best epoch; `None` if there are none.
    pub test_acc: Option<f64>,
    /// The loss of the last step.
    pub final_loss: Option<f64>,
    /// Steps done.
    pub steps: usize,
    /// How long it took.
    pub seconds: f64,
    /// Steps that were done before the run was last gone on with; `seconds` counts the rest.
    #[serde(default)]
    pub resumed_at: usize,
    /// The command that made the run, as it can be pasted into a shell.
    pub command: String,
    /// The machine as (name, value).
    pub machine: Vec<(String, String)>,
}

const FILE: &str = "result.json";

impl Outcome {
    /// Reads it from a run directory; `None` if the run has not ended.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read(run: &Path) -> Result<Option<Outcome>> {
        let path = run.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let want = "expected what `chainrule train` writes at its end";
        let text = files::text(&path, 1 << 20, want)?;
        let outcome =
            serde_json::from_str(&text).map_err(|e| Error::file(&path, e.to_string(), want))?;
        Ok(Some(outcome))
    }

    /// Writes it into a run directory.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn write(&self, run: &Path) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).context("the result cannot be written as JSON")?;
        Ok(write_atomically(&run.join(FILE), format!("{text}\n").as_bytes())?)
    }
}

/// Measures the returned model, and writes the weights, the figures and the report.
pub fn finish(
    trained: &Trained,
    splits: &Splits,
    run: &Run,
    history: &History,
    seconds: f64,
) -> Result<Outcome> {
    let model = &*trained.model;
    keep_weights(model, &run.directory)?;
    let all: Vec<usize> = (0..splits.test.len()).collect();
    let outcome = Outcome {
        best_val_acc: history.best_val_accuracy,
        test_acc: (!all.is_empty())
            .then(|| accuracy(model, &trained.about.seen(&splits.test), &all)),
        final_loss: history.loss.last().copied().filter(|l| l.is_finite()),
        steps: history.loss.len(),
        seconds,
        resumed_at: run.resumed_at,
        command: command_line(),
        machine: machine::facts(),
    };
    outcome.write(&run.directory)?;
    // The report is made of what lies on disk, so that `chainrule report` makes the same again.
    write_report(&Stored::open(&run.directory)?, Some((trained, splits)))?;
    Ok(outcome)
}

/// Writes the weights of a model into a run directory.
///
/// # Errors
/// If the disk is full, say.
pub fn keep_weights(model: &dyn Model, run: &Path) -> Result<()> {
    // One note only: the format keeps them in no fixed order, and equal weights should be equal files.
    let note = format!("{} {}", env!("CARGO_PKG_VERSION"), model.name());
    let notes = HashMap::from([("chainrule".to_string(), note)]);
    Ok(save_weights(model, notes, &run.join("best.safetensors"))?)
}

/// Writes `report.html` into a run directory.
///
/// # Errors
/// If the disk is full, say.
pub fn write_report(stored: &Stored, used: Option<(&Trained, &Splits)>) -> Result<()> {
    let page = gather::report(stored, used).to_html();
    Ok(write_atomically(&stored.directory.join("report.html"), page.as_bytes())?)
}

/// The command that made this run, as it can be pasted into a shell.
pub fn command_line() -> String {
    std::iter::once("chainrule".to_string())
        .chain(std::env::args().skip(1).map(|word| show::quoted(&word)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Says where the results are.
pub fn announce(trained: &Trained, run: &Run, outcome: &Outcome) {
    let Outcome { best_val_acc, test_acc, final_loss, steps, seconds, .. } = outcome;
    if trained.plan.json {
        let line = serde_json::json!({
            "best_val_acc": best_val_acc, "test_acc": test_acc, "final_loss": final_loss, "steps": steps,
            "seconds": seconds, "run": run.directory,
        });
        return show::line(line.to_string());
    }
    if trained.plan.quiet {
        return;
    }
    let good = show::color(AnsiColor::Green);
    let test = test_acc.map_or(String::new(), |t| format!(", test accuracy {:.1}%", t * 100.0));
    show::line(format!(
        "{good}validation accuracy {:.1}%{good:#}{test}, {steps} steps in {seconds:.1} s",
        best_val_acc * 100.0,
    ));
    show::line(format!("report: {}", run.directory.join("report.html").display()));
}
