//! Runs the cases of a file, and says what ran and what could not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::compare::{Verdict, compare};
use super::format::{self, Case};
use super::ops::{NOT_YET, find};

/// A directory of golden files.
pub struct Folder {
    pub path: PathBuf,
    /// Whether it is the project's own, where no file may be missing.
    pub is_own: bool,
}

impl Folder {
    /// The names of its files, sorted. It is an error if there are none.
    pub fn names(&self) -> Result<Vec<String>, String> {
        let shown = self.path.display();
        let entries =
            std::fs::read_dir(&self.path).map_err(|e| format!("cannot read {shown}: {e}"))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| format!("cannot read {shown}: {e}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") {
                names.push(name);
            }
        }
        names.sort_unstable();
        if names.is_empty() {
            return Err(format!("{shown}: no golden files (*.json) in it"));
        }
        Ok(names)
    }
}

/// What became of one case.
pub enum Outcome {
    /// It ran; this many values agreed.
    Agreed(usize),
    /// It ran and some values did not agree, or it could not be run.
    Wrong(Vec<String>),
    /// Its op does not exist yet.
    NotYet,
}

/// Runs one case. An op that is neither known nor listed as not existing yet is wrong.
pub fn run_case(case: &Case) -> Outcome {
    let kind = case.kind();
    let listed = NOT_YET.contains(&kind.as_str());
    let run = match (find(&kind), listed) {
        (None, true) => return Outcome::NotYet,
        (Some(run), false) => run,
        (None, false) => return Outcome::Wrong(vec![format!("unknown op {kind:?}")]),
        (Some(_), true) => {
            return Outcome::Wrong(vec![format!("{kind:?} exists, but is listed as not existing")]);
        }
    };
    match catch_unwind(AssertUnwindSafe(|| run(case))) {
        Ok(Ok(got)) => match compare(case, &got) {
            Verdict { compared: 0, wrong } if wrong.is_empty() => {
                Outcome::Wrong(vec!["the case expects nothing".into()])
            }
            Verdict { compared, wrong } if wrong.is_empty() => Outcome::Agreed(compared),
            Verdict { wrong, .. } => Outcome::Wrong(wrong),
        },
        Ok(Err(message)) => Outcome::Wrong(vec![message]),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Wrong(vec![format!("panicked: {}", text.unwrap_or("(no message)"))])
        }
    }
}

/// Runs a file, writes how many of its cases ran, and fails if one is wrong.
#[track_caller]
pub fn run_file(folder: &Folder, name: &str) {
    let path = folder.path.join(name);
    if !folder.is_own && !path.exists() {
        // Another directory need not hold all of our files, only at least one.
        folder.names().unwrap_or_else(|e| panic!("{e}"));
        return tell(&format!("golden {name}: not in {}\n", folder.path.display()));
    }
    let cases = format::read(&path).unwrap_or_else(|e| panic!("{e}"));
    let (mut ran, mut values, mut wrong) = (0, 0, String::new());
    let mut not_yet: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for case in &cases {
        match run_case(case) {
            Outcome::Agreed(compared) => (ran, values) = (ran + 1, values + compared),
            Outcome::NotYet => not_yet.entry(case.kind()).or_default().push(&case.id),
            Outcome::Wrong(lines) => {
                ran += 1;
                lines.iter().for_each(|line| _ = writeln!(wrong, "    {}: {line}", case.id));
            }
        }
    }
    let waiting: usize = not_yet.values().map(Vec::len).sum();
    let mut text =
        format!("golden {name}: {ran} of {} cases ran, {values} values agreed", cases.len());
    if waiting > 0 {
        _ = write!(text, "; {waiting} not yet:");
    }
    text.push('\n');
    for (kind, ids) in not_yet {
        _ = writeln!(text, "    {kind}: {}", ids.join(" "));
    }
    tell(&text);
    assert!(wrong.is_empty(), "{name} disagrees:\n{wrong}");
}

/// Writes past the harness, which keeps back what the print macros write.
fn tell(text: &str) {
    // There is no one to tell if the standard error is closed.
    _ = std::io::stderr().lock().write_all(text.as_bytes());
}
