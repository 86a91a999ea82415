//! The `chainrule` program: train, check, measure and look.

mod board;
mod commands;
mod fetch;
#[cfg(test)]
mod garble;
mod gather;
mod labs;
mod machine;
mod model;
mod photo;
mod pictures;
mod report;
mod results;
mod run;
mod settings;
mod show;
mod signals;
mod stored;
mod wait;
mod watch;

use chainrule_kernels::environment;
use clap::{Parser, Subcommand};
use commands::{
    bench, compare, data, eval, explain, gradcheck, home, lab, lr_find, predict,
    report as report_again, runs, search, summary, train, weights,
};
use std::process::ExitCode;

/// Train neural networks you can see through.
#[derive(Parser)]
#[command(name = "chainrule", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network and leave a run directory with a report
    Train(Box<train::TrainArgs>),
    /// Measure the model of a run: accuracy, precision, recall, F1, confusion matrix
    Eval(eval::EvalArgs),
    /// Say what is in pictures: the five likeliest classes of each
    Predict(predict::PredictArgs),
    /// Show what in a picture speaks for a class: a saliency map and Grad-CAM
    Explain(explain::ExplainArgs),
    /// List runs with their best, the best first
    Runs(runs::RunsArgs),
    /// Compare runs: their best, the settings that differ, a page with their curves
    Compare(compare::CompareArgs),
    /// Make the report of a run again
    Report(report_again::ReportArgs),
    /// Search settings: train many times with other values, find the best
    Search(Box<search::SearchArgs>),
    /// Find a learning rate by trying many, and draw the loss over them
    LrFind(Box<lr_find::LrFindArgs>),
    /// Check hand-derived gradients against numerical ones
    Gradcheck(gradcheck::GradcheckArgs),
    /// Show a model's layers, output shapes, parameters, multiply-adds and memory
    Summary(Box<summary::SummaryArgs>),
    /// List the tensors of a run's model, or write them into a file for PyTorch or NumPy
    Weights(weights::WeightsArgs),
    /// Fetch a published data set, or look at what a directory holds
    Data(data::DataArgs),
    /// Time training and inference on the reference workloads
    Bench(bench::BenchArgs),
    /// Run a small experiment and look at its page
    Lab(lab::LabArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    signals::outlive_limits();
    let leaves_files = cli.command.as_ref().is_some_and(Command::leaves_files);
    let lost = || show::refused().filter(|_| !leaves_files);
    match run(cli).and_then(|code| lost().map_or(Ok(code), |e| Err(cannot_print(e)))) {
        Ok(code) => code,
        Err(error) => {
            show::error(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    environment::check().map_err(|unknown| settings::Usage(unknown.to_string()))?;
    match cli.command {
        None => home::run(),
        Some(Command::Train(args)) => train::run(*args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Runs(args)) => runs::run(&args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Report(args)) => report_again::run(&args),
        Some(Command::Search(args)) => search::run(&args),
        Some(Command::LrFind(args)) => lr_find::run(*args),
        Some(Command::Gradcheck(args)) => gradcheck::run(&args),
        Some(Command::Summary(args)) => summary::run(*args),
        Some(Command::Weights(args)) => weights::run(&args),
        Some(Command::Data(args)) => data::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Lab(args)) => lab::run(&args),
    }
}

impl Command {
    /// Whether the results of the command are files, and what it prints can do without.
    fn leaves_files(&self) -> bool {
        use Command::{Lab, LrFind, Report, Search, Train};
        matches!(self, Train(_) | Search(_) | LrFind(_) | Lab(_) | Report(_))
    }
}

fn cannot_print(e: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write to standard output: {e}")
}

/// 2 for a mistake in how the program was called, 1 for everything else.
fn exit_code(error: &anyhow::Error) -> u8 {
    let usage = error.is::<settings::Usage>()
        || matches!(error.downcast_ref::<chainrule::Error>(), Some(chainrule::Error::Value { .. }));
    if usage { 2 } else { 1 }
}
