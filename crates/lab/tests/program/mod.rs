//! The program as a user starts it, and a small training that the tests of its survival share.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

pub const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

/// Some 2,000 short steps.
const SMALL: [(&str, &str); 9] = [
    ("--model", "fully-connected"),
    ("--hidden", "8"),
    ("--num-train", "1000"),
    ("--batch", "20"),
    ("--epochs", "40"),
    ("--train-samples", "100"),
    ("--verbose", "true"),
    ("--print-every", "1"),
    ("--out", "run"),
];

/// A training of [`SMALL`] with some flags changed or added.
pub fn train<'a>(changes: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let changed = |flag: &str| changes.iter().any(|(name, _)| *name == flag);
    let flags = SMALL.iter().filter(|(flag, _)| !changed(flag)).chain(changes);
    std::iter::once("train").chain(flags.flat_map(|(flag, value)| [*flag, *value])).collect()
}

pub fn chainrule(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BIN);
    command.args(args).current_dir(directory).stdin(Stdio::null());
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn succeeds(directory: &Path, args: &[&str]) -> Output {
    let output = chainrule(directory, args).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    output
}

/// Starts a training and waits for its first step.
pub fn begun(directory: &Path, args: &[&str]) -> Child {
    let mut command = chainrule(directory, args);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("text");
    assert!(line.starts_with("(Iteration 1 / "), "{line}");
    // Somebody has to read on, or the pipe is closed for the child; that is another test.
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    child
}

/// What a run leaves that must not depend on how often it was stopped.
pub fn left(run: &Path) -> Vec<Vec<u8>> {
    ["best.safetensors", "metrics.jsonl", "config.toml", "last.ckpt"]
        .map(|name| fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
        .into()
}

/// What the run that is left alone leaves.
pub fn reference() -> &'static [Vec<u8>] {
    static LEFT: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    LEFT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        succeeds(dir.path(), &train(&[]));
        left(&dir.path().join("run"))
    })
}
