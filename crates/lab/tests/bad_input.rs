//! Every flag and file, wrong: one clear sentence that names the thing, what was found and what would be right; exit code 2 for a
//! mistake in the call, 1 for a failure; never the text of a panic.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

fn chainrule(directory: &Path, args: &[&str]) -> Output {
    Command::new(BIN)
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What every refusal has in common.
fn refuses(args: &[&str], code: i32, wanted: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    refuses_in(dir.path(), args, code, wanted);
}

fn refuses_in(dir: &Path, args: &[&str], code: i32, wanted: &[&str]) {
    let output = chainrule(dir, args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{args:?}: {text}");
    for part in wanted {
        assert!(text.contains(part), "{args:?}: {text:?} should contain {part:?}");
    }
    assert!(!dir.join("runs").exists(), "{args:?}: a refused call leaves no run");
}

#[test]
fn wrong_variables_of_the_environment() {
    let run = |variable: &str, value: &str| {
        Command::new(BIN).env(variable, value).stdin(Stdio::null()).output().unwrap()
    };
    for (variable, value, wanted) in [
        ("CHAINRULE_SIMD", "sse9", "on this CPU"),
        ("CHAINRULE_SIMD", "AVX2", "portable"),
        ("CHAINRULE_THREADS", "0", "a whole number from 1 to 256"),
        ("CHAINRULE_THREADS", "two", "a whole number from 1 to 256"),
    ] {
        let output = run(variable, value);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {text}");
        assert!(text.starts_with(&format!("error: {variable} is {value:?}; ")), "{text}");
        assert!(text.contains(wanted) && text.lines().count() == 1, "{text}");
    }
    let lowest = chainrule_kernels::Level::Portable.name();
    for (variable, value, shown) in [
        ("CHAINRULE_SIMD", lowest, format!("vector instructions  {lowest} (of ")),
        ("CHAINRULE_THREADS", "3", "threads used         3\n".to_string()),
        ("CHAINRULE_SIMD", "", "vector instructions".to_string()),
    ] {
        let output = run(variable, value);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stderr(&output).is_empty(), "{variable}={value}");
        assert!(text.contains(&shown), "{variable}={value}: {text}");
    }
}

#[test]
fn wrong_flags() {
    let rows: &[(&[&str], &[&str])] = &[
        (&["train", "--epochs", "0"], &["--epochs", "0", "at least 1"]),
        (&["train", "--epochs", "many"], &["--epochs", "many"]),
        (&["train", "--epochs", "-3"], &["-3"]),
        (&["train", "--batch", "0"], &["--batch", "at least 1"]),
        (&["train", "--batch", "5000"], &["--batch", "5000", "4000 training pictures"]),
        (&["train", "--hidden", "100,x"], &["--hidden", "not a whole number"]),
        (
            &["train", "--model", "fully-connected", "--hidden", "100,0"],
            &["--hidden", "1 to 65536"],
        ),
        (&["train", "--norm", "bach"], &["--norm", "bach", "did you mean \"batch\""]),
        (
            &["train", "--model", "fully-connected", "--dropout-keep", "0"],
            &["--dropout-keep", "above 0"],
        ),
        (
            &["train", "--model", "fully-connected", "--dropout-keep", "1.5"],
            &["--dropout-keep", "1.5"],
        ),
        (&["train", "--optim", "adm"], &["optim", "adm", "adam"]),
        (&["train", "--optim", "sgd", "--beta1", "0.5"], &["beta1", "sgd does not take it"]),
        (&["train", "--lr", "-1"], &["--lr"]),
        (&["train", "--lr", "nan"], &["--lr", "NaN"]),
        (&["train", "--schedule", "cosin"], &["schedule", "cosine"]),
        (&["train", "--schedule", "multistep"], &["milestones"]),
        (&["train", "--dtype", "f16"], &["--dtype", "f16", "f32"]),
        (&["train", "--loss", "svm", "--label-smoothing", "0.1"], &["label-smoothing", "svm"]),
        (&["train", "--label-smoothing", "1"], &["--label-smoothing"]),
        (&["train", "--model", "fully-conected"], &["--model", "did you mean \"fully-connected\""]),
        (
            &["train", "--hidden", "100"],
            &["--hidden", "small-convnet does not take it", "fully-connected"],
        ),
        (
            &["train", "--model", "fully-connected", "--channels", "8"],
            &["--channels", "does not take it"],
        ),
        (&["train", "--channels", "8,16,8,16,8,16"], &["--channels", "halve pictures of 32 x 32"]),
        (&["train", "--channels", ""], &["--channels", "at least one"]),
        (
            &["train", "--model", "three-layer-convnet", "--hidden", "9,9"],
            &["--hidden", "one hidden layer"],
        ),
        (
            &["train", "--model", "three-layer-convnet", "--filter-size", "4"],
            &["--filter-size", "odd"],
        ),
        (&["train", "--seed", "-1"], &["-1"]),
        (&["train", "--threads", "1000"], &["--threads", "256"]),
        (&["train", "--num-train", "5000"], &["--num-train", "5000", "4000"]),
        (&["train", "--test-all"], &["--test-all", "--data"]),
        (&["train", "--reg", "-0.1"], &["--reg"]),
        (&["train", "--normalize", "mean"], &["--normalize", "mean-image, channels"]),
        (&["train", "--augment", "flip,flop"], &["--augment", "flop", "did you mean flip"]),
        (&["train", "--weight-scale", "inf"], &["--weight-scale"]),
        (&["train", "--learning-rate", "1"], &["--learning-rate"]),
        (&["trian"], &["trian", "train"]),
        (&["lab", "image-procesing"], &["lab", "did you mean \"image-processing\""]),
        (&["gradcheck", "afine"], &["afine", "did you mean \"affine\""]),
        (&["summary", "--norm", "nothing"], &["--norm", "none, batch, layer"]),
        (&["bench", "--only", "W99"], &["W99", "did you mean"]),
    ];
    for (args, wanted) in rows {
        refuses(args, 2, wanted);
    }
}

#[test]
fn wrong_configuration_files() {
    let rows: &[(&str, i32, &[&str])] = &[
        ("epoch = 3", 2, &["unknown key \"epoch\"", "did you mean \"epochs\"?"]),
        ("epochs = \"three\"", 2, &["config.toml", "epochs"]),
        ("epochs = 0", 2, &["--epochs"]),
        ("epochs = = 3", 1, &["config.toml", "not TOML"]),
        ("hidden = [10, -1]", 2, &["config.toml"]),
    ];
    for (text, code, wanted) in rows {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), text).unwrap();
        refuses_in(dir.path(), &["train", "--config", "config.toml"], *code, wanted);
    }
    refuses(&["train", "--config", "missing.toml"], 1, &["cannot read missing.toml"]);
}

#[test]
fn wrong_data() {
    refuses(&["train", "--data", "nowhere"], 1, &["cannot read nowhere"]);
    refuses(&["explain", "nowhere", "x.png"], 1, &["cannot read nowhere/config.toml"]);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    refuses_in(
        dir.path(),
        &["train", "--data", "empty"],
        1,
        &["empty", "holds no data set", "cifar-10-batches-bin", "a folder for each class"],
    );
    fs::create_dir(dir.path().join("short")).unwrap();
    fs::write(dir.path().join("short/data_batch_1.bin"), [0; 100]).unwrap();
    refuses_in(
        dir.path(),
        &["train", "--data", "short"],
        1,
        &["data_batch_1.bin", "100 bytes", "30730000"],
    );
    let mut labels = vec![0u8; 30_730_000];
    labels[3073 * 7] = 255;
    fs::write(dir.path().join("short/data_batch_1.bin"), labels).unwrap();
    refuses_in(
        dir.path(),
        &["train", "--data", "short"],
        1,
        &["data_batch_1.bin", "record 7", "label 255", "0 to 9"],
    );
    fs::write(dir.path().join("file"), "x").unwrap();
    refuses_in(
        dir.path(),
        &["train", "--data", "file"],
        1,
        &["is a file, not an archive of CIFAR-10"],
    );
}

#[test]
fn wrong_output_directories() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("taken")).unwrap();
    fs::write(dir.path().join("taken/notes.txt"), "keep me").unwrap();
    refuses_in(dir.path(), &["train", "--out", "taken"], 1, &["taken", "not empty", "--out"]);
    assert_eq!(fs::read_to_string(dir.path().join("taken/notes.txt")).unwrap(), "keep me");
    fs::write(dir.path().join("file"), "x").unwrap();
    refuses_in(dir.path(), &["train", "--out", "file"], 1, &["cannot create file"]);
    // Nobody may write here, not even the superuser.
    refuses_in(
        dir.path(),
        &["train", "--out", "/proc/chainrule"],
        1,
        &["cannot create /proc/chainrule"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -f 8; trap '' XFSZ; exec \"$0\" train --epochs 1 --num-train 200 --out \"$1\"",
            BIN,
        ])
        .arg(&out)
        .output()
        .expect("a shell");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot write") && !text.contains("panicked"), "{text}");
    assert!(!out.join("best.safetensors").exists(), "no half-written weights");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let args = [
        "train",
        "--model",
        "fully-connected",
        "--lr",
        "1e9",
        "--optim",
        "sgd",
        "--norm",
        "none",
        "--epochs",
        "2",
        "--hidden",
        "20",
        "--schedule",
        "constant",
    ];
    let dir = tempfile::tempdir().unwrap();
    let output = chainrule(dir.path(), &args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("step")
            && text.contains("not a finite number")
            && text.contains("smaller learning rate"),
        "{text}"
    );
}

#[test]
fn a_closed_standard_output_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["gradcheck", "affine"][..],
        &["summary"],
        &[],
        &["train", "--epochs", "1", "--verbose", "--num-train", "64"],
    ] {
        let mut child = Command::new(BIN)
            .args(args)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(!stderr(&output).contains("panicked"), "{args:?}: {}", stderr(&output));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_printed_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["summary", "--json"][..], &["gradcheck", "affine"], &[]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(BIN);
        let output = command.args(args).current_dir(dir.path()).stdout(full).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("error: cannot write to standard output: No space left"), "{said}");
    }
}

#[test]
fn a_file_of_peers_times_that_is_not_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("runs")).unwrap();
    fs::write(dir.path().join("runs/layers.json"), "{\"rows\": 3}").unwrap();
    let output = chainrule(dir.path(), &["bench", "layers"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: runs/layers.json: not the peers' times"), "{text}");
    assert!(text.trim_end().ends_with("bench/peers/layers.py writes it"), "{text}");
}
