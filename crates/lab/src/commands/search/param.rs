//! One parameter of a search: the setting it is, and the values it may take.

use crate::settings::Usage;
use anyhow::Result;
use chainrule::rng::{Key, KeyedRng, Purpose};
use serde::Deserialize;
use toml::Value;

/// The most values that a list or a grid's axis may have.
const MOST_VALUES: usize = 1000;

/// A setting that is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The setting, as a configuration file calls it.
    pub key: String,
    /// Its values.
    pub range: Range,
    /// How many of them a grid tries.
    points: Option<usize>,
}

/// The values that a parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Numbers whose logarithms are equally likely.
    LogUniform([f64; 2]),
    /// Numbers, equally likely.
    Uniform([f64; 2]),
    /// Whole numbers, both ends among them.
    Integer([i64; 2]),
    /// Any of these.
    Choice(Vec<Value>),
}

/// A parameter as a file writes it: `{ log-uniform = [1e-4, 1e-2], points = 5 }`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    log_uniform: Option<[f64; 2]>,
    uniform: Option<[f64; 2]>,
    integer: Option<[i64; 2]>,
    choice: Option<Vec<Value>>,
    points: Option<usize>,
}

impl Param {
    /// The parameter in a value of a file; an error is half a sentence, what was found and what would be right.
    ///
    /// # Errors
    /// If it is none, or its range is empty.
    pub fn read(key: &str, value: &Value) -> Result<Param, String> {
        let want = "expected one of { log-uniform = [low, high] }, { uniform = [low, high] }, \
            { integer = [low, high] } or { choice = [...] }";
        let written = Written::deserialize(value.clone())
            .map_err(|e| format!("{}; {want}", e.message().trim()))?;
        let Written { log_uniform, uniform, integer, choice, points } = written;
        let range = match (log_uniform, uniform, integer, choice) {
            (Some(ends), None, None, None) => Range::LogUniform(ends),
            (None, Some(ends), None, None) => Range::Uniform(ends),
            (None, None, Some(ends), None) => Range::Integer(ends),
            (None, None, None, Some(values)) => Range::Choice(values),
            (None, None, None, None) => return Err(format!("no range; {want}")),
            _ => return Err(format!("more than one range; {want}")),
        };
        range.check()?;
        match points {
            Some(n) if !(2..=MOST_VALUES).contains(&n) => {
                Err(format!("points = {n}; it must be from 2 to {MOST_VALUES}"))
            }
            Some(_) if matches!(range, Range::Choice(_)) => {
                Err("points: a choice has as many as it lists; leave it away".to_string())
            }
            _ => Ok(Param { key: key.to_string(), range, points }),
        }
    }

    /// The parameter as a file writes it.
    pub fn to_value(&self) -> Value {
        let pair = |ends: [Value; 2]| Value::Array(ends.into());
        let (name, values) = match &self.range {
            Range::LogUniform(ends) => ("log-uniform", pair(ends.map(Value::Float))),
            Range::Uniform(ends) => ("uniform", pair(ends.map(Value::Float))),
            Range::Integer(ends) => ("integer", pair(ends.map(Value::Integer))),
            Range::Choice(values) => ("choice", Value::Array(values.clone())),
        };
        let points = self.points.map(|n| ("points".to_string(), Value::Integer(n as i64)));
        Value::Table([(name.to_string(), values)].into_iter().chain(points).collect())
    }

    /// The value of trial `number` in a random search: a function of seed, number and setting alone, so that neither the order
    /// of the trials nor another parameter changes it. Numbers have four significant digits, so that they can be typed again.
    pub fn draw(&self, seed: u64, number: usize) -> Value {
        let stream = crc32fast::hash(self.key.as_bytes()) >> 8;
        let key = Key::new(seed, Purpose::Search).sample(number as u64).stream(stream);
        let mut rng = KeyedRng::new(key);
        match &self.range {
            Range::LogUniform(ends) => {
                let [a, b] = ends.map(libm::log);
                Value::Float(typed(libm::exp(a + (b - a) * rng.uniform()), ends))
            }
            Range::Uniform(ends) => {
                Value::Float(typed(ends[0] + (ends[1] - ends[0]) * rng.uniform(), ends))
            }
            Range::Integer([a, b]) => Value::Integer(a + rng.below((b - a + 1) as usize) as i64),
            Range::Choice(values) => values[rng.below(values.len())].clone(),
        }
    }

    /// The values that a grid tries, in order.
    ///
    /// # Errors
    /// If the file does not say how many.
    pub fn grid(&self) -> Result<Vec<Value>> {
        let missing = || {
            let want = "a grid needs to know how many: add points = 5";
            Usage(format!("search.{}: a range without points; {want}", self.key))
        };
        let places = |n: usize| (0..n).map(move |i| i as f64 / (n - 1) as f64);
        Ok(match &self.range {
            Range::Choice(values) => values.clone(),
            Range::LogUniform(ends) => {
                let [a, b] = ends.map(libm::log);
                let at = |t: f64| Value::Float(typed(libm::exp(a + (b - a) * t), ends));
                places(self.points.ok_or_else(missing)?).map(at).collect()
            }
            Range::Uniform(ends) => {
                let at = |t: f64| Value::Float(typed(ends[0] + (ends[1] - ends[0]) * t, ends));
                places(self.points.ok_or_else(missing)?).map(at).collect()
            }
            Range::Integer([a, b]) => {
                let all = (b - a + 1) as usize;
                let n = match self.points {
                    Some(n) => n.min(all),
                    None if all <= MOST_VALUES => all,
                    None => return Err(missing().into()),
                };
                let at = |t: f64| Value::Integer(a + ((b - a) as f64 * t).round() as i64);
                if n == 1 { vec![Value::Integer(*a)] } else { places(n).map(at).collect() }
            }
        })
    }

    /// The ends of its range, or all it lists: what a setting must bear.
    pub fn extremes(&self) -> Vec<Value> {
        match &self.range {
            Range::LogUniform(ends) | Range::Uniform(ends) => ends.map(Value::Float).into(),
            Range::Integer(ends) => ends.map(Value::Integer).into(),
            Range::Choice(values) => values.clone(),
        }
    }
}

impl Range {
    fn check(&self) -> Result<(), String> {
        let ordered = |[a, b]: [f64; 2]| {
            let ok = a.is_finite() && b.is_finite() && a < b && (b - a).is_finite();
            ok.then_some(()).ok_or(format!("from {a} to {b}; the first must be below the second"))
        };
        match self {
            Range::LogUniform(ends) if ends[0] <= 0.0 => {
                Err(format!("from {}; numbers with a logarithm are above 0", ends[0]))
            }
            Range::LogUniform(ends) | Range::Uniform(ends) => ordered(*ends),
            Range::Integer([a, b]) => {
                let ok = a < b && b.checked_sub(*a).is_some_and(|d| d < i64::from(u32::MAX));
                let text = || format!("from {a} to {b}; the first must be below the second");
                ok.then_some(()).ok_or_else(text)
            }
            Range::Choice(values) if !(1..=MOST_VALUES).contains(&values.len()) => {
                Err(format!("{} values; it must be from 1 to {MOST_VALUES}", values.len()))
            }
            Range::Choice(_) => Ok(()),
        }
    }
}

/// A number with four significant digits, within its range.
fn typed(value: f64, ends: &[f64; 2]) -> f64 {
    let short: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    short.clamp(ends[0], ends[1])
}

/// A value as people read it: `0.002141`, `200,150`, `2.1e-5`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Float(v) if *v != 0.0 && !(1e-3..1e6).contains(&v.abs()) => format!("{v:e}"),
        other => other.to_string(),
    }
}
