//! `chainrule train` as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

fn chainrule(directory: &Path, args: &[&str]) -> Output {
    let output =
        Command::new(BIN).args(args).current_dir(directory).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

const SMALL: [&str; 9] = [
    "train",
    "--model",
    "fully-connected",
    "--hidden",
    "30",
    "--epochs",
    "2",
    "--num-train",
    "600",
];

#[test]
fn a_run_leaves_everything_it_promises() {
    let dir = tempfile::tempdir().unwrap();
    let output = chainrule(dir.path(), &[&SMALL[..], &["--json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "--json prints one line: {text}");
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in ["best_val_acc", "final_loss", "steps", "seconds", "run"] {
        assert!(result.get(key).is_some(), "{key} in {result}");
    }
    assert_eq!(
        (&result["steps"], &result["run"]),
        (&12.into(), &"runs/fully-connected-0001".into())
    );

    let run = dir.path().join("runs/fully-connected-0001");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.iter().filter(|l| l.get("loss").is_some()).count(), 12);
    assert_eq!(
        lines.iter().filter(|l| l.get("val_acc").is_some()).count(),
        3,
        "after step 1 and after each epoch"
    );
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        report.contains("--num-train")
            && report.contains("airplane")
            && report.contains("data:image/png")
    );
    let weights = fs::read(run.join("best.safetensors")).unwrap();
    let names = String::from_utf8_lossy(&weights[8..2000.min(weights.len())]).into_owned();
    for name in ["W1", "b1", "gamma1", "beta1", "W2", "b2", "running_mean1", "running_var1"] {
        assert!(names.contains(&format!("\"{name}\"")), "{name} in {names}");
    }
}

#[test]
fn the_written_configuration_makes_the_same_run_again() {
    let dir = tempfile::tempdir().unwrap();
    chainrule(
        dir.path(),
        &[
            &SMALL[..],
            &["--optim", "sgd", "--momentum", "0.9", "--schedule", "cosine", "--out", "a"],
        ]
        .concat(),
    );
    chainrule(dir.path(), &["train", "--config", "a/config.toml", "--out", "b", "--threads", "3"]);
    let weights = |run: &str| fs::read(dir.path().join(run).join("best.safetensors")).unwrap();
    assert!(weights("a") == weights("b"), "other weights from the same configuration");
    let metrics =
        |run: &str| fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap();
    assert_eq!(metrics("a"), metrics("b"));
    chainrule(dir.path(), &["train", "--config", "a/config.toml", "--out", "c", "--seed", "1"]);
    assert!(weights("a") != weights("c"), "a flag wins over the file");
}

/// Augmentation, batch norm and the convolutions are part of what a configuration makes again.
#[test]
fn every_model_runs_again_from_its_configuration() {
    for (model, flags) in [
        ("small-convnet", &["--channels", "4,8", "--augment", "flip,crop,cutout"][..]),
        ("three-layer-convnet", &["--filters", "4", "--filter-size", "3", "--hidden", "20"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let small = ["train", "--model", model, "--epochs", "2", "--num-train", "200"];
        chainrule(dir.path(), &[&small[..], flags, &["--out", "a"]].concat());
        chainrule(
            dir.path(),
            &["train", "--config", "a/config.toml", "--out", "b", "--threads", "3"],
        );
        let file = |name: &str| fs::read(dir.path().join(name)).unwrap();
        assert!(file("a/best.safetensors") == file("b/best.safetensors"), "{model}");
        assert!(file("a/metrics.jsonl") == file("b/metrics.jsonl"), "{model}");
        let report = String::from_utf8(file("a/report.html")).unwrap();
        assert!(report.contains("First-layer weights") && report.contains("convnet"), "{model}");
        let cat = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/chelsea.webp");
        let output = chainrule(dir.path(), &["explain", "a", cat, "--class", "cat", "--json"]);
        let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&seen["class"], seen["guesses"].as_array().unwrap().len()), (&"cat".into(), 5));
        let page = fs::read_to_string(dir.path().join("a/explain-chelsea.html")).unwrap();
        assert!(page.contains("Saliency") && page.contains("Grad-CAM"), "{model}");
        let wrong = Command::new(BIN)
            .args(["explain", "a", cat, "--class", "cats"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(wrong.status.code() == Some(2) && text.contains("did you mean \"cat\""), "{text}");
    }
}

#[test]
fn a_lab_leaves_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let output = chainrule(dir.path(), &["lab", "image-processing"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "page: labs/image-processing.html\n4 of 4 checks hold\n");
    let read = |name: &str| fs::read_to_string(dir.path().join("labs").join(name)).unwrap();
    let page = read("image-processing.html");
    for title in ["Original image", "Grayscale", "Edges", "gray_and_edges();"] {
        assert!(page.contains(title), "{title}");
    }
    assert_eq!(page.matches("data:image/png").count(), 6);
    assert!(read("index.html").contains("4 of 4 checks hold"));
    // What is finished is taken as it lies there, until it is asked for anew.
    let cell = dir.path().join("labs/cells/image-processing/filters.json");
    let stored = fs::read_to_string(&cell).unwrap();
    fs::write(&cell, stored.replace("a cat", "a tiger")).unwrap();
    let again = chainrule(dir.path(), &["lab", "image-processing", "--format", "md"]);
    let note = String::from_utf8(again.stderr).unwrap();
    assert!(note.contains("1 of 1 parts were finished before"), "{note}");
    assert!(read("image-processing.md").contains("- [x] grey of a tiger: **"));
    assert!(dir.path().join("labs/image-processing-6.png").exists());
    chainrule(dir.path(), &["lab", "image-processing", "--again"]);
    assert!(!read("image-processing.html").contains("tiger"));
}

#[test]
fn off_a_terminal_plain_lines_are_printed_and_with_verbose_the_courses() {
    let dir = tempfile::tempdir().unwrap();
    let output = chainrule(dir.path(), &SMALL);
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().rev().nth(2).unwrap_or_default();
    assert!(last.starts_with("step 12/12  epoch 2/2  loss ") && last.contains("  val "), "{text}");
    assert!(last.contains(" img/s  ") && last.ends_with(" left"), "{text}");
    let verbose = chainrule(dir.path(), &[&SMALL[..], &["--verbose"]].concat());
    let course = String::from_utf8(verbose.stdout).unwrap();
    assert!(course.starts_with("(Iteration 1 / 12) loss: "), "{course}");
    assert!(
        course.contains("\n(Epoch 0 / 2) train acc: ")
            && course.contains("\n(Epoch 2 / 2) train acc: "),
        "{course}"
    );
    assert!(course.contains("(Iteration 11 / 12) loss: ") && course.contains("; val_acc: "));
    let all = [text.as_bytes(), course.as_bytes(), &output.stderr, &verbose.stderr].concat();
    assert!(!all.contains(&b'\r') && !all.contains(&0x1b), "plain text off a terminal");
}

#[test]
fn gradcheck_summary_and_home_print_within_80_columns() {
    let dir = tempfile::tempdir().unwrap();
    for args in
        [&["gradcheck", "affine"][..], &["summary", "--batch", "256"], &["lab", "list"], &[]]
    {
        let text = String::from_utf8(chainrule(dir.path(), args).stdout).unwrap();
        let widest = text.lines().max_by_key(|l| l.chars().count()).unwrap_or_default();
        assert!(widest.chars().count() <= 80, "{args:?}: {widest}");
        assert!(!text.contains('\u{1b}'), "no colours off a terminal");
    }
}
