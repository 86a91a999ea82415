//! `chainrule train`: from settings to a run directory, or on with one.

use crate::board::Board;
use crate::model::Trained;
use crate::pictures::{self, About};
use crate::run::Run;
use crate::settings::{Plan, Settings, as_flags};
use crate::signals::{self, Phase};
use crate::watch::Watch;
use crate::{model, results, show};
use anyhow::Result;
use chainrule::Error;
use chainrule::data::{Augment, Augmented, Splits};
use chainrule::models::Model;
use chainrule::optim::{self, Schedule, UpdateRule};
use chainrule::rng::Rng;
use chainrule::train::checkpoint::{self, Found, LAST};
use chainrule::train::{Group, History, OnNonFinite, Sampling, Solver, SolverOptions};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Train a network and leave a run directory with a report.
#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    settings: Settings,
    /// A configuration file, such as the config.toml of a run; flags win over it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Go on with a run that was stopped, from its last checkpoint; it ends as if it had never stopped
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
}

/// Trains, and says where the results are.
pub fn run(args: TrainArgs) -> Result<ExitCode> {
    let started = Instant::now();
    signals::wait_for_them();
    let before = args
        .resume
        .as_deref()
        .map(|directory| Before::find(directory, &args.settings))
        .transpose()?;
    let plan = match &before {
        Some(before) => before.plan(args.settings)?,
        None => args.settings.complete(args.config.as_deref())?,
    };
    carry_out(plan, before, started)
}

/// Trains as a plan says in the directory that it names; goes on with what it finds there.
///
/// # Errors
/// Those of a training.
pub fn in_directory(plan: Plan) -> Result<ExitCode> {
    let started = Instant::now();
    let begun = plan.out.join("config.toml").is_file();
    let before = begun.then(|| Before::find(&plan.out, &Settings::default())).transpose()?;
    let plan = match &before {
        Some(before) => before.plan(Settings::default())?,
        None => plan,
    };
    carry_out(plan, before, started)
}

/// Trains as a plan says, from the beginning or from where a run was left, and says where the results are.
fn carry_out(plan: Plan, before: Option<Before>, started: Instant) -> Result<ExitCode> {
    let resumed = before.is_some();
    let Ready { splits, about, mut model, rule, options } = Ready::new(&plan)?;
    if before.is_none() {
        model::begin_with_weights(&plan, &mut *model)?;
    }
    let (mut run, found) = match before {
        Some(Before { run, found }) => (run, found),
        None => (Run::create(&plan)?, None),
    };
    about.write(&run.directory)?;
    let history = {
        let (train, val) = (ready_to_learn(&plan, &splits, &about)?, about.seen(&splits.val));
        let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
        let mut rng = Rng::new(plan.seed);
        if resumed {
            go_on(&mut solver, &mut rng, &mut run, found)?;
        }
        let board = match plan.tensorboard {
            true => Some(Board::create(&run.directory, solver.steps_done() as u64, &splits.train)?),
            false => None,
        };
        match steps(&plan, &mut solver, &mut rng, &mut run, board)? {
            Ended::Trained(history) => history,
            Ended::Stopped(code) => return Ok(code),
        }
    };
    signals::enter(Phase::Outside, Some(&run.directory));
    run.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    let trained = Trained { plan, about, model };
    let outcome = results::finish(&trained, &splits, &run, &history, seconds)?;
    results::announce(&trained, &run, &outcome);
    Ok(ExitCode::SUCCESS)
}

/// The training pictures as the model sees them, other in each epoch if the plan says so.
pub fn ready_to_learn(plan: &Plan, splits: &Splits, about: &About) -> Result<Augmented> {
    let augment = Augment::named(&plan.augment)?;
    Ok(Augmented::new(splits.train.clone(), about.normalization.clone(), augment, plan.seed))
}

/// What a plan needs before its first step.
pub struct Ready {
    /// The pictures.
    pub splits: Splits,
    /// What is to be known of them.
    pub about: About,
    /// The model with its initial weights.
    pub model: Box<dyn Model>,
    /// The update rule.
    pub rule: Box<dyn UpdateRule>,
    /// The solver's options.
    pub options: SolverOptions,
}

impl Ready {
    /// Reads the pictures and makes the rest.
    ///
    /// # Errors
    /// If the pictures cannot be read, or the plan does not fit them.
    pub fn new(plan: &Plan) -> Result<Ready> {
        if plan.threads > 0 {
            chainrule_kernels::threads::set_threads(plan.threads);
        }
        Ready::with(plan, pictures::load(plan)?)
    }

    /// The same for pictures that were read already.
    ///
    /// # Errors
    /// If the plan does not fit them.
    pub fn with(plan: &Plan, splits: Splits) -> Result<Ready> {
        let rule = optim::make(&plan.optim, &plan.optim_config())?;
        let options = solver_options(plan)?;
        let about = About::new(plan, &splits)?;
        let model = model::build(plan, &about.shape, about.classes.len())?;
        as_flags(Group::settle(&options.groups, model.params()))?;
        Ok(Ready { splits, about, model, rule, options })
    }
}

/// A run as it was left.
struct Before {
    run: Run,
    found: Option<Found>,
}

impl Before {
    fn find(directory: &Path, flags: &Settings) -> Result<Before> {
        flags.require_harmless()?;
        signals::enter(Phase::Outside, Some(directory));
        let run = Run::open(directory)?;
        let found = checkpoint::load(directory)?;
        if let Some(warning) = found.as_ref().and_then(|found| found.warning.as_ref()) {
            show::warning(warning);
        }
        Ok(Before { run, found })
    }

    /// The run's own plan, with flags that change no number.
    fn plan(&self, flags: Settings) -> Result<Plan> {
        let file = self.run.directory.join("config.toml");
        let plan = flags.complete(Some(&file))?;
        if let Some(found) = &self.found {
            plan.require_unchanged(&found.checkpoint.config, &file)?;
        }
        Ok(plan)
    }
}

/// Puts the solver where the checkpoint was taken; at the beginning if there was none yet.
fn go_on(
    solver: &mut Solver<'_>,
    rng: &mut Rng,
    run: &mut Run,
    found: Option<Found>,
) -> Result<()> {
    let at = found.as_ref().map_or("before the first checkpoint".to_string(), |found| {
        found.path.display().to_string()
    });
    if let Some(Found { checkpoint, path, .. }) = found {
        let unfit = |e: Error| {
            Error::file(&path, e.to_string(), "the run and its settings must stay as they were")
        };
        solver.restore(checkpoint.state, rng).map_err(unfit)?;
    }
    run.go_on(solver)?;
    let done = solver.steps_done();
    show::note(&format!("going on after step {done} of {} ({at})", solver.steps()));
    Ok(())
}

/// How the steps ended.
enum Ended {
    Trained(History),
    Stopped(ExitCode),
}

/// The steps, watched and saved.
fn steps(
    plan: &Plan,
    solver: &mut Solver<'_>,
    rng: &mut Rng,
    run: &mut Run,
    board: Option<Board>,
) -> Result<Ended> {
    let directory = run.directory.clone();
    let steps = solver.steps();
    let mut watch = Watch::new(plan, steps, run, board)?;
    signals::enter(Phase::Steps, Some(&directory));
    let result = solver.train(rng, &mut watch);
    let (stopped, saved) = watch.finish();
    let history = match result {
        Ok(history) => history,
        Err(error) => {
            let last = directory.join(LAST);
            if last.is_file() {
                show::warning(&format!("the last good state is kept in {}", last.display()));
            }
            return Err(error.into());
        }
    };
    let Some(signal) = stopped.filter(|_| !solver.is_done()) else {
        if let Err(error) = saved {
            show::warning(&format!("{error}; the training is complete"));
        }
        return Ok(Ended::Trained(history));
    };
    // What was not saved could not be gone on with.
    saved?;
    let _ = run.flush();
    let done = history.loss.len();
    show::note(&format!("stopped after step {done} of {steps}, saved; go on with:"));
    show::note(&format!("  {}", signals::command(&directory)));
    Ok(Ended::Stopped(ExitCode::from(signals::exit_code(signal))))
}

/// The parameters that the plan trains differently from the others.
fn groups(plan: &Plan) -> Result<Vec<Group>> {
    let all = (plan.decay_of == "all").then(Group::decay_all);
    Ok(all.into_iter().chain(Group::rates(&plan.rates)?).collect())
}

fn solver_options(plan: &Plan) -> Result<SolverOptions> {
    let if_set = |value: f64| (value > 0.0).then_some(value);
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
        on_non_finite: if plan.on_nan == "continue" {
            OnNonFinite::Continue
        } else {
            OnNonFinite::Stop
        },
        patience: (plan.patience > 0).then_some(plan.patience),
        clip_norm: if_set(plan.clip_norm),
        clip_value: if_set(plan.clip_value),
        average: if_set(plan.ema),
        groups: groups(plan)?,
        ..SolverOptions::default()
    })
}
