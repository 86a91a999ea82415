//! Convolution of channels-last pictures, and its gradients: by Winograd's algorithm where f32 allows, channel by channel where
//! each has its own filter, else as a product with patches that are never in memory as a whole.

mod depthwise;
mod direct;
pub mod naive;
mod patches;
mod rows;
mod segments;
mod shape;
mod task;
#[cfg(test)]
mod tests;
mod winograd;

pub use shape::{ConvShape, output_size};
pub(crate) use task::Registers;

use crate::real::Real;
use crate::threads::parallel_chunks;

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
    shape.check(x.len(), w.len(), y.len());
    assert!(bias.is_none_or(|b| b.len() == shape.filters), "one bias for each filter");
    if y.is_empty() {
        return;
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::forward(shape, x, w, bias, relu, y),
        Algorithm::Winograd => with_f32(x, w, y, |x, w, y| {
            winograd::forward(shape, x, w, bias.and_then(T::as_f32), relu, y);
        }),
        Algorithm::Rows => rows::forward(shape, x, w, bias, relu, y),
        Algorithm::Direct => direct::forward(shape, x, w, bias, relu, y),
    }
}

/// `dx` (N, H, W, C), the gradient of x, from `dy` (N, H', W', F), the gradient of y.
///
/// # Panics
/// As [`forward`].
pub fn backward_data<T: Real>(shape: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    shape.check(dx.len(), w.len(), dy.len());
    if dx.is_empty() {
        return;
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::backward_data(shape, dy, w, dx),
        Algorithm::Winograd => with_f32(dy, w, dx, |dy, w, dx| {
            winograd::backward_data(shape, dy, w, dx);
        }),
        Algorithm::Rows | Algorithm::Direct => direct::backward_data(shape, dy, w, dx),
    }
}

/// `dw` (F, C/groups, KH, KW), the gradient of w. That of the bias is [`column_sums`](crate::reduce::column_sums) of `dy`.
///
/// # Panics
/// As [`forward`].
pub fn backward_weights<T: Real>(shape: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    shape.check(x.len(), dw.len(), dy.len());
    if dy.is_empty() {
        return dw.fill(T::ZERO);
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::backward_weights(shape, x, dy, dw),
        Algorithm::Winograd => with_f32(x, dy, dw, |x, dy, dw| {
            winograd::backward_weights(shape, x, dy, dw);
        }),
        Algorithm::Rows => rows::backward_weights(shape, x, dy, dw),
        Algorithm::Direct => direct::backward_weights(shape, x, dy, dw),
    }
}

/// Which way a convolution goes. It depends on the type and the shape of a picture and of the filters, not on how many pictures
/// there are, so that a picture's result does not depend on the batch it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Depthwise,
    Winograd,
    Rows,
    Direct,
}

impl Algorithm {
    fn of<T: Real>(s: &ConvShape) -> Algorithm {
        if depthwise::applies(s) {
            Algorithm::Depthwise
        } else if T::as_f32(&[]).is_some() && winograd::applies(s) {
            Algorithm::Winograd
        } else if rows::applies(s) && !direct::is_product(s) {
            Algorithm::Rows
        } else {
            Algorithm::Direct
        }
    }
}

/// Calls `f` with the slices as what they are, slices of f32.
fn with_f32<T: Real>(a: &[T], b: &[T], c: &mut [T], f: impl FnOnce(&[f32], &[f32], &mut [f32])) {
    if let (Some(a), Some(b), Some(c)) = (T::as_f32(a), T::as_f32(b), T::as_f32_mut(c)) {
        f(a, b, c);
    }
}

/// Adds up parts of `len` numbers in order; the sum takes the place of the first.
fn sum_parts<T: Real>(parts: &mut [T], len: usize) -> &[T] {
    const TASK: usize = 4096;
    let (total, others) = parts.split_at_mut(len);
    parallel_chunks(total, TASK, |i, total| add_parts(total, others, i * TASK, len));
    total
}

crate::multiversion! {
    /// Adds numbers `from..` of every part to `total`, in the order of the parts.
    fn add_parts<T: Real>(total: &mut [T], parts: &[T], from: usize, len: usize) {
        for part in parts.chunks_exact(len) {
            total.iter_mut().zip(&part[from..]).for_each(|(t, p)| *t += *p);
        }
    }
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
