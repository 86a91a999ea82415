//! What a training step on the tape asks of the allocator once it is warm: nothing of the pool of tensors' memory, and of the
//! global allocator a few small blocks an op. One test in a process of its own, because it counts the requests of every thread.

use chainrule::models::{Model, ModuleModel};
use chainrule::nn::{Params, Sequential};
use chainrule::optim::{OptimConfig, make};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};
use chainrule_kernels::buffer::pool_stats;
use chainrule_kernels::counting::{Counting, requests};
use chainrule_kernels::threads::set_threads;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_takes_its_memory_from_the_last_one() {
    set_threads(2);
    let mut rng = Rng::new(0);
    let net = Sequential::on([3, 8, 8], &mut rng)
        .conv2d(8, 3)
        .batch_norm()
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(20)
        .relu()
        .dropout(0.5)
        .linear(10)
        .build();
    assert_eq!(net.named_params().len(), 8);
    let mut model = ModuleModel::new(net, [3, 8, 8]);
    let mut rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let x = Tensor::randn([16, 3, 8, 8], 1.0, DType::F32, &mut rng).to_order(Order::ChannelsLast);
    let labels: Vec<usize> = (0..16).map(|i| i % 10).collect();
    let mut grads = Vec::new();
    let mut step = |t: u64| {
        rng.at(0, t);
        let loss = model.loss(&x, &labels, &mut rng, &mut grads);
        rule.begin_step();
        for (slot, (p, g)) in model.params_mut().iter_mut().zip(&grads).enumerate() {
            rule.update(slot, &mut p.value, g, 1e-3, p.decay);
        }
        loss
    };
    (0..20).for_each(|t| _ = step(t));
    let (before, pool) = (requests(), pool_stats().system_requests);
    for t in 20..70 {
        assert!(step(t).is_finite());
    }
    let (asked, pool) = ((requests() - before) as f64 / 50.0, pool_stats().system_requests - pool);
    println!("{asked} requests of the global allocator a step of 9 layers and 8 parameters");
    assert_eq!(pool, 0, "blocks for tensors that the pool did not have");
    assert!(asked < 60.0, "{asked} requests a step");
}
