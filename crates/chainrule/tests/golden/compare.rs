//! Compares what an op gave with what the file expects, by the rules of golden/README.md.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::format::{Array, Case};

/// The named results of an op.
pub type Outputs = BTreeMap<String, Out>;

/// One result.
#[derive(Clone, Debug)]
pub enum Out {
    Array(Array),
    Float(f64),
    Int(i64),
    Text(String),
    List(Vec<Out>),
    Map(Outputs),
}

impl From<Array> for Out {
    fn from(array: Array) -> Self {
        Out::Array(array)
    }
}

impl From<f64> for Out {
    fn from(value: f64) -> Self {
        Out::Float(value)
    }
}

impl From<usize> for Out {
    fn from(value: usize) -> Self {
        Out::Int(value as i64)
    }
}

impl From<&str> for Out {
    fn from(text: &str) -> Self {
        Out::Text(text.into())
    }
}

impl<T: Into<Out>> From<Vec<T>> for Out {
    fn from(list: Vec<T>) -> Self {
        Out::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Out>> From<BTreeMap<String, T>> for Out {
    fn from(map: BTreeMap<String, T>) -> Self {
        Out::Map(map.into_iter().map(|(name, out)| (name, out.into())).collect())
    }
}

/// Named results: `outputs([("loss", loss.into()), ...])`.
pub fn outputs<const N: usize>(named: [(&str, Out); N]) -> Outputs {
    named.into_iter().map(|(name, out)| (name.to_string(), out)).collect()
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Expected values that were compared.
    pub compared: usize,
    /// One line for each that did not agree.
    pub wrong: Vec<String>,
}

/// Compares the results of a case with all that it expects.
pub fn compare(case: &Case, got: &Outputs) -> Verdict {
    let mut check = Check { case, verdict: Verdict::default() };
    check.map("", &case.expect, got);
    check.verdict
}

/// The stored properties of an array too large to store.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digest {
    n: usize,
    sum: f64,
    sum_abs: f64,
    sum_sq: f64,
    wsum: f64,
    sample_idx: Vec<usize>,
    sample: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digested {
    shape: Vec<usize>,
    digest: Digest,
}

struct Check<'a> {
    case: &'a Case,
    verdict: Verdict,
}

impl Check<'_> {
    fn fail(&mut self, at: &str, what: impl std::fmt::Display) {
        self.verdict.wrong.push(format!("{at}: {what}"));
    }

    /// NaN is never within a tolerance. Where equal bits are asked for, a C library whose logarithm differs from glibc's in the
    /// last bit is forgiven that bit.
    fn near(&mut self, at: &str, got: f64, want: f64, within: f64) {
        let error = (got - want).abs();
        let exact = self.case.rtol == 0.0 && self.case.atol == 0.0;
        let is_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
        let within = if exact && !is_glibc { f64::EPSILON * want.abs() } else { within };
        let near = error <= within || got.to_bits() == want.to_bits();
        if !near {
            self.fail(
                at,
                format_args!("got {got:e}, want {want:e}: off by {error:e}, not {within:e}"),
            );
        }
    }

    fn map(&mut self, at: &str, want: &Map<String, Value>, got: &Outputs) {
        for (key, want) in want {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let bound = key.strip_suffix("_abs_max");
            match got.get(bound.unwrap_or(key)) {
                None => self.fail(&at, "the op gave no such result"),
                Some(got) if bound.is_some() => self.bounded(&at, want, got),
                Some(got) if self.is_noise(key) => self.noise(&at, want, got),
                Some(got) => self.value(&at, want, got),
            }
        }
    }

    fn is_noise(&self, key: &str) -> bool {
        key == "gradcheck_rel_error"
            || (key == "rel_error" && self.case.op == "fn.numerical_gradient")
    }

    /// In theory zero: the value only limits the rounding.
    fn bounded(&mut self, at: &str, want: &Value, got: &Out) {
        self.verdict.compared += 1;
        let largest = match got {
            Out::Array(array) => array.data.iter().map(|v| v.abs()).fold(0.0, nan_max),
            Out::Float(value) => value.abs(),
            other => return self.fail(at, format_args!("got {other:?}, want numbers")),
        };
        match want.as_f64() {
            Some(want) if largest <= want => {}
            _ => self.fail(at, format_args!("got {largest:e}, the bound is {want}")),
        }
    }

    /// Errors of a gradient check are rounding noise: they only must not be much larger. Stored ones above 1e-3 say that the
    /// gradient itself is noise.
    fn noise(&mut self, at: &str, want: &Value, got: &Out) {
        match (want, got) {
            (Value::Object(want), Out::Map(got)) => {
                for (key, want) in want {
                    let at = format!("{at}.{key}");
                    match got.get(key) {
                        Some(got) => self.noise(&at, want, got),
                        None => self.fail(&at, "the op gave no such result"),
                    }
                }
            }
            (Value::Number(want), Out::Float(got)) => {
                self.verdict.compared += 1;
                let want = want.as_f64().unwrap_or(f64::NAN);
                let limit = (20.0 * want).max(1e-6);
                let fine = want > 1e-3 || *got < limit;
                if !fine {
                    self.fail(at, format_args!("got {got:e}, the limit is {limit:e}"));
                }
            }
            _ => self.fail(at, format_args!("got {got:?}, want {want}")),
        }
    }

    fn value(&mut self, at: &str, want: &Value, got: &Out) {
        if let Value::Object(fields) = want {
            return self.object(at, fields, got);
        }
        if let (Value::Array(want), Out::List(got)) = (want, got) {
            if want.len() != got.len() {
                return self.fail(at, format_args!("got {} items, want {}", got.len(), want.len()));
            }
            let items = want.iter().zip(got).enumerate();
            return items.for_each(|(i, (want, got))| self.value(&format!("{at}[{i}]"), want, got));
        }
        self.verdict.compared += 1;
        match (want, got) {
            (Value::Number(want), Out::Float(got)) => {
                let want = want.as_f64().unwrap_or(f64::NAN);
                let within = self.case.atol + self.case.rtol * want.abs();
                self.near(at, *got, want, within);
            }
            (Value::Number(want), Out::Int(got)) if want.as_i64() == Some(*got) => {}
            (Value::String(want), Out::Text(got)) if self.same_text(want, got) => {}
            _ => self.fail(at, format_args!("got {got:?}, want {want}")),
        }
    }

    /// Equal, but for decimals that are printed more finely than the case's tolerance: an f32 loss that lies on the edge
    /// between two printed values cannot be held to one of them.
    fn same_text(&self, want: &str, got: &str) -> bool {
        let same_word = |want: &str, got: &str| {
            let [(want_value, digits), (got_value, _)] = match [want, got].map(decimal) {
                [Some(want), Some(got)] => [want, got],
                _ => return false,
            };
            let within = self.case.atol + self.case.rtol * want_value.abs();
            within > 0.5 * 0.1f64.powi(digits) && (got_value - want_value).abs() <= within
        };
        let words = || want.split(' ').zip(got.split(' '));
        want.split(' ').count() == got.split(' ').count()
            && words().all(|(want, got)| want == got || same_word(want, got))
    }

    fn object(&mut self, at: &str, fields: &Map<String, Value>, got: &Out) {
        let object = Value::Object(fields.clone());
        if fields.contains_key("shape") || fields.contains_key("wsum") {
            self.verdict.compared += 1;
            let Out::Array(got) = got else {
                return self.fail(at, format_args!("got {got:?}, want an array"));
            };
            let result = if fields.contains_key("wsum") {
                serde_json::from_value(object).map(|want| self.digest(at, &want, got))
            } else if fields.contains_key("digest") {
                serde_json::from_value(object).map(|want: Digested| {
                    self.shape(at, &want.shape, got);
                    self.digest(at, &want.digest, got);
                })
            } else {
                serde_json::from_value(object).map(|want| self.array(at, &want, got))
            };
            return result.unwrap_or_else(|e| self.fail(at, e));
        }
        match got {
            Out::Map(got) => self.map(at, fields, got),
            other => self.fail(at, format_args!("got {other:?}, want named results")),
        }
    }

    fn shape(&mut self, at: &str, want: &[usize], got: &Array) {
        if got.shape != want {
            self.fail(at, format_args!("got shape {:?}, want {want:?}", got.shape));
        }
    }

    fn array(&mut self, at: &str, want: &Array, got: &Array) {
        self.shape(at, &want.shape, got);
        if want.data.len() != got.data.len() {
            return self.fail(at, format_args!("got {} numbers", got.data.len()));
        }
        let largest = want.data.iter().map(|v| v.abs()).fold(0.0, f64::max);
        let within = self.case.atol + self.case.rtol * largest;
        // One line for an array: the element that is furthest off, or not a number.
        let errors = want.data.iter().zip(&got.data).map(|(want, got)| (got - want).abs());
        let worst =
            errors.enumerate().reduce(|a, b| if a.1.is_nan() || a.1 >= b.1 { a } else { b });
        if let Some((i, _)) = worst {
            self.near(&format!("{at} at {i}"), got.data[i], want.data[i], within);
        }
    }

    fn digest(&mut self, at: &str, want: &Digest, got: &Array) {
        let data = &got.data;
        if data.len() != want.n {
            return self.fail(at, format_args!("got {} numbers, want {}", data.len(), want.n));
        }
        let (rtol, atol) = (self.case.rtol, self.case.atol);
        let within = rtol * want.sum_abs + atol * want.n as f64;
        let weight = |i: usize| (((i * 7919) % 1009) as f64 - 504.0) / 504.0;
        let wsum = data.iter().enumerate().map(|(i, v)| v * weight(i)).sum();
        let sum_sq = data.iter().map(|v| v * v).sum();
        self.near(&format!("{at} sum"), data.iter().sum(), want.sum, within);
        self.near(&format!("{at} weighted sum"), wsum, want.wsum, within);
        let within = 2.0 * rtol * want.sum_sq + atol;
        self.near(&format!("{at} sum of squares"), sum_sq, want.sum_sq, within);
        let places: Vec<usize> = (0..16).map(|k| k * want.n.saturating_sub(1) / 15).collect();
        if places != want.sample_idx || want.sample.len() != 16 {
            return self.fail(at, "its sample is not at the places that the format says");
        }
        let sample = places.iter().map(|&i| data[i]).collect();
        let want = Array::new(&[16], want.sample.clone());
        self.array(&format!("{at} sample"), &want, &Array::new(&[16], sample));
    }
}

/// The larger one, or NaN if either is: `f64::max` would lose it.
fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// A number with a decimal point, and how many digits follow it.
fn decimal(word: &str) -> Option<(f64, i32)> {
    let word = word.trim_end_matches(';');
    let (_, digits) = word.split_once('.')?;
    Some((word.parse().ok()?, digits.len() as i32))
}
