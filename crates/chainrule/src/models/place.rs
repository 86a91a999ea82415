//! Where in a network of explicit ops something is, as messages name it.

use super::Param;
use super::summary::Layer;
use crate::tensor::Tensor;

/// The layers as the parameters count them: W1, gamma1 and beta1 belong to the first. A convolution or an affine layer begins a
/// new one; norm, activation, pooling and dropout behind it belong to it.
fn numbered(layers: &[Layer]) -> Vec<&[Layer]> {
    let begins = |layer: &Layer| layer.name.starts_with("affine") || layer.name.starts_with("conv");
    layers.chunk_by(|_, next| !begins(next)).collect()
}

/// Layer `number` (from 0) with all that belongs to it: `layer 2 (conv 3x3 32 -> 64, batch norm, relu)`.
fn layer(layers: &[Layer], number: usize) -> String {
    let names: Vec<&str> = numbered(layers)[number].iter().map(|l| &l.name[..]).collect();
    format!("layer {} ({})", number + 1, names.join(", "))
}

/// The first layer whose output is not all finite numbers, given the outputs of all of them as they come.
pub(super) fn first_not_finite(
    layers: &[Layer],
    outputs: impl Iterator<Item = Tensor>,
) -> Option<String> {
    let found = outputs.map(|y| y.is_finite()).position(|finite| !finite);
    found.map(|number| layer(layers, number))
}

/// The part of a layer that parameter `i` is of: `layer 2 (batch norm)`. The parameters come in the order of the layers.
pub(super) fn of_param(layers: &[Layer], params: &[Param], i: usize) -> String {
    let before: usize = params[..i].iter().map(|p| p.value.len()).sum();
    let mut numbers = 0;
    for (number, parts) in numbered(layers).into_iter().enumerate() {
        for part in parts {
            numbers += part.params;
            if numbers > before {
                return format!("layer {} ({})", number + 1, part.name);
            }
        }
    }
    unreachable!("the layers have the parameters of the model")
}
