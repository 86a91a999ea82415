//! A catalogue of data sets: TOML, whose names must not be paths.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/lab/src/fetch/catalogue.rs"]
mod catalogue;

/// What the catalogue takes of the program's settings: how a mistake in a call is said.
mod settings {
    #[derive(Debug)]
    pub struct Usage(pub String);

    impl std::fmt::Display for Usage {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Usage {}

    pub fn closest<'a>(_: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
        known.collect::<Vec<_>>().join(", ")
    }
}

fuzz_target!(|text: &str| {
    for set in catalogue::parse(text).into_iter().flatten() {
        assert!(set.1.files.iter().all(|f| !f.name.contains(['/', '\\']) && f.name != ".."));
    }
});
