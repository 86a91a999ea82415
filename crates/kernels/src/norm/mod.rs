//! Normalisation of a row-major matrix (N, D): its columns (batch norm), its rows (layer norm), or blocks of both (group norm).
//!
//! What is summed in which order is fixed by the shape. Down a column: blocks of [`ROW_BLOCK`] rows, each summed in order, then
//! the blocks in order. Along a row: 32 lanes, added pairwise. Statistics take two passes, the mean and then the squares of the
//! deviations from it, which keeps the digits of a variance that is small beside the mean.

mod columns;
mod graph;
mod groups;
mod panel;
mod rows;
mod view;

pub use columns::{Stats, batch_norm, batch_norm_backward, normalise};
pub use graph::batch_norm_backward_graph;
pub use groups::{GroupShape, group_norm, group_norm_backward};
pub use rows::{layer_norm, layer_norm_backward};

use crate::real::Real;
pub use crate::reduce::ROW_BLOCK;
use crate::threads::parallel_for;

/// Matrices with fewer elements than this are worked on by the calling thread alone: waking another would take as long.
const PARALLEL_FROM: usize = 16 * 1024;

/// What follows `xhat`, the normalised matrix: `gamma * xhat + beta` for each column, then perhaps a ReLU.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// (D), the scales.
    pub gamma: &'a [T],
    /// (D), the shifts.
    pub beta: &'a [T],
    /// Whether negative results are replaced by 0.
    pub relu: bool,
}

/// What backward reads: the matrices of forward and the upstream gradient.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a, T> {
    /// (N, D), what was normalised.
    pub x: &'a [T],
    /// (N, D), the gradient of the result.
    pub dy: &'a [T],
    /// The means that were subtracted, one a column (batch norm) or a row (layer norm).
    pub mean: &'a [T],
    /// The reciprocals of the standard deviations, likewise.
    pub rstd: &'a [T],
}

/// Where backward writes. `dx` is left out when nobody asked for it.
#[derive(Debug)]
pub struct Downstream<'a, T> {
    /// (N, D), the gradient of x.
    pub dx: Option<&'a mut [T]>,
    /// (D), the gradient of the scales.
    pub dgamma: &'a mut [T],
    /// (D), the gradient of the shifts.
    pub dbeta: &'a mut [T],
}

/// 0 for negative numbers; NaN stays NaN, so that a diverging run is noticed.
#[inline(always)]
fn relu<T: Real>(v: T) -> T {
    if T::ZERO > v { T::ZERO } else { v }
}

/// Tasks on `elements` numbers: in parallel if there are enough of them.
fn spread(elements: usize, tasks: usize, f: impl Fn(usize) + Sync) {
    if elements < PARALLEL_FROM {
        (0..tasks).for_each(f);
    } else {
        parallel_for(tasks, f);
    }
}
