//! A search's `space.toml` and its `journal.jsonl`, parted by a zero byte. The journal's lines get the sum that they should have,
//! for else the sum is all that is ever seen. What is read can be added to, and read again.
#![no_main]
use lab::journal::{Ended, Entry, Journal};
use lab::{settings, space};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Parts of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod settings;
    #[path = "commands/search/journal.rs"]
    pub mod journal;
    #[path = "commands/search/param.rs"]
    pub mod param;
    #[path = "commands/search/rungs.rs"]
    pub mod rungs;
    #[path = "commands/search/space.rs"]
    pub mod space;
}

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("chainrule-fuzz-search-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a scratch directory");
    path
});

/// A journal with these lines behind its head.
fn sealed(space: &str, lines: &str) -> String {
    let head = format!("{{\"space\":\"{:08x}\"}}", crc32fast::hash(space.as_bytes()));
    let line = |json: &str| format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
    std::iter::once(line(&head)).chain(lines.lines().map(line)).collect()
}

fuzz_target!(|text: &str| {
    let (toml, lines) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(space) = space::Space::parse(toml, Path::new("space.toml")) {
        // The plans of its trials are made, or refused in a sentence.
        for trial in 1..=space.trials.min(3) {
            let plan = space.values(trial).and_then(|values| space.plan(&values, false));
            assert!(plan.err().is_none_or(|e| !e.to_string().is_empty()));
        }
        if let Ok(text) = space.text() {
            let again = space::Space::parse(&text, Path::new("space.toml")).expect("its own text");
            assert_eq!(again.text().expect("as before"), text);
        }
    }
    let path = DIRECTORY.join("journal.jsonl");
    fs::write(&path, sealed(toml, lines)).expect("a scratch file");
    let Ok(mut journal) = Journal::open(&DIRECTORY, toml) else { return };
    let ended = Ended::Diverged;
    journal
        .add(Entry { trial: 1, rung: 0, epochs: 0, val_acc: None, ended, seconds: 0.0 })
        .expect("room");
    let again = Journal::open(&DIRECTORY, toml).expect("what was just written");
    assert_eq!(again.entries.len(), journal.entries.len());
});
