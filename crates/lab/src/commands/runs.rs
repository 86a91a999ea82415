//! `chainrule runs [DIR]`: a table of runs.

use crate::show;
use crate::stored::{State, Stored};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use chainrule::Error;
use clap::Args;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List runs with their model, best validation accuracy, epochs, time and state, the best first.
#[derive(Args)]
pub struct RunsArgs {
    /// The directory that holds the runs
    #[arg(default_value = "runs", value_name = "DIR")]
    directory: PathBuf,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// A line of the table.
enum Row {
    Run(Box<Stored>),
    /// A directory that looks like a run but cannot be read, and why.
    Broken(PathBuf, String),
}

/// Lists.
pub fn run(args: &RunsArgs) -> Result<ExitCode> {
    let mut rows = find(&args.directory)?;
    let key = |row: &Row| match row {
        Row::Run(stored) => stored.metrics.best().map_or(-1.0, |c| c.val_accuracy),
        Row::Broken(..) => -2.0,
    };
    // The sort keeps the order of names among equals.
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    if args.json {
        rows.iter().for_each(|row| show::line(as_json(row)));
    } else {
        table(&args.directory, &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// The runs in a directory, by name; the directory itself if it is one.
fn find(directory: &Path) -> Result<Vec<Row>> {
    let is_run = |path: &Path| path.join("config.toml").is_file();
    if is_run(directory) {
        return Ok(vec![read(directory)]);
    }
    let entries = fs::read_dir(directory).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::file(
            directory,
            "there is no such directory",
            "expected one that holds runs; `chainrule train` makes runs/",
        ),
        _ => Error::io("read", directory)(source),
    })?;
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| is_run(p)).collect();
    paths.sort();
    Ok(paths.iter().map(|p| read(p)).collect())
}

fn read(path: &Path) -> Row {
    match Stored::open(path) {
        Ok(stored) => Row::Run(Box::new(stored)),
        Err(error) => Row::Broken(path.to_path_buf(), format!("{error:#}")),
    }
}

fn as_json(row: &Row) -> String {
    match row {
        Row::Run(stored) => json!({
            "run": stored.directory, "model": stored.plan.model, "state": stored.state().name(),
            "best_val_acc": stored.metrics.best().map(|c| c.val_accuracy),
            "test_acc": stored.outcome.as_ref().and_then(|o| o.test_acc),
            "epochs_done": stored.epochs(), "epochs": stored.plan.epochs, "steps": stored.steps(),
            "seconds": stored.seconds(),
        }),
        Row::Broken(path, error) => json!({"run": path, "state": "unreadable", "error": error}),
    }
    .to_string()
}

fn table(directory: &Path, rows: &[Row]) {
    if rows.is_empty() {
        show::line(format!("{} holds no runs; `chainrule train` makes one", directory.display()));
        return;
    }
    let dim = Style::new().dimmed();
    let best = show::color(AnsiColor::Green);
    show::line(format!(
        "{dim}{:<26}{:<18}{:>6}{:>8}{:>9}  {}{dim:#}",
        "run", "model", "val", "epochs", "time", "state"
    ));
    for (i, row) in rows.iter().enumerate() {
        let stored = match row {
            Row::Run(stored) => stored,
            Row::Broken(path, error) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                show::line(format!("{}{dim}{error}{dim:#}", show::fitted(&name, 26)));
                continue;
            }
        };
        let accuracy = stored.metrics.best().map(|c| format!("{:.1}%", c.val_accuracy * 100.0));
        let accuracy = accuracy.unwrap_or_else(|| "-".into());
        let style = if i == 0 { best } else { Style::new() };
        let state = match stored.state() {
            State::Finished => Style::new(),
            State::Running => show::color(AnsiColor::Cyan),
            State::Interrupted => show::color(AnsiColor::Yellow),
        };
        show::line(format!(
            "{}{}{style}{accuracy:>6}{style:#}{:>8}{:>9}  {state}{}{state:#}",
            show::fitted(&stored.name(), 26),
            show::fitted(&stored.plan.model, 18),
            format!("{}/{}", stored.epochs(), stored.plan.epochs),
            stored.seconds().map_or_else(|| "-".into(), show::duration),
            stored.state().name(),
        ));
    }
}
