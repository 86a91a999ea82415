//! What a matrix product is, in three loops: the twin of the fast path, and what very small products use.

use super::{CHUNK, Epilogue, Mat};
use crate::real::Real;

/// `c = a b` and the epilogue, as [`super::gemm`] defines them, one element after the other.
pub fn gemm<T: Real>(a: Mat<T>, b: Mat<T>, c: &mut [T], epilogue: Epilogue<T>) {
    let n = b.cols;
    for (i, row) in c.chunks_mut(n.max(1)).enumerate() {
        for (j, out) in row.iter_mut().enumerate() {
            *out = dot(a, b, i, j);
        }
        epilogue.apply(row, (i, n), 0);
    }
}

/// Element (i, j): chains of fused multiply-adds over chunks of k, added in order.
fn dot<T: Real>(a: Mat<T>, b: Mat<T>, i: usize, j: usize) -> T {
    let mut total = T::ZERO;
    for start in (0..a.cols).step_by(CHUNK) {
        let mut sum = T::ZERO;
        for k in start..a.cols.min(start + CHUNK) {
            sum = a.data[i * a.row + k * a.col].mul_add(b.data[k * b.row + j * b.col], sum);
        }
        total = if start == 0 { sum } else { total + sum };
    }
    total
}
