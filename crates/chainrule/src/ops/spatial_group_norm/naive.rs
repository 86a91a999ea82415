//! The same normalization in explicit loops over every index, and its gradient node by node: what the fast one is compared with.

use super::{Grads, GroupNormParams, sizes};
use crate::tensor::Tensor;

/// Numbers that are normalised together: where each is in row-major order, and of which channel.
type Group = Vec<(usize, usize)>;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    x: Tensor,
    gamma: Tensor,
    groups: Vec<Group>,
    eps: f64,
}

/// As [`super::forward`], row-major.
///
/// # Panics
/// As [`super::forward`].
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &GroupNormParams,
) -> (Tensor, Cache) {
    let shape = sizes("spatial_group_norm", [x, gamma, beta], params);
    let (channels, pixels) = (shape.channels / shape.groups, shape.pixels);
    let group = |g: usize| {
        let planes = g * channels..(g + 1) * channels;
        planes.flat_map(|p| (p * pixels..(p + 1) * pixels).map(move |place| (place, p))).collect()
    };
    let groups: Vec<Group> = (0..shape.pictures * shape.groups).map(group).collect();
    over(groups, [x, gamma, beta], params.eps)
}

/// Normalises each group; a channel is counted on from picture to picture.
pub(in crate::ops) fn over(
    groups: Vec<Group>,
    [x, gamma, beta]: [&Tensor; 3],
    eps: f64,
) -> (Tensor, Cache) {
    let cache = Cache { x: x.clone(), gamma: gamma.clone(), groups, eps };
    let (values, scale, shift) = (x.to_vec(), gamma.to_vec(), beta.to_vec());
    let mut y = vec![0.0; values.len()];
    for group in &cache.groups {
        let (mean, deviation) = cache.statistics(&values, group);
        for &(place, plane) in group {
            let channel = plane % scale.len();
            y[place] = scale[channel] * (values[place] - mean) / deviation + shift[channel];
        }
    }
    (Tensor::from_f64(*x.shape(), &y).to_dtype(x.dtype()), cache)
}

/// As [`super::backward`], row-major.
///
/// # Panics
/// If dy has fewer numbers than the output.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let (x, scale, dy_values) = (cache.x.to_vec(), cache.gamma.to_vec(), dy.to_vec());
    let mut dx = vec![0.0; x.len()];
    let [mut dgamma, mut dbeta] = [vec![0.0; scale.len()], vec![0.0; scale.len()]];
    for group in &cache.groups {
        let (mean, deviation) = cache.statistics(&x, group);
        let count = group.len() as f64;
        // Through the scale, and from there by the variance and by the mean.
        let (mut by_variance, mut by_mean) = (0.0, 0.0);
        for &(place, plane) in group {
            let channel = plane % scale.len();
            let (from_mean, dxhat) = (x[place] - mean, dy_values[place] * scale[channel]);
            dgamma[channel] += dy_values[place] * from_mean / deviation;
            dbeta[channel] += dy_values[place];
            by_variance -= dxhat * from_mean / (2.0 * deviation.powi(3));
            by_mean -= dxhat / deviation;
        }
        for &(place, plane) in group {
            let dxhat = dy_values[place] * scale[plane % scale.len()];
            let by_all = (by_variance * 2.0 * (x[place] - mean) + by_mean) / count;
            dx[place] = dxhat / deviation + by_all;
        }
    }
    let like =
        |t: &Tensor, values: &[f64]| Tensor::from_f64(*t.shape(), values).to_dtype(dy.dtype());
    let (dx, [dgamma, dbeta]) =
        (like(&cache.x, &dx), [dgamma, dbeta].map(|sums| like(&cache.gamma, &sums)));
    Grads { dx, dgamma, dbeta }
}

impl Cache {
    /// The mean of a group, and the root of its variance plus eps.
    fn statistics(&self, values: &[f64], group: &Group) -> (f64, f64) {
        let count = group.len() as f64;
        let mean = group.iter().map(|(place, _)| values[*place]).sum::<f64>() / count;
        let squares: f64 = group.iter().map(|(place, _)| (values[*place] - mean).powi(2)).sum();
        (mean, (squares / count + self.eps).sqrt())
    }
}
