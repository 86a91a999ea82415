//! What the help says of a setting's values: what stands for one, and the one that is taken where nothing is said.

use super::Widths;
use std::path::PathBuf;

/// A type of settings.
pub trait Value {
    /// What stands for a value: `--reg <X>`.
    const NAME: &str;

    /// A default as the help shows it, unless there is nothing to show.
    fn shown(&self) -> Option<String>;
}

macro_rules! values {
    ($($t:ty, $name:literal, $value:ident => $shown:expr;)*) => {
        $(impl Value for $t {
            const NAME: &str = $name;
            fn shown(&self) -> Option<String> {
                let $value = self;
                $shown
            }
        })*
    };
}

values! {
    bool, "BOOL", v => v.then(|| v.to_string());
    usize, "N", v => Some(v.to_string());
    u64, "N", v => Some(v.to_string());
    f64, "X", v => Some(v.to_string());
    String, "VALUE", v => (!v.is_empty()).then(|| v.clone());
    PathBuf, "PATH", v => (!v.as_os_str().is_empty()).then(|| v.display().to_string());
    Widths, "N,N,...", _v => None;
}

/// A setting's description, and its default behind it.
pub fn with_default(lines: &[&str], default: &impl Value) -> String {
    let text = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    match default.shown() {
        Some(value) => format!("{text} [default: {value}]"),
        None => text,
    }
}
