//! Models that are made of modules do all that the program offers: they train, stop, go on, are measured and looked at.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A residual net of seven channels in all, for a few steps.
const SMALL: [&str; 15] = [
    "--model",
    "resnet-ce",
    "--channels",
    "2,3,4",
    "--num-train",
    "96",
    "--batch",
    "8",
    "--epochs",
    "3",
    "--train-samples",
    "30",
    "--quiet",
    "--clip-norm",
    "5",
];

fn run(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(args).current_dir(directory).output().expect("the program starts")
}

fn good(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn train(directory: &Path, more: &[&str]) -> String {
    good(directory, &[&["train"], &SMALL[..], more].concat())
}

/// What a run leaves that must not depend on how often it was stopped.
fn left(run: &Path) -> Vec<Vec<u8>> {
    ["best.safetensors", "metrics.jsonl", "config.toml", "last.ckpt"]
        .map(|name| fs::read(run.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")))
        .into()
}

#[test]
fn a_run_that_goes_on_ends_with_the_bits_of_one_that_was_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let more = ["--ema", "0.9", "--optim", "muon", "--rates", "fc=2", "--decay-of", "all"];
    train(at, &[&["--out", "whole", "--checkpoint-every", "10"], &more[..]].concat());
    // The checkpoint after step 30 of 36, in the middle of an epoch: what a kill after it would have left.
    fs::create_dir(at.join("cut")).unwrap();
    for name in ["config.toml", "data.json", "metrics.jsonl"] {
        fs::copy(at.join("whole").join(name), at.join("cut").join(name)).unwrap();
    }
    fs::copy(at.join("whole/previous.ckpt"), at.join("cut/last.ckpt")).unwrap();
    good(at, &["train", "--resume", "cut", "--quiet", "--threads", "3"]);
    assert!(left(&at.join("cut")) == left(&at.join("whole")), "something else is left");
}

#[test]
fn a_run_is_measured_looked_at_and_listed_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let result = train(at, &["--out", "run", "--patience", "1", "--tensorboard", "--json"]);
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    let eval: serde_json::Value =
        serde_json::from_str(&good(at, &["eval", "run", "--json"])).unwrap();
    assert_eq!((&eval["top1"], &eval["pictures"]), (&result["test_acc"], &1000.into()));
    image::RgbImage::from_fn(40, 50, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]))
        .save(at.join("picture.png"))
        .unwrap();
    let said = good(at, &["predict", "run", "picture.png", "--json"]);
    let guess: serde_json::Value = serde_json::from_str(&said).unwrap();
    let said = good(at, &["explain", "run", "picture.png", "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(explained["class"], guess["class"]);
    // The last pictures of a net that halves 32 x 32 twice.
    let cam = &explained["grad_cam"];
    assert_eq!((&cam["height"], &cam["width"]), (&8.into(), &8.into()));
    assert_eq!(cam["values"].as_array().unwrap().len(), 64);
    assert!(good(at, &["runs", "."]).contains("resnet-ce"));
    let page = fs::read_to_string(at.join("run/report.html")).unwrap();
    good(at, &["report", "run"]);
    assert_eq!(fs::read_to_string(at.join("run/report.html")).unwrap(), page);
}

#[test]
fn a_summary_counts_what_the_course_counted() {
    let dir = tempfile::tempdir().unwrap();
    let all = good(dir.path(), &["summary", "--model", "resnet-ce", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["params"], 3_469_002);
    let table = good(dir.path(), &["summary", "--model", "resnet-ce"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn a_range_test_leaves_a_page_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec!["lr-find", "--steps", "30", "--json"];
    args.extend(&SMALL[..8]);
    let found: serde_json::Value = serde_json::from_str(&good(dir.path(), &args)).unwrap();
    assert!(found["steps"].as_u64().unwrap() >= 10, "{found}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn several_runs_and_several_views_have_one_opinion() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    train(at, &["--out", "a"]);
    train(at, &["--out", "b", "--seed", "1", "--normalize", "mean-image"]);
    let eval = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&good(at, &[&["eval", "--json"], args].concat())).unwrap()
    };
    let (a, b, both) = (eval(&["a"]), eval(&["b"]), eval(&["a", "b"]));
    assert_eq!((&both["runs"][0]["top1"], &both["runs"][1]["top1"]), (&a["top1"], &b["top1"]));
    assert!(both["confusion"] != a["confusion"] && both["confusion"] != b["confusion"]);
    let twice = eval(&["a", "a"]);
    assert_eq!((&twice["confusion"], &twice["top1"]), (&a["confusion"], &a["top1"]));
    let close = |x: &serde_json::Value, y: &serde_json::Value| {
        (x.as_f64().unwrap() - y.as_f64().unwrap()).abs() < 1e-9
    };
    assert!(close(&twice["loss"], &a["loss"]), "the loss of one's own probabilities");
    let seen = eval(&["a", "--tta"]);
    assert_eq!(
        (&seen, &seen["tta"], &seen["pictures"]),
        (&eval(&["a", "--tta"]), &true.into(), &1000.into())
    );
    assert!(seen["loss"] != a["loss"]);
    let table = good(at, &["eval", "a", "b", "--tta"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains(" alone ") && table.contains("ten ways"), "{table}");
}
