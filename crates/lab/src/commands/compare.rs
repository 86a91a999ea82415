//! `chainrule compare RUN RUN...`: the curves of several runs over each other, and what differs in their settings.

use crate::report::{Compared, Comparison, MOST_RUNS};
use crate::settings::Usage;
use crate::show;
use crate::stored::Stored;
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use chainrule::train::write_atomically;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare runs: a table of their best, the settings that differ, and a page with their curves over each other.
#[derive(Args)]
pub struct CompareArgs {
    /// The directories of the runs, two to eight
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, default_value = "comparison.html", value_name = "FILE")]
    out: PathBuf,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// Settings that change what is shown, never what is learned.
const ASIDE: [&str; 6] = ["out", "json", "quiet", "verbose", "print-every", "tensorboard"];

/// Reads, prints, and writes the page.
pub fn run(args: &CompareArgs) -> Result<ExitCode> {
    if !(2..=MOST_RUNS).contains(&args.runs.len()) {
        let n = args.runs.len();
        let runs = if n == 1 { "one run".to_string() } else { format!("{n} runs") };
        return Err(Usage(format!("compare: {runs}; name two to {MOST_RUNS}")).into());
    }
    let runs: Vec<Stored> = args.runs.iter().map(|r| Stored::open(r)).collect::<Result<_>>()?;
    let names = names(&runs);
    let differences = differences(&runs);
    let page = comparison(&runs, &names, &differences).to_html();
    write_atomically(&args.out, page.as_bytes())?;
    if args.json {
        let rows = runs.iter().zip(&names).map(|(r, name)| {
            json!({
                "run": r.directory, "name": name, "model": r.plan.model, "state": r.state().name(),
                "best_val_acc": r.metrics.best().map(|c| c.val_accuracy),
                "test_acc": r.outcome.as_ref().and_then(|o| o.test_acc),
                "final_loss": r.metrics.steps.last().map(|s| s.loss),
                "epochs_done": r.epochs(), "steps": r.steps(), "seconds": r.seconds(),
            })
        });
        let differing: Map<String, Value> =
            differences.into_iter().map(|(k, v)| (k, v.into())).collect();
        let all =
            json!({"runs": rows.collect::<Vec<_>>(), "differences": differing, "page": args.out});
        show::line(all.to_string());
    } else {
        print(&runs, &names, &differences);
        show::line(format!("\ncurves: {}", args.out.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// What to call the runs: the names of their directories, or where those are the same the whole paths.
fn names(runs: &[Stored]) -> Vec<String> {
    let mut names: Vec<String> = runs.iter().map(Stored::name).collect();
    names.sort();
    names.dedup();
    let unique = names.len() == runs.len();
    runs.iter().map(|r| if unique { r.name() } else { r.directory.display().to_string() }).collect()
}

/// The settings that are not the same in all runs, with each run's value; `null` where a run does not have the setting.
fn differences(runs: &[Stored]) -> Vec<(String, Vec<Value>)> {
    let plans: Vec<Map<String, Value>> = runs
        .iter()
        .map(|r| {
            serde_json::to_value(&r.plan)
                .ok()
                .and_then(|v| v.as_object().cloned())
                .unwrap_or_default()
        })
        .collect();
    let mut keys: Vec<&String> = Vec::new();
    for key in plans.iter().flat_map(Map::keys) {
        if !keys.contains(&key) && !ASIDE.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let values = |key: &String| -> Vec<Value> {
        plans.iter().map(|p| p.get(key).cloned().unwrap_or(Value::Null)).collect()
    };
    let all = keys.into_iter().map(|key| (key.clone(), values(key)));
    all.filter(|(_, v)| v.windows(2).any(|pair| pair[0] != pair[1])).collect()
}

/// A setting as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::String(s) if s.is_empty() => "-".to_string(),
        Value::String(s) => s.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

const FIGURES: [&str; 6] = ["validation", "test", "final loss", "epochs", "time", "state"];

fn figures(run: &Stored) -> [String; 6] {
    let percent = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| format!("{:.1}%", v * 100.0));
    [
        percent(run.metrics.best().map(|c| c.val_accuracy)),
        percent(run.outcome.as_ref().and_then(|o| o.test_acc)),
        run.metrics.steps.last().map_or_else(|| "-".into(), |s| format!("{:.3}", s.loss)),
        format!("{}/{}", run.epochs(), run.plan.epochs),
        run.seconds().map_or_else(|| "-".into(), show::duration),
        run.state().name().to_string(),
    ]
}

fn comparison(
    runs: &[Stored],
    names: &[String],
    differences: &[(String, Vec<Value>)],
) -> Comparison {
    let one = |(run, name): (&Stored, &String)| Compared {
        name: name.clone(),
        loss: run.metrics.steps.iter().map(|s| (s.step, s.loss)).collect(),
        train: run.metrics.checks.iter().map(|c| (c.epoch as f64, c.train_accuracy)).collect(),
        val: run.metrics.checks.iter().map(|c| (c.epoch as f64, c.val_accuracy)).collect(),
        figures: figures(run).into(),
    };
    let readable =
        |(key, values): &(String, Vec<Value>)| (key.clone(), values.iter().map(plain).collect());
    Comparison {
        runs: runs.iter().zip(names).map(one).collect(),
        figures: FIGURES.map(str::to_string).into(),
        differences: differences.iter().map(readable).collect(),
    }
}

fn print(runs: &[Stored], names: &[String], differences: &[(String, Vec<Value>)]) {
    let dim = Style::new().dimmed();
    let good = show::color(AnsiColor::Green);
    let [val, test, loss, epochs, time, state] = FIGURES;
    show::line(format!(
        "{dim}   {:<24}{val:>11}{test:>7}{loss:>11}{epochs:>8}{time:>8}  {state}{dim:#}",
        "run"
    ));
    let best_of = |r: &Stored| r.metrics.best().map_or(-1.0, |c| c.val_accuracy);
    let most = runs.iter().map(best_of).fold(-1.0, f64::max);
    for (i, (run, name)) in runs.iter().zip(names).enumerate() {
        let [val, test, loss, epochs, time, state] = figures(run);
        let style = if best_of(run) == most { good } else { Style::new() };
        let state = if state == "finished" { String::new() } else { state };
        let line = format!(
            "{} {}{style}{val:>11}{style:#}{test:>7}{loss:>11}{epochs:>8}{time:>8}  {state}",
            letter(i),
            show::fitted(name, 25)
        );
        show::line(line.trim_end());
    }
    if differences.is_empty() {
        return show::line("\nall settings are the same");
    }
    let width = (56 / runs.len()).clamp(7, 20);
    let heads: String = (0..runs.len()).map(|i| format!("{:>width$}", letter(i))).collect();
    show::line(format!("\n{dim}{:<24}{heads}{dim:#}", "settings that differ"));
    for (key, values) in differences {
        let values: String =
            values.iter().map(|v| format!("{:>width$}", show::cut(&plain(v), width - 1))).collect();
        show::line(format!("{}{values}", show::fitted(key, 24)));
    }
}

/// What the second table calls a run.
fn letter(i: usize) -> char {
    char::from(b'A' + i as u8)
}
