//! What can be fetched, from where, and what its files must be.

use crate::settings::{Usage, closest};
use anyhow::Result;
use chainrule::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The catalogue that is part of the program.
const BUILT_IN: &str = include_str!("catalogue.toml");
/// The most bytes of a catalogue: a thousand sets.
const MOST: u64 = 1 << 20;

/// A data set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The addresses of folders that have the files, the official one first.
    pub mirrors: Vec<String>,
    /// Its files.
    pub files: Vec<Published>,
}

/// A file as it was published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Its name, at the end of its address and on the disk.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its MD5 in hexadecimal digits, as the sets' pages give it.
    pub md5: String,
    /// Its SHA-256, where it is known.
    pub sha256: Option<String>,
}

/// The set of this name, of the built-in catalogue or of a file.
///
/// # Errors
/// If the file cannot be read or is no catalogue, or there is no such set.
pub fn find(name: &str, file: Option<&Path>) -> Result<Set> {
    let mut sets = match file {
        None => parse(BUILT_IN).map_err(anyhow::Error::msg)?,
        Some(path) => {
            let want = "expected a catalogue of data sets";
            let text = chainrule::data::files::text(path, MOST, want)?;
            parse(&text).map_err(|found| Error::file(path, found, want))?
        }
    };
    match sets.remove(name) {
        Some(set) => Ok(set),
        None => {
            let known = sets.keys().map(String::as_str);
            Err(Usage(format!("data fetch: unknown data set {name:?}; {}", closest(name, known)))
                .into())
        }
    }
}

/// The sets of a catalogue, or what is wrong with it.
pub fn parse(text: &str) -> std::result::Result<BTreeMap<String, Set>, String> {
    let sets: BTreeMap<String, Set> =
        toml::from_str(text).map_err(|e| format!("is no catalogue ({})", e.message()))?;
    for (name, set) in &sets {
        if set.mirrors.is_empty() || set.files.is_empty() {
            return Err(format!("has no mirrors or no files for {name}"));
        }
        for file in &set.files {
            // A name that is a path would be written somewhere else.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if !file.name.chars().all(plain) || file.name.starts_with('.') || file.name.is_empty() {
                return Err(format!("names a file {:?}, which is no plain name", file.name));
            }
            let hex = |sum: &str, n: usize| {
                sum.len() == n && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            if !hex(&file.md5, 32) || file.sha256.as_ref().is_some_and(|sum| !hex(sum, 64)) {
                return Err(format!("has a sum of {} that is none", file.name));
            }
        }
    }
    Ok(sets)
}
