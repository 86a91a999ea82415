//! A run's directory, up to its report: `config.toml`, `metrics.jsonl`, `result.json` and `data.json`, parted by zero bytes.
#![no_main]
use lab::{gather, machine, model, pictures, report, results, run, settings, show, stored, wait};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Parts of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod gather;
    pub mod machine;
    pub mod model;
    pub mod pictures;
    pub mod report;
    pub mod results;
    pub mod run;
    pub mod settings;
    pub mod show;
    pub mod stored;
    pub mod wait;
}

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("chainrule-fuzz-run-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a scratch directory");
    path
});

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |b| *b == 0);
    for name in ["config.toml", "metrics.jsonl", "result.json", "data.json"] {
        let path = DIRECTORY.join(name);
        match parts.next() {
            Some(part) => fs::write(path, part).expect("a scratch file"),
            None => drop(fs::remove_file(path)),
        }
    }
    if let Ok(stored) = stored::Stored::open(&DIRECTORY) {
        let page = gather::report(&stored, None).to_html();
        assert!(page.ends_with("</html>\n"), "a whole page");
        assert!(!page.contains("<script>alert"), "text that came from a file");
    }
    let _ = pictures::About::read(&DIRECTORY);
});
