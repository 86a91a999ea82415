//! The matrix product C = A B, with an optional bias and ReLU, or another matrix added, on the way out.
//!
//! What is computed is fixed by the shapes alone: k is cut into chunks of [`CHUNK`], each chunk's sum is one chain of fused
//! multiply-adds in the order of k, and the chunks' sums are added in order. [`naive::gemm`] says so in a dozen lines, and the
//! fast path gives the same bits at every level and for any number of threads. How the work is spread depends on the shape too:
//!
//! - few rows and a wide and transposed B (a gradient of x): one task some columns, computed as rows of C^T = B^T A^T;
//! - small C and long k (a first layer's forward pass): one task a chunk, each with its own copy of C, added in order at the end;
//! - few rows and a wide or transposed B else (a small batch times a wide layer): one task some columns;
//! - else: one task some rows.
//!
//! A tile reads A and B where they lie, for a copy costs more than it saves while the matrices are the size of a layer. Packed
//! are what has no columns side by side (a transposed B), rows far apart that are many or read often, and A if N is large: then
//! as in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).

mod job;
pub mod naive;
mod pack;
pub(crate) mod tile;
pub(crate) mod vector;

use crate::real::Real;
use crate::simd::level;
use job::Job;
use std::ops::Range;
pub use tile::{HasKernels, Kernels};

/// How many k's are summed in one chain.
pub const CHUNK: usize = 384;

/// A matrix in memory: element (i, j) is `data[i * row + j * col]`.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, T> {
    /// The numbers.
    pub data: &'a [T],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub col: usize,
}

impl<'a, T> Mat<'a, T> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// If `data` does not hold `rows * cols` numbers.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a {rows} x {cols} matrix");
        Mat { data, rows, cols, row: cols, col: 1 }
    }

    /// Some rows and columns of it.
    fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let first = (rows.start * self.row + cols.start * self.col).min(self.data.len());
        Mat { data: &self.data[first..], rows: rows.len(), cols: cols.len(), ..self }
    }

    /// The transposed matrix, without moving a number.
    pub fn t(self) -> Self {
        Mat { data: self.data, rows: self.cols, cols: self.rows, row: self.col, col: self.row }
    }
}

/// What happens to C's elements once their sums are complete.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a, T> {
    /// Nothing.
    None,
    /// Adds a number for each column.
    Bias(&'a [T]),
    /// Adds a number for each column, then replaces negative values by 0.
    BiasRelu(&'a [T]),
    /// Adds a row-major matrix of C's size times a number, rounded as one fused multiply-add: the gradient of an L2 term.
    Scaled(T, &'a [T]),
}

impl<T: Real> Epilogue<'_, T> {
    /// Applies to columns `from..from + row.len()` of row `i` of C, which has `n` columns.
    #[inline(always)]
    fn apply(self, row: &mut [T], (i, n): (usize, usize), from: usize) {
        match self {
            Epilogue::None => {}
            Epilogue::Bias(bias) => {
                row.iter_mut().zip(&bias[from..]).for_each(|(c, b)| *c += *b);
            }
            Epilogue::BiasRelu(bias) => {
                // Written so that NaN stays NaN: a diverging run must be noticed.
                let relu = |v: T| if T::ZERO > v { T::ZERO } else { v };
                row.iter_mut().zip(&bias[from..]).for_each(|(c, b)| *c = relu(*c + *b));
            }
            Epilogue::Scaled(factor, of) => add_scaled(row, factor, &of[i * n + from..]),
        }
    }
}

crate::multiversion! {
    fn add_scaled<T: Real>(row: &mut [T], factor: T, of: &[T]) {
        row.iter_mut().zip(of).for_each(|(c, v)| *c = factor.mul_add(*v, *c));
    }
}

/// `c = a b`, row-major `(a.rows, b.cols)`, then the epilogue.
///
/// # Panics
/// If the inner sizes differ, or `c` or what the epilogue adds has the wrong length.
pub fn gemm<T: Real>(a: Mat<T>, b: Mat<T>, c: &mut [T], epilogue: Epilogue<T>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner sizes of a product");
    assert_eq!(c.len(), m * n, "size of a product");
    check_reach(&a);
    check_reach(&b);
    match epilogue {
        Epilogue::None => {}
        Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) => {
            assert_eq!(bias.len(), n, "one bias for each column");
        }
        Epilogue::Scaled(_, of) => assert_eq!(of.len(), m * n, "a matrix of C's size"),
    }
    if m == 0 || n == 0 {
        return;
    }
    if k <= CHUNK && m * n * k < 4096 {
        return naive::gemm(a, b, c, epilogue);
    }
    Job { a, b, m, n, k, kernels: T::kernels(level()), epilogue }.run(c);
}

/// A Mat can be made by hand: its strides must stay inside its data.
fn check_reach<T>(m: &Mat<T>) {
    if m.rows > 0 && m.cols > 0 {
        let last = (m.rows - 1) * m.row + (m.cols - 1) * m.col;
        assert!(last < m.data.len(), "a matrix whose strides leave its data");
    }
}
