//! The backward pass of batch norm as the computation graph has it, one node after the other.
//!
//! The closed form beside it ([`super::batch_norm_backward`]) reads x and dy twice and writes dx once; this one makes a matrix
//! for every node. It is kept to be learned from, checked against and timed.

use super::{Affine, Downstream, Upstream};
use crate::buffer::Buffer;
use crate::real::Real;
use crate::reduce::column_sums;

/// The gradients of train-mode batch norm, node by node, with `s = sqrt(var + eps)`, `xc = x - mean` and `g = dy gamma`:
///
/// ```text
/// dbeta = sum dy          dgamma = sum dy xhat      ds  = -sum(g xc) / s^2      dvar = ds / (2 s)
/// dxc   = g / s + 2 xc dvar / N                     dmu = -sum dxc              dx   = dxc + dmu / N
/// ```
/// A ReLU after the affine map is not part of this graph.
///
/// # Panics
/// If there is no row, a length does not fit, or `after` has a ReLU.
pub fn batch_norm_backward_graph<T: Real>(up: Upstream<T>, after: Affine<T>, to: Downstream<T>) {
    let Upstream { x, dy, mean, rstd } = up;
    let d = mean.len();
    assert!(!after.relu, "the graph form has no ReLU");
    assert!(d > 0 && !x.is_empty() && x.len().is_multiple_of(d), "statistics need a row");
    assert!(
        dy.len() == x.len() && rstd.len() == d && after.gamma.len() == d,
        "sizes of batch norm"
    );
    let count = T::from_f64((x.len() / d) as f64);
    let half = T::ONE / T::from_f64(2.0);
    let std = vector(d, |j| T::ONE / rstd[j]);
    let centred = matrix([x, x], d, |j, [x, _]| x - mean[j]);

    column_sums(dy, to.dbeta);
    let terms = matrix([dy, &centred], d, |j, [dy, xc]| dy * (xc / std[j]));
    column_sums(&terms, to.dgamma);

    let g = matrix([dy, dy], d, |j, [dy, _]| dy * after.gamma[j]);
    let terms = matrix([&g, &centred], d, |_, [g, xc]| g * xc);
    let mut sums = Buffer::<T>::dirty(d);
    column_sums(&terms, sums.make_mut());
    let dstd = vector(d, |j| -sums[j] / (std[j] * std[j]));
    let dvar = vector(d, |j| dstd[j] * half / std[j]);

    let through_std = matrix([&g, &g], d, |j, [g, _]| g / std[j]);
    let two = T::ONE + T::ONE;
    let through_var = matrix([&centred, &centred], d, |j, [xc, _]| two * xc * dvar[j] / count);
    let dcentred = matrix([&through_std, &through_var], d, |_, [a, b]| a + b);
    column_sums(&dcentred, sums.make_mut());
    if let Some(dx) = to.dx {
        let dx_values = matrix([&dcentred, &dcentred], d, |j, [dxc, _]| dxc - sums[j] / count);
        dx.copy_from_slice(&dx_values);
    }
}

/// One number a column.
fn vector<T: Real>(d: usize, f: impl Fn(usize) -> T) -> Buffer<T> {
    let mut to = Buffer::<T>::dirty(d);
    to.make_mut().iter_mut().enumerate().for_each(|(j, v)| *v = f(j));
    to
}

/// A node: a matrix made of two others, element by element.
fn matrix<T: Real>(from: [&[T]; 2], d: usize, f: impl Fn(usize, [T; 2]) -> T) -> Buffer<T> {
    let mut to = Buffer::<T>::dirty(from[0].len());
    let rows = to.make_mut().chunks_exact_mut(d).zip(from[0].chunks_exact(d));
    for ((to, a), b) in rows.zip(from[1].chunks_exact(d)) {
        let row = to.iter_mut().zip(a).zip(b).enumerate();
        row.for_each(|(j, ((to, a), b))| *to = f(j, [*a, *b]));
    }
    to
}
