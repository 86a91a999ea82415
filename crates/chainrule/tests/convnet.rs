//! The course's convolutional network behaves as the course says it should.

use chainrule::data::{Normalization, Pictures, embedded};
use chainrule::models::{Model, ThreeLayerConvConfig, ThreeLayerConvNet};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::{Examples, Quiet, Solver, SolverOptions};

/// Ten equally likely classes cost ln 10, and L2 makes it more.
#[test]
fn a_new_network_does_not_know_better_than_chance() {
    let mut rng = Rng::new(1);
    let mut net = ThreeLayerConvNet::new(ThreeLayerConvConfig::default(), &mut rng);
    let x = Tensor::randn([50, 3, 32, 32], 1.0, DType::F32, &mut rng);
    let labels: Vec<usize> = (0..50).map(|i| i * 7 % 10).collect();
    let (loss, mut grads) = (10f64.ln(), Vec::new());
    let plain = net.loss(&x, &labels, &mut rng, &mut grads);
    assert!((plain - loss).abs() < 1e-4, "{plain}");
    net.set_reg(0.5);
    let penalised = net.loss(&x, &labels, &mut rng, &mut grads);
    // 0.5 * 0.5 * 1e-6 a weight: 824,904 of them.
    assert!((penalised - plain - 0.2062).abs() < 2e-3, "{penalised}");
}

/// The course's own check: 100 pictures, 15 epochs of Adam. Each epoch sees every picture once.
#[test]
fn a_hundred_pictures_are_learned_by_heart() {
    let splits = embedded().expect("the embedded pictures");
    let mean = Normalization::of("mean-image", &splits.train).expect("a known normalization");
    let train = Pictures::new(splits.train.slice(0..100), mean.clone());
    let val = Pictures::new(splits.val.slice(0..100), mean);
    let mut rng = Rng::new(0);
    let config =
        ThreeLayerConvConfig { weight_scale: Some(1e-2), ..ThreeLayerConvConfig::default() };
    let mut net = ThreeLayerConvNet::new(config, &mut rng);
    let rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions {
        batch_size: 50,
        epochs: 15,
        learning_rate: 1e-3,
        ..SolverOptions::default()
    };
    let mut solver = Solver::new(&mut net, rule, &train, &val, options);
    let history = solver.train(&mut rng, &mut Quiet).expect("a finite loss");
    let best = history.train_accuracy.iter().fold(0.0f64, |m, a| m.max(*a));
    assert!(best >= 0.95, "training accuracies {:?}", history.train_accuracy);
}

/// Either memory order of a batch gives the same scores, and the same gradients within rounding.
#[test]
fn both_memory_orders_give_the_same_network() {
    let splits = embedded().expect("the embedded pictures");
    let mean = Normalization::of("mean-image", &splits.train).expect("a known normalization");
    let pictures = Pictures::new(splits.val, mean);
    let indices: Vec<usize> = (0..20).collect();
    let labels: Vec<usize> = indices.iter().map(|i| pictures.label(*i)).collect();
    let mut rng = Rng::new(2);
    let mut net = ThreeLayerConvNet::new(ThreeLayerConvConfig::default(), &mut rng);
    let [rows, last] = [Order::RowMajor, Order::ChannelsLast].map(|order| {
        let x = pictures.batch(&indices, DType::F32, order);
        let mut grads = Vec::new();
        let loss = net.loss(&x, &labels, &mut rng, &mut grads);
        (loss, grads.iter().map(Tensor::to_vec).collect::<Vec<_>>(), net.scores(&x).to_vec())
    });
    assert_eq!(rows, last, "the kernels see the same pixels in the same order");
}
