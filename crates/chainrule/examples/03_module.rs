//! The same nets as modules: a struct of layers and its forward pass. Biases too, and weights as He et al. draw them.
//!
//!     cargo run --release -p chainrule --example 03_module [-- DIRECTORY]
//!
//! With the directory of CIFAR-10 one epoch brings the first above 40% and the second above 45%.

mod common;

use chainrule::Result;
use chainrule::nn::init::{Fan, Gain, kaiming_normal};
use chainrule::nn::{Conv2d, EntryMut, Linear, Module, Params, Path};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::Order;
use chainrule::train::Examples;
use common::Pool;

#[derive(Params)]
struct TwoLayer {
    fc1: Linear,
    fc2: Linear,
}

impl Module for TwoLayer {
    fn forward(&self, x: &Var) -> Var {
        x.flatten().apply(&self.fc1).relu().apply(&self.fc2)
    }
}

#[derive(Params)]
struct ConvNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc: Linear,
}

impl Module for ConvNet {
    fn forward(&self, x: &Var) -> Var {
        let x = x.apply(&self.conv1).relu().apply(&self.conv2).relu();
        x.flatten().apply(&self.fc)
    }
}

fn main() -> Result<()> {
    let pool = Pool::open()?;
    let mut rng = Rng::new(0);
    let fc1 = Linear::new(3072, 4000, &mut rng);
    let net = TwoLayer { fc1, fc2: Linear::new(4000, 10, &mut rng) };
    train(&pool, Order::RowMajor, net, 1e-2, &mut rng);

    let net = ConvNet {
        conv1: Conv2d::new(3, 32, 5, Conv2dParams::same(5), &mut rng),
        conv2: Conv2d::new(32, 16, 3, Conv2dParams::same(3), &mut rng),
        fc: Linear::new(16 * 32 * 32, 10, &mut rng),
    };
    train(&pool, Order::ChannelsLast, net, 3e-3, &mut rng);
    Ok(())
}

fn train(pool: &Pool, order: Order, mut net: impl Module, learning_rate: f64, rng: &mut Rng) {
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        if let EntryMut::Param(p) = entry
            && p.value().shape().len() >= 2
        {
            let shape = *p.value().shape();
            *p.value_mut() = kaiming_normal(&shape, Fan::In, Gain::Relu, rng);
        }
    });
    println!("{} numbers to learn, {} epochs", net.num_params(), pool.epochs);
    net.named_params().iter().for_each(|(name, t)| println!("  {name:<14} {:?}", t.shape()));

    let (mut shuffled, mut step) = (Vec::new(), 0);
    let tape = Tape::train(0);
    for epoch in 0..pool.epochs {
        rng.at(epoch, 0);
        rng.epoch_order(pool.train.len(), &mut shuffled);
        for indices in shuffled.chunks(64) {
            let (x, labels) = pool.batch(indices, order);
            let loss = tape.constant(x).apply(&net).cross_entropy(&labels);
            if step % 100 == 0 {
                println!("Iteration {step}, loss = {:.4}", loss.value().item());
            }
            let mut grads = loss.backward();
            net.visit_mut(&mut Path::default(), &mut |_, entry| {
                if let EntryMut::Param(p) = entry
                    && let Some(dp) = grads.take(p)
                {
                    p.value_mut().add_scaled(-learning_rate, &dp);
                }
            });
            step += 1;
        }
    }
    pool.check(order, |x| Tape::eval().constant(x).apply(&net).value().clone());
}
