//! The same seed gives the same bits: for any number of threads, at every SIMD level, whatever ran before.

use chainrule::data::{Augment, Augmented, Normalization, Pictures, embedded};
use chainrule::models::{Architecture, Loss, ModelConfig, Norm, Task};
use chainrule::optim::{OptimConfig, Schedule, ScheduleConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, float};
use chainrule::train::{Quiet, Solver, SolverOptions};
use chainrule_kernels::simd::{Level, with_level};
use chainrule_kernels::threads::set_threads;
use sha2::{Digest, Sha256};

struct Training {
    model: &'static str,
    config: ModelConfig,
    rule: &'static str,
    dtype: DType,
    epochs: usize,
    num_train: usize,
}

fn fully_connected(hidden: &[usize], norm: Norm) -> ModelConfig {
    ModelConfig {
        hidden: Some(hidden.to_vec()),
        norm: Some(norm),
        dropout_keep: Some(0.8),
        ..ModelConfig::NONE
    }
}

/// Trains, and returns the SHA-256 of all parameters and buffers, and of every loss.
fn hash_of(t: &Training) -> String {
    let splits = embedded().expect("the embedded pictures");
    let train = splits.train.slice(0..t.num_train);
    let normalization = Normalization::of("channels", &train).expect("a known normalization");
    let augment =
        Augment::named("flip,crop,cutout,erase,jitter,mixup,cutmix").expect("known changes");
    let train = Augmented::new(train, normalization.clone(), augment, 7);
    let val = Pictures::new(splits.val.slice(0..200), normalization);
    let task = Task {
        input_shape: vec![3, 32, 32],
        classes: 10,
        loss: Loss::default(),
        reg: 1e-3,
        dtype: t.dtype,
    };
    let mut rng = Rng::new(7);
    let architecture = Architecture::named(t.model).expect("a known model");
    let mut model = architecture.make(&task, &t.config, &mut rng).expect("a model of pictures");
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
    let history = Solver::new(&mut *model, rule, &train, &val, options)
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
    let dense = |norm, rule, dtype| Training {
        model: "fully-connected",
        config: fully_connected(&[200, 150], norm),
        rule,
        dtype,
        epochs: 2,
        num_train: 1000,
    };
    let channels = Some(vec![16, 32, 32]);
    for training in [
        dense(Norm::Batch, "adam", DType::F32),
        dense(Norm::Layer, "sgd", DType::F32),
        dense(Norm::None, "rmsprop", DType::F64),
        Training {
            model: "small-convnet",
            config: ModelConfig { channels, ..ModelConfig::NONE },
            rule: "adamw",
            dtype: DType::F32,
            epochs: 2,
            num_train: 200,
        },
        Training {
            model: "three-layer-convnet",
            config: ModelConfig { hidden: Some(vec![50]), ..ModelConfig::NONE },
            rule: "adam",
            dtype: DType::F64,
            epochs: 1,
            num_train: 100,
        },
    ] {
        let hashes = [1, 2, 3, 8].map(|threads| {
            set_threads(threads);
            hash_of(&training)
        });
        let Training { model, config, rule, .. } = &training;
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{model} {config:?} {rule}: {hashes:#?}");
    }
}

#[test]
fn every_simd_level_gives_the_same_weights() {
    let dense = fully_connected(&[40, 30], Norm::Batch);
    let conv = ModelConfig { channels: Some(vec![5, 16, 16]), ..ModelConfig::NONE };
    for (model, config) in [("fully-connected", dense), ("small-convnet", conv)] {
        let training =
            Training { model, config, rule: "adamw", dtype: DType::F32, epochs: 1, num_train: 150 };
        let hashes: Vec<String> = Level::available()
            .into_iter()
            .map(|level| with_level(level, || hash_of(&training)))
            .collect();
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{model}: {hashes:#?}");
    }
}
