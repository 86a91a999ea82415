//! Files that are far too long, pipes that nobody writes to, folders in the place of files: wherever the program reads, it ends
//! soon and with little memory, in a sentence that names what it found, or does without a file that is only a help.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_chainrule");

/// What lies where a file should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Thing {
    /// A tebibyte of zeros that takes no room.
    Long,
    Pipe,
    Folder,
}

const ALL: &[Thing] = &[Thing::Long, Thing::Pipe, Thing::Folder];
/// Where a pipe is as good as a file, because a user names it: who names one that nobody writes to waits.
const NAMED: &[Thing] = &[Thing::Long, Thing::Folder];

fn put(thing: Thing, path: &Path) {
    match thing {
        Thing::Long => File::create(path).unwrap().set_len(1 << 40).unwrap(),
        Thing::Folder => fs::create_dir(path).unwrap(),
        Thing::Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
    }
}

/// Ends within a while and two gigabytes, or fails.
fn bounded(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", BIN]).args(args);
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("a shell");
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{args:?} is still at it");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

const SMALL: [&str; 8] =
    ["train", "--model", "fully-connected", "--hidden", "4", "--epochs", "1", "--quiet"];

fn succeeds(directory: &Path, args: &[&str]) {
    let output = bounded(directory, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const SPACE: &str = "method = \"random\"\ntrials = 1\n[settings]\nmodel = \"fully-connected\"\nhidden = [4]\n\
                     num-train = 100\nepochs = 1\n[search]\nlr = { choice = [0.1, 0.2] }\n";

/// Nobody listens at this address.
const CATALOGUE: &str = "[x]\nmirrors = [\"http://127.0.0.1:9/\"]\nfiles = [{ name = \"file.bin\", bytes = 5, \
                         md5 = \"00000000000000000000000000000000\" }]\n";

/// A run, a search, pictures, sets, and what is fetched, all of them small.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, text) in [("small.toml", SPACE), ("catalogue.toml", CATALOGUE)] {
        fs::write(at.join(name), text).unwrap();
    }
    for folder in
        ["mnist", "cifar-10-batches-bin", "cifar-10-batches-py", "got", "mine/a", "mine/b"]
    {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    for name in ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"] {
        fs::write(at.join("mnist").join(format!("{name}-ubyte")), "").unwrap();
    }
    for path in (0..4).flat_map(|i| ["a", "b"].map(|class| format!("mine/{class}/{i}.png"))) {
        image::RgbImage::new(3, 2).save(at.join(path)).unwrap();
    }
    succeeds(at, &[&SMALL[..], &["--num-train", "100", "--out", "run"]].concat());
    // A run without an end: whether it is still going on, its lock says.
    fs::create_dir(at.join("stopped")).unwrap();
    for name in ["config.toml", "metrics.jsonl"] {
        fs::copy(at.join("run").join(name), at.join("stopped").join(name)).unwrap();
    }
    succeeds(at, &["search", "small.toml", "--out", "found"]);
    dir
}

#[test]
fn whatever_lies_where_a_file_should_the_program_ends_soon_and_with_little_memory() {
    let learn = |more: &[&'static str]| [&SMALL[..], more].concat();
    let fetch = || vec!["data", "fetch", "x", "--catalogue", "catalogue.toml", "--to", "got"];
    let check = |what: &'static str| vec!["data", "check", what];
    let rows: Vec<(&str, Vec<&str>, &[Thing])> = vec![
        ("run/config.toml", vec!["report", "run"], ALL),
        ("run/metrics.jsonl", vec!["report", "run"], ALL),
        ("run/metrics.jsonl", vec!["train", "--resume", "run"], ALL),
        ("run/result.json", vec!["report", "run"], ALL),
        ("run/data.json", vec!["eval", "run"], ALL),
        ("run/best.safetensors", vec!["eval", "run"], ALL),
        ("run/last.ckpt", vec!["train", "--resume", "run"], ALL),
        ("stopped/lock", vec!["runs", "."], ALL),
        ("found/space.toml", vec!["search", "--resume", "found"], ALL),
        ("found/journal.jsonl", vec!["search", "--resume", "found"], ALL),
        ("mine/a/0.png", check("mine"), ALL),
        (
            "mine/.chainrule-pictures-8",
            learn(&["--data", "mine", "--size", "8", "--batch", "2"]),
            ALL,
        ),
        ("mnist/train-images-idx3-ubyte", check("mnist"), ALL),
        ("cifar-10-batches-bin/data_batch_1.bin", check("cifar-10-batches-bin"), ALL),
        ("cifar-10-batches-py/data_batch_1", check("cifar-10-batches-py"), ALL),
        ("cifar-10-binary.tar.gz", check("cifar-10-binary.tar.gz"), ALL),
        ("got/file.bin", fetch(), ALL),
        ("got/file.bin.part", fetch(), ALL),
        ("photo.png", vec!["predict", "run", "photo.png"], ALL),
        ("weights.npz", learn(&["--weights", "weights.npz"]), ALL),
        ("runs/layers.json", vec!["bench", "layers"], ALL),
        ("named.toml", vec!["train", "--config", "named.toml"], NAMED),
        ("named.toml", vec!["search", "named.toml"], NAMED),
        ("named.toml", vec!["data", "fetch", "x", "--catalogue", "named.toml"], NAMED),
    ];
    let dir = place();
    let at = dir.path();
    fs::create_dir_all(at.join("runs")).unwrap();
    for (place, args, things) in rows {
        let path = at.join(place);
        let aside = at.join("aside");
        for thing in things {
            let had = fs::rename(&path, &aside).is_ok();
            put(*thing, &path);
            let output = bounded(at, &args);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let what = format!("{place} is {thing:?}, {args:?}: {said:?}");
            assert!(!said.contains("panicked") && !said.contains("memory"), "{what}");
            match output.status.code() {
                Some(0) => {}
                Some(1) if args[1] == "check" => {}
                code => {
                    assert_eq!(code, Some(1), "{what}");
                    let file = path.file_name().unwrap().to_str().unwrap();
                    let last = said.lines().find(|line| line.starts_with("error: "));
                    let names = |line: &str| line.contains(file.trim_end_matches(".part"));
                    assert!(last.is_some_and(names), "{what}");
                }
            }
            if path.is_dir() {
                fs::remove_dir(&path).unwrap();
            }
            if had {
                fs::rename(&aside, &path).unwrap();
            } else if path.exists() {
                fs::remove_file(&path).unwrap();
            }
        }
    }
}
