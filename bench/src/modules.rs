//! The workloads made of modules, as a user of the library would write them.

use chainrule::models::{Model, ModuleModel, ResNetCe};
use chainrule::nn::{EntryMut, Params, Path, Sequential, init};
use chainrule::rng::Rng;

const PICTURES: [usize; 3] = [3, 32, 32];

/// The net of W1-sgdm, with its initial values.
pub fn five_layers(rng: &mut Rng) -> Box<dyn Model> {
    let mut net = Sequential::on(PICTURES, rng).flatten();
    for _ in 0..5 {
        net = net.linear(100).relu();
    }
    let mut net = net.linear(10).build();
    net.visit_mut(&mut Path::default(), &mut |_, entry| {
        if let EntryMut::Param(p) = entry {
            let shape = *p.value().shape();
            let bias = shape.len() == 1;
            *p.value_mut() =
                if bias { init::constant(shape, 0.0) } else { init::normal(shape, 2e-2, rng) };
        }
    });
    Box::new(ModuleModel::new(net, PICTURES))
}

/// W5.
pub fn two_layers(rng: &mut Rng) -> Box<dyn Model> {
    let net = Sequential::on(PICTURES, rng).flatten().linear(4000).relu().linear(10).build();
    Box::new(ModuleModel::new(net, PICTURES))
}

/// W6.
pub fn conv_net(rng: &mut Rng) -> Box<dyn Model> {
    let net = Sequential::on(PICTURES, rng).conv2d(32, 5).relu().conv2d(16, 3).relu();
    Box::new(ModuleModel::new(net.flatten().linear(10).build(), PICTURES))
}

/// W7.
pub fn resnet(rng: &mut Rng) -> Box<dyn Model> {
    Box::new(ModuleModel::new(ResNetCe::new(10, 0.3, rng), PICTURES))
}
