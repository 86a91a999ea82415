//! Errors of the world: files, flags, data, disk.
//!
//! Wrong *code* (shapes, dtypes, indices) panics through [`crate::check`]; a wrong *world* returns one of these. Every message
//! is one sentence that names the thing, what was found, and what would be right.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong outside the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb: "read", "create", "write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file was read, but it does not hold what it should.
    #[error("{path}: {found}; {want}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What would be right.
        want: String,
    },
    /// A configuration key or an option has a value that cannot be used.
    #[error("{key}: {found}; {want}")]
    Value {
        /// The key or option, as the user wrote it.
        key: String,
        /// What was found.
        found: String,
        /// What would be right.
        want: String,
    },
    /// Training met a loss or a gradient that is not a finite number.
    #[error("step {step}: {what} is {value}, which is not a finite number; {advice}")]
    NotFinite {
        /// The step, counted from 1.
        step: usize,
        /// The loss, or the parameter whose gradient it is.
        what: String,
        /// The value met.
        value: f64,
        /// What to try.
        advice: String,
    },
}

/// A result of something that depends on the world.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps a system error: `fs::read(p).map_err(Error::io("read", p))`.
    pub fn io<'a, P: AsRef<Path> + ?Sized>(
        action: &'static str,
        path: &'a P,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A file whose contents are wrong.
    pub fn file(
        path: impl AsRef<Path>,
        found: impl Into<String>,
        want: impl Into<String>,
    ) -> Error {
        Error::File { path: path.as_ref().to_path_buf(), found: found.into(), want: want.into() }
    }

    /// A key or option whose value cannot be used.
    pub fn value(
        key: impl Into<String>,
        found: impl Into<String>,
        want: impl Into<String>,
    ) -> Error {
        Error::Value { key: key.into(), found: found.into(), want: want.into() }
    }
}
