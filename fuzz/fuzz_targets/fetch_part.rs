//! What an earlier fetch left, gone on with: it is never longer than the published file, and the sums are of all its bytes.
#![no_main]
use lab::part::{Part, is_complete};
use lab::{catalogue, settings};
use libfuzzer_sys::fuzz_target;
use md5::{Digest, Md5};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Parts of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod settings;
    #[path = "fetch/catalogue.rs"]
    pub mod catalogue;
    #[path = "fetch/part.rs"]
    pub mod part;
}

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("chainrule-fuzz-part-{}", std::process::id())));

fuzz_target!(|input: (u16, &[u8], &[u8])| {
    let (most, earlier, more) = input;
    let most = u64::from(most);
    fs::write(&*FILE, earlier).expect("a scratch file");
    let mut part = Part::open(FILE.clone(), most).expect("a file that can be read");
    let kept = if earlier.len() as u64 > most { &[][..] } else { earlier };
    assert_eq!(part.size, kept.len() as u64);
    part.add(more).expect("room");
    let whole = [kept, more].concat();
    let md5 = Md5::digest(&whole).iter().map(|b| format!("{b:02x}")).collect();
    let bytes = whole.len() as u64;
    let file = catalogue::Published { name: "file".into(), bytes, md5, sha256: None };
    assert!(part.is(&file));
    assert!(fs::read(&*FILE).expect("what was written") == whole);
    assert!(is_complete(&FILE, &file).expect("a file that can be read"));
});
