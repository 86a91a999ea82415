//! Runs that are stopped, killed, crowded and starved: they say what happened, lose nothing, and end with the bits of a run that
//! was left alone.

#![cfg(target_os = "linux")]

mod program;

use program::{BIN, begun, chainrule, left, reference, succeeds, text, train};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(status.expect("a shell").success());
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
    assert!(
        said.contains("error: step ") && said.contains("it begins in the output of layer "),
        "{said}"
    );
    assert_eq!(wild("studied", "continue").status.code(), Some(0));
    let metrics = fs::read_to_string(dir.path().join("studied/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"loss\":null"), "a loss that is no number is a line too");
}
