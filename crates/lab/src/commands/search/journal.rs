//! `journal.jsonl`: what a search has found out, a line a trial and round, as it comes. A line is a checksum and a JSON object;
//! lines are only added, and what a killed process left half written is cut off.

use anyhow::Result;
use chainrule::Error;
use chainrule::data::files;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How a trial came out of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It trained to its end.
    Finished,
    /// It trained until the end of the round.
    Paused,
    /// Its loss or a gradient was no finite number.
    Diverged,
}

/// What a round found out of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The trial, from 1.
    pub trial: usize,
    /// The round, from 0.
    pub rung: usize,
    /// Epochs it has trained.
    pub epochs: usize,
    /// The best validation accuracy so far; `None` if it diverged.
    pub val_acc: Option<f64>,
    /// How it came out.
    pub ended: Ended,
    /// How long the round took it.
    pub seconds: f64,
}

/// The most bytes that are read: more than 10,000 trials make.
const MOST_BYTES: u64 = 1 << 24;

/// The journal of a search directory.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What it holds.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Opens the journal of a search whose space has this text; begins it if there is none.
    ///
    /// # Errors
    /// If it belongs to another space, or cannot be read or written.
    pub fn open(directory: &Path, space: &str) -> Result<Journal> {
        let path = directory.join("journal.jsonl");
        let text = read(&path)?;
        let head =
            serde_json::json!({ "space": format!("{:08x}", crc32fast::hash(space.as_bytes())) });
        let (whole, lines) = lines(&text);
        let mut entries = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            if i == 0 {
                if serde_json::from_str::<serde_json::Value>(line).ok().as_ref() != Some(&head) {
                    let want = "put space.toml back as it was, or begin another search";
                    let found = "belongs to another space.toml than the one beside it";
                    return Err(Error::file(&path, found, want).into());
                }
            } else {
                let entry = serde_json::from_str(line).map_err(|e| {
                    Error::file(&path, format!("line {}: {e}", i + 1), "expected a trial's result")
                })?;
                entries.push(entry);
            }
        }
        let open = File::options().append(true).create(true).open(&path);
        let file = open.map_err(Error::io("open", &path))?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(Error::io("shorten", &path))?;
        }
        let mut journal = Journal { path, file, entries };
        if lines.is_empty() {
            journal.write(&head.to_string())?;
        }
        Ok(journal)
    }

    /// Adds a line, and waits until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, entry: Entry) -> Result<()> {
        self.write(&serde_json::to_string(&entry)?)?;
        self.entries.push(entry);
        Ok(())
    }

    fn write(&mut self, json: &str) -> Result<()> {
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        Ok(written.map_err(Error::io("write", &self.path))?)
    }

    /// What a round found out of a trial, if it did.
    pub fn of(&self, trial: usize, rung: usize) -> Option<&Entry> {
        self.entries.iter().find(|e| e.trial == trial && e.rung == rung)
    }
}

/// The text of the file, as far as it is text; nothing if there is none.
fn read(path: &Path) -> Result<String> {
    let want = "expected the journal of a search";
    if !path.try_exists().map_err(Error::io("read", path))? {
        return Ok(String::new());
    }
    let file = files::regular(path, want)?;
    let mut bytes = files::read_at_most(file, MOST_BYTES)
        .map_err(|fault| Error::file(path, fault.to_string(), want))?;
    let valid = match std::str::from_utf8(&bytes) {
        Ok(text) => text.len(),
        Err(e) => e.valid_up_to(),
    };
    bytes.truncate(valid);
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// The JSON of the whole lines at the beginning, and how many bytes they are. The first line that is not whole ends them: what
/// comes behind it is found out again.
fn lines(text: &str) -> (usize, Vec<&str>) {
    let (mut whole, mut lines) = (0, Vec::new());
    for line in text.split_inclusive('\n') {
        let Some((sum, json)) = line.strip_suffix('\n').and_then(|l| l.split_once(' ')) else {
            break;
        };
        if sum != format!("{:08x}", crc32fast::hash(json.as_bytes())) {
            break;
        }
        whole += line.len();
        lines.push(json);
    }
    (whole, lines)
}

/// The text of `space.toml` in a search directory.
///
/// # Errors
/// If it is none.
pub fn space_text(directory: &Path) -> Result<String> {
    let path = directory.join("space.toml");
    if !path.is_file() {
        let want = "expected a directory that `chainrule search` began";
        return Err(Error::file(directory, "holds no space.toml", want).into());
    }
    Ok(files::text(&path, super::space::MOST_BYTES, "expected the space of a search")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entry(trial: usize) -> Entry {
        let ended = Ended::Finished;
        Entry { trial, rung: 0, epochs: 3, val_acc: Some(0.25), ended, seconds: 1.5 }
    }

    #[test]
    fn whatever_a_killed_process_left_whole_lines_are_kept_and_the_rest_is_cut_off() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let mut journal = Journal::open(dir.path(), "a = 1").expect("a new one");
        (1..=3).for_each(|k| journal.add(entry(k)).expect("room"));
        let path = dir.path().join("journal.jsonl");
        let bytes = fs::read(&path).expect("it is there");
        let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("room");
            let journal = Journal::open(dir.path(), "a = 1").expect("what is left is sound");
            let whole = ends.iter().filter(|end| **end < cut).count();
            assert_eq!(journal.entries.len(), whole.saturating_sub(1), "cut at {cut}");
            assert!(fs::read(&path).expect("it is there").len() > ends[0], "it has its head");
        }
        // A changed byte ends what is believed.
        let mut damaged = bytes.clone();
        damaged[ends[1] + 20] ^= 1;
        fs::write(&path, &damaged).expect("room");
        assert_eq!(Journal::open(dir.path(), "a = 1").expect("sound").entries, [entry(1)]);
        let other = Journal::open(dir.path(), "a = 2").err().expect("another space").to_string();
        assert!(other.contains("another space.toml"), "{other}");
    }
}
