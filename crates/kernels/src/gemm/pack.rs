//! Copies of parts of A and B, for operands that the tiles cannot read well where they lie.

use super::tile::LINE;
use super::vector::prefetch;
use super::{Kernels, Mat};
use crate::real::Real;
use crate::square::{SIDE, turn as turn_square};
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

/// Rows that are fetched before they are copied.
const AHEAD: usize = 8;

crate::multiversion! {
    fn copy_rows<T: Real>(from: Mat<'_, T>, width: usize, to: &mut [T]) {
        for (i, to) in to.chunks_exact_mut(width).enumerate() {
            // Rows that are far apart are fetched ahead of their use, for the processor does not foresee them.
            let ahead = from.data.as_ptr().wrapping_add((i + AHEAD) * from.row);
            for line in 0..(from.cols * size_of::<T>()).div_ceil(LINE) + 1 {
                prefetch(ahead.wrapping_byte_add(line * LINE));
            }
            let (to, from) = (&mut to[..from.cols], &from.data[i * from.row..][..from.cols]);
            // Eight by eight, for a call that copies so few takes longer.
            let ((to, last_to), (from, last)) =
                (to.as_chunks_mut::<SIDE>(), from.as_chunks::<SIDE>());
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            last_to.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Rows that are copied of some columns before their neighbours: each column's piece is two lines of the cache, and the pieces of
/// a square fit the first-level cache even if they all fall into the same places there.
const DEEP: usize = 4 * SIDE;

crate::multiversion! {
    /// From a matrix whose columns are contiguous, or that has any strides.
    fn copy_columns<T: Real>(from: Mat<'_, T>, width: usize, to: &mut [T]) {
        let whole = if from.row == 1 { from.rows / SIDE * SIDE } else { 0 };
        let squares = from.cols / SIDE * SIDE;
        for first in (0..whole).step_by(DEEP) {
            for j in (0..squares).step_by(SIDE) {
                for i in (first..whole.min(first + DEEP)).step_by(SIDE) {
                    turn_square(&from.data[j * from.col + i..], from.col, &mut to[i * width + j..], width);
                }
            }
        }
        // The last columns are a square too if there is room for one; what fills it up is 0.
        let rest = from.cols - squares;
        let fills = rest > 0 && squares + SIDE <= width;
        for i in (0..if fills { whole } else { 0 }).step_by(SIDE) {
            let mut square = [T::ZERO; SIDE * SIDE];
            for (j, column) in square.chunks_exact_mut(SIDE).take(rest).enumerate() {
                column.copy_from_slice(&from.data[(squares + j) * from.col + i..][..SIDE]);
            }
            turn_square(&square, SIDE, &mut to[i * width + squares..], width);
        }
        let cols = if fills { from.cols } else { squares };
        // What the squares leave: the last columns of their rows, and the last rows.
        for i in 0..from.rows {
            let first = if i < whole { cols } else { 0 };
            for j in first..from.cols {
                to[i * width + j] = from.data[i * from.row + j * from.col];
            }
        }
    }
}
