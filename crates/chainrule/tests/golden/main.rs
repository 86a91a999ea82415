//! Reference values: every case of every file of golden/ whose op exists must agree.
//!
//! `CHAINRULE_GOLDENS=DIR` reads another directory of files of the same format. How many cases ran, and which ops do not exist
//! yet, is written to the standard error of each run, past the test harness, which would keep it back.

mod compare;
mod draws;
mod format;
mod ops;
mod runner;
mod selftest;

use std::path::PathBuf;

use runner::{Folder, run_file};

/// The files of this project's own golden/; each is a test, so that they run side by side.
macro_rules! files {
    ($($name:ident),*) => {
        const OWN: &[&str] = &[$(concat!(stringify!($name), ".json")),*];
        $(#[test]
        fn $name() {
            run_file(&folder(), concat!(stringify!($name), ".json"));
        })*
    };
}

files!(
    numpy_rng,
    numpy_layers,
    numpy_optim,
    numpy_nets,
    numpy_solver,
    sklearn_metrics,
    torch_layers,
    torch_optim,
    torch_train
);

/// Files by other names.
#[test]
fn further_files() {
    let folder = folder();
    let names = folder.names().unwrap_or_else(|e| panic!("{e}"));
    names
        .iter()
        .filter(|name| !OWN.contains(&name.as_str()))
        .for_each(|name| run_file(&folder, name));
}

fn folder() -> Folder {
    match std::env::var_os("CHAINRULE_GOLDENS") {
        Some(path) => Folder { path: path.into(), is_own: false },
        None => {
            let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden");
            Folder { path: PathBuf::from(own), is_own: true }
        }
    }
}
