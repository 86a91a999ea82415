//! Nets of bare tensors on a tape, and the way back found by itself: the course's two-layer net without biases and its
//! three-layer convnet, trained by plain gradient descent.
//!
//!     cargo run --release -p chainrule --example 02_tape [-- DIRECTORY]
//!
//! With the directory of CIFAR-10 one epoch brings the first above 40% and the second above 42%.

mod common;

use chainrule::Result;
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::Examples;
use common::Pool;

fn two_layer(x: &Var, params: &[Tensor]) -> Var {
    let [w1, w2] = params else { unreachable!("two matrices") };
    x.flatten().matmul(w1).relu().matmul(w2)
}

fn convnet(x: &Var, params: &[Tensor]) -> Var {
    let [w1, b1, w2, b2, w3, b3] = params else { unreachable!("three weights and their biases") };
    let x = x.conv2d(w1, Some(b1), &Conv2dParams::same(5)).relu();
    let x = x.conv2d(w2, Some(b2), &Conv2dParams::same(3)).relu();
    x.flatten().matmul(w3) + b3
}

fn main() -> Result<()> {
    let pool = Pool::open()?;
    let mut rng = Rng::new(0);
    let mut weight = |shape: &[usize], inputs: usize| {
        Tensor::randn(shape, (2.0 / inputs as f64).sqrt(), DType::F32, &mut rng)
    };
    let zero = |n: usize| Tensor::zeros([n], DType::F32);

    println!("two layers, {} epochs", pool.epochs);
    let params = vec![weight(&[3072, 4000], 3072), weight(&[4000, 10], 4000)];
    train(&pool, Order::RowMajor, params, 1e-2, two_layer);

    println!("a convnet, {} epochs", pool.epochs);
    let (w1, w2) = (weight(&[32, 3, 5, 5], 75), weight(&[16, 32, 3, 3], 288));
    let w3 = weight(&[16 * 32 * 32, 10], 16 * 32 * 32);
    let params = vec![w1, zero(32), w2, zero(16), w3, zero(10)];
    train(&pool, Order::ChannelsLast, params, 3e-3, convnet);
    Ok(())
}

fn train(
    pool: &Pool,
    order: Order,
    mut params: Vec<Tensor>,
    learning_rate: f64,
    forward: fn(&Var, &[Tensor]) -> Var,
) {
    let (mut rng, mut shuffled, mut step) = (Rng::new(0), Vec::new(), 0);
    let tape = Tape::train(0);
    for epoch in 0..pool.epochs {
        rng.at(epoch, 0);
        rng.epoch_order(pool.train.len(), &mut shuffled);
        for indices in shuffled.chunks(64) {
            let (x, labels) = pool.batch(indices, order);
            let loss = forward(&tape.constant(x), &params).cross_entropy(&labels);
            if step % 100 == 0 {
                println!("Iteration {step}, loss = {:.4}", loss.value().item());
            }
            let mut grads = loss.backward();
            for w in &mut params {
                if let Some(dw) = grads.take(&*w) {
                    w.add_scaled(-learning_rate, &dw);
                }
            }
            step += 1;
        }
    }
    pool.check(order, |x| forward(&Tape::eval().constant(x), &params).value().clone());
}
