//! Nothing that is not a finite number gets into the weights.

use crate::error::{Error, Result};
use crate::models::Model;
use crate::rng::Rng;
use crate::tensor::Tensor;

/// That the loss of step `step` (from 1) and its gradients are finite numbers.
///
/// # Errors
/// If not: it names the step, what is not finite, and the layer where to look. Of a loss that is the first layer whose output is
/// not finite, which the forward pass of the batch `x`, done again with the random numbers `again`, shows. Of a gradient it is the layer nearest
/// to the loss, for a gradient flows from the last layer to the first, and what is not finite stays so.
pub(super) fn require(
    step: usize,
    loss: f64,
    model: &mut dyn Model,
    grads: &[Tensor],
    x: &Tensor,
    again: impl FnOnce() -> Rng,
) -> Result<()> {
    let found = grads.iter().rposition(|grad| !grad.is_finite());
    let advice = "the weights were left as they were; try a smaller learning rate or weight scale";
    let (what, value, advice) = match found {
        None if loss.is_finite() => return Ok(()),
        Some(i) if loss.is_finite() => {
            let value = grads[i].to_vec().into_iter().find(|v| !v.is_finite());
            let (name, place) = (&model.params()[i].name, model.place_of(i));
            let what = format!("a gradient of {name} in {place}, the nearest to the loss,");
            (what, value.unwrap_or(f64::NAN), advice.to_string())
        }
        _ => {
            let place = match model.first_not_finite(x, &mut again()) {
                _ if !x.is_finite() => "so are numbers of the input".to_string(),
                Some(place) => format!("it begins in the output of {place}"),
                None => "all layers' outputs are finite, the scores too".to_string(),
            };
            ("the loss".to_string(), loss, format!("{place}; {advice}"))
        }
    };
    Err(Error::NotFinite { step, what, value, advice })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Loss;
    use crate::models::{
        FullyConnectedConfig, FullyConnectedNet, ModuleModel, Norm, ResNetCe, SmallConvConfig,
        SmallConvNet, ThreeLayerConvConfig, ThreeLayerConvNet,
    };
    use crate::tensor::DType;

    /// What is said of a model's step when a parameter holds `value`, or its gradient does (`in_gradient`).
    fn said(model: &mut dyn Model, param: &str, value: f64, in_gradient: bool) -> String {
        let mut shape = vec![2];
        shape.extend_from_slice(model.input_shape());
        let mut rng = Rng::new(0);
        let x = Tensor::randn(&shape[..], 1.0, model.dtype(), &mut rng);
        let i = model.params().iter().position(|p| p.name == param).expect(param);
        let before = model.params()[i].value.clone();
        let poison = Tensor::full(*before.shape(), value, before.dtype());
        let mut grads = Vec::new();
        let loss = if in_gradient {
            let loss = model.loss(&x, &[0, 1], &mut rng, &mut grads);
            grads[i] = poison;
            loss
        } else {
            model.params_mut()[i].value = poison;
            model.loss(&x, &[0, 1], &mut rng, &mut grads)
        };
        let averages = model.buffers();
        let error = require(3, loss, model, &grads, &x, || Rng::new(0)).expect_err("not finite");
        let bits = |all: &[(String, Tensor)]| -> Vec<u64> {
            all.iter().flat_map(|(_, t)| t.to_vec()).map(f64::to_bits).collect()
        };
        assert_eq!(bits(&averages), bits(&model.buffers()), "the averages stay as they are");
        model.params_mut()[i].value = before;
        let text = error.to_string();
        assert!(text.starts_with("step 3: ") && text.contains("weights were left"), "{text}");
        text
    }

    #[track_caller]
    fn names(model: &mut dyn Model, param: &str, forward: &str, gradient: &str) {
        for value in [f64::NAN, f64::INFINITY] {
            let text = said(model, param, value, false);
            assert!(text.contains(&format!("it begins in the output of {forward};")), "{text}");
            let text = said(model, param, value, true);
            let wanted = format!("a gradient of {param} in {gradient}, the nearest to the loss,");
            assert!(text.contains(&wanted), "{text}");
        }
    }

    #[test]
    fn a_fully_connected_network_names_its_layer() {
        let config = FullyConnectedConfig {
            input_shape: vec![4],
            hidden: vec![5, 6],
            classes: 2,
            norm: Norm::Batch,
            dropout_keep: 0.9,
            ..FullyConnectedConfig::default()
        };
        let net = &mut FullyConnectedNet::new(config, &mut Rng::new(0));
        let second = "layer 2 (affine 5 -> 6, batch norm, relu, dropout, keeps 0.9)";
        names(net, "W2", second, "layer 2 (affine 5 -> 6)");
        names(net, "gamma2", second, "layer 2 (batch norm)");
        names(net, "b3", "layer 3 (affine 6 -> 2)", "layer 3 (affine 6 -> 2)");
    }

    #[test]
    fn convolutional_networks_name_their_layer() {
        let config = SmallConvConfig {
            input_shape: [3, 8, 8],
            channels: vec![4, 4, 6],
            classes: 2,
            reg: 0.0,
            loss: Loss::default(),
            dtype: DType::F32,
        };
        let net = &mut SmallConvNet::new(config, &mut Rng::new(0));
        let second = "layer 2 (conv 3x3 4 -> 4, batch norm, relu, max pool 2x2)";
        names(net, "W2", second, "layer 2 (conv 3x3 4 -> 4)");
        names(net, "beta1", "layer 1 (conv 3x3 3 -> 4, batch norm, relu)", "layer 1 (batch norm)");
        names(net, "W4", "layer 4 (affine 24 -> 2)", "layer 4 (affine 24 -> 2)");
        let config = ThreeLayerConvConfig {
            input_shape: [3, 8, 8],
            filters: 2,
            filter_size: 3,
            hidden: 5,
            classes: 2,
            ..ThreeLayerConvConfig::default()
        };
        let net = &mut ThreeLayerConvNet::new(config, &mut Rng::new(0));
        names(net, "W2", "layer 2 (affine 32 -> 5, relu)", "layer 2 (affine 32 -> 5)");
    }

    #[test]
    fn a_module_names_the_path_of_its_layer() {
        let net = ResNetCe::new(3, 0.0, &mut Rng::new(0));
        let model = &mut ModuleModel::new(net, [3, 32, 32]);
        let conv = "stage2.1.conv2: Conv2d(128 -> 128, 3x3, pad 1, no bias)";
        names(model, "stage2.1.conv2.weight", conv, conv);
        let squeeze = "stage1.0.se.squeeze_excite.2: Linear(64 -> 4)";
        names(model, "stage1.0.se.squeeze_excite.2.bias", squeeze, squeeze);
    }

    #[test]
    fn an_input_or_a_penalty_is_named_for_what_it_is() {
        let config = FullyConnectedConfig {
            input_shape: vec![4],
            hidden: vec![5],
            classes: 2,
            reg: 1e300,
            ..FullyConnectedConfig::default()
        };
        let net = &mut FullyConnectedNet::new(config, &mut Rng::new(0));
        let bad = Tensor::full([2, 4], f64::NAN, DType::F32);
        let text = require(1, f64::NAN, net, &[], &bad, || Rng::new(0)).expect_err("").to_string();
        assert!(text.contains("so are numbers of the input"), "{text}");
        let text = said(net, "W1", 1e18, false);
        assert!(text.contains("all layers' outputs are finite"), "{text}");
    }
}
