//! `chainrule train`: from settings to a run directory.

use crate::report::{EpochPoint, Report, WeightGrid};
use crate::run::Run;
use crate::settings::{Plan, Settings};
use crate::{machine, show};
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::Error;
use chainrule::data::{self, Normalization, Pictures, Splits, mean_image};
use chainrule::models::{
    FullyConnectedConfig, FullyConnectedNet, Loss, Model, Norm, count_params, summary,
};
use chainrule::optim::{self, Schedule};
use chainrule::rng::Rng;
use chainrule::tensor::DType;
use chainrule::train::{
    CheckEvent, Confusion, CourseLog, History, Observer, Quiet, Sampling, Solver, SolverOptions,
    StepEvent, save_weights,
};
use clap::Args;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Train a network and leave a run directory with a report.
#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    settings: Settings,
    /// A configuration file, such as the config.toml of a run; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Trains, and says where the results are.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let plan = args.settings.complete(args.config.as_deref())?;
    if plan.threads > 0 {
        chainrule_kernels::threads::set_threads(plan.threads);
    }
    let rule = optim::make(&plan.optim, &plan.optim_config())?;
    let options = solver_options(&plan)?;
    let splits = load(&plan)?;
    let mut model = build_model(&plan, splits.train.shape(), splits.train.classes().len());
    let mut run = Run::create(&plan)?;
    let parts = normalized(&splits);
    let history = {
        let mut solver = Solver::new(&mut model, rule, &parts.train, &parts.val, options);
        let mut watch = Watch::new(&plan, solver.steps(), &mut run);
        let mut rng = Rng::new(plan.seed);
        let result = solver.train(&mut rng, &mut watch);
        watch.finish();
        result?
    };
    run.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    let result = finish(&plan, &splits, &parts, &model, &run, &history, seconds)?;
    announce(&plan, &run, &history, &result, seconds);
    Ok(ExitCode::SUCCESS)
}

/// The three parts of the data as numbers.
struct Parts {
    train: Pictures,
    val: Pictures,
    test: Pictures,
}

fn normalized(splits: &Splits) -> Parts {
    let normalization = Normalization::MeanImage(mean_image(&splits.train).into());
    let part = |d: &data::Dataset| Pictures::new(d.clone(), normalization.clone());
    Parts { train: part(&splits.train), val: part(&splits.val), test: part(&splits.test) }
}

fn load(plan: &Plan) -> Result<Splits> {
    let mut splits = if plan.data.as_os_str().is_empty() {
        if plan.test_all {
            return Err(Error::value(
                "--test-all",
                "the embedded excerpt has only 1,000 test pictures",
                "it goes with --data DIR",
            )
            .into());
        }
        data::embedded()?
    } else {
        data::cifar10::read(&plan.data, plan.test_all)?
    };
    let n = splits.train.len();
    if plan.num_train > n {
        return Err(Error::value(
            "--num-train",
            plan.num_train.to_string(),
            format!("there are {n} training pictures"),
        )
        .into());
    }
    if plan.num_train > 0 {
        splits.train = splits.train.slice(0..plan.num_train);
    }
    if plan.batch > splits.train.len() && plan.sampling == "shuffled" {
        let n = splits.train.len();
        return Err(Error::value(
            "--batch",
            plan.batch.to_string(),
            format!("there are only {n} training pictures"),
        )
        .into());
    }
    Ok(splits)
}

/// The model a plan describes, with its initial weights.
pub fn build_model(plan: &Plan, shape: &[usize], classes: usize) -> FullyConnectedNet {
    let config = FullyConnectedConfig {
        input_shape: shape.to_vec(),
        hidden: plan.hidden.0.clone(),
        classes,
        norm: match plan.norm.as_str() {
            "batch" => Norm::Batch,
            "layer" => Norm::Layer,
            _ => Norm::None,
        },
        dropout_keep: plan.dropout_keep,
        reg: plan.reg,
        weight_scale: (plan.weight_scale > 0.0).then_some(plan.weight_scale),
        loss: if plan.loss == "svm" {
            Loss::Svm
        } else {
            Loss::Softmax { label_smoothing: plan.label_smoothing }
        },
        dtype: if plan.dtype == "f64" { DType::F64 } else { DType::F32 },
        ..FullyConnectedConfig::default()
    };
    FullyConnectedNet::new(config, &mut Rng::new(plan.seed))
}

fn solver_options(plan: &Plan) -> Result<SolverOptions> {
    Ok(SolverOptions {
        batch_size: plan.batch,
        epochs: plan.epochs,
        learning_rate: plan.lr.unwrap_or_default(),
        schedule: Schedule::by_name(&plan.schedule, &plan.schedule_config())?,
        train_samples: plan.train_samples,
        sampling: if plan.sampling == "with-replacement" {
            Sampling::WithReplacement
        } else {
            Sampling::Shuffled
        },
        best_includes_buffers: plan.best_includes_buffers,
        ..SolverOptions::default()
    })
}

/// Shows the training and records it.
struct Watch<'a> {
    run: &'a mut Run,
    face: Face,
}

enum Face {
    Bar(show::Bar),
    Lines(CourseLog<Box<dyn std::io::Write>>),
    Nothing(Quiet),
}

impl<'a> Watch<'a> {
    fn new(plan: &Plan, steps: usize, run: &'a mut Run) -> Watch<'a> {
        let face = if plan.json && !plan.verbose {
            if show::Bar::possible() {
                Face::Bar(show::Bar::new(steps))
            } else {
                Face::Nothing(Quiet)
            }
        } else if plan.verbose || !show::Bar::possible() {
            // With --json, standard output is for the one line at the end.
            let out: Box<dyn std::io::Write> =
                if plan.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
            Face::Lines(CourseLog { out, every: plan.print_every })
        } else {
            Face::Bar(show::Bar::new(steps))
        };
        Watch { run, face }
    }

    fn face(&mut self) -> &mut dyn Observer {
        match &mut self.face {
            Face::Bar(bar) => bar,
            Face::Lines(lines) => lines,
            Face::Nothing(quiet) => quiet,
        }
    }

    fn finish(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish();
        }
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.face().step(e)?;
        self.run.step(e)
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.face().check(e)?;
        self.run.check(e)
    }
}

/// What is measured once training is over.
struct Outcome {
    val: Confusion,
    test: f64,
}

/// Measures the returned model, and writes the weights and the report.
fn finish(
    plan: &Plan,
    splits: &Splits,
    parts: &Parts,
    model: &FullyConnectedNet,
    run: &Run,
    history: &History,
    seconds: f64,
) -> Result<Outcome> {
    // One note only: the format keeps them in no fixed order, and equal weights should be equal files.
    let note = format!("{} {}", env!("CARGO_PKG_VERSION"), model.name());
    let notes = HashMap::from([("chainrule".to_string(), note)]);
    save_weights(model, notes, &run.directory.join("best.safetensors"))?;
    let outcome = Outcome {
        val: Confusion::of(model, &parts.val),
        test: Confusion::of(model, &parts.test).accuracy(),
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
    model: &FullyConnectedNet,
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
    let hidden: Vec<String> = plan.hidden.0.iter().map(usize::to_string).collect();
    let config =
        serde_json::to_value(plan).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default();
    let [train, val, test] = [&splits.train, &splits.val, &splits.test].map(data::Dataset::len);
    let pictures_used =
        ("pictures".to_string(), format!("{train} training, {val} validation, {test} test"));
    let text = |v: serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
    Report {
        title: format!("Fully connected {} on the {}", hidden.join("-"), splits.name),
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

/// The weights into each of the first hidden units, as pictures in a grid.
fn weights(model: &FullyConnectedNet) -> Option<WeightGrid> {
    const MOST: usize = 100;
    let [channels, height, width] = *model.input_shape() else { return None };
    if channels != 3 {
        return None;
    }
    let w = model.params().iter().find(|p| p.name == "W1")?.value.transpose();
    let units = w.shape()[0].min(MOST);
    let grid = chainrule::visualize::grid(
        &chainrule::visualize::rows_as_pictures(&w, units, [channels, height, width]),
        255.0,
        1,
    );
    let rgb = grid.to_vec().into_iter().map(|v| v as u8).collect();
    let caption = format!(
        "What each of {units} units of the first layer looks for: its weights as a picture, each scaled on its own."
    );
    Some(WeightGrid { width: grid.shape()[1] as u32, height: grid.shape()[0] as u32, rgb, caption })
}

fn announce(plan: &Plan, run: &Run, history: &History, outcome: &Outcome, seconds: f64) {
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
