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

/// The sum of `f` over all indices, in `f64`, by blocks of [`BLOCK`] elements: `f(x[i])` for one slice.
pub fn sum_with<T: Real>(x: &[T], f: impl Fn(T) -> f64 + Sync) -> f64 {
    let blocks = x.len().div_ceil(BLOCK).max(1);
    let mut partial = Buffer::<f64>::zeroed(blocks);
    parallel_chunks(partial.make_mut(), 1, |block, out| {
        let part = &x[block * BLOCK..x.len().min((block + 1) * BLOCK)];
        out[0] = part.iter().fold(0.0, |sum, v| sum + f(*v));
    });
    partial.iter().sum()
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

/// The sum of the squares of `x`, accumulated in `f64`.
pub fn sum_squares<T: Real>(x: &[T]) -> f64 {
    let blocks = x.len().div_ceil(BLOCK).max(1);
    let mut partial = Buffer::<f64>::zeroed(blocks);
    parallel_chunks(partial.make_mut(), 4, |task, out| {
        for (i, out) in out.iter_mut().enumerate() {
            let start = (task * 4 + i) * BLOCK;
            *out = lane_squares(&x[start.min(x.len())..x.len().min(start + BLOCK)]);
        }
    });
    partial.iter().sum()
}
