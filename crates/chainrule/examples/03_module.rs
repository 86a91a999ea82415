//! A convolutional net as a module: a struct of layers and its forward pass.
//!
//!     cargo run --release -p chainrule --example 03_module

use chainrule::Result;
use chainrule::data::{Normalization, Pictures, embedded, mean_image};
use chainrule::nn::{BatchNorm2d, Conv2d, EntryMut, Linear, Module, Params, Path};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Order};
use chainrule::train::Examples;

#[derive(Params)]
struct Net {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    fc: Linear,
}

impl Net {
    fn new(rng: &mut Rng) -> Net {
        let half = Conv2dParams::new(2, 1);
        Net {
            conv1: Conv2d::new(3, 16, 3, half, rng).no_bias(),
            bn1: BatchNorm2d::new(16),
            conv2: Conv2d::new(16, 32, 3, half, rng).no_bias(),
            bn2: BatchNorm2d::new(32),
            fc: Linear::new(32, 10, rng),
        }
    }
}

impl Module for Net {
    fn forward(&self, x: &Var) -> Var {
        let x = x.apply(&self.conv1).apply(&self.bn1).relu();
        let x = x.apply(&self.conv2).apply(&self.bn2).relu();
        x.global_avg_pool().apply(&self.fc)
    }
}

fn main() -> Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::MeanImage(mean_image(&splits.train));
    let train = Pictures::new(splits.train, normalization.clone());
    let val = Pictures::new(splits.val, normalization);

    let mut rng = Rng::new(0);
    let mut net = Net::new(&mut rng);
    net.named_params().iter().for_each(|(name, t)| println!("{name:<12} {:?}", t.shape()));

    let mut order = Vec::new();
    let tape = Tape::train(0);
    for epoch in 0..3 {
        rng.at(epoch, 0);
        rng.epoch_order(train.len(), &mut order);
        for indices in order.chunks(64) {
            let x = train.batch(indices, DType::F32, Order::ChannelsLast);
            let labels: Vec<usize> = indices.iter().map(|i| train.label(*i)).collect();
            let mut grads = tape.constant(x).apply(&net).cross_entropy(&labels).backward();
            net.visit_mut(&mut Path::default(), &mut |_, entry| {
                if let EntryMut::Param(p) = entry
                    && let Some(dp) = grads.take(p)
                {
                    p.value_mut().add_scaled(-0.05, &dp);
                }
            });
        }
        let all: Vec<usize> = (0..val.len()).collect();
        let x = val.batch(&all, DType::F32, Order::ChannelsLast);
        let predicted = Tape::eval().constant(x).apply(&net).value().argmax(1);
        let right = all.iter().filter(|i| predicted[**i] == val.label(**i)).count();
        println!(
            "epoch {}: validation accuracy {:.1}%",
            epoch + 1,
            100.0 * right as f64 / val.len() as f64
        );
    }
    Ok(())
}
