//! Settings from a configuration file.

use super::{Settings, Usage, closest};
use anyhow::Result;
use chainrule::Error;
use chainrule::data::files::text_of;
use clap::{Args, Command};
use serde::Deserialize;
use std::path::Path;

/// The keys there are, from the flags themselves.
pub fn keys() -> Vec<String> {
    let command = Settings::augment_args(Command::new("keys"));
    command.get_arguments().filter_map(|a| a.get_long().map(str::to_string)).collect()
}

/// The most bytes of a configuration file.
const MOST: u64 = 1 << 20;

/// The settings in a file, which may be a pipe.
pub(super) fn read(path: &Path) -> Result<Settings> {
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    parse(&text_of(file, path, MOST, "expected lines such as epochs = 20")?, path)
}

/// The settings in a text, which the file at `path` holds.
fn parse(text: &str, path: &Path) -> Result<Settings> {
    let reason = |e: &toml::de::Error| e.message().to_string();
    let table: toml::Table = toml::from_str(text).map_err(|e| {
        Error::file(path, format!("not TOML: {}", reason(&e)), "expected lines such as epochs = 20")
    })?;
    from_table(table, path)
}

/// The settings in a table, which comes from the file at `path`.
pub(super) fn from_table(table: toml::Table, path: &Path) -> Result<Settings> {
    let reason = |e: &toml::de::Error| e.message().to_string();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::garble::garbled;
    use chainrule::rng::{Key, KeyedRng, Purpose};

    /// Whatever a file holds, it is read or refused in a sentence. Random changes of a whole configuration, the same each time;
    /// the file's reader is `toml`, so what we look for is in what we make of it.
    #[test]
    fn no_configuration_file_can_harm() {
        let whole = Settings::default().complete(None).expect("the defaults are sound");
        let whole = toml::to_string(&whole).expect("a plan is TOML");
        let pieces = [
            "-1",
            "1e999",
            "nan",
            "\"\"",
            "[",
            "]",
            "{",
            "}",
            "=",
            "[[a]]",
            "a.b",
            "99999999999999999999",
            "\u{0}",
            "true",
            "\n",
            "#",
        ];
        let mut random = KeyedRng::new(Key::new(0, Purpose::Check));
        let mut read = 0;
        for _ in 0..3000 {
            let text = garbled(&whole, &pieces, &mut random);
            match parse(&text, Path::new("config.toml")) {
                Ok(said) => read += usize::from(said.complete(None).is_ok()),
                Err(error) => assert!(error.to_string().contains("config.toml"), "{error}: {text}"),
            }
        }
        assert!(read > 10, "some changes are harmless: {read}");
    }
}
