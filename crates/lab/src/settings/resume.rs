//! What may differ when a run is gone on with: nothing that its numbers depend on.

use super::{Plan, Settings, Usage};
use anyhow::{Context, Result};
use chainrule::Error;
use std::path::Path;

/// Keys that change no number of a training.
const HARMLESS: [&str; 8] = [
    "out",
    "threads",
    "verbose",
    "quiet",
    "print-every",
    "json",
    "tensorboard",
    "checkpoint-every",
];

impl Settings {
    /// That no flag was given that would make another training of the one that is gone on with.
    ///
    /// # Errors
    /// The first that would.
    pub fn require_harmless(&self) -> Result<()> {
        let said = serde_json::to_value(self).context("settings are JSON")?;
        for (key, value) in said.as_object().into_iter().flatten() {
            if !value.is_null() && !HARMLESS[1..].contains(&&key[..]) {
                let want = "a run goes on with its own settings; leave the flag away";
                return Err(Usage(format!("--{key}: it does not go with --resume; {want}")).into());
            }
        }
        Ok(())
    }
}

impl Plan {
    /// That this plan, read from a run's `file`, is still the one (as text) that its checkpoint was made with.
    ///
    /// # Errors
    /// The first key that has changed.
    pub fn require_unchanged(&self, then: &str, file: &Path) -> Result<()> {
        let then: toml::Table = toml::from_str(then).context("a configuration is TOML")?;
        let now = toml::Table::try_from(self).context("a configuration is TOML")?;
        for key in now.keys().chain(then.keys()).filter(|key| !HARMLESS.contains(&&key[..])) {
            if now.get(key) != then.get(key) {
                let said = |value: Option<&toml::Value>| match value {
                    Some(value) => format!("{key} = {value}"),
                    None => format!("no {key}"),
                };
                let found = format!("has {} now", said(now.get(key)));
                let want =
                    format!("its checkpoint was made with {}: put that back", said(then.get(key)));
                return Err(Error::file(file, found, want).into());
            }
        }
        Ok(())
    }
}
