//! The matrix product C = A B, with an optional bias and ReLU on the way out.
//!
//! What is computed is fixed by the shapes alone: k is cut into chunks of [`CHUNK`], each chunk's sum is one chain of fused
//! multiply-adds in the order of k, and the chunks' sums are added in order. [`naive::gemm`] says so in a dozen lines, and the
//! fast path gives the same bits at every level and for any number of threads. How the work is spread depends on the shape too:
//!
//! - small C and long k (a first layer's forward pass): one task a chunk, each with its own copy of C, added in order at the end;
//! - few rows (a small batch times a wide layer): one task a block of columns, which packs its own part of B;
//! - else: B is packed once, one task a block of rows.
//!
//! Packing and tiles follow Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).

pub mod naive;
mod pack;
pub(crate) mod tile;
pub(crate) mod vector;

use crate::buffer::Buffer;
use crate::real::Real;
use crate::simd::level;
use crate::threads::{Shared, parallel_chunks, parallel_scratch};
use pack::{pack_a, pack_b};
use tile::Tile;
pub use tile::{HasKernels, Kernels};

/// How many k's are summed in one chain.
pub const CHUNK: usize = 256;

/// Products with fewer multiply-adds than this run on the calling thread: waking another one would take as long.
const PARALLEL_FROM: usize = 96 * 1024;

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
}

impl<T: Real> Epilogue<'_, T> {
    /// Applies to columns `from..from + row.len()` of one row of C.
    #[inline(always)]
    fn apply(self, row: &mut [T], from: usize) {
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
        }
    }
}

/// `c = a b`, row-major `(a.rows, b.cols)`, then the epilogue.
///
/// # Panics
/// If the inner sizes differ, or `c` or the bias has the wrong length.
pub fn gemm<T: Real>(a: Mat<T>, b: Mat<T>, c: &mut [T], epilogue: Epilogue<T>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner sizes of a product");
    assert_eq!(c.len(), m * n, "size of a product");
    check_reach(&a);
    check_reach(&b);
    if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
        assert_eq!(bias.len(), n, "one bias for each column");
    }
    if m == 0 || n == 0 {
        return;
    }
    let job = Job { a, b, m, n, k, kernels: T::kernels(level()), epilogue };
    if k <= CHUNK && m * n * k < 4096 {
        return job.tiny(c);
    }
    let chunks = k.div_ceil(CHUNK).max(1);
    if chunks >= 4 && m * n <= 256 * 256 && m * n * 2 <= m * k + k * n {
        job.by_chunks(c, chunks)
    } else if m <= 128 && n >= 512 {
        job.by_columns(c)
    } else {
        job.by_rows(c)
    }
}

/// A Mat can be made by hand: its strides must stay inside its data.
fn check_reach<T>(m: &Mat<T>) {
    if m.rows > 0 && m.cols > 0 {
        let last = (m.rows - 1) * m.row + (m.cols - 1) * m.col;
        assert!(last < m.data.len(), "a matrix whose strides leave its data");
    }
}

#[derive(Clone, Copy)]
struct Job<'a, T> {
    a: Mat<'a, T>,
    b: Mat<'a, T>,
    m: usize,
    n: usize,
    k: usize,
    kernels: Kernels<T>,
    epilogue: Epilogue<'a, T>,
}

impl<T: Real> Job<'_, T> {
    /// Runs tasks with scratch of `len` numbers, in parallel if the product is large enough.
    fn spread(&self, tasks: usize, len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        if self.m * self.n * self.k.max(1) < PARALLEL_FROM {
            let mut scratch = Buffer::<T>::dirty(len);
            (0..tasks).for_each(|task| f(task, scratch.make_mut()));
        } else {
            parallel_scratch(tasks, len, f);
        }
    }

    /// Scratch for `rows` rows of one chunk of A.
    fn a_len(&self, rows: usize) -> usize {
        pack::a_len(self.kernels.rows, rows, CHUNK.min(self.k))
    }

    /// A product too small to be packed.
    fn tiny(&self, c: &mut [T]) {
        naive::gemm(self.a, self.b, c, self.epilogue);
    }

    /// One task a chunk of k, each with its own C; their sum in order, then the epilogue.
    fn by_chunks(&self, c: &mut [T], chunks: usize) {
        let (m, n) = (self.m, self.n);
        let mut partial = Buffer::<T>::dirty(chunks * m * n);
        let parts = Shared(partial.make_mut().as_mut_ptr());
        let b_len = pack::b_len(&self.kernels, CHUNK, n);
        self.spread(chunks, b_len + self.a_len(m), |chunk, scratch| {
            let k = self.chunk(chunk);
            let (packed, packed_a) = scratch.split_at_mut(b_len);
            pack_b(&self.kernels, &self.b, k.clone(), 0..n, packed);
            // SAFETY: each task writes its own m x n part of `partial`.
            let out = unsafe { std::slice::from_raw_parts_mut(parts.at(chunk * m * n), m * n) };
            self.block(0..m, 0..n, k, (packed, packed_a), out.as_mut_ptr(), false);
        });
        let rows = rows_a_task(m, n, chunks);
        parallel_chunks(c, rows * n, |task, part| {
            let start = task * rows * n;
            add_parts(part, &partial[start..], m * n, chunks);
            part.chunks_mut(n).for_each(|row| self.epilogue.apply(row, 0));
        });
    }

    /// One task a block of columns, which packs its part of B chunk by chunk.
    fn by_columns(&self, c: &mut [T]) {
        let width = 8 * self.kernels.wide;
        let out = Shared(c.as_mut_ptr());
        let b_len = pack::b_len(&self.kernels, CHUNK.min(self.k), width);
        self.spread(self.n.div_ceil(width), b_len + self.a_len(self.m), |task, scratch| {
            let (packed, packed_a) = scratch.split_at_mut(b_len);
            let columns = task * width..self.n.min((task + 1) * width);
            for chunk in 0..self.k.div_ceil(CHUNK).max(1) {
                let k = self.chunk(chunk);
                pack_b(&self.kernels, &self.b, k.clone(), columns.clone(), packed);
                // SAFETY: each task writes its own columns of C.
                let to = unsafe { out.at(columns.start) };
                self.block(0..self.m, columns.clone(), k, (packed, packed_a), to, chunk > 0);
            }
            // SAFETY: as above; all rows of C are within `c`.
            unsafe { self.finish(0..self.m, columns, out) };
        });
    }

    /// B packed once, then one task a block of rows.
    fn by_rows(&self, c: &mut [T]) {
        let chunks = self.k.div_ceil(CHUNK).max(1);
        let b_chunk = pack::b_len(&self.kernels, CHUNK.min(self.k), self.n);
        let mut packed = Buffer::<T>::dirty(chunks * b_chunk);
        if chunks > 1 {
            parallel_chunks(packed.make_mut(), b_chunk, |chunk, to| {
                pack_b(&self.kernels, &self.b, self.chunk(chunk), 0..self.n, to);
            });
        } else {
            pack_b(&self.kernels, &self.b, 0..self.k, 0..self.n, packed.make_mut());
        }
        let out = Shared(c.as_mut_ptr());
        let height = self.block_height();
        self.spread(self.m.div_ceil(height), self.a_len(height), |task, packed_a| {
            let rows = task * height..self.m.min((task + 1) * height);
            for chunk in 0..chunks {
                // SAFETY: each task writes its own rows of C.
                let to = unsafe { out.at(rows.start * self.n) };
                let b = &packed[chunk * b_chunk..];
                self.block(
                    rows.clone(),
                    0..self.n,
                    self.chunk(chunk),
                    (b, packed_a),
                    to,
                    chunk > 0,
                );
            }
            // SAFETY: as above.
            unsafe { self.finish(rows, 0..self.n, out) };
        });
    }

    /// Rows a task: enough tasks to share evenly, blocks whose packed A stays in the second-level cache.
    fn block_height(&self) -> usize {
        let tile = self.kernels.rows;
        let most = 96 / tile * tile;
        self.m.div_ceil(16).next_multiple_of(tile).clamp(tile, most)
    }

    fn chunk(&self, chunk: usize) -> std::ops::Range<usize> {
        chunk * CHUNK..self.k.min((chunk + 1) * CHUNK)
    }

    /// One chunk of k for a block of C whose first element is `out`: all its tiles.
    fn block(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        k: std::ops::Range<usize>,
        (packed_b, packed_a): (&[T], &mut [T]),
        out: *mut T,
        add: bool,
    ) {
        let tile_rows = self.kernels.rows;
        // A row-major A is read where it lies; anything else is packed, for the tile reads a column of it at a time.
        let direct = self.a.col == 1 && columns.len() < 384 && rows.len() >= tile_rows;
        if !direct {
            pack_a(tile_rows, &self.a, rows.clone(), k.clone(), packed_a);
        }
        for (panel, j) in columns.clone().step_by(self.kernels.wide).enumerate() {
            let b = &packed_b[panel * self.kernels.wide * k.len()..];
            let width =
                self.kernels.wide.min((columns.end - j).next_multiple_of(self.kernels.narrow));
            let valid = width.min(columns.end - j);
            for i in (0..rows.len()).step_by(tile_rows) {
                // The last rows of a directly read A are computed again together with some rows before them.
                let first = if direct { i.min(rows.len() - tile_rows) } else { i };
                let (a, row, step) = if direct {
                    let from = (rows.start + first) * self.a.row + k.start;
                    (&self.a.data[from..], self.a.row, 1)
                } else {
                    (&packed_a[i * k.len()..], 1, tile_rows)
                };
                let place = i * self.n + (j - columns.start);
                // SAFETY: `out` is the first element of this block in a row-major matrix of n columns.
                let to = unsafe { out.add(place) };
                let at = Place {
                    height: tile_rows.min(rows.len() - i),
                    skip: i - first,
                    valid,
                    width,
                    to,
                };
                self.tile(a, row, step, b, k.len(), at, add);
            }
        }
    }

    /// One tile: straight into C where it fits, by way of a small buffer at the edges.
    #[allow(clippy::too_many_arguments)]
    fn tile(&self, a: &[T], row: usize, step: usize, b: &[T], k: usize, at: Place<T>, add: bool) {
        let f = if at.width == self.kernels.wide {
            self.kernels.wide_tile
        } else {
            self.kernels.narrow_tile
        };
        let mut t = Tile {
            k,
            a: a.as_ptr(),
            row,
            step,
            b: b.as_ptr(),
            width: at.width,
            out: at.to,
            out_row: self.n,
            add,
        };
        if at.height == self.kernels.rows && at.valid == at.width {
            // SAFETY: A has `rows` rows from `a` on, B's panel is `width` wide, and C has room for the full tile at `to`.
            return unsafe { f(t) };
        }
        let mut edge = [T::ZERO; 12 * 32];
        (t.out, t.out_row, t.add) = (edge.as_mut_ptr(), at.width, false);
        // SAFETY: as above, and `edge` has room for the largest tile.
        unsafe { f(t) };
        for i in 0..at.height {
            let from = &edge[(i + at.skip) * at.width..][..at.valid];
            // SAFETY: `height` rows of `valid` columns lie within C.
            let to = unsafe { std::slice::from_raw_parts_mut(at.to.add(i * self.n), at.valid) };
            if add {
                to.iter_mut().zip(from).for_each(|(c, s)| *c += *s);
            } else {
                to.copy_from_slice(from);
            }
        }
    }

    /// The epilogue for a block of C.
    ///
    /// # Safety
    /// `out` must point to C, and no other task may touch this block.
    unsafe fn finish(
        &self,
        rows: std::ops::Range<usize>,
        columns: std::ops::Range<usize>,
        out: Shared<T>,
    ) {
        if matches!(self.epilogue, Epilogue::None) {
            return;
        }
        for i in rows {
            // SAFETY: the caller's promise.
            let row = unsafe {
                std::slice::from_raw_parts_mut(out.at(i * self.n + columns.start), columns.len())
            };
            self.epilogue.apply(row, columns.start);
        }
    }
}

/// Where a tile goes: `height` rows (after `skip` that were computed already) of `valid` columns, computed `width` wide.
struct Place<T> {
    height: usize,
    skip: usize,
    valid: usize,
    width: usize,
    to: *mut T,
}

/// Rows of C a task of the final sum takes: some 8,000 additions.
fn rows_a_task(m: usize, n: usize, chunks: usize) -> usize {
    (8192 / (n * chunks).max(1)).clamp(1, m)
}

crate::multiversion! {
    /// `to[i] = parts[i] + parts[size + i] + ...`, in order.
    fn add_parts<T: Real>(to: &mut [T], parts: &[T], size: usize, chunks: usize) {
        to.copy_from_slice(&parts[..to.len()]);
        for chunk in 1..chunks {
            let part = &parts[chunk * size..][..to.len()];
            to.iter_mut().zip(part).for_each(|(c, p)| *c += *p);
        }
    }
}
