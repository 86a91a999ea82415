//! Files as they are met in the world: sizes known before reading, never more read than they may hold, and what was found said.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// What is wrong with some bytes, before it is known which file they are of.
#[derive(Debug)]
pub enum Fault {
    /// They could not be read.
    Io(io::Error),
    /// They are not what they should be.
    Wrong {
        /// What was found.
        found: String,
        /// What would be right.
        want: String,
    },
}

impl Fault {
    /// What was found, and what would be right.
    pub fn new(found: impl Into<String>, want: impl Into<String>) -> Fault {
        Fault::Wrong { found: found.into(), want: want.into() }
    }

    /// The fault of a member of an archive.
    pub(super) fn of_member(self, name: &str) -> Fault {
        match self {
            Fault::Wrong { found, want } => Fault::new(format!("its member {name} {found}"), want),
            io => io,
        }
    }

    /// The error of the file that the bytes are of.
    pub(crate) fn of(self, path: &Path) -> Error {
        match self {
            Fault::Io(source) => Error::io("read", path)(source),
            Fault::Wrong { found, want } => Error::file(path, found, want),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Io(source) => write!(f, "{source}"),
            Fault::Wrong { found, want } => write!(f, "{found}; {want}"),
        }
    }
}

impl From<io::Error> for Fault {
    /// A decoder says that bytes are damaged with an error of these kinds; the disk does not.
    fn from(source: io::Error) -> Fault {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        if matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof) {
            return Fault::new(format!("is damaged ({source})"), "fetch it again");
        }
        Fault::Io(source)
    }
}

/// Opens a regular file and tells its size. `layout` says what should be there.
///
/// # Errors
/// If it is missing, is no regular file, or cannot be opened.
pub(super) fn open(path: &Path, layout: &str) -> Result<(File, u64)> {
    // The kind comes before opening, because opening a named pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(|e| unreadable(path, "file", layout, e))?;
    if !kind.is_file() {
        return Err(Error::file(path, "is not a regular file", layout));
    }
    Ok((File::open(path).map_err(Error::io("read", path))?, kind.len()))
}

/// What the system says about something missing does not tell what should be there; this does.
pub(super) fn unreadable(path: &Path, what: &str, layout: &str, source: io::Error) -> Error {
    let source = match source.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no such {what}; {layout}"))
        }
        _ => source,
    };
    Error::io("read", path)(source)
}

/// All bytes of a reader that may hold at most `most` of them.
///
/// # Errors
/// If there are more, or they cannot be read.
pub fn read_at_most(source: impl Read, most: u64) -> std::result::Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Fault::new(
            format!("holds more than {most} bytes"),
            format!("expected {most} bytes at most"),
        ));
    }
    Ok(bytes)
}

/// The text in a regular file of at most `most` bytes. `want` says what should be there.
///
/// # Errors
/// If it is missing, is no regular file, holds more, or is no text.
pub fn text(path: &Path, most: u64, want: &str) -> Result<String> {
    text_of(regular(path, want)?, path, most, want)
}

/// Opens a regular file. `want` says what should be there.
///
/// # Errors
/// If it is missing, is no regular file, or cannot be opened.
pub fn regular(path: &Path, want: &str) -> Result<File> {
    // The kind comes before opening here too.
    if !fs::metadata(path).map_err(Error::io("read", path))?.is_file() {
        return Err(Error::file(path, "is not a regular file", want));
    }
    File::open(path).map_err(Error::io("read", path))
}

/// The text behind a reader of the file at `path`, of at most `most` bytes.
///
/// # Errors
/// If it holds more, is no text, or cannot be read.
pub fn text_of(source: impl Read, path: &Path, most: u64, want: &str) -> Result<String> {
    let bytes = read_at_most(source, most).map_err(|fault| fault.of(path))?;
    String::from_utf8(bytes).map_err(|_| Error::file(path, "is no text", want))
}

/// Whether a path is there, whatever it is.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(Error::io("read", path))
}
