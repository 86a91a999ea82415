//! What `train --tensorboard` writes, read by TensorBoard itself.

use serde_json::Value;
use std::process::Command;

/// `python3 -m venv venv && venv/bin/pip install tensorboard`, then
/// `CHAINRULE_TENSORBOARD=venv/bin/python cargo test --release -p chainrule-lab --test tensorboard -- --ignored`.
#[test]
#[ignore = "needs TensorBoard; CHAINRULE_TENSORBOARD names a Python that has it"]
fn tensorboard_reads_what_a_training_writes() {
    let python =
        std::env::var("CHAINRULE_TENSORBOARD").expect("CHAINRULE_TENSORBOARD names a Python");
    // A path counts from here, not from the scratch directory; a bare name is looked up.
    let python = match python.contains('/') {
        true => std::path::absolute(&python).expect("a path"),
        false => python.into(),
    };
    let dir = tempfile::tempdir().expect("a scratch directory");
    let train = [
        "train",
        "--epochs",
        "2",
        "--num-train",
        "600",
        "--model",
        "fully-connected",
        "--hidden",
        "30",
        "--quiet",
        "--tensorboard",
        "--out",
        "run",
    ];
    let status =
        Command::new(env!("CARGO_BIN_EXE_chainrule")).args(train).current_dir(dir.path()).status();
    assert!(status.expect("the program starts").success());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_events.py");
    let output = Command::new(python).args([script, "run"]).current_dir(dir.path()).output();
    let output = output.expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let metrics = std::fs::read_to_string(dir.path().join("run/metrics.jsonl")).expect("metrics");
    let lines: Vec<Value> =
        metrics.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let near = |tag: &str, key: &str| {
        let wanted: Vec<&Value> = lines.iter().filter(|l| l.get(key).is_some()).collect();
        let found = seen["scalars"][tag].as_array().unwrap_or_else(|| panic!("no {tag} in {seen}"));
        assert_eq!(found.len(), wanted.len(), "{tag}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert_eq!(found[0], wanted["step"], "{tag}");
            let (value, exact) =
                (found[1].as_f64().expect("a number"), wanted[key].as_f64().expect("a number"));
            assert_eq!(value as f32, exact as f32, "{tag}");
        }
    };
    near("loss/training", "loss");
    near("learning_rate", "lr");
    near("accuracy/training", "train_acc");
    near("accuracy/validation", "val_acc");
    for tag in ["weights/W1", "gradients/W1", "weights/b2", "weights/gamma1"] {
        let rows =
            seen["histograms"][tag].as_array().unwrap_or_else(|| panic!("no {tag} in {seen}"));
        assert_eq!(rows.len(), 3, "{tag}: after step 1 and after each epoch");
        assert!(
            rows.iter().all(|r| r[3] == r[4] && r[1].as_f64() <= r[2].as_f64()),
            "{tag}: {rows:?}"
        );
    }
    assert_eq!(seen["histograms"]["weights/W1"][0][3], 3072.0 * 30.0);
    for (tag, rows, width) in [("pictures/training", 1, 192), ("first layer", 3, 197)] {
        let images = seen["images"][tag].as_array().unwrap_or_else(|| panic!("no {tag} in {seen}"));
        assert_eq!(images.len(), rows, "{tag}");
        assert!(
            images.iter().all(|i| i[1] == width && i[3] == "89504e470d0a1a0a"),
            "{tag}: {images:?}"
        );
    }
}
