//! Weights out of a run and into another, through the program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(directory: &Path, args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(args.split(' ')).current_dir(directory).output().expect("the program starts")
}

fn good(directory: &Path, args: &str) -> String {
    let output = run(directory, args);
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The loss of the first step of a run.
fn first_loss(run: &Path) -> String {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let line = metrics.lines().find(|line| line.contains("\"loss\"")).expect("a step");
    let loss = line.split("\"loss\":").nth(1).expect("its loss");
    loss.split([',', '}']).next().expect("a number").to_string()
}

#[test]
fn weights_leave_a_run_and_begin_another() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let dir = dir.path();
    let train = "train --model fully-connected --hidden 12 --norm batch --num-train 300 --batch 50 --epochs 1 --quiet";
    good(dir, &format!("{train} --out first"));
    let list = good(dir, "weights first");
    for (name, shape) in [("W1", "[3072, 12]"), ("running_var1", "[12]")] {
        let line = list.lines().find(|line| line.starts_with(name)).expect("every tensor is named");
        assert!(line.ends_with(shape), "{line}");
    }
    let mut losses = Vec::new();
    for ending in ["npz", "safetensors"] {
        let said = good(dir, &format!("weights first --to w.{ending}"));
        assert!(said.ends_with(&format!("tensors in w.{ending}\n")), "{said}");
        good(dir, &format!("{train} --seed 8 --weights w.{ending} --out {ending}"));
        losses.push(first_loss(&dir.join(ending)));
    }
    assert_eq!(losses[0], losses[1], "one format or the other");
    good(dir, &format!("{train} --seed 8 --out fresh"));
    assert_ne!(losses[0], first_loss(&dir.join("fresh")));

    for (args, part) in [
        ("weights first --to w.pt".to_string(), "ends in .safetensors or .npz"),
        (format!("{train} --weights none.npz --out x"), "none.npz"),
        (format!("{} --weights w.npz --out x", train.replace("12", "13")), "the model's is"),
    ] {
        let output = run(dir, &args);
        let said = String::from_utf8_lossy(&output.stderr).to_string();
        assert!(output.status.code() == Some(1) && said.contains(part), "{args}: {said}");
        assert!(!said.contains("panicked") && !dir.join("x").exists(), "{args}: {said}");
    }
}

#[test]
fn every_change_of_pictures_trains_to_the_same_bits_on_any_number_of_threads() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let dir = dir.path();
    let train = "train --model fully-connected --hidden 12 --num-train 300 --batch 50 --epochs 3 --quiet \
                 --normalize cifar10 --augment flip,crop:2,cutout,erase,jitter,mixup:0.3,cutmix --checkpoint-every 4";
    good(dir, &format!("{train} --threads 1 --out whole"));
    good(dir, &format!("{train} --threads 3 --out other"));
    let weights = |run: &str| fs::read(dir.join(run).join("best.safetensors")).expect("weights");
    assert!(weights("whole") == weights("other"), "1 thread and 3");
    let output = run(dir, &format!("{train} --loss svm --label-smoothing 0 --out x"));
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(output.status.code() == Some(2) && said.contains("only the softmax loss"), "{said}");
}
