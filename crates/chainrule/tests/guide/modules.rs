use crate::Snippet;
use chainrule::data::{Normalization, Pictures, embedded};
use chainrule::models::ModuleModel;
use chainrule::nn::{BatchNorm2d, Conv2d, Linear, Module, Params, Sequential};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{Group, Quiet, Solver, SolverOptions};

pub const SNIPPETS: &[Snippet] =
    &[("use", use_it), ("freeze", freeze), ("sequential", sequential), ("solver", solver)];

// show: net
#[derive(Params)]
struct Net {
    conv: Conv2d,
    norm: BatchNorm2d,
    fc: Linear,
}

impl Net {
    fn new(rng: &mut Rng) -> Net {
        Net {
            conv: Conv2d::new(3, 8, 3, Conv2dParams::same(3), rng).no_bias(),
            norm: BatchNorm2d::new(8),
            fc: Linear::new(8, 10, rng),
        }
    }
}

impl Module for Net {
    fn forward(&self, x: &Var) -> Var {
        x.apply(&self.conv).apply(&self.norm).relu().global_avg_pool().apply(&self.fc)
    }
}
// end

fn use_it() -> chainrule::Result<()> {
    // show: use
    let net = Net::new(&mut Rng::new(0));
    for (name, value) in net.named_params() {
        println!("{name:12} {:?}", value.shape());
    }
    let tape = Tape::train(0);
    let x = tape.constant(Tensor::ones([2, 3, 8, 8], DType::F32));
    let grads = x.apply(&net).cross_entropy(&[3, 7]).backward();
    println!("{} numbers to learn, {} gradients", net.num_params(), grads.len());
    // end
    Ok(())
}

fn freeze() -> chainrule::Result<()> {
    // show: freeze
    let mut net = Net::new(&mut Rng::new(0));
    net.freeze(&|name| name.starts_with("conv"));
    let x = Tape::train(0).constant(Tensor::ones([2, 3, 8, 8], DType::F32));
    let grads = x.apply(&net).cross_entropy(&[3, 7]).backward();
    println!(
        "conv {}, fc {}",
        grads.get(&net.conv.weight).is_some(),
        grads.get(&net.fc.weight).is_some()
    );
    // end
    Ok(())
}

fn sequential() -> chainrule::Result<()> {
    // show: sequential
    let net = Sequential::on([3, 32, 32], &mut Rng::new(0))
        .conv2d(16, 3)
        .batch_norm()
        .relu()
        .max_pool2d(4)
        .flatten()
        .linear(10)
        .build();
    for layer in net.layers() {
        println!("{}", layer.describe());
    }
    // end
    Ok(())
}

fn solver() -> chainrule::Result<()> {
    // show: solver
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    let train = Pictures::new(splits.train.slice(0..500), normalization.clone());
    let val = Pictures::new(splits.val.slice(0..200), normalization);

    let mut model = ModuleModel::new(Net::new(&mut Rng::new(0)), [3, 32, 32]);
    let nesterov = OptimConfig { nesterov: Some(true), momentum: Some(0.9), ..OptimConfig::NONE };
    let options = SolverOptions {
        batch_size: 50,
        epochs: 3,
        learning_rate: 0.1,
        average: Some(0.9),              // keep a running average of the weights
        groups: Group::rates("fc=0.5")?, // the last layer learns at half the rate
        ..Default::default()
    };
    let rule = make("sgd", &nesterov)?;
    let history =
        Solver::new(&mut model, rule, &train, &val, options).train(&mut Rng::new(0), &mut Quiet)?;
    let (first, last) = (history.loss[0], history.loss[history.loss.len() - 1]);
    println!("{} steps; the loss fell: {}", history.loss.len(), last < first);
    // end
    Ok(())
}
