//! `chainrule data` and training on data of one's own, as their users do.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

fn chainrule(directory: &Path, args: &[&str]) -> Output {
    Command::new(BIN).args(args).current_dir(directory).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line of JSON on standard output.
fn json(output: &Output) -> Value {
    let text = text(&output.stdout);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// Thirty pictures of each of two colours, that a network can tell apart.
fn colours(directory: &Path) {
    for (class, red) in [("red", 200u8), ("blue", 30)] {
        fs::create_dir_all(directory.join(class)).unwrap();
        for i in 0..30u8 {
            let colour = image::Rgb([red + i, 3 * i, 230 - red]);
            let path = directory.join(class).join(format!("{i:02}.png"));
            image::RgbImage::from_pixel(12 + u32::from(i % 3), 10, colour).save(path).unwrap();
        }
    }
}

const SMALL: [&str; 8] =
    ["train", "--model", "fully-connected", "--hidden", "10", "--batch", "10", "--json"];

#[test]
fn a_network_learns_pictures_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    colours(&dir.path().join("mine"));
    let args = ["--data", "mine", "--size", "8", "--epochs", "5", "--lr", "1e-2"];
    let output = chainrule(dir.path(), &[&SMALL[..], &args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let result = json(&output);
    assert!(result["best_val_acc"].as_f64().unwrap() > 0.9, "{result}");
    assert_eq!(result["test_acc"], Value::Null, "there is nothing to test on");

    fs::write(dir.path().join("mine/red/07.png"), "broken").unwrap();
    let output = chainrule(dir.path(), &[&SMALL[..], &args].concat());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("red/07.png: is not png, jpeg, webp or bmp"), "{message}");
    let output = chainrule(dir.path(), &[&SMALL[..], &args, &["--skip-bad"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_check_counts_and_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    colours(&dir.path().join("mine"));
    let good = chainrule(dir.path(), &["data", "check", "mine"]);
    let shown = text(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{shown}");
    for part in ["60 files", "blue", "12 x 10 (20)", "png RGB (60)", "no file is broken"] {
        assert!(shown.contains(part), "{shown} should contain {part:?}");
    }
    fs::write(dir.path().join("mine/red/07.png"), "broken").unwrap();
    fs::copy(dir.path().join("mine/red/01.png"), dir.path().join("mine/blue/copy.png")).unwrap();
    let bad = chainrule(dir.path(), &["data", "check", "mine", "--json"]);
    assert_eq!(bad.status.code(), Some(1), "a broken file is a failure");
    let found = json(&bad);
    assert_eq!(found["classes"]["train"], serde_json::json!({"blue": 31, "red": 29}));
    assert_eq!(found["broken"][0]["file"], "red/07.png");
    assert_eq!(found["duplicates"], serde_json::json!([["blue/copy.png", "red/01.png"]]));
    let shown = text(&chainrule(dir.path(), &["data", "check", "mine"]).stdout);
    assert!(
        shown.contains("red/07.png: is not png") && shown.contains("blue/copy.png = red/01.png")
    );
}

#[test]
fn wrong_calls_of_data_are_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("bad.toml"), "x = 1").unwrap();
    let rows: [(&[&str], i32, &str); 7] = [
        (
            &["data", "fetch", "cifar11"],
            2,
            "unknown data set \"cifar11\"; did you mean \"cifar10\"?",
        ),
        (
            &["data", "fetch", "mnist", "--mirror", "ftp://x/"],
            2,
            "--mirror: \"ftp://x/\"; it must begin with http://",
        ),
        (&["data", "fetch", "x", "--catalogue", "bad.toml"], 1, "bad.toml: is no catalogue"),
        (&["data", "fetch", "x", "--catalogue", "missing.toml"], 1, "cannot read missing.toml"),
        (&["data", "check", "empty"], 1, "empty: has 0 classes; expected pictures in"),
        (&["data", "check", "missing"], 1, "cannot read missing"),
        (&["train", "--skip-bad"], 2, "--skip-bad"),
    ];
    for (args, code, wanted) in rows {
        let output = chainrule(dir.path(), args);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
        assert!(message.starts_with("error: ") && message.contains(wanted), "{args:?}: {message}");
    }
}

/// The whole way: fetched from a server on this machine, found, and trained on.
#[test]
fn a_set_is_fetched_and_trained_on() {
    use std::io::{Read, Write};
    let idx = |axes: &[u32], n: usize| -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, axes.len() as u8];
        axes.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        bytes.extend(
            (0..n).map(|i| if axes.len() == 1 { i as u8 % 2 } else { (i / 16 % 2 * 250) as u8 }),
        );
        bytes
    };
    let files = [
        ("train-images-idx3-ubyte", idx(&[120, 4, 4], 1920)),
        ("train-labels-idx1-ubyte", idx(&[120], 120)),
        ("t10k-images-idx3-ubyte", idx(&[20, 4, 4], 320)),
        ("t10k-labels-idx1-ubyte", idx(&[20], 20)),
    ];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut catalogue = format!("[bars]\nmirrors = [\"http://{address}\"]\nfiles = [\n");
    for (name, bytes) in &files {
        let md5 = <md5::Md5 as md5::Digest>::digest(bytes);
        let md5: String = md5.iter().map(|b| format!("{b:02x}")).collect();
        catalogue += &format!("{{ name = {name:?}, bytes = {}, md5 = {md5:?} }},\n", bytes.len());
    }
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 1000];
            let n = stream.read(&mut head).unwrap_or(0);
            let head = text(&head[..n]);
            let (_, bytes) = files.iter().find(|(name, _)| head.contains(name)).unwrap();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
            let _ = stream.write_all(bytes);
        }
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sets.toml"), catalogue + "]\n").unwrap();
    let args = ["data", "fetch", "bars", "--catalogue", "sets.toml", "--to", "here", "--json"];
    let output = chainrule(dir.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(json(&output)["directory"], "here");
    let args = ["--data", "here", "--epochs", "5", "--lr", "1e-2"];
    let output = chainrule(dir.path(), &[&SMALL[..], &args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(json(&output)["test_acc"].as_f64().unwrap() > 0.9, "one channel, two classes");
    let output = chainrule(dir.path(), &["data", "check", "here", "--json"]);
    assert_eq!(json(&output)["classes"]["train"], serde_json::json!({"0": 55, "1": 55}));
}
