//! The same normalization of a batch to train on in explicit loops over every index, and its gradient node by node: what the fast
//! one is compared with. Running averages are the fast one's business.

use super::{BatchNormParams, Grads};
use crate::ops::spatial_group_norm::naive;
use crate::tensor::Tensor;

pub use naive::Cache;

/// As [`super::forward`] in training, row-major.
///
/// # Panics
/// If x does not have four axes, or gamma or beta not a number a channel.
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &BatchNormParams,
) -> (Tensor, Cache) {
    let [n, channels, h, w] = x.shape()[..] else {
        panic!("spatial_batch_norm: x must have four axes")
    };
    let pixels = h * w;
    let channel = |c: usize| {
        let planes = (0..n).map(move |picture| picture * channels + c);
        planes.flat_map(|p| (p * pixels..(p + 1) * pixels).map(move |place| (place, p))).collect()
    };
    naive::over((0..channels).map(channel).collect(), [x, gamma, beta], params.eps)
}

/// As [`super::backward`], row-major.
///
/// # Panics
/// If dy has fewer numbers than the output.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let by = naive::backward(dy, cache);
    Grads { dx: by.dx, dgamma: by.dgamma, dbeta: by.dbeta }
}
