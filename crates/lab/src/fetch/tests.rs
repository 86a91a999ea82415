//! Fetches from servers that do everything wrong.

mod server;

use super::catalogue::{Published, Set, parse};
use super::{Patience, Watcher, fetch};
use server::{Act, Server, serve};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Remembers what it is told.
#[derive(Default)]
struct Notes(Vec<String>);

impl Watcher for Notes {
    fn progress(&mut self, file: &Published, bytes: u64, _: &str, _: f64) {
        assert!(bytes <= file.bytes);
    }

    fn note(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}

fn content() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The set of the one file whose bytes these are.
fn set(content: &[u8], mirrors: &[&Server]) -> Set {
    let file = Published {
        name: "file.bin".into(),
        bytes: content.len() as u64,
        md5: hex(&md5::Md5::digest(content)),
        sha256: Some(hex(&Sha256::digest(content))),
    };
    Set { mirrors: mirrors.iter().map(|s| s.url.clone()).collect(), files: vec![file] }
}

/// In a hurry, so that the tests are quick.
fn hurry() -> Patience {
    Patience {
        answer: Duration::from_secs(5),
        silence: Duration::from_millis(300),
        window: Duration::from_millis(60),
        slow: 1e5,
        tries: 2,
        pause: Duration::from_millis(5),
    }
}

/// Fetches, and returns what was noted, or the error.
fn try_fetch(set: &Set, to: &Path) -> Result<Vec<String>, String> {
    let mut notes = Notes::default();
    fetch(set, to, &hurry(), &mut notes).map(|()| notes.0).map_err(|e| format!("{e:#}"))
}

/// Each row is what the first of two mirrors does, in turn; the second one is good. The file arrives, whatever it is.
#[test]
fn it_arrives_whatever_the_first_mirror_does() {
    let content = content();
    let elsewhere = serve(&content, &[Act::Good]);
    let rows: Vec<(&str, Vec<Act>, &str)> = vec![
        ("all is well", vec![Act::Good], ""),
        ("it moved", vec![Act::Moved(elsewhere.url.clone())], ""),
        ("it falls silent", vec![Act::Stall(100_000)], "imeout"),
        ("the connection breaks", vec![Act::Drop(100_000)], ""),
        ("the connection is torn down", vec![Act::Reset], ""),
        ("no answer", vec![Act::Refuse], ""),
        ("not there", vec![Act::Status(404)], "answered 404"),
        ("busy", vec![Act::Status(503)], "answered 503"),
        ("a page", vec![Act::Page(true)], "sent a page instead of the file"),
        ("a page without a length", vec![Act::Page(false)], "sent a page instead of the file"),
        ("other bytes", vec![Act::Other], "sent a file with another sum; all over again"),
        (
            "too long a length",
            vec![Act::Length(400_000)],
            "has a file of 400000 bytes instead of 300000",
        ),
        (
            "too short a length",
            vec![Act::Length(1000)],
            "has a file of 1000 bytes instead of 300000",
        ),
        ("slow", vec![Act::Slow(100)], "is slow"),
    ];
    for (what, acts, noted) in rows {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (serve(&content, &acts), serve(&content, &[Act::Good]));
        let notes = try_fetch(&set(&content, &[&first, &second]), dir.path()).expect(what);
        assert!(notes.join("\n").contains(noted), "{what}: {notes:?} should contain {noted:?}");
        assert_eq!(fs::read(dir.path().join("file.bin")).unwrap(), content, "{what}");
        assert!(!dir.path().join("file.bin.part").exists(), "{what}");
        let asked = second.asked.lock().unwrap().clone();
        match what {
            "all is well" | "it moved" => assert!(asked.is_empty(), "{what}: {asked:?}"),
            "it falls silent" | "the connection breaks" => {
                assert_eq!(asked, ["100000"], "{what}: it goes on")
            }
            "slow" => assert!(asked.len() == 1 && asked[0] != "all", "{what}: {asked:?} goes on"),
            // How much of it came before is the system's to say.
            "the connection is torn down" => assert_eq!(asked.len(), 1, "{what}"),
            _ => assert_eq!(asked, ["all"], "{what}"),
        }
    }
}

#[test]
fn one_mirror_alone_is_asked_again() {
    let content = content();
    for (acts, asked) in [
        (vec![Act::Drop(50_000), Act::Good], vec!["all", "50000"]),
        (vec![Act::Drop(50_000), Act::NoRange], vec!["all", "50000"]),
        (vec![Act::Slow(1500)], vec!["all"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let server = serve(&content, &acts);
        try_fetch(&set(&content, &[&server]), dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("file.bin")).unwrap(), content);
        assert_eq!(*server.asked.lock().unwrap(), asked);
    }
}

#[test]
fn when_all_are_slow_the_fastest_is_taken() {
    let content = content();
    let dir = tempfile::tempdir().unwrap();
    let (slow, less_slow) = (serve(&content, &[Act::Slow(50)]), serve(&content, &[Act::Slow(400)]));
    let mut patience = hurry();
    patience.slow = 1e9;
    let mut notes = Notes::default();
    fetch(&set(&content, &[&slow, &less_slow]), dir.path(), &patience, &mut notes).unwrap();
    assert_eq!(fs::read(dir.path().join("file.bin")).unwrap(), content);
    assert_eq!(slow.asked.lock().unwrap().len(), 1, "{:?}", notes.0);
    assert_eq!(less_slow.asked.lock().unwrap().len(), 2, "{:?}", notes.0);
}

#[test]
fn when_no_mirror_has_it_each_is_named_with_its_reason() {
    let content = content();
    let dir = tempfile::tempdir().unwrap();
    let (lost, broken) =
        (serve(&content, &[Act::Status(404)]), serve(&content, &[Act::Drop(7000)]));
    let odd = serve(&content, &[Act::OtherPart]);
    let message = try_fetch(&set(&content, &[&lost, &broken, &odd]), dir.path()).unwrap_err();
    for part in [
        "no mirror gave file.bin".to_string(),
        format!("{}: answered 404", lost.url),
        format!("{}: ", broken.url),
        format!("{}: sent the part \"bytes 0-299999/300000\" instead of", odd.url),
        "bytes are kept, the same command goes on".to_string(),
    ] {
        assert!(message.contains(&part), "{message:?} should contain {part:?}");
    }
    // What has come is not lost, and another day goes on with it.
    let kept = fs::metadata(dir.path().join("file.bin.part")).unwrap().len();
    assert_eq!(kept, 14_000);
    let good = serve(&content, &[Act::Good]);
    let notes = try_fetch(&set(&content, &[&good]), dir.path()).unwrap();
    assert_eq!(notes, ["file.bin goes on at 14000 bytes"]);
    assert_eq!(*good.asked.lock().unwrap(), ["14000"]);
}

#[test]
fn a_file_that_is_there_is_checked_and_kept() {
    let content = content();
    let dir = tempfile::tempdir().unwrap();
    let server = serve(&content, &[Act::Good]);
    let set = set(&content, &[&server]);
    let path = dir.path().join("file.bin");
    fs::write(&path, &content).unwrap();
    assert!(try_fetch(&set, dir.path()).unwrap()[0].ends_with("is there already"));
    fs::write(&path, b"another").unwrap();
    let message = try_fetch(&set, dir.path()).unwrap_err();
    assert!(
        message.contains("file.bin: holds 7 bytes that are not those of the published file"),
        "{message}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"another", "nothing is overwritten");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[test]
fn what_is_left_of_something_else_is_thrown_away() {
    let content = content();
    for old in [vec![7; 1000], vec![7; 400_000], content.clone()] {
        let dir = tempfile::tempdir().unwrap();
        let server = serve(&content, &[Act::Good]);
        fs::write(dir.path().join("file.bin.part"), &old).unwrap();
        try_fetch(&set(&content, &[&server, &server]), dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("file.bin")).unwrap(), content);
    }
}

#[test]
fn two_fetches_at_once_do_not_mix() {
    let content = content();
    let dir = tempfile::tempdir().unwrap();
    let server = serve(&content, &[Act::Slow(4000)]);
    let set = set(&content, &[&server]);
    thread::scope(|scope| {
        let first = scope.spawn(|| try_fetch(&set, dir.path()));
        while !dir.path().join("file.bin.part").exists() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(20));
        let message = try_fetch(&set, dir.path()).unwrap_err();
        assert!(
            message.contains("file.bin.part: is being fetched by another program"),
            "{message}"
        );
        first.join().unwrap().unwrap();
    });
    assert_eq!(fs::read(dir.path().join("file.bin")).unwrap(), content);
}

/// A file system of 128 kB: only the superuser can make one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_what_has_come() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=128k", "none"])
        .arg(dir.path())
        .output();
    if !mount.is_ok_and(|m| m.status.success()) {
        return;
    }
    let content = content();
    let server = serve(&content, &[Act::Good]);
    let result = try_fetch(&set(&content, &[&server]), dir.path());
    let kept = fs::metadata(dir.path().join("file.bin.part")).map(|m| m.len());
    let _ = Command::new("umount").arg(dir.path()).output();
    let message = result.unwrap_err();
    assert!(message.contains("cannot write") && message.contains("file.bin.part"), "{message}");
    assert!((1..300_000).contains(&kept.unwrap()));
}

#[test]
fn catalogues_are_checked() {
    let file = |name: &str, md5: &str| {
        format!(
            "[x]\nmirrors = [\"http://a/\"]\nfiles = [{{ name = {name:?}, bytes = 1, md5 = {md5:?} }}]"
        )
    };
    let sum = "0".repeat(32);
    assert_eq!(parse(&file("a.gz", &sum)).unwrap()["x"].files[0].bytes, 1);
    for (text, wanted) in [
        (file("../a", &sum), "names a file \"../a\", which is no plain name"),
        (file("/etc/passwd", &sum), "no plain name"),
        (file("", &sum), "no plain name"),
        (file(".bashrc", &sum), "no plain name"),
        (file("a", "12"), "has a sum of a that is none"),
        ("[x]\nmirrors = []\nfiles = []".into(), "has no mirrors or no files for x"),
        ("x = 3".into(), "is no catalogue"),
        (format!("{}\nsecret = 1", file("a", &sum)), "is no catalogue"),
    ] {
        let message = parse(&text).unwrap_err();
        assert!(message.contains(wanted), "{message:?} should contain {wanted:?}");
    }
    let built_in = parse(include_str!("catalogue.toml")).unwrap();
    assert_eq!(built_in["cifar10"].files[0].bytes, 170_052_171);
}
