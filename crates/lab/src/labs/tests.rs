//! Labs that stop and go on, and the course's digits in ours.

use super::engine::{CoursePictures, Settings, try_cells};
use super::{
    Cell, Context, Found, Lab, batch_normalization, dropout, engine, fully_connected_nets,
};
use anyhow::{Result, bail};
use chainrule::data::{cifar10_mean_image, embedded};
use chainrule::train::Examples;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

static STOPPED: AtomicUsize = AtomicUsize::new(0);

fn draws(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    found.keep("numbers", context.randn(3));
    Ok(found)
}

fn stops_once(context: &mut Context<'_>) -> Result<Found> {
    if STOPPED.fetch_add(1, Ordering::SeqCst) == 0 {
        bail!("a power cut");
    }
    let mut found = Found::default();
    let numbers = [context.kept("first", "numbers").to_vec(), context.randn(3)].concat();
    found.keep("all", numbers);
    Ok(found)
}

const fn cell(name: &'static str, run: fn(&mut Context<'_>) -> Result<Found>) -> Cell {
    Cell { name, title: name, prose: &["A test."], code: &[], run }
}

static LAB: Lab = Lab {
    name: "test",
    about: "a lab that stops",
    title: "A test",
    sources: &[include_str!("tests.rs")],
    seed: 231,
    cells: &[cell("first", draws), cell("second", stops_once), cell("third", draws)],
};

fn settings(out: &Path) -> Settings {
    Settings { data: None, quick: false, again: false, out: out.into() }
}

#[test]
fn a_stopped_lab_goes_on_where_it_was_with_the_same_random_numbers() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    assert!(engine::run(&LAB, &settings).is_err());
    assert_eq!(engine::finished(&LAB, &settings).len(), 1, "what was finished is stored");
    let (done, taken) = engine::run(&LAB, &settings).expect("no power cut now");
    assert_eq!((done.len(), taken), (3, 1));
    let straight = chainrule::rng::NumpyRng::new(231).randn(9);
    assert_eq!(done[1].found.kept("all"), Some(&straight[..6]));
    assert_eq!(done[2].found.kept("numbers"), Some(&straight[6..]));
    let quick = Settings { quick: true, ..settings.clone() };
    assert!(engine::finished(&LAB, &quick).is_empty(), "another setting is another result");
    let damaged = dir.path().join("cells/test/second.json");
    std::fs::write(&damaged, "{").expect("a file of this test");
    assert_eq!(engine::finished(&LAB, &settings).len(), 1, "what cannot be read is done again");
}

/// Runs cells from the beginning of a lab, or those after a new seed, and wants every check to hold.
#[track_caller]
fn hold(lab: &'static Lab, names: &[&str], at_least: usize) {
    let found = try_cells(lab, names).expect("cells of the excerpt");
    assert_eq!(found.len(), names.len(), "{}: all cells are there", lab.name);
    let checks: Vec<_> = found.iter().flat_map(Found::checks).collect();
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{}: {failed:#?}", lab.name);
    assert!(checks.len() >= at_least, "{}: only {} checks", lab.name, checks.len());
}

/// Losses, statistics and errors that the course printed, and the first losses on 50 to 1,000 pictures within 0.1%.
#[test]
fn the_courses_digits_are_ours() {
    hold(
        &fully_connected_nets::LAB,
        &["initial-loss", "overfit-three-layers", "overfit-five-layers", "update-rules"],
        15,
    );
    hold(
        &batch_normalization::LAB,
        &[
            "batch-norm-in-training",
            "batch-norm-in-testing",
            "batch-norm-gradients",
            "network-gradients",
            "deep-network",
            "layer-norm",
            "layer-norm-gradients",
        ],
        30,
    );
    hold(&dropout::LAB, &["statistics", "gradient", "network-gradients", "regularization"], 20);
}

#[test]
fn the_mean_picture_is_the_one_known_from_elsewhere() {
    let mean = cifar10_mean_image();
    let channel = |c: usize| mean[c * 1024..][..1024].iter().sum::<f64>() / 1024.0;
    for (c, known) in [125.289, 122.935, 113.848].into_iter().enumerate() {
        assert!((channel(c) - known).abs() < 1e-2, "channel {c}: {}", channel(c));
    }
    // Pixels of the true mean picture that are known exactly.
    for (c, i, known) in [
        (0, 0, 130.64189796),
        (1, 0, 135.98173469),
        (2, 0, 132.47391837),
        (0, 1, 130.05569388),
        (1, 1, 135.34804082),
        (2, 1, 131.75402041),
    ] {
        assert!((mean[c * 1024 + i] - known).abs() < 0.13, "{c} {i}");
    }
    let pictures = CoursePictures::of(embedded().expect("the excerpt"), mean);
    assert_eq!(pictures.small(50).len(), 50);
}
