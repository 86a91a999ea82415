//! The guide in docs/guide: every snippet it shows is code of this test, and what it says a snippet prints is what it prints.
//!
//! A chapter has a file here. The code between `// show: NAME` and `// end` is what the chapter shows below the line
//! `<!-- show: NAME -->`; if a function is listed under that name, a block of what it prints follows. After a change,
//!
//!     GUIDE=write cargo test --release -p chainrule --test guide
//!
//! writes both into the chapters; without the variable, a difference is an error.

use std::cell::RefCell;
use std::fmt::{Arguments, Write};
use std::fs;
use std::path::{Path, PathBuf};

thread_local! {
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

fn print_line(line: Arguments<'_>) {
    PRINTED.with_borrow_mut(|out| writeln!(out, "{line}").expect("a string takes it"));
}

/// Snippets print as their readers would; here it is caught.
macro_rules! println {
    ($($arg:tt)*) => { crate::print_line(format_args!($($arg)*)) };
}

mod augmenting;
mod by_hand;
mod convolution;
mod dropout;
mod first;
mod modules;
mod norms;
mod pytorch;
mod resnet;
mod rules;
mod runs;
mod solver;
mod tape;

type Snippet = (&'static str, fn() -> chainrule::Result<()>);

const CHAPTERS: &[(&str, &str, &[Snippet])] = &[
    ("01-first-training.md", include_str!("first.rs"), first::SNIPPETS),
    ("02-by-hand.md", include_str!("by_hand.rs"), by_hand::SNIPPETS),
    ("03-solver.md", include_str!("solver.rs"), solver::SNIPPETS),
    ("04-update-rules.md", include_str!("rules.rs"), rules::SNIPPETS),
    ("05-normalization.md", include_str!("norms.rs"), norms::SNIPPETS),
    ("06-dropout.md", include_str!("dropout.rs"), dropout::SNIPPETS),
    ("07-convolution.md", include_str!("convolution.rs"), convolution::SNIPPETS),
    ("08-tape.md", include_str!("tape.rs"), tape::SNIPPETS),
    ("09-modules.md", include_str!("modules.rs"), modules::SNIPPETS),
    ("10-data.md", include_str!("augmenting.rs"), augmenting::SNIPPETS),
    ("11-resnet.md", include_str!("resnet.rs"), resnet::SNIPPETS),
    ("12-runs.md", include_str!("runs.rs"), runs::SNIPPETS),
    ("13-from-pytorch.md", include_str!("pytorch.rs"), pytorch::SNIPPETS),
];

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// The lines between `// show: NAME` and `// end`, without the indentation that they share.
fn shown(source: &str, name: &str) -> String {
    let mut lines = source.lines();
    let begins = |l: &str| l.trim().strip_prefix("// show: ") == Some(name);
    assert!(lines.any(begins), "the guide shows {name}, which no snippet is called");
    let kept: Vec<&str> = lines.take_while(|l| l.trim() != "// end").collect();
    let indent = |l: &&str| l.len() - l.trim_start().len();
    let shared = kept.iter().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    kept.iter().map(|l| l.get(shared..).unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The chapter as it should be: the blocks behind each mark are those of now.
fn renewed(chapter: &str, source: &str, snippets: &[Snippet]) -> String {
    let mut out = String::new();
    let mut lines = chapter.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").expect("a string takes it");
        let mark = line.strip_prefix("<!-- show: ").and_then(|l| l.strip_suffix(" -->"));
        let Some(name) = mark else {
            assert!(!line.starts_with("```rust"), "code of the guide that no test runs: {line}");
            continue;
        };
        // What stands there now: blocks of code and of output, to be replaced.
        while lines.peek().is_some_and(|l| l.is_empty() || l.starts_with("```")) {
            if lines.next_if(|l| l.is_empty()).is_some() {
                continue;
            }
            let opening = lines.next().expect("it was there");
            assert!(["```rust", "```text"].contains(&opening), "after {name}: {opening}");
            lines.by_ref().find(|l| *l == "```").expect("a block has an end");
        }
        writeln!(out, "\n```rust\n{}\n```\n", shown(source, name)).expect("a string takes it");
        if let Some((_, run)) = snippets.iter().find(|(n, _)| *n == name) {
            PRINTED.take();
            run().unwrap_or_else(|e| panic!("{name}: {e}"));
            let printed = PRINTED.take();
            writeln!(out, "```text\n{}\n```\n", printed.trim_end()).expect("a string takes it");
        }
    }
    format!("{}\n", out.trim_end())
}

#[test]
fn every_snippet_of_the_guide_runs_and_prints_what_the_guide_says() {
    let write = std::env::var_os("GUIDE").is_some_and(|v| v == "write");
    for (file, source, snippets) in CHAPTERS {
        let path = guide().join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (name, _) in *snippets {
            assert!(
                text.contains(&format!("<!-- show: {name} -->")),
                "{file} does not show {name}"
            );
        }
        let now = renewed(&text, source, snippets);
        if write {
            fs::write(&path, now).expect("the guide can be written");
        } else {
            for (i, (a, b)) in text.lines().zip(now.lines()).enumerate() {
                assert_eq!(a, b, "{file}, line {}: run with GUIDE=write and look", i + 1);
            }
            assert_eq!(text.len(), now.len(), "{file} ends differently");
        }
    }
}

#[test]
fn the_guide_has_no_chapter_that_is_not_run() {
    for entry in fs::read_dir(guide()).expect("the guide").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let chapter = CHAPTERS.iter().any(|(file, ..)| *file == name);
        let known = chapter || ["README.md", "SUMMARY.md"].contains(&&*name);
        assert!(known || !name.ends_with(".md"), "{name} is no chapter");
    }
}
