//! Convolution of channels-last pictures, and its gradients.

pub mod naive;
mod shape;

pub use shape::{ConvShape, output_size};

use crate::real::Real;

/// `y` (N, H', W', F) = the convolution of `x` (N, H, W, C) with `w` (F, C/groups, KH, KW), plus a bias for each filter, then
/// perhaps a ReLU, of which NaN stays NaN.
///
/// # Panics
/// If the sizes are not sound ([`ConvShape::problem`]) or a slice does not have them.
pub fn forward<T: Real>(
    shape: &ConvShape,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    naive::forward(shape, x, w, bias, relu, y);
}

/// `dx` (N, H, W, C), the gradient of x, from `dy` (N, H', W', F), the gradient of y.
///
/// # Panics
/// As [`forward`].
pub fn backward_data<T: Real>(shape: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    naive::backward_data(shape, dy, w, dx);
}

/// `dw` (F, C/groups, KH, KW), the gradient of w. That of the bias is [`column_sums`](crate::reduce::column_sums) of `dy`.
///
/// # Panics
/// As [`forward`].
pub fn backward_weights<T: Real>(shape: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    naive::backward_weights(shape, x, dy, dw);
}

/// What follows the sums of one pixel: the bias, then perhaps a ReLU, written so that NaN stays NaN.
#[inline(always)]
fn finish<T: Real>(row: &mut [T], bias: Option<&[T]>, relu: bool) {
    if let Some(bias) = bias {
        row.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
    }
    if relu {
        row.iter_mut().for_each(|y| *y = if T::ZERO > *y { T::ZERO } else { *y });
    }
}
