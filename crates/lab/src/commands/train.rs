//! `chainrule train`: from settings to a run directory.

use crate::pictures::{self, About};
use crate::run::Run;
use crate::settings::{Plan, Settings};
use crate::{model, results, show};
use anyhow::Result;
use chainrule::data::{Augment, Augmented};
use chainrule::optim::{self, Schedule};
use chainrule::rng::Rng;
use chainrule::train::{
    CheckEvent, CourseLog, Observer, Quiet, Sampling, Solver, SolverOptions, StepEvent,
};
use clap::Args;
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
    let splits = pictures::load(&plan)?;
    let about = About::new(&plan, &splits)?;
    let mut model = model::build(&plan, &about.shape, about.classes.len())?;
    let mut run = Run::create(&plan)?;
    about.write(&run.directory)?;
    let history = {
        let augment = Augment::named(&plan.augment)?;
        let train = splits.train.clone();
        let train = Augmented::new(train, about.normalization.clone(), augment, plan.seed);
        let val = about.seen(&splits.val);
        let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
        let mut watch = Watch::new(&plan, solver.steps(), &mut run);
        let mut rng = Rng::new(plan.seed);
        let result = solver.train(&mut rng, &mut watch);
        watch.finish();
        result?
    };
    run.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    let result = results::finish(&plan, &splits, &about, &*model, &run, &history, seconds)?;
    results::announce(&plan, &run, &history, &result, seconds);
    Ok(ExitCode::SUCCESS)
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
