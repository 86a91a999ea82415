//! A configuration file: whatever it holds, it makes a plan that can be written and read again, or is refused with its name.
#![no_main]
use lab::settings;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A part of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod settings;
}

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("chainrule-fuzz-settings-{}", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("a scratch file");
    match settings::Settings::default().complete(Some(&FILE)) {
        Ok(plan) => {
            let text = toml::to_string(&plan).expect("a plan is TOML");
            std::fs::write(&*FILE, &text).expect("a scratch file");
            let again = settings::Settings::default().complete(Some(&FILE)).expect("its own text");
            assert_eq!(toml::to_string(&again).expect("a plan is TOML"), text);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
