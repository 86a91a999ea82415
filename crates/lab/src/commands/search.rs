//! `chainrule search SPACE`: many trainings with other values, the best of them, and a last training with its values.

mod crew;
mod face;
mod journal;
mod left;
mod param;
mod rungs;
mod space;
mod standing;
#[cfg(test)]
mod tests;
mod trial;

use crate::commands::train::{self, Ready};
use crate::results::Outcome;
use crate::run::{lock, make_empty, next_free};
use crate::settings::{Plan, Usage};
use crate::signals::{self, Phase};
use crate::{pictures, show};
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::Splits;
use chainrule::train::write_atomically;
use chainrule_kernels::threads::{set_threads, threads};
use clap::Args;
use crew::{News, Round};
use face::Face;
use journal::Journal;
use space::{SHIPPED, Space};
use standing::Standing;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Search settings: train many times with other values, and find the best.
#[derive(Args)]
pub struct SearchArgs {
    /// A file that says what is searched, or a search that comes with the program; without it those are listed
    #[arg(value_name = "SPACE", conflicts_with = "resume")]
    space: Option<PathBuf>,
    /// Go on with a search that was stopped or killed; it ends as if it had never stopped
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "data", "trials", "seed"])]
    resume: Option<PathBuf>,
    /// The search directory; without it runs/search-NNNN
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pictures for all trials, as `train --data` takes them
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many trials, instead of the file's number
    #[arg(long, value_name = "N")]
    trials: Option<i64>,
    /// The seed of the trials' values, instead of the file's
    #[arg(long, value_name = "N")]
    seed: Option<i64>,
    /// Trials at a time; results do not depend on it. 0 for as many as threads
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: usize,
    /// End with one line of JSON on standard output, and print nothing else there
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// A search that is going on.
struct Search {
    space: Space,
    plans: Vec<Plan>,
    splits: Splits,
    directory: PathBuf,
    journal: Journal,
    standing: Standing,
}

/// Searches.
pub fn run(args: &SearchArgs) -> Result<ExitCode> {
    if args.space.is_none() && args.resume.is_none() {
        for (name, about, _) in SHIPPED {
            show::line(format!("{name:<10}{about}"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.jobs > 256 {
        return Err(Usage(format!("--jobs: {}; at most 256", args.jobs)).into());
    }
    signals::wait_for_them();
    let space = match &args.resume {
        Some(directory) => {
            Space::parse(&journal::space_text(directory)?, &directory.join("space.toml"))?
        }
        None => args.changed()?,
    };
    let plans = space.plans()?;
    let splits = ready(&plans, &space)?;
    let directory = args.directory(&space)?;
    let _lock = lock(&directory)?;
    let journal = Journal::open(&directory, &space.text()?)?;
    let standing = Standing::new(&space)?;
    let mut search = Search { space, plans, splits, directory, journal, standing };
    let quiet = args.quiet || args.json;
    if let Some(code) = search.rounds(args.jobs, quiet)? {
        return Ok(code);
    }
    left::write_csv(&search.directory, &search.standing)?;
    let last = match search.last(quiet)? {
        Last::Stopped(code) => return Ok(code),
        Last::Trained(outcome) => outcome,
    };
    let last = last.as_ref();
    left::write_report(&search.directory, &search.space, &search.standing, last)?;
    match (args.json, args.quiet) {
        (true, _) => {
            show::line(left::as_json(&search.directory, &search.standing, last).to_string())
        }
        (_, true) => {}
        _ => left::announce(&search.directory, &search.standing, last),
    }
    Ok(ExitCode::SUCCESS)
}

impl SearchArgs {
    /// The space with what flags change of it.
    fn changed(&self) -> Result<Space> {
        let name = self.space.as_deref().context("a space was named")?;
        let space = Space::open(name)?;
        let mut table: toml::Table = toml::from_str(&space.text()?)?;
        let numbers = [("trials", self.trials), ("seed", self.seed)];
        for (key, value) in numbers {
            value.map(|v| table.insert(key.to_string(), toml::Value::Integer(v)));
        }
        if let Some(data) = &self.data {
            let settings =
                table.entry("settings").or_insert(toml::Value::Table(Default::default()));
            let path = data.to_str().context("--data: the path must be UTF-8")?;
            settings.as_table_mut().map(|t| t.insert("data".into(), path.into()));
        }
        Space::parse(&toml::to_string(&table)?, name)
    }

    /// The directory of the search, with its space in it.
    fn directory(&self, space: &Space) -> Result<PathBuf> {
        if let Some(directory) = &self.resume {
            return Ok(directory.clone());
        }
        let directory = match &self.out {
            Some(out) => make_empty(out)?,
            None => next_free(Path::new("runs"), "search")?,
        };
        write_atomically(&directory.join("space.toml"), space.text()?.as_bytes())?;
        Ok(directory)
    }
}

/// The pictures, once it is certain that every trial can be trained on them.
fn ready(plans: &[Plan], space: &Space) -> Result<Splits> {
    let splits = pictures::read(&plans[0])?;
    for (i, plan) in plans.iter().enumerate() {
        let chosen = pictures::chosen(splits.clone(), plan);
        chosen.with_context(|| format!("{}: trial {}", space.path.display(), i + 1))?;
    }
    if space.last.is_some() {
        let last = space.plan(&space.values(1)?, true)?;
        let chosen = pictures::chosen(splits.clone(), &last);
        chosen.with_context(|| format!("{}: [final]", space.path.display()))?;
    }
    Ready::with(&plans[0], pictures::chosen(splits.clone(), &plans[0])?)
        .with_context(|| format!("{}: trial 1", space.path.display()))?;
    Ok(splits)
}

/// How the last training ended.
enum Last {
    Trained(Option<Outcome>),
    Stopped(ExitCode),
}

impl Search {
    /// All rounds, one after the other. An exit code if a signal stopped them.
    fn rounds(&mut self, jobs: usize, quiet: bool) -> Result<Option<ExitCode>> {
        let all = threads();
        let jobs = if jobs == 0 { all } else { jobs };
        // Threads of a trial find the pool taken by another's and go on alone; fewer of them is less waiting.
        set_threads((all / jobs).max(1));
        let command = format!(
            "chainrule search --resume {}",
            show::quoted(&self.directory.display().to_string())
        );
        signals::enter_with(Phase::Steps, Some(command.clone()));
        let mut face = Face::new(quiet);
        let trained = self.all_rungs(jobs, &mut face);
        face.finish();
        set_threads(all);
        let whole = trained?;
        if let (false, Some(signal)) = (whole, signals::asked()) {
            let done = self.journal.entries.len();
            show::note(&format!("stopped, {done} results are kept; go on with:\n  {command}"));
            return Ok(Some(ExitCode::from(signals::exit_code(signal))));
        }
        signals::enter_with(Phase::Outside, Some(command));
        Ok(None)
    }

    /// Whether all rounds came to their ends.
    fn all_rungs(&mut self, jobs: usize, face: &mut Face) -> Result<bool> {
        let rungs = self.space.rungs(self.plans[0].epochs);
        let mut chosen: Vec<usize> = (1..=self.space.trials).collect();
        for (rung, about) in rungs.iter().enumerate() {
            if rung > 0 {
                let entry = |trial: &usize| self.journal.of(*trial, rung - 1);
                let results = chosen.iter().map(|t| (*t, entry(t).and_then(|e| e.val_acc)));
                chosen = rungs::best(&results.collect::<Vec<_>>(), about.trials);
                chosen.sort_unstable();
            }
            if !self.rung(rung, rungs.len(), about.epochs, &chosen, jobs, face)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One round; whether it came to its end.
    fn rung(
        &mut self,
        rung: usize,
        rungs: usize,
        until: usize,
        chosen: &[usize],
        jobs: usize,
        face: &mut Face,
    ) -> Result<bool> {
        let Search { journal, standing, plans, splits, directory, .. } = self;
        let known = |t: &&usize| journal.of(**t, rung).is_some();
        for entry in chosen.iter().filter_map(|t| journal.of(*t, rung)) {
            standing.learn(entry);
        }
        let trials: Vec<usize> = chosen.iter().filter(|t| !known(t)).copied().collect();
        face.round((rung + 1, rungs), chosen.len() - trials.len(), chosen.len(), standing);
        let directory = directory.join("trials");
        let round = Round { rung, trials: &trials, until, plans, splits, directory: &directory };
        let mut left = trials.len();
        round.train(jobs, |news| {
            match news {
                News::Epoch(trial, epochs, accuracy) => {
                    face.epoch(trial, epochs, accuracy, standing);
                }
                News::Done(entry) => {
                    left -= 1;
                    standing.learn(&entry);
                    face.done(&entry, standing);
                    journal.add(entry)?;
                }
                News::Stopped => {}
            }
            Ok(())
        })?;
        Ok(left == 0)
    }

    /// The last training, with the values of the best trial, if the space has one.
    fn last(&self, quiet: bool) -> Result<Last> {
        let ranked = self.standing.ranked();
        let Some(best) = ranked.first() else {
            let want = "try lower learning rates";
            return Err(Error::value("search", "every trial diverged", want).into());
        };
        if self.space.last.is_none() {
            return Ok(Last::Trained(None));
        }
        let mut plan = self.space.plan(&best.values, true)?;
        plan.out = self.directory.join("final");
        plan.quiet = quiet;
        if Outcome::read(&plan.out)?.is_none() {
            if !quiet {
                let (trial, epochs) = (best.number, plan.epochs);
                show::line(format!(
                    "the final training: {epochs} epochs with the values of trial {trial}"
                ));
            }
            let out = plan.out.clone();
            let code = train::in_directory(plan)?;
            // Only a signal ends a training without an error and without a result.
            return Ok(match Outcome::read(&out)? {
                Some(outcome) => Last::Trained(Some(outcome)),
                None => Last::Stopped(code),
            });
        }
        Ok(Last::Trained(Outcome::read(&plan.out)?))
    }
}
