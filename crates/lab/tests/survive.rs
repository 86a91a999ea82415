//! Runs that are stopped, killed, crowded and starved: they say what happened, lose nothing, and end with the bits of a run that
//! was left alone.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

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
fn train<'a>(changes: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let changed = |flag: &str| changes.iter().any(|(name, _)| *name == flag);
    let flags = SMALL.iter().filter(|(flag, _)| !changed(flag)).chain(changes);
    std::iter::once("train").chain(flags.flat_map(|(flag, value)| [*flag, *value])).collect()
}

fn chainrule(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BIN);
    command.args(args).current_dir(directory).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(directory: &Path, args: &[&str]) -> Output {
    let output = chainrule(directory, args).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    output
}

/// Starts a training and waits for its first step.
fn begun(directory: &Path, args: &[&str]) -> Child {
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

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(status.expect("a shell").success());
}

/// What a run leaves that must not depend on how often it was stopped.
fn left(run: &Path) -> Vec<Vec<u8>> {
    ["best.safetensors", "metrics.jsonl", "config.toml", "last.ckpt"]
        .map(|name| fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
        .into()
}

/// What the run that is left alone leaves.
fn reference() -> &'static [Vec<u8>] {
    static LEFT: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    LEFT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        succeeds(dir.path(), &train(&[]));
        left(&dir.path().join("run"))
    })
}

#[test]
fn a_signal_stops_between_two_steps_and_the_resumed_run_ends_with_the_same_bits() {
    let wanted = reference();
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let dir = tempfile::tempdir().unwrap();
        let child = begun(dir.path(), &train(&[]));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains("stopping after this step") && said.contains("saved"), "{said}");
        assert!(said.contains("chainrule train --resume run"), "{said}");
        assert!(!dir.path().join("run/best.safetensors").exists(), "it had not ended");
        let resumed = succeeds(dir.path(), &["train", "--resume", "run"]);
        assert!(
            text(&resumed.stderr).contains("going on after step "),
            "{}",
            text(&resumed.stderr)
        );
        assert!(left(&dir.path().join("run")) == wanted, "{name}: something else is left");
    }
    // A run that has ended is gone on with at no cost.
    let dir = tempfile::tempdir().unwrap();
    succeeds(dir.path(), &train(&[]));
    succeeds(dir.path(), &["train", "--resume", "run", "--threads", "3", "--json"]);
    assert!(left(&dir.path().join("run")) == wanted);
}

#[test]
fn a_killed_run_goes_on_and_a_damaged_checkpoint_gives_way_to_the_one_before() {
    let wanted = reference();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let args = train(&[("--checkpoint-every", "100")]);
    let mut child = begun(dir.path(), &args);
    while !run.join("previous.ckpt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its second checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Killed: what the disk holds is whole. Now it is damaged too.
    let mut last = fs::read(run.join("last.ckpt")).unwrap();
    let middle = last.len() / 2;
    last[middle] ^= 16;
    fs::write(run.join("last.ckpt"), last).unwrap();
    let resumed = succeeds(dir.path(), &["train", "--resume", "run", "--checkpoint-every", "auto"]);
    let said = text(&resumed.stderr);
    assert!(
        said.contains("checksum is wrong") && said.contains("the one before it is used"),
        "{said}"
    );
    let mut now = left(&run);
    // The configuration names how often it saves; all else is the same.
    now.truncate(2);
    assert!(now == wanted[..2], "something else is left");
    for name in ["last.ckpt", "previous.ckpt"] {
        fs::write(run.join(name), "x").unwrap();
    }
    let refused = chainrule(dir.path(), &["train", "--resume", "run"]).output().unwrap();
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("last.ckpt")
            && said.contains("previous.ckpt")
            && said.contains("start again"),
        "{said}"
    );
}

#[test]
fn two_runs_in_one_directory_are_refused_and_a_dead_one_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = begun(dir.path(), &train(&[("--epochs", "4000")]));
    for args in [&["train", "--resume", "run"][..], &train(&[])] {
        let second = chainrule(dir.path(), args).output().unwrap();
        let said = text(&second.stderr);
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("in use by process {}", first.id())), "{said}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let stopped = chainrule(dir.path(), &train(&[])).output().unwrap();
    assert!(text(&stopped.stderr).contains("--resume"), "{}", text(&stopped.stderr));
    // It was killed before its first checkpoint: it begins again.
    let mut again = begun(dir.path(), &["train", "--resume", "run"]);
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn a_second_signal_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Steps long enough for two signals.
    let long = [
        "train",
        "--model",
        "fully-connected",
        "--hidden",
        "2000,2000",
        "--batch",
        "1000",
        "--verbose",
        "--print-every",
        "1",
        "--out",
        "run",
        "--train-samples",
        "1",
    ];
    let mut child = begun(dir.path(), &long);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    signal(&child, "INT");
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    assert!(said.contains("SIGINT: stopping after this step"), "{said}");
    signal(&child, "INT");
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(!said.contains("saved"), "{said}");
}

#[test]
fn closed_and_full_streams_change_nothing() {
    let wanted = reference();
    for streams in [">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full"] {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("exec \"$0\" \"$@\" {streams}");
        let status = Command::new("sh")
            .args(["-c", &script, BIN])
            .args(train(&[]))
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(0), "{streams}");
        assert!(left(&dir.path().join("run")) == wanted, "{streams}");
    }
}

/// A file system of two megabytes; none where we may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        let status = mount
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Some(SmallDisk(at.to_path_buf())),
            _ => {
                eprintln!("SKIPPED: a full disk needs the right to mount one");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_checkpoints_but_not_the_training() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else { return };
    let wanted = reference();
    // The weights fit; a checkpoint, with three times as much beside them, does not.
    let large = train(&[("--hidden", "50"), ("--epochs", "4"), ("--checkpoint-every", "epoch")]);
    let output = chainrule(&disk.0, &large).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["No space left", "the training goes on", "the training is complete"] {
        assert!(said.contains(part), "{said:?}: {part:?}");
    }
    let run = disk.0.join("run");
    assert!(run.join("report.html").exists() && !run.join("last.ckpt").exists());
    assert!(!run.join(".last.ckpt.new").exists(), "the part that was written makes room again");
    fs::remove_dir_all(&run).unwrap();

    // The disk fills up while a training runs: it goes on to the end, cannot leave its results, and says so.
    let mut child = begun(&disk.0, &train(&[("--checkpoint-every", "200")]));
    while !run.join("last.ckpt").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let filler = disk.0.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while child.try_wait().unwrap().is_none() {
        // Whatever the run gives back is taken at once.
        let _ = file.write_all(&vec![1; 4 << 20]);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    // What was saved before is whole, and with room again the run comes to the same end.
    drop(file);
    fs::remove_file(&filler).unwrap();
    succeeds(&disk.0, &["train", "--resume", "run"]);
    assert!(left(&run)[..2] == wanted[..2], "something else is left");
}

#[test]
fn what_does_not_go_with_resume_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(dir.path(), &train(&[("--epochs", "1")]));
    let refuses = |args: &[&str], code: i32, wanted: &[&str]| {
        let output = chainrule(dir.path(), args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        wanted.iter().for_each(|part| assert!(said.contains(part), "{args:?}: {said:?}: {part:?}"));
    };
    refuses(&["train", "--resume", "run", "--epochs", "9"], 2, &["--epochs", "own settings"]);
    refuses(&["train", "--resume", "run", "--config", "x.toml"], 2, &["--resume"]);
    refuses(&["train", "--resume", "nowhere"], 1, &["nowhere", "config.toml"]);
    let config = dir.path().join("run/config.toml");
    let changed = fs::read_to_string(&config).unwrap().replace("reg = 0.0", "reg = 0.5");
    fs::write(&config, changed).unwrap();
    refuses(&["train", "--resume", "run"], 1, &["reg = 0.5", "reg = 0.0", "put that back"]);
}

#[test]
fn a_range_test_leaves_a_page_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "lr-find",
        "--model",
        "fully-connected",
        "--hidden",
        "20",
        "--norm",
        "none",
        "--num-train",
        "500",
        "--steps",
        "100",
        "--json",
    ];
    let output = succeeds(dir.path(), &args);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rate = result["suggestion"].as_f64().unwrap();
    assert!(rate > 1e-6 && rate < 1.0, "{result}");
    let page = fs::read_to_string(dir.path().join("lr-find.html")).unwrap();
    assert!(page.contains("suggested rate") && page.contains("class=\"best\""));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn early_stopping_clipping_and_numbers_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let patient =
        [("--patience", "2"), ("--clip-norm", "1"), ("--lr", "0.05"), ("--schedule", "constant")];
    let output = succeeds(dir.path(), &[&train(&patient)[..], &["--json"]].concat());
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["steps"].as_u64().unwrap() < 2000, "{result}");
    let wild = |out, on_nan| {
        let flags =
            [("--lr", "1e30"), ("--optim", "sgd"), ("--schedule", "constant"), ("--norm", "none")];
        let others = [("--epochs", "2"), ("--out", out), ("--on-nan", on_nan)];
        chainrule(dir.path(), &train(&[&flags[..], &others].concat())).output().unwrap()
    };
    let stopped = wild("wild", "stop");
    let said = text(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(1), "{said}");
    assert!(said.contains("error: step ") && said.contains("nearest to the loss"), "{said}");
    assert_eq!(wild("studied", "continue").status.code(), Some(0));
    let metrics = fs::read_to_string(dir.path().join("studied/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"loss\":null"), "a loss that is no number is a line too");
}
