//! A catalogue of data sets: TOML, whose names must not be paths.
#![no_main]
use lab::settings;
use libfuzzer_sys::fuzz_target;

/// Parts of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod settings;
    #[path = "fetch/catalogue.rs"]
    pub mod catalogue;
}

fuzz_target!(|text: &str| {
    for set in lab::catalogue::parse(text).into_iter().flatten() {
        assert!(set.1.files.iter().all(|f| !f.name.contains(['/', '\\']) && f.name != ".."));
    }
});
