//! Searches: the same results for any number of jobs, after a kill, and after a stop.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

/// Eight trials of 150 short steps, of which one or two diverge, in three rounds; then the best again for two epochs more.
const SPACE: &str = r#"
method = "halving"
trials = 8
eta = 2
min-epochs = 1

[settings]
model = "fully-connected"
hidden = [8]
num-train = 1000
batch = 20
epochs = 3
train-samples = 100
schedule = "constant"
optim = "sgd"

[search]
lr = { choice = [1e30, 0.1, 0.3, 0.03] }
weight-scale = { uniform = [0.001, 0.1] }
augment = { choice = ["none", "flip"] }

[final]
epochs = 5
"#;

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

/// A directory with the space in it.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("small.toml"), SPACE).unwrap();
    dir
}

/// What a search leaves that must not depend on how it was done: the table, and each run's weights, curves and settings.
fn left(search: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let bytes = fs::read(search.join(&name)).unwrap_or_default();
        (name, bytes)
    };
    let mut all = vec![read("results.csv".into()), read("space.toml".into())];
    for run in (1..=8).map(|k| format!("trials/{k:04}")).chain(["final".to_string()]) {
        for file in ["metrics.jsonl", "best.safetensors", "last.ckpt", "config.toml"] {
            // The settings of the last training, which its checkpoint holds too, say where it is.
            if run != "final" || ["metrics.jsonl", "best.safetensors"].contains(&file) {
                all.push(read(format!("{run}/{file}")));
            }
        }
    }
    assert!(!all[0].1.is_empty());
    all
}

fn assert_same(wanted: &[(String, Vec<u8>)], left: &[(String, Vec<u8>)], what: &str) {
    for ((name, wanted), (_, left)) in wanted.iter().zip(left) {
        // A trial that diverges saves nothing unless it is stopped on its way there.
        if !(wanted.is_empty() && name.ends_with("last.ckpt")) {
            assert!(wanted == left, "{what}: {name} differs");
        }
    }
}

fn begin(directory: &Path, args: &[&str]) -> Child {
    let mut command = chainrule(directory, args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Waits until the journal has so many lines.
fn wait_for(journal: &Path, lines: usize, child: &mut Child) {
    let started = Instant::now();
    while fs::read_to_string(journal).map_or(0, |t| t.lines().count()) < lines {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be stopped");
        assert!(started.elapsed() < Duration::from_secs(120), "nothing happens");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn jobs_kills_and_stops_change_nothing() {
    let dir = place();
    succeeds(dir.path(), &["search", "small.toml", "--jobs", "1", "--out", "one", "--quiet"]);
    let wanted = left(&dir.path().join("one"));
    let csv = text(&wanted[0].1);
    assert_eq!(csv.lines().count(), 9, "{csv}");
    assert!(csv.starts_with("trial,state,epochs,best_val_acc,augment,lr,weight-scale\n"), "{csv}");
    // Halving: two of eight go to the end, two are dropped after two epochs, the others after one.
    let count = |part: &str| csv.matches(part).count();
    assert_eq!((count(",finished,3,"), count(",dropped,2,")), (2, 2), "{csv}");
    assert!(count(",diverged,") > 0, "{csv}");

    let json =
        succeeds(dir.path(), &["search", "small.toml", "--jobs", "3", "--out", "three", "--json"]);
    assert_same(&wanted, &left(&dir.path().join("three")), "three jobs");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one object");
    assert_eq!(json["trials"].as_array().map(Vec::len), Some(8));
    assert!(
        json["final"]["test_acc"].as_f64().is_some() && json["best"]["values"]["lr"].is_number()
    );
    let page = fs::read_to_string(dir.path().join("three/report.html")).unwrap();
    assert!(page.contains("<circle class=\"trial top\""), "the page has its dots");

    for lines in [2, 6, 11] {
        let out = format!("killed-{lines}");
        let mut child = begin(dir.path(), &["search", "small.toml", "--jobs", "2", "--out", &out]);
        wait_for(&dir.path().join(&out).join("journal.jsonl"), lines, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let output = succeeds(dir.path(), &["search", "--resume", &out]);
        assert!(text(&output.stdout).contains("final training: validation"));
        assert!(text(&output.stdout).lines().all(|l| l.chars().count() <= 80));
        assert_same(&wanted, &left(&dir.path().join(&out)), &out);
    }

    let mut child = begin(dir.path(), &["search", "small.toml", "--jobs", "2", "--out", "stopped"]);
    wait_for(&dir.path().join("stopped/journal.jsonl"), 4, &mut child);
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    succeeds(dir.path(), &["search", "--resume", "stopped", "--jobs", "1", "--quiet"]);
    assert_same(&wanted, &left(&dir.path().join("stopped")), "stopped");
    // A search that has ended says the same again, at no cost.
    let again = succeeds(dir.path(), &["search", "--resume", "one"]);
    assert!(text(&again.stdout).contains("the best again: chainrule train --config one/trials/"));
    assert_same(&wanted, &left(&dir.path().join("one")), "again");
}

#[test]
fn wrong_calls_are_refused_in_a_sentence() {
    let dir = place();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for (args, code, wanted) in [
        (&["search", "cours"] as &[&str], 2, "did you mean \"course\"?"),
        (&["search", "small.toml", "--jobs", "999"], 2, "--jobs: 999; at most 256"),
        (&["search", "small.toml", "--trials", "0"], 2, "trials = 0; it must be from 1 to 10000"),
        (&["search", "small.toml", "--data", "nowhere"], 1, "nowhere"),
        (&["search", "--resume", "empty"], 1, "holds no space.toml"),
        (&["search", "--resume", "empty", "--seed", "1"], 2, "cannot be used with"),
        (&["search", "empty"], 1, "cannot read empty"),
    ] {
        let output = chainrule(dir.path(), args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(wanted) && !said.contains("panicked"), "{args:?}: {said}");
        assert!(!dir.path().join("runs").exists(), "{args:?}: a refused call leaves no search");
    }
    let listed = text(&succeeds(dir.path(), &["search"]).stdout);
    assert!(listed.contains("course ") && listed.contains("halving "), "{listed}");
}
