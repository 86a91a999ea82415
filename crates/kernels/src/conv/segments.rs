//! A tile of a product in registers whose sums run over segments: rows of pixels, or rows of a filter.

use crate::gemm::vector::Vector;

/// `out[i][j] (+)= sum over s, then k, of a[s * a_segment + i * row + k * step] * b[s * b_segment + k * b_step + j]`, each sum one
/// chain of fused multiply-adds.
#[derive(Clone, Copy)]
pub(super) struct Segments<T> {
    pub segments: usize,
    pub k: usize,
    pub a: *const T,
    pub a_segment: usize,
    pub row: usize,
    pub step: usize,
    pub b: *const T,
    pub b_segment: usize,
    pub b_step: usize,
    pub out: *mut T,
    pub out_row: usize,
    pub add: bool,
}

impl<T: Copy> Segments<T> {
    /// Computes `rows` rows of `columns` columns.
    ///
    /// # Safety
    /// The pointers must reach over all of A, B and `out`; and as [`Vector`]'s methods.
    #[inline(always)]
    pub unsafe fn run<V: Vector<T>, const R: usize>(self, rows: usize, columns: usize, zero: T) {
        for first in (0..columns).step_by(2 * V::LANES) {
            let columns = (columns - first).min(2 * V::LANES);
            let b = self.b.wrapping_add(first);
            let mut part = Segments { b, out: self.out.wrapping_add(first), ..self };
            let mut left = rows;
            while left > 0 {
                let height = [R, 4, 2, 1].into_iter().find(|h| *h <= left).unwrap_or(1);
                // SAFETY: the caller's promise; strips of R, 4, 2 and 1 rows make up the rows.
                unsafe {
                    match height {
                        4 => part.strip::<V, 4>(columns, zero),
                        2 => part.strip::<V, 2>(columns, zero),
                        1 => part.strip::<V, 1>(columns, zero),
                        _ => part.strip::<V, R>(columns, zero),
                    }
                }
                left -= height;
                part.a = part.a.wrapping_add(height * self.row);
                part.out = part.out.wrapping_add(height * self.out_row);
            }
        }
    }

    /// `R` rows of at most two registers.
    #[inline(always)]
    unsafe fn strip<V: Vector<T>, const R: usize>(&self, columns: usize, zero: T) {
        // SAFETY: the caller's promise.
        unsafe {
            if columns == 2 * V::LANES {
                self.tile::<[V; 2], R, true>(columns, zero);
            } else if columns > V::LANES {
                self.tile::<[V; 2], R, false>(columns, zero);
            } else if columns == V::LANES {
                self.tile::<V, R, true>(columns, zero);
            } else {
                self.tile::<V, R, false>(columns, zero);
            }
        }
    }

    /// `R` rows of the lanes of `V`: of all of them if `FULL`, else of the first `columns`.
    #[inline(always)]
    unsafe fn tile<V: Vector<T>, const R: usize, const FULL: bool>(&self, columns: usize, zero: T) {
        // SAFETY: the caller's promise.
        unsafe {
            let load = |p| if FULL { V::load(p) } else { V::load_first(p, columns) };
            let mut sums = [V::splat(zero); R];
            let half = R.div_ceil(2);
            for s in 0..self.segments {
                let a = self.a.wrapping_add(s * self.a_segment);
                let mut b = self.b.wrapping_add(s * self.b_segment);
                let mut a = [a, a.wrapping_add(half * self.row)];
                for _ in 0..self.k {
                    let column = load(b);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = V::splat(*a[i / half].add(i % half * self.row)).fma(column, *sum);
                    }
                    a = a.map(|a| a.wrapping_add(self.step));
                    b = b.wrapping_add(self.b_step);
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                let out = self.out.add(i * self.out_row);
                let sum = if self.add { load(out).add(*sum) } else { *sum };
                if FULL { sum.store(out) } else { sum.store_first(out, columns) }
            }
        }
    }
}
