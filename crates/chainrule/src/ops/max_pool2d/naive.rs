//! The same pooling in explicit loops over every index: what the fast one is compared and timed against.

use super::{MaxPool2dParams, Pictures, sliding};
use crate::tensor::{Tensor, float};
use chainrule_kernels::pool::naive;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    pictures: Pictures,
    which: Vec<usize>,
}

/// As [`super::forward`].
///
/// # Panics
/// As [`super::forward`].
#[track_caller]
pub fn forward(x: &Tensor, params: &MaxPool2dParams) -> (Tensor, Cache) {
    let pictures = sliding("max_pool2d", x, params);
    let mut y = pictures.output();
    let which = float!(x.dtype(), T => {
        let (values, which) = naive::max_pool::<T>(x.data(), &pictures.shape);
        y.data_mut::<T>().copy_from_slice(&values);
        which
    });
    (y, Cache { pictures, which })
}

/// As [`super::backward`].
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { pictures, which } = cache;
    let (mut dx, dy) = pictures.gradient("max_pool2d", dy);
    float!(pictures.dtype, T => {
        let values = naive::max_pool_back::<T>(dy.data(), which, &pictures.shape);
        dx.data_mut::<T>().copy_from_slice(&values);
    });
    dx
}
