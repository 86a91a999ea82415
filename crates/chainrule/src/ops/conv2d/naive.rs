//! The same convolution in explicit loops over every index: what the fast one is compared and timed against.

use super::{Cache, Conv2dParams, Grads, prepare};
use crate::check;
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::conv::naive;

/// As [`super::forward`].
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    params: &Conv2dParams,
) -> (Tensor, Cache) {
    let (mut y, cache) = prepare("conv2d", [x, w], b, params);
    float!(x.dtype(), T => {
        let (x, w, b) = (cache.x.data::<T>(), cache.w.data(), b.map(Tensor::data));
        naive::forward::<T>(&cache.shape, x, w, b, false, y.data_mut());
    });
    (y, cache)
}

/// As [`super::backward`].
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let Cache { x, w, has_bias, shape } = cache;
    check::upstream("conv2d", dy, &cache.output_shape(), x);
    let dy = dy.to_order(Order::ChannelsLast);
    let (mut dx, mut dw) = (x.dirty_like(), w.dirty_like());
    let mut db = has_bias.then(|| Tensor::zeros([shape.filters], x.dtype()));
    float!(x.dtype(), T => {
        naive::backward_data::<T>(shape, dy.data(), w.data(), dx.data_mut());
        naive::backward_weights::<T>(shape, x.data(), dy.data(), dw.data_mut());
        if let Some(db) = &mut db {
            let sums = db.data_mut::<T>();
            for (k, v) in dy.data::<T>().iter().enumerate() {
                sums[k % shape.filters] += *v;
            }
        }
    });
    Grads { dx, dw, db }
}
