//! The same seed gives the same bits: for any number of threads, at every SIMD level, whatever ran before.

use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::models::{FullyConnectedConfig, FullyConnectedNet, Model, Norm};
use chainrule::optim::{OptimConfig, Schedule, ScheduleConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, float};
use chainrule::train::{Quiet, Solver, SolverOptions};
use chainrule_kernels::simd::{Level, with_level};
use chainrule_kernels::threads::set_threads;
use sha2::{Digest, Sha256};

struct Training {
    norm: Norm,
    rule: &'static str,
    dtype: DType,
    hidden: Vec<usize>,
    epochs: usize,
    num_train: usize,
}

/// Trains, and returns the SHA-256 of all parameters and buffers, and of every loss.
fn hash_of(t: &Training) -> String {
    let splits = embedded().expect("the embedded pictures");
    let mean = Normalization::MeanImage(mean_image(&splits.train));
    let train = Pictures::new(splits.train.slice(0..t.num_train), mean.clone());
    let val = Pictures::new(splits.val.slice(0..200), mean);
    let mut rng = Rng::new(7);
    let config = FullyConnectedConfig {
        hidden: t.hidden.clone(),
        norm: t.norm,
        dropout_keep: 0.8,
        reg: 1e-3,
        dtype: t.dtype,
        ..FullyConnectedConfig::default()
    };
    let mut model = FullyConnectedNet::new(config, &mut rng);
    let rule = make(t.rule, &OptimConfig::default()).expect("a known rule");
    let schedule =
        Schedule::by_name("one-cycle", &ScheduleConfig::default()).expect("a known schedule");
    let options = SolverOptions {
        batch_size: 50,
        epochs: t.epochs,
        learning_rate: 1e-3,
        schedule,
        ..SolverOptions::default()
    };
    let history = Solver::new(&mut model, rule, &train, &val, options)
        .train(&mut rng, &mut Quiet)
        .expect("a finite loss");
    let mut hash = Sha256::new();
    let params = model.params().iter().map(|p| p.value.clone());
    for tensor in params.chain(model.buffers().into_iter().map(|(_, t)| t)) {
        float!(tensor.dtype(), T => tensor.data::<T>().iter().for_each(|v| hash.update(v.to_le_bytes())));
    }
    history.loss.iter().chain(&history.val_accuracy).for_each(|v| hash.update(v.to_le_bytes()));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_weights() {
    for (norm, rule, dtype) in [
        (Norm::Batch, "adam", DType::F32),
        (Norm::Layer, "sgd", DType::F32),
        (Norm::None, "rmsprop", DType::F64),
    ] {
        let training =
            Training { norm, rule, dtype, hidden: vec![200, 150], epochs: 2, num_train: 1000 };
        let hashes = [1, 2, 3, 8].map(|threads| {
            set_threads(threads);
            hash_of(&training)
        });
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{norm:?} {rule} {dtype:?}: {hashes:#?}");
    }
}

#[test]
fn every_simd_level_gives_the_same_weights() {
    let training = Training {
        norm: Norm::Batch,
        rule: "adamw",
        dtype: DType::F32,
        hidden: vec![40, 30],
        epochs: 1,
        num_train: 150,
    };
    let hashes: Vec<String> = Level::available()
        .into_iter()
        .map(|level| with_level(level, || hash_of(&training)))
        .collect();
    assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:#?}");
}
