//! The first level: tensors on a tape, and a loop by hand.

use super::super::{Context, Found};
use super::data::loaders;
use super::run::{Bar, Run, Wording, told};
use super::tensors::random_weight;
use anyhow::Result;
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Order, Tensor};

// show: two-layer-bare
pub fn two_layer_fc(x: &Var, [w1, w2]: &[Tensor; 2]) -> Var {
    x.flatten().matmul(w1).relu().matmul(w2)
}
// end

// show: convnet-bare
pub fn three_layer_convnet(x: &Var, [w1, b1, w2, b2, w3, b3]: &[Tensor; 6]) -> Var {
    let x = x.conv2d(w1, Some(b1), &Conv2dParams::same(5)).relu();
    let x = x.conv2d(w2, Some(b2), &Conv2dParams::same(3)).relu();
    x.flatten().matmul(w3) + b3
}
// end

/// The weights of the convnet with these channels, for pictures of 32 x 32.
fn convnet_weights([first, second]: [usize; 2], rng: &mut Rng) -> [Tensor; 6] {
    // show: convnet-weights
    let zero = |n: usize| Tensor::zeros([n], DType::F32);
    let w1 = random_weight([first, 3, 5, 5], 3 * 5 * 5, rng);
    let w2 = random_weight([second, first, 3, 3], first * 3 * 3, rng);
    let w3 = random_weight([second * 32 * 32, 10], second * 32 * 32, rng);
    [w1, zero(first), w2, zero(second), w3, zero(10)]
    // end
}

fn two_layer_weights(rng: &mut Rng) -> [Tensor; 2] {
    [random_weight([3072, 4000], 3072, rng), random_weight([4000, 10], 4000, rng)]
}

/// Prints and checks the shapes of the scores of both networks.
pub fn scores_shapes(found: &mut Found, scores: [&Var; 2]) {
    let both = || ["two layers", "three layers of convolution"].into_iter().zip(scores);
    both().for_each(|(what, scores)| found.print(format!("{what}: {:?}", scores.shape())));
    for (what, scores) in both() {
        let shape = format!("{:?}", scores.shape());
        let right = scores.shape()[..] == [64, 10];
        found.check(format!("scores, {what}"), shape, "[64, 10] as the course printed", right);
    }
}

pub fn shapes(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut rng = Rng::new(0);
    // show: bare-shapes
    let tape = Tape::eval();
    let x = tape.constant(Tensor::zeros([64, 50], DType::F32));
    let weights = [random_weight([50, 42], 50, &mut rng), random_weight([42, 10], 42, &mut rng)];
    let of_two_layers = two_layer_fc(&x, &weights);

    let x = tape.constant(Tensor::zeros([64, 3, 32, 32], DType::F32));
    let of_convnet = three_layer_convnet(&x, &convnet_weights([6, 9], &mut rng));
    // end
    scores_shapes(&mut found, [&of_two_layers, &of_convnet]);
    Ok(found)
}

// show: train-bare
fn train<const N: usize>(
    run: &mut Run<'_, '_>,
    mut params: [Tensor; N],
    learning_rate: f64,
    scores: fn(&Var, &[Tensor; N]) -> Var,
) {
    let tape = Tape::train(0);
    for (x, labels) in run.loaders.train.epoch(0) {
        let loss = scores(&tape.constant(x), &params).cross_entropy(&labels);
        let mut grads = loss.backward();
        for w in &mut params {
            if let Some(dw) = grads.take(&*w) {
                w.add_scaled(-learning_rate, &dw);
            }
        }
        run.step(loss.item(), |x| scores(x, &params));
    }
}
// end

pub fn two_layers(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::RowMajor)?;
    let mut run = Run::new(context, "two layers, bare", Wording::Bare, &loaders);
    run.untrained(|rng| {
        let params = two_layer_weights(rng);
        move |x: &Var| two_layer_fc(x, &params)
    });
    // show: two-layers-bare
    train(&mut run, two_layer_weights(&mut Rng::new(0)), 1e-2, two_layer_fc);
    // end
    let bar = Bar { excerpt: 0.2, all: 0.4 };
    told("PT[12] barebones two-layer", run, bar)
}

pub fn convnet(context: &mut Context<'_>) -> Result<Found> {
    let loaders = loaders(&context.splits()?, Order::ChannelsLast)?;
    let mut run = Run::new(context, "convnet, bare", Wording::Bare, &loaders);
    run.untrained(|rng| {
        let params = convnet_weights([32, 16], rng);
        move |x: &Var| three_layer_convnet(x, &params)
    });
    // show: convnet-bare-training
    train(&mut run, convnet_weights([32, 16], &mut Rng::new(0)), 3e-3, three_layer_convnet);
    // end
    let bar = Bar { excerpt: 0.2, all: 0.42 };
    told("PT[13] barebones convnet", run, bar)
}
