//! The same net at four levels: explicit ops, the tape, modules, Sequential with a Solver. Twenty steps give equal losses, bit for
//! bit.

use chainrule::models::{Model, ModuleModel};
use chainrule::nn::{Conv2d, EntryMut, Linear, Module, Params, Path, Sequential};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::ops::{affine, affine_relu, conv_relu, softmax_cross_entropy};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tape::{Grads, Tape, Var};
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::{Arrays, Solver, SolverOptions};

const STEPS: usize = 20;
const RATE: f64 = 0.05;
const BATCH: usize = 16;

/// One batch, which every step sees.
fn batch() -> (Tensor, Vec<usize>) {
    let x = Tensor::randn([BATCH, 3, 8, 8], 1.0, DType::F32, &mut Rng::new(1));
    (x, (0..BATCH).map(|i| i * 7 % 10).collect())
}

/// `w -= RATE dw` for each of them.
fn descend<const N: usize>(params: [(&mut Tensor, Tensor); N]) {
    params.into_iter().for_each(|(w, dw)| w.add_scaled(-RATE, &dw));
}

/// The losses of a module whose parameters begin with these values.
fn of_module(mut net: impl Module, values: &[Tensor]) -> Vec<f32> {
    let (x, labels) = batch();
    begin(&mut net, values);
    let tape = Tape::train(0);
    let step = |_| {
        let loss = tape.constant(x.clone()).apply(&net).cross_entropy(&labels);
        let mut grads: Grads = loss.backward();
        net.visit_mut(&mut Path::default(), &mut |_, entry| {
            if let EntryMut::Param(p) = entry {
                let dw = grads.take(p).expect("a gradient of every parameter");
                p.value_mut().add_scaled(-RATE, &dw);
            }
        });
        loss.item() as f32
    };
    (0..STEPS).map(step).collect()
}

fn begin(net: &mut impl Module, values: &[Tensor]) {
    let mut values = values.iter();
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        if let EntryMut::Param(p) = entry {
            *p.value_mut() = values.next().expect("a value for every parameter").clone();
        }
    });
    assert!(values.next().is_none(), "a parameter for every value");
}

/// The losses of a Sequential that a Solver trains, with momentum-free gradient descent.
fn of_solver(mut net: Sequential, values: &[Tensor]) -> Vec<f32> {
    let (x, labels) = batch();
    begin(&mut net, values);
    let mut model = ModuleModel::new(net, [3, 8, 8]);
    // The Solver shuffles its examples; these are stored so that its order is that of the batch.
    let (mut order, mut place) = (Vec::new(), vec![0; BATCH]);
    Rng::new(0).epoch_order(BATCH, &mut order);
    order.iter().enumerate().for_each(|(k, i)| place[*i] = k);
    let labels = place.iter().map(|k| labels[*k]).collect();
    let examples = Arrays::new(x.select(0, &place), labels);
    let options = SolverOptions { batch_size: BATCH, ..SolverOptions::default() };
    let rule = make("sgd", &OptimConfig::default()).expect("a known rule");
    let mut solver = Solver::new(&mut model, rule, &examples, &examples, options);
    let mut rng = Rng::new(0);
    let losses = (0..STEPS).map(|t| solver.step(t, RATE, &mut rng).expect("a finite loss") as f32);
    let losses = losses.collect();
    drop(solver);
    assert_ne!(model.module().named_params()[0].1.to_vec(), values[0].to_vec());
    assert_eq!(model.params()[0].name, model.module().named_params()[0].0);
    losses
}

/// Random values of these shapes: weights, and biases.
fn weights(shapes: &[&[usize]]) -> Vec<Tensor> {
    let mut rng = Rng::new(2);
    let scaled = |shape: &&[usize]| {
        let fan: usize = shape.iter().skip(1).product();
        let std = if shape.len() > 1 { (2.0 / fan as f64).sqrt() } else { 0.1 };
        Tensor::randn(*shape, std, DType::F32, &mut rng)
    };
    shapes.iter().map(scaled).collect()
}

#[derive(Params)]
struct TwoLayers {
    fc1: Linear,
    fc2: Linear,
}

impl Module for TwoLayers {
    fn forward(&self, x: &Var) -> Var {
        x.flatten().apply(&self.fc1).relu().apply(&self.fc2)
    }
}

#[test]
fn a_two_layer_net_is_the_same_at_four_levels() {
    let values = weights(&[&[30, 192], &[30], &[10, 30], &[10]]);
    let (x, labels) = batch();
    let x = x.flatten();

    let [mut w1, mut b1, mut w2, mut b2] =
        [values[0].transpose(), values[1].clone(), values[2].transpose(), values[3].clone()];
    let explicit = |_| {
        let (h, first) = affine_relu::forward(&x, &w1, &b1);
        let (scores, second) = affine::forward(&h, &w2, &b2);
        let (loss, top) = softmax_cross_entropy::forward(&scores, &labels, &Default::default());
        let above = affine::backward(&softmax_cross_entropy::backward(&top), &second);
        let below = affine_relu::backward(&above.dx, &first);
        descend([(&mut w1, below.dw), (&mut b1, below.db)]);
        descend([(&mut w2, above.dw), (&mut b2, above.db)]);
        loss as f32
    };
    let explicit: Vec<f32> = (0..STEPS).map(explicit).collect();
    assert!(explicit[STEPS - 1] < 0.7 * explicit[0], "it learns: {explicit:?}");

    let [mut w1, mut b1, mut w2, mut b2] =
        [values[0].transpose(), values[1].clone(), values[2].transpose(), values[3].clone()];
    let tape = Tape::train(0);
    let on_tape = |_| {
        let h = (tape.constant(x.clone()).matmul(&w1) + &b1).relu();
        let loss = (h.matmul(&w2) + &b2).cross_entropy(&labels);
        let mut grads = loss.backward();
        for w in [&mut w1, &mut b1, &mut w2, &mut b2] {
            let dw = grads.take(&*w).expect("a gradient of every leaf");
            w.add_scaled(-RATE, &dw);
        }
        loss.item() as f32
    };
    let on_tape: Vec<f32> = (0..STEPS).map(on_tape).collect();

    let mut rng = Rng::new(0);
    let net = TwoLayers { fc1: Linear::new(192, 30, &mut rng), fc2: Linear::new(30, 10, &mut rng) };
    let sequential = |rng: &mut Rng| {
        Sequential::on([3, 8, 8], rng).flatten().linear(30).relu().linear(10).build()
    };
    assert_eq!(on_tape, explicit, "the tape");
    assert_eq!(of_module(net, &values), explicit, "modules");
    assert_eq!(of_module(sequential(&mut rng), &values), explicit, "Sequential");
    assert_eq!(of_solver(sequential(&mut rng), &values), explicit, "a Solver");
}

#[derive(Params)]
struct ThreeLayers {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Module for ThreeLayers {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv1).relu().apply(&self.conv2).relu().flatten().apply(&self.fc)
    }
}

#[test]
fn a_three_layer_conv_net_is_the_same_at_four_levels() {
    let values = weights(&[&[6, 3, 5, 5], &[6], &[4, 6, 3, 3], &[4], &[10, 256], &[10]]);
    let (x, labels) = batch();
    let (same5, same3) = (Conv2dParams::same(5), Conv2dParams::same(3));
    let begin = || {
        let [w1, b1, w2, b2, w3, b3] = &values[..] else { unreachable!("six") };
        [w1.clone(), b1.clone(), w2.clone(), b2.clone(), w3.transpose(), b3.clone()]
    };

    let [mut w1, mut b1, mut w2, mut b2, mut w3, mut b3] = begin();
    let explicit = |_| {
        let (h, first) = conv_relu::forward(&x, &w1, Some(&b1), &same5);
        let (h, second) = conv_relu::forward(&h, &w2, Some(&b2), &same3);
        let (scores, third) = affine::forward(&h.flatten(), &w3, &b3);
        let (loss, top) = softmax_cross_entropy::forward(&scores, &labels, &Default::default());
        let fc = affine::backward(&softmax_cross_entropy::backward(&top), &third);
        let two = conv_relu::backward(&fc.dx.reshape(*h.shape()), &second);
        let one = conv_relu::backward(&two.dx, &first);
        let [db2, db1] = [two.db, one.db].map(|db| db.expect("there is a bias"));
        descend([(&mut w1, one.dw), (&mut b1, db1), (&mut w2, two.dw), (&mut b2, db2)]);
        descend([(&mut w3, fc.dw), (&mut b3, fc.db)]);
        loss as f32
    };
    let explicit: Vec<f32> = (0..STEPS).map(explicit).collect();
    assert!(explicit[STEPS - 1] < 0.7 * explicit[0], "it learns: {explicit:?}");

    let [mut w1, mut b1, mut w2, mut b2, mut w3, mut b3] = begin();
    let tape = Tape::train(0);
    let on_tape = |_| {
        let h = tape.constant(x.to_order(Order::ChannelsLast));
        let h = h.conv2d(&w1, Some(&b1), &same5).relu().conv2d(&w2, Some(&b2), &same3).relu();
        let loss = (h.flatten().matmul(&w3) + &b3).cross_entropy(&labels);
        let mut grads = loss.backward();
        for w in [&mut w1, &mut b1, &mut w2, &mut b2, &mut w3, &mut b3] {
            let dw = grads.take(&*w).expect("a gradient of every leaf");
            w.add_scaled(-RATE, &dw);
        }
        loss.item() as f32
    };
    let on_tape: Vec<f32> = (0..STEPS).map(on_tape).collect();

    let mut rng = Rng::new(0);
    let net = ThreeLayers {
        conv1: Conv2d::new(3, 6, 5, same5, &mut rng),
        conv2: Conv2d::new(6, 4, 3, same3, &mut rng),
        fc: Linear::new(256, 10, &mut rng),
    };
    let sequential = |rng: &mut Rng| {
        Sequential::on([3, 8, 8], rng)
            .conv2d(6, 5)
            .relu()
            .conv2d(4, 3)
            .relu()
            .flatten()
            .linear(10)
            .build()
    };
    assert_eq!(on_tape, explicit, "the tape");
    assert_eq!(of_module(net, &values), explicit, "modules");
    assert_eq!(of_module(sequential(&mut rng), &values), explicit, "Sequential");
    assert_eq!(of_solver(sequential(&mut rng), &values), explicit, "a Solver");
}
