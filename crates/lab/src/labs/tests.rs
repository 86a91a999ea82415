//! Labs that stop and go on, and the course's digits in ours.

use super::engine::{CoursePictures, Settings, try_cells};
use super::{
    Cell, Context, Found, Lab, batch_normalization, convolutional_networks, dropout, engine,
    frameworks, fully_connected_nets, going_on,
};
use anyhow::{Result, bail};
use chainrule::data::{cifar10_mean_image, embedded};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::checkpoint::{Cadence, Checkpoints};
use chainrule::train::{Arrays, Examples, Flow, Moment, Observer, Solver, SolverOptions};
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

const fn lab(name: &'static str, sources: &'static [&'static str], cells: &'static [Cell]) -> Lab {
    Lab { name, about: "a test", title: "A test", sources, seed: 231, cells }
}

const CELLS: &[Cell] = &[cell("first", draws), cell("second", stops_once), cell("third", draws)];
static LAB: Lab = lab("test", &["the source"], CELLS);
static CHANGED: Lab = lab("test", &["the source, changed"], CELLS);

fn settings(out: &Path) -> Settings {
    Settings { data: None, quick: false, again: false, out: out.into() }
}

fn run(lab: &'static Lab, settings: &Settings) -> Result<Vec<engine::Done>> {
    engine::run(lab, settings, &mut |_| Ok(()))
}

#[test]
fn a_stopped_lab_goes_on_where_it_was_with_the_same_random_numbers() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    assert!(run(&LAB, &settings).is_err());
    assert_eq!(engine::finished(&LAB, &settings).len(), 1, "what was finished is stored");
    let done = run(&LAB, &settings).expect("no power cut now");
    assert_eq!((done.len(), engine::finished(&LAB, &settings).len()), (3, 3));
    let straight = chainrule::rng::NumpyRng::new(231).randn(9);
    assert_eq!(done[1].found.kept("all"), Some(&straight[..6]));
    assert_eq!(done[2].found.kept("numbers"), Some(&straight[6..]));
    let quick = Settings { quick: true, ..settings.clone() };
    assert!(engine::finished(&LAB, &quick).is_empty(), "another setting is another result");
    assert!(engine::finished(&CHANGED, &settings).is_empty(), "so is another source");
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
    hold(
        &convolutional_networks::LAB,
        &[
            "convolution",
            "convolution-gradients",
            "max-pooling",
            "sandwiches",
            "first-loss",
            "network-gradients",
            "overfit",
            "one-epoch",
            "spatial-batch-norm",
            "spatial-batch-norm-in-testing",
            "spatial-batch-norm-gradients",
            "group-norm",
            "group-norm-gradients",
        ],
        37,
    );
    hold(&dropout::LAB, &["statistics", "gradient", "network-gradients", "regularization"], 20);
}

/// Shapes, sizes and gradients of the three levels. The trainings take minutes and are not among them.
#[test]
fn the_three_levels_are_the_courses_and_agree() {
    hold(
        &frameworks::LAB,
        &[
            "loading",
            "flatten",
            "way-back",
            "bare-shapes",
            "module-shapes",
            "levels-agree",
            "resnet-parts",
        ],
        35,
    );
}

/// Stops a training after seven steps.
struct PowerCut;

impl Observer for PowerCut {
    fn moment(&mut self, moment: &Moment<'_>) -> chainrule::Result<Flow> {
        Ok(if moment.step == 7 { Flow::Stop } else { Flow::Go })
    }
}

/// Trains a small net. Where it could go on it meets a power cut first, and then begins with other weights, so that only a
/// checkpoint can make it end as it should.
fn long_training(context: &mut Context<'_>) -> Result<Found> {
    let x = Tensor::randn([40, 4], 1.0, DType::F32, &mut Rng::new(3));
    let data = Arrays::new(x, (0..40).map(|i| i % 3).collect());
    let workplace = context.workplace()?;
    let cut = match &workplace {
        Some((folder, _)) => std::fs::read_dir(folder)?.next().is_none(),
        None => false,
    };
    let mut rng = Rng::new(if workplace.is_some() && !cut { 5 } else { 4 });
    let config = FullyConnectedConfig {
        input_shape: vec![4],
        hidden: vec![6],
        classes: 3,
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut rng);
    let rule = make("adam", &OptimConfig::NONE)?;
    let options = SolverOptions { batch_size: 10, epochs: 5, ..SolverOptions::default() };
    let mut solver = Solver::new(&mut net, rule, &data, &data, options);
    if let Some((folder, key)) = workplace.filter(|_| cut) {
        let mut checkpoints = Checkpoints::new(&folder, Cadence::Steps(7), &key);
        let observer: &mut dyn Observer =
            &mut [&mut checkpoints as &mut dyn Observer, &mut PowerCut];
        solver.train(&mut rng, observer)?;
        checkpoints.finish()?;
        bail!("a power cut");
    }
    let mut found = Found::default();
    found.keep("losses", going_on::train(context, "a net", &mut solver, &mut rng)?.loss);
    Ok(found)
}

static LONG: Lab = lab("long", &[], &[cell("training", long_training)]);

#[test]
fn a_training_that_was_stopped_within_a_cell_goes_on() {
    let straight = try_cells(&LONG, &["training"]).expect("nothing stops it");
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    assert!(run(&LONG, &settings).is_err());
    let folder = dir.path().join("cells/long/training");
    assert!(folder.join("last.ckpt").exists());
    let done = run(&LONG, &settings).expect("no power cut now");
    assert_eq!(done[0].found.kept("losses"), straight[0].kept("losses"));
    assert_eq!(done[0].found.kept("losses").map(<[f64]>::len), Some(20));
    assert!(!folder.exists(), "what was needed to go on is gone");
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
