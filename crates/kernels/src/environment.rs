//! The two variables of the environment that kernels read: `CHAINRULE_SIMD` and `CHAINRULE_THREADS`.
//!
//! The kernels cannot return an error: a value that makes no sense is reported on standard error and has no effect. A program
//! calls [`check`] first and refuses to start.

use crate::simd::Level;
use crate::threads::MAX_THREADS;
use std::env::var_os;
use std::fmt;

const SIMD: &str = "CHAINRULE_SIMD";
const THREADS: &str = "CHAINRULE_THREADS";

/// A variable whose value makes no sense. Shown as one sentence: its name, what was found, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    variable: &'static str,
    found: String,
    want: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}; it can be {}", self.variable, self.found, self.want)
    }
}

impl std::error::Error for Unknown {}

/// Whether both variables make sense. One that is not set, or empty, does.
///
/// # Errors
/// For the first that does not.
pub fn check() -> Result<(), Unknown> {
    level()?;
    thread_count()?;
    Ok(())
}

/// The level that is asked for.
pub(crate) fn level() -> Result<Option<Level>, Unknown> {
    value(SIMD).map(|found| parse_level(found, &Level::available())).transpose()
}

/// The number of threads that is asked for.
pub(crate) fn thread_count() -> Result<Option<usize>, Unknown> {
    value(THREADS).map(parse_threads).transpose()
}

/// What is asked for, or nothing and a word on standard error.
pub(crate) fn or_warn<T>(asked: Result<Option<T>, Unknown>) -> Option<T> {
    asked.unwrap_or_else(|unknown| {
        eprintln!("warning: {unknown}; it is ignored");
        None
    })
}

fn value(name: &str) -> Option<String> {
    let value = var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn parse_level(found: String, available: &[Level]) -> Result<Level, Unknown> {
    available.iter().copied().find(|level| level.name() == found).ok_or_else(|| {
        let names: Vec<&str> = available.iter().map(|level| level.name()).collect();
        let want = format!("{} on this CPU", names.join(", "));
        Unknown { variable: SIMD, found, want }
    })
}

fn parse_threads(found: String) -> Result<usize, Unknown> {
    match found.parse() {
        Ok(n) if (1..=MAX_THREADS).contains(&n) => Ok(n),
        _ => {
            let want = format!("a whole number from 1 to {MAX_THREADS}");
            Err(Unknown { variable: THREADS, found, want })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_cpu() {
        let available = [Level::Portable, Level::Avx2];
        for level in available {
            assert_eq!(parse_level(level.name().to_string(), &available), Ok(level));
        }
        for found in ["avx512", "AVX2", "sse9", " "] {
            let text = parse_level(found.to_string(), &available).unwrap_err().to_string();
            assert!(text.starts_with(&format!("CHAINRULE_SIMD is {found:?}; ")), "{text}");
            assert!(text.contains("avx2 on this CPU"), "{text}");
        }
    }

    #[test]
    fn threads_are_a_number_in_range() {
        assert_eq!(parse_threads("1".to_string()), Ok(1));
        assert_eq!(parse_threads("256".to_string()), Ok(256));
        for found in ["0", "257", "-1", "two", "2.0", " 2"] {
            let text = parse_threads(found.to_string()).unwrap_err().to_string();
            assert!(
                text.starts_with("CHAINRULE_THREADS is ") && text.contains("1 to 256"),
                "{text}"
            );
        }
    }
}
