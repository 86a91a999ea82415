//! The rules of the house that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below a folder, with its text.
fn sources(below: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten()
        {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_none_or(|n| n != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a readable source")));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {below}");
    found
}

/// The lines before a file's own tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[test]
fn files_stay_under_400_lines() {
    let long: Vec<String> = sources("crates")
        .into_iter()
        .chain(sources("bench"))
        .filter(|(_, text)| text.lines().count() > 400)
        .map(|(name, text)| format!("{name}: {} lines", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "too long: {long:#?}");
}

#[test]
fn unsafe_stays_in_the_kernels() {
    for (name, text) in sources("crates").into_iter().chain(sources("bench")) {
        if name.starts_with("crates/kernels/") || name.ends_with("tests/tidy.rs") {
            continue;
        }
        let used = text
            .lines()
            .find(|l| code(l).contains("unsafe ") && !code(l).contains("forbid(unsafe_code)"));
        assert!(used.is_none(), "{name}: {used:?}");
    }
}

#[test]
fn nothing_of_the_world_is_unwrapped() {
    const WORLD: [&str; 8] =
        ["fs::", "File::", "env::var", "read_to", "from_str", "stdin()", "TcpStream", "Command::"];
    for (name, text) in sources("crates") {
        if name.contains("/tests") || name.contains("/examples/") {
            continue;
        }
        for line in without_tests(&text).lines() {
            let line = code(line);
            let unwrapped = line.contains(".unwrap()") || line.contains(".expect(");
            assert!(!(unwrapped && WORLD.iter().any(|w| line.contains(w))), "{name}: {line}");
            assert!(
                !line.contains(".unwrap()"),
                "{name}: say why it cannot fail, or return an error: {line}"
            );
        }
    }
}

#[test]
fn one_op_one_file_in_the_order_of_reading() {
    let list = fs::read_to_string(root().join("crates/chainrule/src/ops/mod.rs"))
        .expect("the list of ops");
    let names: Vec<&str> = list
        .split("ops![")
        .nth(1)
        .and_then(|l| l.split(']').next())
        .expect("ops![...]")
        .split(',')
        .map(str::trim)
        .filter(|w| !w.is_empty())
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    let mut files: Vec<String> = sources("crates/chainrule/src/ops")
        .into_iter()
        .filter_map(|(name, _)| name.strip_prefix("crates/chainrule/src/ops/").map(str::to_string))
        .filter(|name| !name.contains('/') && name != "mod.rs" && name != "tests.rs")
        .map(|name| name.trim_end_matches(".rs").to_string())
        .collect();
    files.sort();
    let mut listed: Vec<String> = names.iter().map(|n| n.to_string()).collect();
    listed.sort();
    assert_eq!(files, listed, "ops![...] lists every file of ops/");
    // Two files are tables, whose rows share what elementwise/rows.rs has.
    for name in names.iter().filter(|n| !["elementwise", "functions"].contains(*n)) {
        let text = fs::read_to_string(root().join(format!("crates/chainrule/src/ops/{name}.rs")))
            .expect("an op's file");
        assert!(text.starts_with("//! "), "{name}: begins with its formula");
        let place =
            |what: &str| text.find(what).unwrap_or_else(|| panic!("{name}: has no `{what}`"));
        let order =
            ["pub struct Cache", "pub fn forward", "pub fn backward", "pub fn checks"].map(place);
        assert!(order.is_sorted(), "{name}: Cache, forward, backward, checks, in this order");
    }
}

#[test]
fn the_glue_of_an_op_stays_small() {
    for (name, text) in sources("crates/chainrule/src/ops") {
        let lines = without_tests(&text).lines().filter(|l| !code(l).trim().is_empty()).count();
        assert!(lines <= 260, "{name}: {lines} lines of code, at most 260");
    }
}

#[test]
fn imports_point_downward() {
    // Each part may use those before it.
    const ORDER: [&str; 9] =
        ["tensor", "tape", "ops", "nn", "optim", "data", "models", "train", "lab"];
    let uses = |text: &str, part: &str| {
        text.lines().any(|l| code(l).contains(&format!("crate::{part}::")))
    };
    for (own, part) in ORDER[..4].iter().enumerate() {
        for (name, text) in sources(&format!("crates/chainrule/src/{part}")) {
            for above in &ORDER[own + 1..] {
                assert!(!uses(without_tests(&text), above), "{name} uses crate::{above}");
            }
        }
    }
    for (name, text) in sources("crates/kernels/src") {
        assert!(!text.lines().any(|l| code(l).contains("chainrule::")), "{name} uses the library");
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    for (name, text) in sources("crates").into_iter().chain(sources("bench")) {
        if name.ends_with("tests/tidy.rs") {
            continue;
        }
        for word in ["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "/work/", "/opt/peer"] {
            assert!(!text.contains(word), "{name} contains {word}");
        }
    }
}

#[test]
fn every_promise_has_its_test() {
    let page = fs::read_to_string(root().join("docs/promises.md")).expect("the page of promises");
    let rows: Vec<&str> =
        page.lines().filter(|l| l.starts_with("| ") && !l.contains("| test |")).collect();
    assert!(rows.len() > 10, "{} promises", rows.len());
    let manifest = fs::read_to_string(root().join("crates/chainrule/Cargo.toml")).expect("a crate");
    for row in rows {
        let test = row
            .split('`')
            .rev()
            .find(|part| part.contains("::"))
            .unwrap_or_else(|| panic!("no test: {row}"));
        let (file, name) = test.split_once("::").expect("found by it");
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let before = text.split(&format!("fn {name}()")).next().expect("the beginning");
        // A program without the test harness is a test as a whole.
        let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".rs");
        let program = manifest.contains(&format!("name = \"{stem}\"\nharness = false"));
        let marked = before.trim_end().ends_with("#[test]") || name == "main" && program;
        assert!(before.len() < text.len() && marked, "{test} is no test");
    }
}

/// Every page of documentation, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = ["", "docs", "docs/guide", "data", "bench"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| {
        fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten()
    });
    let pages =
        files.map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "md"));
    pages.map(|p| (p.clone(), fs::read_to_string(&p).expect("a readable page"))).collect()
}

#[test]
fn links_lead_somewhere() {
    let (mut followed, mut broken) = (0, Vec::new());
    for (page, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            if !page.parent().is_some_and(|folder| folder.join(file).exists()) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(followed > 50, "{followed} links");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_guide_lists_all_of_its_chapters() {
    let guide = root().join("docs/guide");
    let summary = fs::read_to_string(guide.join("SUMMARY.md")).expect("the list of chapters");
    let chapters: Vec<String> = fs::read_dir(&guide)
        .expect("the guide")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md") && name != "SUMMARY.md")
        .collect();
    assert!(chapters.len() > 10, "{chapters:?}");
    for chapter in chapters {
        assert!(summary.contains(&format!("({chapter})")), "{chapter} is not in SUMMARY.md");
    }
}
