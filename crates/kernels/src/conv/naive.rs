//! What a convolution and its two gradients are, in explicit loops over every index.

use super::{ConvShape, finish};
use crate::real::Real;

/// `y[n, i, j, f] = sum over u, v, c of x[n, i s + u d - p, j s + v d - p, c] w[f, c, u, v]`, plus the bias, then perhaps a ReLU.
///
/// # Panics
/// If the sizes are not sound or a slice does not have them.
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
    for (pixel, row) in y.chunks_exact_mut(shape.filters).enumerate() {
        for (f, out) in row.iter_mut().enumerate() {
            *out = T::ZERO;
            taps(shape, pixel, f, |at_x, at_w| *out += x[at_x] * w[at_w]);
        }
        finish(row, bias, relu);
    }
}

/// `dx`: every output pixel, in order, adds `sum over f of dy[n, i, j, f] w[f, c, u, v]` to each input it has seen.
///
/// # Panics
/// If the sizes are not sound or a slice does not have them.
pub fn backward_data<T: Real>(shape: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    shape.check(dx.len(), w.len(), dy.len());
    dx.fill(T::ZERO);
    for (pixel, dy) in dy.chunks_exact(shape.filters).enumerate() {
        for group in dy.chunks_exact(shape.f_group()).enumerate() {
            let (first, dy) = (group.0 * shape.f_group(), group.1);
            taps(shape, pixel, first, |at_x, at_w| {
                let column = w[at_w..].iter().step_by(shape.patch());
                let sum = dy.iter().zip(column).fold(T::ZERO, |sum, (d, w)| sum + *d * *w);
                dx[at_x] += sum;
            });
        }
    }
}

/// `dw[f, c, u, v] = sum over n, i, j of dy[n, i, j, f] x[n, i s + u d - p, j s + v d - p, c]`.
///
/// # Panics
/// If the sizes are not sound or a slice does not have them.
pub fn backward_weights<T: Real>(shape: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    shape.check(x.len(), dw.len(), dy.len());
    dw.fill(T::ZERO);
    for (pixel, dy) in dy.chunks_exact(shape.filters).enumerate() {
        for (f, d) in dy.iter().enumerate() {
            taps(shape, pixel, f, |at_x, at_w| dw[at_w] += *d * x[at_x]);
        }
    }
}

/// Calls `f` with the places in x and w of every tap of filter `filter` at output pixel `pixel` that is not padding, in the
/// order (u, v, c).
fn taps(shape: &ConvShape, pixel: usize, filter: usize, mut f: impl FnMut(usize, usize)) {
    let (n, inside) = (pixel / shape.out_pixels(), pixel % shape.out_pixels());
    let (i, j) = (inside / shape.out_w(), inside % shape.out_w());
    let channels = shape.c_group();
    let first = filter / shape.f_group() * channels;
    for u in 0..shape.kh {
        let Some(row) = shape.under(0, i, u) else { continue };
        for v in 0..shape.kw {
            let Some(column) = shape.under(1, j, v) else { continue };
            let at_x = ((n * shape.h + row) * shape.w + column) * shape.c + first;
            for c in 0..channels {
                f(at_x + c, ((filter * channels + c) * shape.kh + u) * shape.kw + v);
            }
        }
    }
}
