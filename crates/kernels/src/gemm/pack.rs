//! Copies of parts of A and B in the order in which the tiles read them.

use super::{Kernels, Mat};
use crate::real::Real;
use std::ops::Range;

/// Room for `k` rows of `n` columns of B in panels.
pub(super) fn b_len<T>(kernels: &Kernels<T>, k: usize, n: usize) -> usize {
    k * n.next_multiple_of(kernels.narrow)
}

/// Room for `m` rows of A in strips of `tile` rows.
pub(super) fn a_len(tile: usize, m: usize, k: usize) -> usize {
    m.next_multiple_of(tile) * k
}

/// B's rows `k` and columns `columns` as panels: for each k, `wide` numbers side by side. The last panel may be narrower, and
/// is filled up with zeroes.
pub(super) fn pack_b<T: Real>(
    kernels: &Kernels<T>,
    b: &Mat<T>,
    k: Range<usize>,
    columns: Range<usize>,
    to: &mut [T],
) {
    let mut rest = to;
    for j in columns.clone().step_by(kernels.wide) {
        let left = columns.end - j;
        let width = kernels.wide.min(left.next_multiple_of(kernels.narrow));
        let (panel, after) = rest.split_at_mut(width * k.len());
        rest = after;
        let from = &b.data[(k.start * b.row + j * b.col).min(b.data.len())..];
        if b.col == 1 {
            pack_rows(from, b.row, width.min(left), width, panel);
        } else {
            pack_columns(from, b.row, b.col, width.min(left), width, panel);
        }
    }
}

/// A's rows `rows` as strips of `tile` rows: for each k, `tile` numbers side by side, filled up with zeroes.
pub(super) fn pack_a<T: Real>(
    tile: usize,
    a: &Mat<T>,
    rows: Range<usize>,
    k: Range<usize>,
    to: &mut [T],
) {
    for (strip, i) in to.chunks_exact_mut((tile * k.len()).max(1)).zip(rows.clone().step_by(tile)) {
        let valid = tile.min(rows.end - i);
        let from = &a.data[(i * a.row + k.start * a.col).min(a.data.len())..];
        if a.row == 1 {
            pack_rows(from, a.col, valid, tile, strip);
        } else {
            pack_columns(from, a.col, a.row, valid, tile, strip);
        }
    }
}

/// Copies `valid` numbers from each row of stride `row`, and zeroes up to `width`.
fn pack_rows<T: Real>(from: &[T], row: usize, valid: usize, width: usize, to: &mut [T]) {
    match (valid == width, width) {
        (true, 6) => copy_rows::<T, 6>(from, row, to),
        (true, 8) => copy_rows::<T, 8>(from, row, to),
        (true, 12) => copy_rows::<T, 12>(from, row, to),
        (true, 16) => copy_rows::<T, 16>(from, row, to),
        (true, 32) => copy_rows::<T, 32>(from, row, to),
        _ => {
            for (k, out) in to.chunks_exact_mut(width).enumerate() {
                out[..valid].copy_from_slice(&from[k * row..][..valid]);
                out[valid..].fill(T::ZERO);
            }
        }
    }
}

fn copy_rows<T: Real, const W: usize>(from: &[T], row: usize, to: &mut [T]) {
    let (out, _) = to.as_chunks_mut::<W>();
    for (k, out) in out.iter_mut().enumerate() {
        out.copy_from_slice(&from[k * row..][..W]);
    }
}

/// The same from a matrix whose columns are contiguous (or that has any strides): a transposing copy, 8 k's at a time.
fn pack_columns<T: Real>(
    from: &[T],
    row: usize,
    col: usize,
    valid: usize,
    width: usize,
    to: &mut [T],
) {
    for (block, out) in to.chunks_mut(width * 8).enumerate() {
        let k = block * 8;
        for j in 0..valid {
            let column = &from[j * col + k * row..];
            out[j..].iter_mut().step_by(width).enumerate().for_each(|(i, o)| *o = column[i * row]);
        }
        for j in valid..width {
            out[j..].iter_mut().step_by(width).for_each(|o| *o = T::ZERO);
        }
    }
}
