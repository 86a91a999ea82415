//! What a run is good for once it is there: eval, runs, compare, report, and what they say of broken ones.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

fn run(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command.args(args).current_dir(directory).stdin(Stdio::null());
    command.output().expect("the program starts")
}

/// The standard output of a call that succeeds.
fn good(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line of JSON: {text}");
    serde_json::from_str(text).expect("JSON")
}

/// Two small runs, `a` and `b`, that no test changes.
static RUNS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let small = "train --model fully-connected --epochs 2 --num-train 600 --quiet";
    let small: Vec<&str> = small.split(' ').collect();
    let a = [&small[..], &["--hidden", "30", "--out", "runs/a", "--tensorboard"]].concat();
    let b = [&small[..], &["--hidden", "20", "--norm", "none", "--out", "runs/b"]].concat();
    for args in [a, b] {
        let output = run(dir.path(), &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = [output.stdout, output.stderr].concat();
        assert!(said.is_empty(), "--quiet: {}", String::from_utf8_lossy(&said));
    }
    dir
});

/// A copy of run `a` to be broken.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let to = dir.path().join("run");
    fs::create_dir(&to).expect("room");
    for entry in fs::read_dir(RUNS.path().join("runs/a")).expect("run a").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("room");
    }
    (dir, to)
}

fn result(run: &str) -> Value {
    let path = RUNS.path().join(run).join("result.json");
    serde_json::from_str(&fs::read_to_string(path).expect("result.json")).expect("JSON")
}

#[test]
fn eval_measures_what_training_measured() {
    let a = result("runs/a");
    let test = json(&good(RUNS.path(), &["eval", "runs/a", "--json"]));
    assert_eq!((&test["top1"], &test["split"]), (&a["test_acc"], &"test".into()));
    assert_eq!((&test["pictures"], &test["run"]), (&1000.into(), &"runs/a".into()));
    let val = json(&good(RUNS.path(), &["eval", "runs/a", "--split", "val", "--json"]));
    assert_eq!(val["top1"], a["best_val_acc"]);
    let train = json(&good(RUNS.path(), &["eval", "runs/a", "--split", "train", "--json"]));
    assert_eq!(train["pictures"], 600);

    let number = |v: &Value| v.as_f64().expect("a number");
    let counts: Vec<Vec<u64>> = serde_json::from_value(test["confusion"].clone()).expect("counts");
    let right: u64 = (0..10).map(|k| counts[k][k]).sum();
    assert_eq!(number(&test["top1"]), right as f64 / 1000.0);
    assert!(number(&test["top5"]) > number(&test["top1"]) && number(&test["loss"]) > 1.0);
    let airplane = &test["classes"][0];
    assert_eq!((&airplane["class"], number(&airplane["pictures"])), (&"airplane".into(), 103.0));
    let predicted: u64 = counts.iter().map(|row| row[0]).sum();
    assert_eq!(number(&airplane["precision"]), counts[0][0] as f64 / predicted.max(1) as f64);
    assert_eq!(number(&airplane["recall"]), counts[0][0] as f64 / 103.0);
    assert!(
        test["macro_average"]["f1"].is_number() && test["weighted_average"]["recall"].is_number()
    );
}

#[test]
fn tables_fit_80_columns_and_have_no_colours_off_a_terminal() {
    let out = RUNS.path().join("page.html");
    let out = out.to_str().expect("text");
    for args in [
        &["eval", "runs/a"][..],
        &["runs"],
        &["compare", "runs/a", "runs/b", "--out", out],
        &["report", "runs/b"],
    ] {
        let text = good(RUNS.path(), args);
        let widest = text.lines().map(|l| l.chars().count()).max().unwrap_or(0);
        assert!(text.contains(out) || widest <= 80, "{args:?}: {text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{args:?}: {text}");
    }
}

#[test]
fn a_report_made_again_is_the_same() {
    let (_dir, run) = copy();
    let path = run.join("report.html");
    // The name of the run is its directory's, and stands in the page.
    let first =
        fs::read_to_string(&path).expect("a report").replace("<code>a</code>", "<code>run</code>");
    fs::remove_file(&path).expect("it was there");
    good(&run, &["report", "."]);
    let again = fs::read_to_string(&path).expect("a report");
    assert!(first == again, "another page");
    for heading in ["Most wrong", "A sample", "By class", "First-layer weights", "Machine"] {
        assert!(again.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert!(again.contains("--tensorboard") && again.matches("<img ").count() >= 30);
}

#[test]
fn an_interrupted_run_has_a_report_of_its_curves_and_says_so() {
    let (_dir, run) = copy();
    for gone in ["result.json", "best.safetensors", "report.html"] {
        fs::remove_file(run.join(gone)).expect("it was there");
    }
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let cut = metrics.find("\"epoch\":1").expect("a second epoch") + 4;
    fs::write(run.join("metrics.jsonl"), &metrics[..cut]).expect("room");
    good(&run, &["report", "."]);
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(
        page.contains("This run ended early: 1 of 2 epochs are done.") || page.contains("0 of 2"),
        "{page:.3000}"
    );
    assert!(page.contains("<h2>Training loss</h2>") && !page.contains("<h2>Most wrong</h2>"));
    let row = json(&good(&run, &["runs", ".", "--json"]));
    assert_eq!((&row["state"], &row["epochs"]), (&"interrupted".into(), &2.into()));
}

#[test]
fn runs_are_listed_the_best_first() {
    let text = good(RUNS.path(), &["runs", "--json"]);
    let rows: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(rows.len(), 2);
    let best = |row: &Value| row["best_val_acc"].as_f64().expect("a number");
    assert!(best(&rows[0]) >= best(&rows[1]));
    for row in &rows {
        let of = result(row["run"].as_str().expect("a path"));
        assert_eq!((&row["best_val_acc"], &row["steps"]), (&of["best_val_acc"], &of["steps"]));
        assert_eq!((&row["state"], &row["epochs_done"]), (&"finished".into(), &2.into()));
    }
    let dir = tempfile::tempdir().expect("a scratch directory");
    assert!(good(dir.path(), &["runs", "."]).contains("holds no runs"));
    fs::create_dir(dir.path().join("broken")).expect("room");
    fs::write(dir.path().join("broken/config.toml"), "nonsense = 1").expect("room");
    let row = json(&good(dir.path(), &["runs", ".", "--json"]));
    assert_eq!(row["state"], "unreadable");
    assert!(row["error"].as_str().is_some_and(|e| e.contains("nonsense")), "{row}");
}

#[test]
fn compare_names_what_differs_and_writes_a_page() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let page = dir.path().join("both.html");
    let out = page.to_str().expect("text");
    let all = json(&good(RUNS.path(), &["compare", "runs/a", "runs/b", "--json", "--out", out]));
    assert_eq!(all["differences"]["hidden"], serde_json::json!([[30], [20]]));
    assert_eq!(all["differences"]["norm"], serde_json::json!(["batch", "none"]));
    assert!(
        all["differences"].get("out").is_none() && all["differences"].get("tensorboard").is_none()
    );
    assert_eq!(all["runs"][0]["best_val_acc"], result("runs/a")["best_val_acc"]);
    let page = fs::read_to_string(&page).expect("a page");
    assert!(page.contains("<h2>Validation accuracy</h2>") && page.contains("Settings that differ"));
    let text = good(RUNS.path(), &["compare", "runs/a", "runs/a", "--out", out]);
    assert!(text.contains("all settings are the same"), "{text}");
}

/// Breaks a copy of run `a`; a call then fails with a sentence that contains all parts.
type Break = (fn(&Path), &'static [&'static str], &'static [&'static str]);

#[test]
fn broken_runs_are_refused_in_one_sentence() {
    let rows: &[Break] = &[
        (
            |d| fs::remove_file(d.join("config.toml")).unwrap(),
            &["eval", "run"],
            &["run: holds no config.toml", "chainrule runs"],
        ),
        (
            |d| fs::write(d.join("config.toml"), "lrr = 3").unwrap(),
            &["report", "run"],
            &["unknown key \"lrr\""],
        ),
        (
            |d| fs::remove_file(d.join("best.safetensors")).unwrap(),
            &["eval", "run"],
            &["cannot read", "best.safetensors"],
        ),
        (
            |d| {
                let weights = fs::read(d.join("best.safetensors")).unwrap();
                fs::write(d.join("best.safetensors"), &weights[..weights.len() / 2]).unwrap();
            },
            &["eval", "run"],
            &["best.safetensors", "not a readable safetensors file"],
        ),
        (
            |d| {
                let from = RUNS.path().join("runs/b/best.safetensors");
                fs::copy(from, d.join("best.safetensors")).unwrap();
            },
            &["report", "run"],
            &["best.safetensors", "expected the weights of this model"],
        ),
        (
            |d| fs::remove_file(d.join("data.json")).unwrap(),
            &["eval", "run"],
            &["cannot read", "data.json"],
        ),
        (
            |d| fs::write(d.join("data.json"), "{}").unwrap(),
            &["eval", "run"],
            &["data.json", "missing field"],
        ),
        (
            |d| {
                let text = fs::read_to_string(d.join("data.json")).unwrap();
                fs::write(d.join("data.json"), text.replace("\"airplane\"", "\"aeroplane\""))
                    .unwrap();
            },
            &["eval", "run"],
            &["the classes airplane, automobile", "the run was trained on aeroplane"],
        ),
        (
            |d| fs::write(d.join("result.json"), "{\"steps\": true}").unwrap(),
            &["runs", "--json", "."],
            &[],
        ),
        (
            |d| fs::write(d.join("result.json"), "half").unwrap(),
            &["eval", "run"],
            &["result.json", "chainrule train"],
        ),
        (
            |d| {
                fs::remove_file(d.join("metrics.jsonl")).unwrap();
                fs::create_dir(d.join("metrics.jsonl")).unwrap();
            },
            &["compare", "run", "run"],
            &["metrics.jsonl", "is not a regular file"],
        ),
        (|_| (), &["eval", "run/config.toml"], &["is a file, not a directory"]),
        (|_| (), &["eval", "nowhere"], &["cannot read nowhere"]),
        (|_| (), &["runs", "nowhere"], &["nowhere: there is no such directory"]),
        (|_| (), &["eval", "run", "--data", "nowhere"], &["nowhere"]),
        (
            |_| (),
            &["compare", "run", "run", "--out", "no/such/page.html"],
            &["cannot write no/such/page.html"],
        ),
    ];
    for (break_it, args, wanted) in rows {
        let (dir, path) = copy();
        break_it(&path);
        let output = run(dir.path(), args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        if wanted.is_empty() {
            assert!(output.status.success(), "{args:?} goes on past a broken run: {text}");
            continue;
        }
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {text}");
        assert!(text.starts_with("error: ") && text.lines().count() == 1, "{args:?}: {text}");
        for part in *wanted {
            assert!(text.contains(part), "{args:?}: {text:?} should contain {part:?}");
        }
    }
}

#[test]
fn metrics_that_are_cut_or_damaged_are_read_as_far_as_they_go() {
    let (_dir, run) = copy();
    let metrics = fs::read(run.join("metrics.jsonl")).expect("metrics");
    let broken = [&metrics[..200], b"\n\xff\xfe{{{\n", &metrics[200..metrics.len() - 9]].concat();
    fs::write(run.join("metrics.jsonl"), broken).expect("room");
    good(&run, &["report", "."]);
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("lines of metrics.jsonl could not be read."));
    assert!(page.contains("<h2>Training loss</h2>"));
}

#[test]
fn mistakes_in_the_call_are_exit_code_2() {
    let nine = ["x"; 9];
    let rows: [(&[&str], &str); 5] = [
        (&["compare", "runs/a"], "one run; name two to 8"),
        (&[&["compare"], &nine[..]].concat(), "9 runs; name two to 8"),
        (&["eval", "runs/a", "--split", "tests"], "invalid value 'tests'"),
        (&["eval"], "RUN"),
        (&["report"], "RUN"),
    ];
    for (args, wanted) in rows {
        let output = run(RUNS.path(), args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(wanted), "{args:?}: {text:?} should contain {wanted:?}");
    }
}

/// Writes a picture of planes as a file.
fn save(planes: &[u8], side: u32, path: &Path) {
    let plane = (side * side) as usize;
    let at = |x: u32, y: u32, c: usize| planes[c * plane + (y * side + x) as usize];
    let pixel = |x, y| image::Rgb([at(x, y, 0), at(x, y, 1), at(x, y, 2)]);
    image::RgbImage::from_fn(side, side, pixel).save(path).expect("a png file");
}

#[test]
fn what_predict_says_of_all_test_pictures_is_what_eval_counts() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let test = chainrule::data::embedded().expect("the embedded pictures").test;
    let names: Vec<String> = (0..test.len()).map(|i| format!("{i:04}.png")).collect();
    for (i, name) in names.iter().enumerate() {
        save(test.picture(i), 32, &dir.path().join(name));
    }
    let of = RUNS.path().join("runs/a");
    let call = ["predict", of.to_str().expect("text"), "--json"];
    let text = good(
        dir.path(),
        &[&call[..], &names.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
    );
    let mut counts = vec![vec![0u64; 10]; 10];
    for (i, line) in text.lines().enumerate() {
        let said: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(said["picture"], names[i].as_str());
        let guesses = said["guesses"].as_array().expect("a list");
        let shares: Vec<f64> =
            guesses.iter().map(|g| g["share"].as_f64().expect("a number")).collect();
        assert!(
            shares.len() == 5
                && shares.windows(2).all(|s| s[0] >= s[1])
                && shares.iter().sum::<f64>() <= 1.0 + 1e-12
        );
        assert_eq!(said["class"], guesses[0]["class"]);
        let class =
            test.classes().iter().position(|c| said["class"] == c.as_str()).expect("a class");
        counts[test.label(i)][class] += 1;
    }
    let eval = json(&good(RUNS.path(), &["eval", "runs/a", "--json"]));
    assert_eq!(eval["confusion"], serde_json::json!(counts));
}

#[test]
fn predict_takes_any_size_and_passes_over_what_is_broken() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let wide = image::GrayImage::from_fn(300, 70, |x, y| image::Luma([(x ^ y) as u8]));
    wide.save(dir.path().join("wide.png")).expect("a png file");
    wide.save(dir.path().join("one.bmp")).expect("a bmp file");
    let whole = fs::read(dir.path().join("wide.png")).expect("it is there");
    fs::write(dir.path().join("half.png"), &whole[..whole.len() / 2]).expect("room");
    fs::write(dir.path().join("text.jpg"), "no picture").expect("room");
    fs::write(dir.path().join("empty.png"), "").expect("room");
    fs::create_dir(dir.path().join("folder")).expect("room");
    let of = RUNS.path().join("runs/a");
    let files = ["wide.png", "half.png", "text.jpg", "empty.png", "folder", "none.png", "one.bmp"];
    let args = [&["predict", of.to_str().expect("text")], &files[..]].concat();
    let output = run(dir.path(), &args);
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(errors.lines().count(), 5, "{errors}");
    for (line, name) in errors.lines().zip(&files[1..6]) {
        assert!(
            line.starts_with("error: ") && line.contains(name) && !line.contains("panicked"),
            "{line}"
        );
    }
    assert_eq!(said.matches('%').count(), 10, "five classes of two pictures: {said}");
    assert!(said.lines().all(|l| l.chars().count() <= 80) && !said.contains('\u{1b}'), "{said}");
    let json = run(dir.path(), &[&args[..], &["--json"]].concat());
    let rows: Vec<Value> = String::from_utf8_lossy(&json.stdout)
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(rows.iter().filter(|r| r["error"].is_string()).count(), 5);
    assert_eq!((rows.len(), rows[0]["class"].is_string(), json.status.code()), (7, true, Some(1)));
}
