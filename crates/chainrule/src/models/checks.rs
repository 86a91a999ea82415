//! The gradient checks of whole models: every parameter against numerical derivatives of the loss.

use super::{
    ARCHITECTURES, Architecture, FullyConnectedConfig, FullyConnectedNet, Loss, Model, Norm,
    SmallConvConfig, SmallConvNet, Task, ThreeLayerConvConfig, ThreeLayerConvNet,
};
use crate::gradcheck::{Backward, Case};
use crate::ops::Op;
use crate::rng::Rng;
use crate::tensor::{DType, Tensor, float};
use chainrule_kernels::Real;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The models whose gradients are checked, like ops: all of them.
pub fn checked_models() -> impl Iterator<Item = Op> + Clone {
    ARCHITECTURES.iter().map(|a| Op { name: a.name, checks: a.checks })
}

/// The cases of [`FullyConnectedNet`].
pub(super) fn fully_connected() -> Vec<Case> {
    let config = |norm, dropout_keep, reg, loss| FullyConnectedConfig {
        input_shape: vec![15],
        hidden: vec![20, 30],
        norm,
        dropout_keep,
        reg,
        weight_scale: Some(0.3),
        loss,
        dtype: DType::F64,
        ..FullyConnectedConfig::default()
    };
    let case = |name, config: FullyConnectedConfig| {
        case("fully-connected", name, &[15], move |dtype, rng| {
            Box::new(FullyConnectedNet::new(FullyConnectedConfig { dtype, ..config.clone() }, rng))
        })
    };
    let softmax = Loss::default();
    vec![
        case("plain", config(Norm::None, 1.0, 0.0, softmax)),
        case("L2", config(Norm::None, 1.0, 2.5, softmax)),
        case("smoothed", config(Norm::None, 1.0, 0.0, Loss::Softmax { label_smoothing: 0.2 })),
        case("SVM", config(Norm::None, 1.0, 0.0, Loss::Svm)),
        case("batch norm", config(Norm::Batch, 1.0, 0.1, softmax)),
        case("layer norm", config(Norm::Layer, 1.0, 0.1, softmax)),
        case("dropout", config(Norm::None, 0.75, 0.0, softmax)),
        case("all of it", config(Norm::Batch, 0.75, 0.1, Loss::Softmax { label_smoothing: 0.1 })),
    ]
}

/// The cases of [`ThreeLayerConvNet`].
pub(super) fn three_layer_conv() -> Vec<Case> {
    let case = |name, reg, loss| {
        case("three-layer-convnet", name, &[2, 6, 4], move |dtype, rng| {
            let config = ThreeLayerConvConfig {
                input_shape: [2, 6, 4],
                filters: 3,
                filter_size: 3,
                hidden: 7,
                weight_scale: Some(0.3),
                reg,
                loss,
                dtype,
                weights: dtype,
                ..ThreeLayerConvConfig::default()
            };
            Box::new(ThreeLayerConvNet::new(config, rng))
        })
    };
    vec![
        case("plain", 0.0, Loss::default()),
        case("L2", 0.7, Loss::default()),
        case("SVM", 0.0, Loss::Svm),
    ]
}

/// The cases of [`SmallConvNet`]: one stage of two convolutions, one of one.
pub(super) fn small_conv() -> Vec<Case> {
    let case = |name, reg, loss| {
        case("small-convnet", name, &[2, 5, 4], move |dtype, rng| {
            let config = SmallConvConfig {
                input_shape: [2, 5, 4],
                channels: vec![3, 3, 4],
                classes: 10,
                reg,
                loss,
                dtype,
            };
            Box::new(SmallConvNet::new(config, rng))
        })
    };
    vec![
        case("plain", 0.0, Loss::default()),
        case("L2, smoothed", 0.3, Loss::Softmax { label_smoothing: 0.1 }),
    ]
}

/// The case of a listed module, in its small form. A deep net has many kinks; with this seed its units are away from theirs
/// (`seeds_away_from_kinks` finds such seeds).
pub(super) fn module(name: &'static str, seed: u64) -> Vec<Case> {
    let loss = Loss::Softmax { label_smoothing: 0.1 };
    let smoothed = case(name, "L2, smoothed", &[3, 4, 4], move |dtype, _| {
        let task = Task { input_shape: vec![3, 4, 4], classes: 10, loss, reg: 0.3, dtype };
        let rng = &mut Rng::new(seed);
        let made = Architecture::named(name).and_then(|a| a.make(&task, &(a.small)(), rng));
        let mut model = made.unwrap_or_else(|e| panic!("{name} in its small form: {e}"));
        // Small initial weights would put units near the kinks of their ReLUs.
        for param in model.params_mut().iter_mut().filter(|p| p.value.shape().len() == 2) {
            let noise = Tensor::randn(*param.value.shape(), 0.5, dtype, rng);
            param.value = &param.value + &noise;
        }
        model
    });
    vec![smoothed]
}

/// The parameters of a network as inputs, the loss of a fixed batch as output. Every run starts from the same state and draws
/// the same masks.
fn case(
    op: &'static str,
    name: &'static str,
    input: &[usize],
    make: impl Fn(DType, &mut Rng) -> Box<dyn Model> + 'static,
) -> Case {
    let mut rng = Rng::new(7);
    let model = make(DType::F64, &mut rng);
    let shape = [&[6], input].concat();
    let x = Tensor::randn(&shape[..], 1.0, DType::F32, &mut rng);
    let labels = [3, 0, 9, 1, 3, 7];
    let mut case = Case::new(op, name).tolerance(1e-6).tolerance_f32(1e-4);
    for param in model.params() {
        case = case.input_values(known(&param.name), param.value.to_dtype(DType::F32));
    }
    case.run_slice(move |params| {
        let dtype = params[0].dtype();
        let mut rng = Rng::new(5);
        let mut model = make(dtype, &mut rng);
        model.params_mut().iter_mut().zip(params).for_each(|(p, t)| p.value = t.clone());
        let mut grads = Vec::new();
        let loss = model.loss(&x.to_dtype(dtype), &labels, &mut rng, &mut grads);
        let backward: Backward = Box::new(move |needs, dy| {
            let scaled = |g: &Tensor| {
                let mut g = g.clone();
                float!(g.dtype(), T => g.data_mut::<T>().iter_mut().for_each(|v| *v *= T::from_f64(dy.item())));
                g
            };
            needs.iter().zip(&grads).map(|(needed, g)| needed.then(|| scaled(g))).collect()
        });
        (Tensor::scalar(loss, dtype), backward)
    })
}

/// The name of a parameter for as long as the program lives, which is what a case takes. Equal names are kept once.
fn known(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(name) {
        return name;
    }
    let name = String::from(name).leak();
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::{Outcome, check, numerical_gradient, rel_error};

    /// A small model of every architecture that has seen a batch, so that its running averages are somebody's.
    fn trained() -> Vec<Box<dyn Model>> {
        let task = Task {
            input_shape: vec![3, 8, 8],
            classes: 4,
            loss: Loss::default(),
            reg: 0.0,
            dtype: DType::F64,
        };
        let mut rng = Rng::new(3);
        let make = |a: &Architecture| {
            let mut model = a.make(&task, &(a.small)(), &mut rng).expect("a small model");
            let x = Tensor::randn([9, 3, 8, 8], 1.0, DType::F64, &mut rng);
            model.loss(&x, &[0, 1, 2, 3, 0, 1, 2, 3, 0], &mut rng, &mut Vec::new());
            model
        };
        ARCHITECTURES.iter().map(make).collect()
    }

    /// `cargo test --release -p chainrule --lib seeds_away -- --ignored --nocapture`
    #[test]
    #[ignore = "a search, for whoever adds a model"]
    fn seeds_away_from_kinks() {
        for name in ARCHITECTURES.iter().skip(3).map(|a| a.name) {
            let fits = |seed: &u64| {
                let passes = |case: &Case| check(case).iter().all(Outcome::passed);
                module(name, *seed).iter().all(passes)
            };
            println!("{name}: {:?}", (0..200).find(fits));
        }
    }

    #[test]
    fn a_trace_is_the_gradient_of_a_score_by_the_picture() {
        for model in trained() {
            let x = Tensor::randn([2, 3, 8, 8], 1.0, DType::F64, &mut Rng::new(8));
            let trace = model.trace(&x, &[2, 1]);
            assert_eq!(trace.scores.to_vec(), model.scores(&x).to_vec(), "{}", model.name());
            let own = |x: &Tensor| {
                let scores = model.scores(x);
                scores.at(&[0, 2]) + scores.at(&[1, 1])
            };
            let numerical = numerical_gradient(own, &x, 1e-5);
            let error = rel_error(&numerical, &trace.dx.to_order(numerical.order()));
            assert!(error < 1e-5, "{}: {error}", model.name());
        }
    }
}
