//! The gradient checks of whole models: every parameter against numerical derivatives of the loss.

use super::{ARCHITECTURES, FullyConnectedConfig, FullyConnectedNet, Loss, Model, Norm};
use crate::gradcheck::{Backward, Case};
use crate::ops::Op;
use crate::rng::Rng;
use crate::tensor::{DType, Tensor, float};
use chainrule_kernels::Real;

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
    let softmax = Loss::Softmax { label_smoothing: 0.0 };
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

/// The parameters of a network as inputs, the loss of a fixed batch as output. Every run starts from the same state and draws
/// the same masks.
fn case(name: &'static str, config: FullyConnectedConfig) -> Case {
    const NAMES: [&str; 10] =
        ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"];
    let mut rng = Rng::new(7);
    let model = FullyConnectedNet::new(config.clone(), &mut rng);
    let x = Tensor::randn([6, 15], 1.0, DType::F32, &mut rng);
    let labels = [3, 0, 9, 1, 3, 7];
    let mut case = Case::new("fully-connected", name).tolerance(1e-6).tolerance_f32(1e-4);
    for param in model.params() {
        let name = NAMES.into_iter().find(|n| *n == param.name).unwrap_or("parameter");
        case = case.input_values(name, param.value.to_dtype(DType::F32));
    }
    case.run_slice(move |params| {
        let dtype = params[0].dtype();
        let mut rng = Rng::new(5);
        let mut model = FullyConnectedNet::new(FullyConnectedConfig { dtype, ..config.clone() }, &mut rng);
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
