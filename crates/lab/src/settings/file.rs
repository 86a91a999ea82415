//! Settings from a configuration file.

use super::{Settings, Usage, closest};
use anyhow::Result;
use chainrule::Error;
use clap::{Args, Command};
use serde::Deserialize;
use std::path::Path;

/// The keys there are, from the flags themselves.
fn keys() -> Vec<String> {
    let command = Settings::augment_args(Command::new("keys"));
    command.get_arguments().filter_map(|a| a.get_long().map(str::to_string)).collect()
}

pub(super) fn read(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let reason = |e: &toml::de::Error| e.message().to_string();
    let table: toml::Table = toml::from_str(&text).map_err(|e| {
        Error::file(path, format!("not TOML: {}", reason(&e)), "expected lines such as epochs = 20")
    })?;
    let known = keys();
    if let Some(key) = table.keys().find(|k| !known.contains(k)) {
        let close = closest(key, known.iter().map(String::as_str));
        return Err(Usage(format!("{}: unknown key {key:?}; {close}", path.display())).into());
    }
    for (key, value) in &table {
        // One key at a time, so that the message can name it.
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        if let Err(e) = Settings::deserialize(alone) {
            return Err(
                Usage(format!("{}: {key} = {value}: {}", path.display(), reason(&e))).into()
            );
        }
    }
    Settings::deserialize(table)
        .map_err(|e| Usage(format!("{}: {}", path.display(), reason(&e))).into())
}
