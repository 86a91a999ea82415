//! What is searched: a file that says how (`method`, `trials`), what stays as it is (`[settings]`), what varies (`[search]`), and
//! what the last training with the best values has otherwise (`[final]`).

use super::param::Param;
use super::rungs::{Rung, rungs};
use crate::settings::{Plan, Settings, Usage, closest, keys};
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::files::text_of;
use serde::Deserialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Searches that come with the program.
pub const SHIPPED: [(&str, &str, &str); 2] = [
    (
        "course",
        "25 random draws on 600 pictures, then the final training with the best",
        include_str!("../../../../../data/spaces/course.toml"),
    ),
    (
        "halving",
        "27 fully connected nets on the excerpt, the better third of them ever longer",
        include_str!("../../../../../data/spaces/halving.toml"),
    ),
];

/// How the values of the trials are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Each trial draws its own.
    Random,
    /// Every combination once.
    Grid,
    /// Each trial draws its own; the better ones train longer.
    Halving,
}

const METHODS: [(&str, Method); 3] =
    [("random", Method::Random), ("grid", Method::Grid), ("halving", Method::Halving)];

/// What is searched, and how.
#[derive(Clone, Debug)]
pub struct Space {
    /// What messages call it: a path, or the name of a shipped one.
    pub path: PathBuf,
    /// How values are chosen.
    pub method: Method,
    /// How many trials there are.
    pub trials: usize,
    /// The seed of their values.
    pub seed: u64,
    /// Of how many trials one goes on (halving).
    pub eta: usize,
    /// Epochs of the first round (halving).
    pub min_epochs: usize,
    /// Settings of all trials.
    pub settings: Table,
    /// The parameters, by name.
    pub params: Vec<Param>,
    /// What is different in the last training; `None` if there is none.
    pub last: Option<Table>,
}

/// The most bytes of a file, trials of a search and parameters of a space.
pub(super) const MOST_BYTES: u64 = 1 << 18;
const MOST_TRIALS: usize = 10_000;
const MOST_PARAMS: usize = 32;

const KEYS: [&str; 8] =
    ["method", "trials", "seed", "eta", "min-epochs", "settings", "search", "final"];

/// Settings that say where or how loudly a single training goes on.
const NOT_A_TRIAL: [&str; 7] =
    ["out", "threads", "verbose", "quiet", "print-every", "json", "tensorboard"];
/// Settings that all trials share: which pictures there are and what is drawn.
const NOT_SEARCHED: [&str; 7] =
    ["data", "size", "val-fraction", "skip-bad", "test-all", "seed", "checkpoint-every"];

impl Space {
    /// The space in a file, or the shipped one of this name.
    ///
    /// # Errors
    /// If there is neither, or it says something that cannot be.
    pub fn open(name: &Path) -> Result<Space> {
        let shipped = SHIPPED.iter().find(|(shipped, ..)| name == Path::new(shipped));
        if let (false, Some((_, _, text))) = (name.is_file(), shipped) {
            return Space::parse(text, name);
        }
        if !name.exists() {
            let word = name.display().to_string();
            let close = closest(&word, SHIPPED.iter().map(|(name, ..)| *name));
            return Err(Error::value("search", format!("there is no file {word:?}"), close).into());
        }
        let file = File::open(name).map_err(Error::io("read", name))?;
        let text = text_of(file, name, MOST_BYTES, "expected a few lines of TOML")?;
        Space::parse(&text, name)
    }

    /// The space in a text.
    ///
    /// # Errors
    /// The first thing in it that cannot be.
    pub fn parse(text: &str, path: &Path) -> Result<Space> {
        let usage = |text: String| Usage(format!("{}: {text}", path.display()));
        let table: Table = toml::from_str(text).map_err(|e| {
            let want = "expected lines such as lr = { log-uniform = [1e-4, 1e-2] }";
            Error::file(path, format!("not TOML: {}", e.message()), want)
        })?;
        if let Some(key) = table.keys().find(|k| !KEYS.contains(&&k[..])) {
            let close = closest(key, KEYS.into_iter());
            return Err(usage(format!("unknown key {key:?}; {close}")).into());
        }
        let name = get::<String>(&table, "method").map_err(usage)?.unwrap_or("random".into());
        let method = METHODS.iter().find(|(known, _)| *known == name).map(|(_, m)| *m);
        let names = METHODS.iter().map(|(name, _)| *name);
        let method = method
            .ok_or_else(|| usage(format!("method: unknown {name:?}; {}", closest(&name, names))))?;
        let number = |key: &str, least: u64, most: u64, default: u64| -> Result<u64> {
            let value = get::<u64>(&table, key).map_err(usage)?.unwrap_or(default);
            let ok = (least..=most).contains(&value);
            let text = || usage(format!("{key} = {value}; it must be from {least} to {most}"));
            ok.then_some(value).ok_or_else(|| text().into())
        };
        let most = MOST_TRIALS as u64;
        let params = params(&table).map_err(usage)?;
        let mut space = Space {
            path: path.to_path_buf(),
            method,
            trials: number("trials", 1, most, 20)? as usize,
            seed: number("seed", 0, u64::MAX >> 1, 0)?,
            eta: number("eta", 2, 100, 3)? as usize,
            min_epochs: number("min-epochs", 1, 1 << 20, 1)? as usize,
            settings: get(&table, "settings").map_err(usage)?.unwrap_or_default(),
            params,
            last: get(&table, "final").map_err(usage)?,
        };
        space.check(&table)?;
        if space.method == Method::Grid {
            let counts = space.params.iter().map(|p| Ok(p.grid()?.len()));
            let counts = counts.collect::<Result<Vec<usize>>>()?;
            let all = counts.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
            let few = all.filter(|n| *n <= MOST_TRIALS);
            let text = || format!("a grid of more than {MOST_TRIALS} trials; give fewer points");
            space.trials = few.ok_or_else(|| usage(text()))?;
        }
        Ok(space)
    }

    /// That its keys go with its method and with a trial.
    fn check(&self, table: &Table) -> Result<()> {
        let refuse =
            |text: String| Err::<(), _>(Usage(format!("{}: {text}", self.path.display())).into());
        let halving = self.method == Method::Halving;
        if let Some(key) = ["eta", "min-epochs"].into_iter().find(|k| table.contains_key(*k))
            && !halving
        {
            return refuse(format!("{key} goes with method = \"halving\""));
        }
        if self.method == Method::Grid && table.contains_key("trials") {
            return refuse("trials: a grid has as many as its values make; leave it away".into());
        }
        let known: Vec<String> =
            keys().into_iter().filter(|k| !NOT_A_TRIAL.contains(&&k[..])).collect();
        let empty = Table::new();
        let tables =
            [("settings", &self.settings), ("final", self.last.as_ref().unwrap_or(&empty))];
        for (name, table) in tables {
            if let Some(key) = table.keys().find(|k| !known.contains(k)) {
                let close = closest(key, known.iter().map(String::as_str));
                return refuse(format!("[{name}]: unknown key {key:?}; {close}"));
            }
        }
        let searched: Vec<&str> =
            known.iter().map(String::as_str).filter(|k| !NOT_SEARCHED.contains(k)).collect();
        for Param { key, .. } in &self.params {
            if !searched.contains(&&key[..]) {
                let close = closest(key, searched.iter().copied());
                return refuse(format!("[search]: {key:?} cannot be searched; {close}"));
            }
            if self.settings.contains_key(key) {
                return refuse(format!("{key} is in [settings] and in [search]; leave one away"));
            }
        }
        if halving && self.params.iter().any(|p| p.key == "epochs") {
            return refuse("[search]: epochs is what halving varies; put it in [settings]".into());
        }
        Ok(())
    }

    /// The values of trial `number` (from 1), by parameter.
    ///
    /// # Errors
    /// If a grid does not know its values.
    pub fn values(&self, number: usize) -> Result<Vec<Value>> {
        if self.method != Method::Grid {
            return Ok(self.params.iter().map(|p| p.draw(self.seed, number)).collect());
        }
        let mut rest = number - 1;
        let mut values = Vec::new();
        // The last parameter changes fastest.
        for param in self.params.iter().rev() {
            let grid = param.grid()?;
            values.push(grid[rest % grid.len()].clone());
            rest /= grid.len();
        }
        values.reverse();
        Ok(values)
    }

    /// The plan with these values, and those of `[final]` if it is the last training.
    ///
    /// # Errors
    /// If a value does not go with the others.
    pub fn plan(&self, values: &[Value], last: bool) -> Result<Plan> {
        let mut table = self.settings.clone();
        let named = self.params.iter().map(|p| p.key.clone()).zip(values.iter().cloned());
        table.extend(named);
        if last {
            table.extend(self.last.clone().unwrap_or_default());
        }
        Settings::from_table(table, &self.path)?.complete(None)
    }

    /// The plans of all trials, once it is certain that every value of every parameter goes with the settings.
    ///
    /// # Errors
    /// The first that does not, with the trial or the parameter that it belongs to.
    pub fn plans(&self) -> Result<Vec<Plan>> {
        let path = self.path.display();
        let mut plans = Vec::new();
        for number in 1..=self.trials {
            let plan = self.plan(&self.values(number)?, false);
            plans.push(plan.with_context(|| format!("{path}: trial {number}"))?);
        }
        let first = self.values(1)?;
        for (i, param) in self.params.iter().enumerate() {
            for value in param.extremes() {
                let mut values = first.clone();
                values[i] = value;
                self.plan(&values, false)
                    .with_context(|| format!("{path}: [search] {}", param.key))?;
            }
        }
        if self.last.is_some() {
            self.plan(&first, true).with_context(|| format!("{path}: [final]"))?;
        }
        if self.method == Method::Halving && self.min_epochs > plans[0].epochs {
            let found = format!("{} of {} epochs", self.min_epochs, plans[0].epochs);
            let want = "it must be at most the epochs of [settings]";
            return Err(Usage(format!("{path}: min-epochs: {found}; {want}")).into());
        }
        Ok(plans)
    }

    /// The rounds: how many trials train, and for how many epochs. One for all but halving.
    pub fn rungs(&self, epochs: usize) -> Vec<Rung> {
        match self.method {
            Method::Halving => rungs(self.trials, epochs, self.min_epochs, self.eta),
            _ => vec![Rung { trials: self.trials, epochs: usize::MAX }],
        }
    }

    /// The space as a file that makes the same search again.
    ///
    /// # Errors
    /// If it cannot be written as TOML.
    pub fn text(&self) -> Result<String> {
        let mut table = Table::new();
        let mut say = |key: &str, value: Value| table.insert(key.to_string(), value);
        let name = METHODS.iter().find(|(_, m)| *m == self.method).map_or("", |(name, _)| *name);
        say("method", Value::String(name.into()));
        if self.method != Method::Grid {
            say("trials", Value::Integer(self.trials as i64));
        }
        say("seed", Value::Integer(self.seed as i64));
        if self.method == Method::Halving {
            say("eta", Value::Integer(self.eta as i64));
            say("min-epochs", Value::Integer(self.min_epochs as i64));
        }
        say("settings", Value::Table(self.settings.clone()));
        let params = self.params.iter().map(|p| (p.key.clone(), p.to_value()));
        say("search", Value::Table(params.collect()));
        if let Some(last) = &self.last {
            say("final", Value::Table(last.clone()));
        }
        toml::to_string(&table).context("a search cannot be written as TOML")
    }
}

/// A value of a table, or half a sentence about what it is instead.
fn get<'de, T: Deserialize<'de>>(table: &Table, key: &str) -> Result<Option<T>, String> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let read = value.clone().try_into::<T>();
    read.map(Some).map_err(|e| format!("{key} = {value}: {}", e.message().trim()))
}

fn params(table: &Table) -> Result<Vec<Param>, String> {
    let searched: Table = get(table, "search")?.unwrap_or_default();
    if !(1..=MOST_PARAMS).contains(&searched.len()) {
        let want = format!("expected 1 to {MOST_PARAMS} parameters");
        return Err(format!("[search]: {} of them; {want}", searched.len()));
    }
    let read = |(key, value): (&String, &Value)| {
        Param::read(key, value).map_err(|e| format!("[search] {key}: {e}"))
    };
    searched.iter().map(read).collect()
}
