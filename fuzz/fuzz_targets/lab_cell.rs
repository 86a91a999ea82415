//! What a cell of a lab found, as it is stored, up to its page and its Markdown.
#![no_main]
use lab::labs::engine::{Done, Settings};
use lab::labs::{self, Found};
use lab::{gather, machine, model, photo, pictures, report, results, run, settings, show, stored, wait};
use libfuzzer_sys::fuzz_target;

/// Parts of the `chainrule` program, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/lab/src"]
mod lab {
    pub mod gather;
    pub mod labs;
    pub mod machine;
    pub mod model;
    pub mod photo;
    pub mod pictures;
    pub mod report;
    pub mod results;
    pub mod run;
    pub mod settings;
    pub mod show;
    pub mod stored;
    pub mod wait;
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = serde_json::from_slice::<Found>(bytes) else { return };
    if !found.is_sound() {
        return;
    }
    let lab = labs::LABS[0];
    let done = [Done { cell: &lab.cells[0], found, seconds: 0.0 }];
    let settings = Settings { data: None, quick: true, again: false, out: "labs".into() };
    let page = labs::page::lab(lab, &done, &settings).expect("what is sound has a page");
    assert!(!page.contains("<script>alert"), "text that came from a file");
    labs::markdown::lab(lab, &done).expect("what is sound has a page");
});
