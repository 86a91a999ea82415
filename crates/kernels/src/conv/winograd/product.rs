//! The small products of Winograd's convolution: a panel of B after the other, tiles down its rows.

use crate::gemm::tile::{Tile, tile};
use crate::gemm::vector::Vector;

/// Columns are computed in multiples of this, at every level.
pub(super) const COLUMNS: usize = 16;
/// Rows are computed in multiples of this, at every level.
pub(super) const ROWS: usize = 8;

/// `out[i][j] (+)= sum over k of a[i * row + k * step] * b[k][j]`, the sums as chains in the order of k.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub a: *const f32,
    pub row: usize,
    pub step: usize,
    /// B in panels, as [`Panels`] has it.
    pub b: *const f32,
    /// From one panel to the next, for each of its columns.
    pub panel: usize,
    pub k: usize,
    pub out: *mut f32,
    pub out_row: usize,
    pub add: bool,
}

impl Product {
    /// Computes `rows` x `columns`, multiples of [`ROWS`] and [`COLUMNS`].
    ///
    /// # Safety
    /// The pointers must reach over all of A, B and `out`; and as [`Vector`]'s methods.
    #[inline(always)]
    pub unsafe fn run<V: Vector<f32>, const R: usize, const C: usize>(
        &self,
        rows: usize,
        columns: usize,
    ) {
        let wide = C * V::LANES;
        for first in (0..columns).step_by(wide) {
            let width = wide.min(columns - first);
            for i in (0..rows).step_by(R) {
                // SAFETY: the caller's promise; a panel that is not full is computed a vector at a time.
                unsafe {
                    let t = Tile {
                        k: self.k,
                        a: self.a.add(i * self.row),
                        row: self.row,
                        step: self.step,
                        b: self.b.add(first * self.panel),
                        b_step: width,
                        columns: wide,
                        out: self.out.add(i * self.out_row + first),
                        out_row: self.out_row,
                        add: self.add,
                    };
                    if width == wide {
                        tile::<f32, [V; C], R, true>(&t, 0.0);
                        continue;
                    }
                    for j in (0..width).step_by(V::LANES) {
                        let (b, out) = (t.b.add(j), t.out.add(j));
                        tile::<f32, V, R, true>(&Tile { b, columns: V::LANES, out, ..t }, 0.0);
                    }
                }
            }
        }
    }
}

/// Where number `column` of row `k` of a matrix in panels lies: panels of `wide` columns (the last may have fewer) of
/// `columns` follow each other, each row after row.
#[inline(always)]
pub(super) fn place(wide: usize, columns: usize, panel: usize, k: usize, column: usize) -> usize {
    let first = column / wide * wide;
    first * panel + k * wide.min(columns - first) + (column - first)
}
