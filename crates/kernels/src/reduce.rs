//! Sums in an order that the shape fixes: the same bits for any number of threads and at every level.

use crate::buffer::Buffer;
use crate::real::Real;
use crate::threads::parallel_chunks;

/// Rows that one partial column sum covers.
pub const ROW_BLOCK: usize = 256;
/// Elements that one partial sum of a long vector covers.
pub const BLOCK: usize = 8192;

/// `out[j] = sum over i of x[i * cols + j]`: row blocks of [`ROW_BLOCK`], each summed in order, then the blocks in order.
///
/// # Panics
/// If `x` does not hold `out.len()` columns.
pub fn column_sums<T: Real>(x: &[T], out: &mut [T]) {
    let cols = out.len();
    if cols == 0 {
        return;
    }
    assert_eq!(x.len() % cols, 0, "whole rows");
    if x.len() <= ROW_BLOCK * cols {
        return add_rows(x, out);
    }
    let blocks = x.len().div_ceil(ROW_BLOCK * cols);
    let mut partial = Buffer::<T>::dirty(blocks * cols);
    parallel_chunks(partial.make_mut(), cols, |block, sums| {
        let start = block * ROW_BLOCK * cols;
        add_rows(&x[start..x.len().min(start + ROW_BLOCK * cols)], sums);
    });
    add_rows(&partial, out);
}

crate::multiversion! {
    /// `out` = the sum of the rows of `x`, in order.
    fn add_rows<T: Real>(x: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        for row in x.chunks_exact(out.len()) {
            out.iter_mut().zip(row).for_each(|(o, v)| *o += *v);
        }
    }
}

crate::multiversion! {
    /// The sum of a piece, in sixteen lanes that are added in order.
    fn lane_sum<T: Real>(x: &[T]) -> T {
        let mut lanes = [T::ZERO; 16];
        let (blocks, rest) = x.as_chunks::<16>();
        for block in blocks {
            lanes.iter_mut().zip(block).for_each(|(lane, v)| *lane += *v);
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, v)| *lane += *v);
        lanes.iter().fold(T::ZERO, |sum, lane| sum + *lane)
    }
}

/// The sum of a long row: blocks of [`BLOCK`], each in lanes, then the blocks in order.
fn row_sum<T: Real>(x: &[T]) -> T {
    if x.len() <= BLOCK {
        return lane_sum(x);
    }
    let mut partial = Buffer::<T>::dirty(x.len().div_ceil(BLOCK));
    parallel_chunks(partial.make_mut(), 4, |task, sums| {
        for (sum, block) in sums.iter_mut().zip(x[task * 4 * BLOCK..].chunks(BLOCK)) {
            *sum = lane_sum(block);
        }
    });
    partial.iter().fold(T::ZERO, |sum, block| sum + *block)
}

/// `out[o, i] = sum over j of x[o, j, i]`: x (outer, n, inner), out (outer, inner).
///
/// # Panics
/// If the lengths do not fit.
pub fn middle_sums<T: Real>(x: &[T], n: usize, inner: usize, out: &mut [T]) {
    assert_eq!(x.len() * inner, out.len() * n * inner, "x (outer, n, inner), out (outer, inner)");
    if out.is_empty() || n == 0 {
        return out.fill(T::ZERO);
    }
    // Enough outer groups a task that waking a thread is worth it.
    let groups = (2 * BLOCK / (n * inner)).max(1);
    parallel_chunks(out, groups * inner, |task, out| {
        let x = &x[task * groups * n * inner..];
        for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(n * inner)) {
            if inner == 1 { out[0] = row_sum(x) } else { column_sums(x, out) }
        }
    });
}

crate::multiversion! {
    /// The sum of squares of at most a few thousand numbers, in 16 (f32) or 8 (f64) lanes that are added pairwise.
    fn lane_squares<T: Real>(x: &[T]) -> f64 {
        let mut lanes = [0.0f64; 16];
        let (blocks, rest) = x.as_chunks::<16>();
        for block in blocks {
            for (lane, v) in lanes.iter_mut().zip(block) {
                let v = v.to_f64();
                *lane = v.mul_add(v, *lane);
            }
        }
        for (lane, v) in lanes.iter_mut().zip(rest) {
            let v = v.to_f64();
            *lane = v.mul_add(v, *lane);
        }
        lanes.iter().sum()
    }
}

crate::multiversion! {
    /// Whether every number of a piece is finite.
    #[allow(clippy::eq_op)]
    fn piece_is_finite<T: Real>(x: &[T]) -> bool {
        // x - x is 0 for finite x and NaN otherwise; a sum of zeroes in lanes has no branches.
        let mut lanes = [T::ZERO; 16];
        let (blocks, rest) = x.as_chunks::<16>();
        for block in blocks {
            lanes.iter_mut().zip(block).for_each(|(lane, v)| *lane += *v - *v);
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, v)| *lane += *v - *v);
        lanes.iter().all(|lane| *lane == T::ZERO)
    }
}

/// Whether no number is infinite or NaN.
pub fn all_finite<T: Real>(x: &[T]) -> bool {
    const PIECE: usize = 64 * 1024;
    let found = std::sync::atomic::AtomicBool::new(false);
    crate::threads::parallel_for(x.len().div_ceil(PIECE), |task| {
        let piece = &x[task * PIECE..x.len().min((task + 1) * PIECE)];
        if !piece_is_finite(piece) {
            found.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    !found.into_inner()
}

crate::multiversion! {
    /// `dw += reg * w` for a block, and the sum of the squares of w as `lane_squares` has it.
    fn regularize_block<T: Real>(w: &[T], dw: &mut [T], reg: f64) -> f64 {
        let factor = T::from_f64(reg);
        for (d, w) in dw.iter_mut().zip(w) {
            *d = factor.mul_add(*w, *d);
        }
        lane_squares(w)
    }
}

/// `dw += reg * w`; returns the sum of the squares of w: both halves of L2 regularization while w is at hand.
///
/// # Panics
/// If the lengths differ.
pub fn regularize<T: Real>(w: &[T], dw: &mut [T], reg: f64) -> f64 {
    assert_eq!(w.len(), dw.len(), "a gradient for every weight");
    let mut partial = Buffer::<f64>::zeroed(w.len().div_ceil(BLOCK).max(1));
    let sums = crate::threads::Shared(partial.make_mut().as_mut_ptr());
    parallel_chunks(dw, 4 * BLOCK, |task, dw| {
        let w = &w[task * 4 * BLOCK..][..dw.len()];
        for (i, (w, dw)) in w.chunks(BLOCK).zip(dw.chunks_mut(BLOCK)).enumerate() {
            // SAFETY: block task * 4 + i is one of the blocks of dw, and no other task has it.
            unsafe { *sums.at(task * 4 + i) = regularize_block(w, dw, reg) };
        }
    });
    partial.iter().sum()
}

/// The sum of squares: blocks of [`BLOCK`] as `lane_squares` has them, then the blocks in order.
pub fn sum_squares<T: Real>(x: &[T]) -> f64 {
    let mut partial = Buffer::<f64>::zeroed(x.len().div_ceil(BLOCK));
    // Some blocks a task, so that short vectors stay on their caller's thread.
    parallel_chunks(partial.make_mut(), 4, |task, sums| {
        let blocks = x[task * 4 * BLOCK..].chunks(BLOCK);
        sums.iter_mut().zip(blocks).for_each(|(sum, block)| *sum = lane_squares(block));
    });
    partial.iter().sum()
}
