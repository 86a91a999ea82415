//! A training step on the tape, once it is warm, asks for no memory, neither the pool of blocks nor the global allocator: of a
//! module that a solver trains, and of bare tensors in a loop of one's own. A program of its own without the test harness, which
//! has threads and asks for memory too.

use chainrule::models::{Model, ModuleModel};
use chainrule::nn::{Concat, Conv2d, GroupNorm, PRelu, Params, Residual, Sequential};
use chainrule::ops::conv2d::Conv2dParams;
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tape::Tape;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule_kernels::buffer::pool_stats;
use chainrule_kernels::counting::{Counting, requests};
use chainrule_kernels::threads::set_threads;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a step until it is warm, then counts what 50 of them ask for: of the allocator, and of the pool.
fn asked(mut step: impl FnMut(u64)) -> (usize, usize) {
    (0..20).for_each(&mut step);
    let (before, pool) = (requests(), pool_stats().system_requests);
    (20..70).for_each(&mut step);
    (requests() - before, pool_stats().system_requests - pool)
}

fn main() {
    set_threads(2);
    let mut rng = Rng::new(0);
    let net = Sequential::on([3, 8, 8], &mut rng)
        .conv2d(8, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .layer(Residual::new(Sequential::on([8, 4, 4], &mut Rng::new(1)).conv2d(8, 3).build()))
        .layer(Concat { body: Conv2d::new(8, 4, 1, Conv2dParams::default(), &mut Rng::new(2)) })
        .layer(GroupNorm::new(3, 12))
        .layer(PRelu::new(12))
        .flatten()
        .linear(20)
        .layer_norm()
        .gelu()
        .dropout(0.5)
        .linear(10)
        .build();
    assert_eq!(net.named_params().len(), 17);
    let mut model = ModuleModel::new(net, [3, 8, 8]);
    let mut rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let x = Tensor::randn([16, 3, 8, 8], 1.0, DType::F32, &mut rng).to_order(Order::ChannelsLast);
    let labels: Vec<usize> = (0..16).map(|i| i % 10).collect();
    let mut grads = Vec::new();
    let module = asked(|t| {
        rng.at(0, t);
        let loss = model.loss(&x, &labels, &mut rng, &mut grads);
        assert!(loss.is_finite());
        rule.begin_step();
        for (slot, (p, g)) in model.params_mut().iter_mut().zip(&grads).enumerate() {
            rule.update(slot, &mut p.value, g, 1e-3, p.decay);
        }
    });
    assert_eq!(module, (0, 0), "a module: requests of the allocator and of the pool in 50 steps");

    let mut rng = Rng::new(3);
    let mut normal = |shape: &[usize]| Tensor::randn(shape, 0.1, DType::F32, &mut rng);
    let mut params = [normal(&[192, 30]), normal(&[30]), normal(&[30, 10])];
    let tape = Tape::train(0);
    let bare = asked(|_| {
        let [w1, b, w2] = &params;
        let scores = (tape.constant(x.clone()).flatten().matmul(w1) + b).relu().matmul(w2);
        let mut grads = scores.cross_entropy(&labels).backward();
        for w in &mut params {
            let dw = grads.take(&*w).expect("the loss depends on all");
            w.add_scaled(-0.1, &dw);
        }
        tape.reuse(grads);
    });
    assert_eq!(bare, (0, 0), "bare tensors: requests of the allocator and of the pool in 50 steps");
}
