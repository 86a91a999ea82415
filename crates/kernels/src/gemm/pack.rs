//! Copies of parts of A and B, for operands that the tiles cannot read well where they lie.

use super::{Kernels, Mat};
use crate::real::Real;
use crate::square::{SIDE, transpose};
use crate::threads::Shared;
use std::ops::Range;

/// Room for `k` rows of `n` columns of B in panels.
pub(super) fn b_len<T>(kernels: &Kernels<T>, k: usize, n: usize) -> usize {
    k * n.next_multiple_of(kernels.unit)
}

/// B's rows `k` and columns `columns` as panels, one after the other: for each k, a panel's numbers side by side. The last panel
/// is filled up with zeroes to a whole number of units. The panel that begins at column `columns.start + j` begins at
/// `to[j * k.len()]`.
///
/// # Panics
/// If `to` is shorter than [`b_len`] says.
pub(super) fn pack_b<T: Real>(
    kernels: &Kernels<T>,
    b: &Mat<T>,
    k: Range<usize>,
    columns: Range<usize>,
    to: &mut [T],
) {
    let (panels, _) = kernels.cut(columns.len());
    assert!(to.len() >= b_len(kernels, k.len(), columns.len()), "room for a part of B");
    // SAFETY: there is room for all panels.
    unsafe { pack_panels(kernels, b, k, columns, 0..panels, Shared(to.as_mut_ptr())) };
}

/// Some of the panels that [`pack_b`] makes.
///
/// # Safety
/// `to` must have room for all panels, and no other task may touch these.
pub(super) unsafe fn pack_panels<T: Real>(
    kernels: &Kernels<T>,
    b: &Mat<T>,
    k: Range<usize>,
    columns: Range<usize>,
    panels: Range<usize>,
    to: Shared<T>,
) {
    let (_, start) = kernels.cut(columns.len());
    for panel in panels {
        let (first, end) = (start(panel), start(panel + 1));
        let width = kernels.panel(end - first).width;
        // SAFETY: the panel lies between those before and after it; the caller's promise.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(first * k.len()), width * k.len()) };
        copy(&b.part(k.clone(), columns.start + first..columns.start + end), width, to);
    }
}

/// A's rows `rows` by columns: for each k, the rows' numbers side by side.
pub(super) fn pack_a<T: Real>(a: &Mat<T>, rows: Range<usize>, k: Range<usize>, to: &mut [T]) {
    let to = &mut to[..rows.len() * k.len()];
    copy(&a.part(rows.clone(), k).t(), rows.len(), to);
}

/// The transposed of a row-major matrix of `cols` columns.
pub(super) fn turn<T: Real>(from: &[T], cols: usize, to: &mut [T]) {
    let rows = from.len() / cols;
    copy(&Mat::new(from, rows, cols).t(), rows, &mut to[..from.len()]);
}

/// Copies a matrix into rows of `width`, filled up with zeroes.
fn copy<T: Real>(from: &Mat<T>, width: usize, to: &mut [T]) {
    if width > from.cols {
        to.chunks_exact_mut(width).for_each(|row| row[from.cols..].fill(T::ZERO));
    }
    if from.col == 1 {
        copy_rows(*from, width, to);
    } else {
        copy_columns(*from, width, to);
    }
}

crate::multiversion! {
    fn copy_rows<T: Real>(from: Mat<'_, T>, width: usize, to: &mut [T]) {
        for (i, to) in to.chunks_exact_mut(width).enumerate() {
            to[..from.cols].copy_from_slice(&from.data[i * from.row..][..from.cols]);
        }
    }
}

/// Rows that are copied of some columns before their neighbours: each column's piece is two lines of the cache, and what is
/// written stays in the first-level cache.
const DEEP: usize = 4 * SIDE;

crate::multiversion! {
    /// From a matrix whose columns are contiguous, or that has any strides.
    fn copy_columns<T: Real>(from: Mat<'_, T>, width: usize, to: &mut [T]) {
        let whole = if from.row == 1 { from.rows / SIDE * SIDE } else { 0 };
        // The last columns are a square too if there is room for one; what fills it up is 0.
        let end = from.cols.next_multiple_of(SIDE);
        let cols = if end <= width { end } else { end - SIDE };
        for first in (0..whole).step_by(DEEP) {
            let deep = DEEP.min(whole - first);
            for j in (0..cols).step_by(SIDE) {
                let pieces: [&[[T; SIDE]]; SIDE] = std::array::from_fn(|c| {
                    let column = if j + c < from.cols { (j + c) * from.col + first } else { 0 };
                    from.data[column..][..deep].as_chunks().0
                });
                for i in 0..deep / SIDE {
                    let columns = std::array::from_fn(|c| {
                        if j + c < from.cols { pieces[c][i] } else { [T::ZERO; SIDE] }
                    });
                    for (r, row) in transpose(columns).into_iter().enumerate() {
                        let to = &mut to[(first + i * SIDE + r) * width + j..];
                        to.as_chunks_mut().0[0] = row;
                    }
                }
            }
        }
        // What the squares leave: the last columns of their rows, and the last rows.
        for i in 0..from.rows {
            let first = if i < whole { cols } else { 0 };
            for j in first..from.cols {
                to[i * width + j] = from.data[i * from.row + j * from.col];
            }
        }
    }
}
