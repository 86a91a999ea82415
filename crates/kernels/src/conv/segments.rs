//! A tile of a product in registers whose sums run over segments: rows of pixels, or rows of a filter.

use crate::gemm::vector::{Vector, prefetch};

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

/// The height of the next strip where `left` rows are left. Low strips wait for their own sums, so a few rows are shared evenly
/// by strips of 7 to 9 where there are those: 9 rows are one strip, 21 are three.
#[inline(always)]
fn height<const R: usize>(left: usize) -> usize {
    let even = left.div_ceil(left.div_ceil(9));
    if R == 8 && left <= 27 && even >= 7 {
        return even;
    }
    [R, 4, 2, 1].into_iter().find(|h| *h <= left).unwrap_or(1)
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
                let height = height::<R>(left);
                // SAFETY: the caller's promise; the strips make up the rows.
                unsafe {
                    match height {
                        9 if R == 8 => part.strip::<V, 9>(columns, zero),
                        7 if R == 8 => part.strip::<V, 7>(columns, zero),
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
            // As in the matrix product, what is written is fetched while the sums are made.
            for row in 0..R {
                for line in 0..V::LANES * size_of::<T>() / 64 + 1 {
                    prefetch(
                        self.out.wrapping_add(row * self.out_row).wrapping_byte_add(line * 64),
                    );
                }
            }
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
