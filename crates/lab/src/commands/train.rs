//! `chainrule train`: from settings to a run directory.

use crate::board::Board;
use crate::model::Trained;
use crate::pictures::{self, About};
use crate::run::Run;
use crate::settings::{Plan, Settings};
use crate::watch::Watch;
use crate::{model, results};
use anyhow::Result;
use chainrule::data::{Augment, Augmented};
use chainrule::optim::{self, Schedule};
use chainrule::rng::Rng;
use chainrule::train::{Sampling, Solver, SolverOptions};
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
        let board = match plan.tensorboard {
            true => Some(Board::create(&run.directory, 0, &splits.train)?),
            false => None,
        };
        let mut watch = Watch::new(&plan, solver.steps(), &mut run, board);
        let mut rng = Rng::new(plan.seed);
        let result = solver.train(&mut rng, &mut watch);
        watch.finish();
        result?
    };
    run.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    let trained = Trained { plan, about, model };
    let outcome = results::finish(&trained, &splits, &run, &history, seconds)?;
    results::announce(&trained, &run, &outcome);
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
