//! Every command that a document shows is one that the program has, with flags that it takes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The documents a reader finds: those of the root, and of docs with the guide.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/guide", "data"] {
        let folder = root().join(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let paths = entries.map(|entry| entry.expect("a readable folder").path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    found.sort();
    found
}

/// What follows the program's name in a line of code, without its comment: `train --epochs 5`.
fn call(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?.trim_start().trim_start_matches("$ ");
    let rest =
        ["cargo run --release -- ", "chainrule "].iter().find_map(|p| line.strip_prefix(p))?;
    rest.split(" #").next()
}

fn help(command: &[&str]) -> Option<String> {
    let mut run = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    let out = run.args(command).arg("--help").output().expect("the program runs");
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn every_command_and_flag_in_the_documents_exists() {
    let mut helps: HashMap<String, String> = HashMap::new();
    let (mut calls, mut flags) = (0, 0);
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a readable document");
        for call in text.lines().filter_map(call) {
            let shown = format!("{}: chainrule {call}", path.display());
            let mut words = call.split_whitespace();
            let command = words.next().unwrap_or_else(|| panic!("{shown}: no command"));
            let parts = match command {
                "data" => vec![command, words.next().unwrap_or_default()],
                _ => vec![command],
            };
            let help = helps.entry(parts.join(" ")).or_insert_with(|| {
                help(&parts).unwrap_or_else(|| panic!("{shown}: there is no such command"))
            });
            let flag = |word: &str| {
                let word = word.trim_start_matches('[').trim_end_matches(']');
                word.starts_with("--").then(|| word.to_string())
            };
            for flag in words.filter_map(flag) {
                let known =
                    help.split(|c: char| !c.is_alphanumeric() && c != '-').any(|w| w == flag);
                assert!(known, "{shown}: {flag} is no flag of it");
                flags += 1;
            }
            calls += 1;
        }
    }
    assert!(calls > 30 && flags > 30, "{calls} calls with {flags} flags: are they found?");
}

#[test]
fn the_help_names_values_and_defaults_and_fits_eighty_columns() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    let out =
        run.args(["train", "--help"]).env("COLUMNS", "80").output().expect("the program runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?} columns");
    assert!(!text.contains("<>"), "every value has a name");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "--model <VALUE> The architecture: small-convnet,",
        "[default: small-convnet]",
        "--train-samples <N> Training pictures that each accuracy check samples [default: 1000]",
        "--skip-bad [<BOOL>]",
        "--data <PATH>",
    ] {
        assert!(words.contains(expected), "{expected}\n{text}");
    }
}
