//! What `summary` says that a training step takes is what it takes, at any batch size.
//! One test in a process of its own, because it measures what every thread takes.

use chainrule::models::{Architecture, Loss, ModelConfig, Task, summary};
use chainrule::optim::{OptimConfig, make, states};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};
use chainrule_kernels::buffer::{pool_stats, reset_peak};
use chainrule_kernels::threads::set_threads;

const MODELS: [&str; 10] = [
    "small-convnet",
    "three-layer-convnet",
    "fully-connected",
    "resnet-ce",
    "resnet-18",
    "densenet",
    "course-fc",
    "course-convnet",
    "mobilenet",
    "vgg",
];

#[test]
fn the_memory_of_a_step_is_foretold_within_a_fifth() {
    set_threads(2);
    let task = Task {
        input_shape: vec![3, 32, 32],
        classes: 10,
        loss: Loss::default(),
        reg: 1e-3,
        dtype: DType::F32,
    };
    for name in MODELS {
        let architecture = Architecture::named(name).expect("a known model");
        for batch in [2, 16] {
            let before = pool_stats().in_use;
            let mut rng = Rng::new(1);
            let model = architecture.make(&task, &ModelConfig::NONE, &mut rng);
            let mut model = model.expect("a model of pictures");
            let rule = || {
                let rule = make(architecture.recipe.optim, &OptimConfig::default());
                rule.expect("a known rule")
            };
            let foretold = summary::memory(&*model, batch, states(rule())).total() as f64;
            let x = Tensor::randn([batch, 3, 32, 32], 1.0, DType::F32, &mut rng);
            let x = x.to_order(model.order());
            let labels: Vec<usize> = (0..batch).map(|i| i % 10).collect();
            let (mut rule, mut grads) = (rule(), Vec::new());
            // The second step has the state of the rule and the gradients of the first.
            for _ in 0..2 {
                reset_peak();
                model.loss(&x, &labels, &mut rng, &mut grads);
                rule.begin_step();
                for (slot, (p, g)) in model.params_mut().iter_mut().zip(&grads).enumerate() {
                    rule.update(slot, &mut p.value, g, 1e-3, p.decay);
                }
            }
            let measured = (pool_stats().peak - before) as f64;
            let ratio = foretold / measured;
            let what = format!("{} at {batch}", architecture.name);
            println!("{what}: {foretold} bytes foretold, {measured} taken, ratio {ratio:.3}");
            assert!((0.8..=1.2).contains(&ratio), "{what}: {foretold} foretold, {measured} taken");
        }
    }
}
