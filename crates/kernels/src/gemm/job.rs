//! How the work of one product is spread over tasks, and which operands are packed.

use super::pack::{self, pack_a, pack_b, pack_panels, turn};
use super::tile::{Kernels, Tile};
use super::{CHUNK, Epilogue, Mat};
use crate::buffer::Buffer;
use crate::real::Real;
use crate::threads::{Shared, parallel_chunks, parallel_for, parallel_scratch};
use std::ops::Range;

/// Products with fewer multiply-adds than this run on the calling thread: waking another one would take as long.
const PARALLEL_FROM: usize = 256 * 1024;
/// Multiply-adds that are worth a task.
const TASK: usize = 192 * 1024;
/// The most rows of a task, so that its part of A stays in the second-level cache.
const MOST_ROWS: usize = 96;
/// From this many columns on, A is packed, for so many panels of B read it again.
const PACK_A_FROM: usize = 384;
/// A row of B of more bytes than this lies on another page than the next, which makes reading it where it lies slow.
const FAR: usize = 2048;
/// So few rows of B that are far apart stay in the second-level cache while so few rows of A are multiplied with them.
const FEW: usize = 128;

#[derive(Clone, Copy)]
pub(super) struct Job<'a, T: 'static> {
    pub a: Mat<'a, T>,
    pub b: Mat<'a, T>,
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub kernels: Kernels<T>,
    pub epilogue: Epilogue<'a, T>,
}

/// A part of C and a chunk of k.
#[derive(Clone)]
struct Block {
    rows: Range<usize>,
    columns: Range<usize>,
    k: Range<usize>,
}

impl<T: Real> Job<'_, T> {
    /// Computes `c`.
    pub fn run(&self, c: &mut [T]) {
        let (m, n, k) = (self.m, self.n, self.k);
        if m <= 256 && n >= 512 && self.b.row == 1 && self.b.col != 1 {
            self.turned(c);
        } else if self.chunks() >= 4 && m * n <= 256 * 256 && m * n * 2 <= m * k + k * n {
            self.by_chunks(c);
        } else if m <= 256 && (self.packs_b() || n >= 512) {
            self.by_columns(c);
        } else {
            self.by_rows(c);
        }
    }

    /// Whether B is packed: if its columns do not lie side by side, or its rows are far apart, and many or read many times.
    fn packs_b(&self) -> bool {
        let far = self.b.row * size_of::<T>() > FAR;
        self.b.col != 1 || far && self.m > 16 && self.m.max(self.k) > FEW
    }

    fn chunks(&self) -> usize {
        self.k.div_ceil(CHUNK).max(1)
    }

    fn chunk(&self, chunk: usize) -> Range<usize> {
        chunk * CHUNK..self.k.min((chunk + 1) * CHUNK)
    }

    /// Room for one chunk of `columns` columns of B.
    fn b_len(&self, columns: usize) -> usize {
        if self.packs_b() { pack::b_len(&self.kernels, CHUNK.min(self.k), columns) } else { 0 }
    }

    fn is_small(&self) -> bool {
        self.m * self.n * self.k.max(1) < PARALLEL_FROM
    }

    /// Runs tasks with scratch of `len` numbers, in parallel if the product is large enough.
    fn spread(&self, tasks: usize, len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        if self.is_small() {
            let mut scratch = Buffer::<T>::dirty(len);
            (0..tasks).for_each(|task| f(task, scratch.make_mut()));
        } else {
            parallel_scratch(tasks, len, f);
        }
    }

    /// One task a chunk of k, each with its own C; their sum in order, then the epilogue.
    fn by_chunks(&self, c: &mut [T]) {
        let (m, n, chunks) = (self.m, self.n, self.chunks());
        let mut partial = Buffer::<T>::dirty(chunks * m * n);
        let parts = Shared(partial.make_mut().as_mut_ptr());
        self.spread(chunks, self.b_len(n), |chunk, packed| {
            let block = Block { rows: 0..m, columns: 0..n, k: self.chunk(chunk) };
            let packed = self.pack(&block, packed);
            // SAFETY: each task writes its own m x n part of `partial`.
            unsafe { self.block(&block, (packed, &mut []), parts.at(chunk * m * n), false) };
        });
        let rows = (16_384 / (n * chunks)).clamp(1, m);
        parallel_chunks(c, rows * n, |task, part| {
            add_parts(part, &partial[task * rows * n..], m * n, chunks);
            for (i, row) in part.chunks_mut(n).enumerate() {
                self.epilogue.apply(row, (task * rows + i, n), 0);
            }
        });
    }

    /// One task some columns, which packs its part of B if need be.
    fn by_columns(&self, c: &mut [T]) {
        let (panels, start) = self.kernels.cut(self.n);
        // A few panels a task, so that those of a chunk stay in the second-level cache.
        let group = if panels <= 8 { 1 } else { 4 };
        let widest = 4 * self.kernels.panels.len() * self.kernels.unit;
        let out = Shared(c.as_mut_ptr());
        self.spread(panels.div_ceil(group), self.b_len(widest.min(self.n)), |task, packed| {
            let columns = start(task * group)..start(panels.min((task + 1) * group));
            for chunk in 0..self.chunks() {
                let k = self.chunk(chunk);
                let block = Block { rows: 0..self.m, columns: columns.clone(), k };
                let packed = self.pack(&block, packed);
                // SAFETY: each task writes its own columns of C.
                unsafe {
                    self.block(&block, (packed, &mut []), out.at(columns.start), chunk > 0);
                }
            }
            // SAFETY: as above; all rows of C are within `c`.
            unsafe { self.finish(0..self.m, columns, out) };
        });
    }

    /// C^T = B^T A^T, for a transposed B: its rows are read where they lie, and only A, which is smaller, is packed. One task
    /// some columns of C, which it computes as rows.
    fn turned(&self, c: &mut [T]) {
        let (m, n) = (self.m, self.n);
        let turned =
            Job { a: self.b.t(), b: self.a.t(), m: n, n: m, epilogue: Epilogue::None, ..*self };
        let (b_chunk, packed) = (turned.b_len(m), turned.pack_all());
        let out = Shared(c.as_mut_ptr());
        self.spread(n.div_ceil(MOST_ROWS), 2 * MOST_ROWS * m, |task, scratch| {
            let columns = task * MOST_ROWS..n.min((task + 1) * MOST_ROWS);
            let (part, rows) = scratch.split_at_mut(MOST_ROWS * m);
            let part = &mut part[..columns.len() * m];
            for chunk in 0..self.chunks() {
                let block = Block { rows: columns.clone(), columns: 0..m, k: self.chunk(chunk) };
                let b = packed.as_ref().map(|packed| &packed[chunk * b_chunk..]);
                // SAFETY: `part` has the block's rows, and is the task's own.
                unsafe { turned.block(&block, (b, &mut []), part.as_mut_ptr(), chunk > 0) };
            }
            turn(part, m, rows);
            for (i, from) in rows.chunks_exact(columns.len()).take(m).enumerate() {
                // SAFETY: each task writes its own columns of C.
                let row = unsafe {
                    std::slice::from_raw_parts_mut(out.at(i * n + columns.start), columns.len())
                };
                row.copy_from_slice(from);
                self.epilogue.apply(row, (i, n), columns.start);
            }
        });
    }

    /// One task some rows; B, if need be, packed once before.
    fn by_rows(&self, c: &mut [T]) {
        let (b_chunk, packed) = (self.b_len(self.n), self.pack_all());
        let out = Shared(c.as_mut_ptr());
        let (blocks, start) = self.blocks();
        let a_len = if self.n >= PACK_A_FROM { MOST_ROWS * CHUNK.min(self.k) } else { 0 };
        self.spread(blocks, a_len, |task, packed_a| {
            let rows = start(task)..start(task + 1);
            for chunk in 0..self.chunks() {
                let block = Block { rows: rows.clone(), columns: 0..self.n, k: self.chunk(chunk) };
                let b = packed.as_ref().map(|packed| &packed[chunk * b_chunk..]);
                // SAFETY: each task writes its own rows of C.
                unsafe {
                    self.block(&block, (b, packed_a), out.at(rows.start * self.n), chunk > 0);
                }
            }
            // SAFETY: as above.
            unsafe { self.finish(rows, 0..self.n, out) };
        });
    }

    /// Cuts the rows into blocks of nearly the same height: how many, and what gives the first row of each.
    fn blocks(&self) -> (usize, impl Fn(usize) -> usize + use<T>) {
        // Tiles of a few rows at the end of a block are slow: blocks are made of fours.
        let (m, units) = (self.m, self.m.div_ceil(4));
        // A power of two, which most numbers of threads share evenly.
        let wanted = 1 << (m * self.n * self.k.max(1) / TASK).clamp(1, 16).ilog2();
        let blocks = m.div_ceil(MOST_ROWS).max(wanted.min(units));
        (blocks, move |block| m.min(block * units / blocks * 4))
    }

    /// All of B packed, chunk by chunk, if it is packed at all.
    fn pack_all(&self) -> Option<Buffer<T>> {
        let len = self.b_len(self.n);
        if !self.packs_b() {
            return None;
        }
        let mut packed = Buffer::<T>::dirty(self.chunks() * len);
        let to = Shared(packed.make_mut().as_mut_ptr());
        let (panels, _) = self.kernels.cut(self.n);
        let pack = |task: usize| {
            let (chunk, panel) = (task / panels, task % panels);
            // SAFETY: each chunk has its own `len` numbers of `packed`, and each panel its own of those.
            unsafe {
                let to = Shared(to.at(chunk * len));
                pack_panels(
                    &self.kernels,
                    &self.b,
                    self.chunk(chunk),
                    0..self.n,
                    panel..panel + 1,
                    to,
                );
            }
        };
        let tasks = self.chunks() * panels;
        if self.k * self.n < PARALLEL_FROM / 8 {
            (0..tasks).for_each(pack);
        } else {
            parallel_for(tasks, pack);
        }
        Some(packed)
    }

    /// The block's part of B packed into `to`, if B is packed at all.
    fn pack<'t>(&self, block: &Block, to: &'t mut [T]) -> Option<&'t [T]> {
        self.packs_b().then(|| {
            pack_b(&self.kernels, &self.b, block.k.clone(), block.columns.clone(), to);
            &*to
        })
    }

    /// One chunk of k for a block of C: all its tiles. B is read from `packed_b`, or else where it lies; A is packed if there is
    /// room for it.
    ///
    /// # Safety
    /// `out` must be the first element of this block in a row-major matrix of n columns, and no other task may touch the block.
    unsafe fn block(
        &self,
        block: &Block,
        (packed_b, packed_a): (Option<&[T]>, &mut [T]),
        out: *mut T,
        add: bool,
    ) {
        let Block { rows, columns, k } = block.clone();
        let (a, row, step) = if packed_a.is_empty() {
            let first = rows.start * self.a.row + k.start * self.a.col;
            (self.a.data.as_ptr().wrapping_add(first), self.a.row, self.a.col)
        } else {
            pack_a(&self.a, rows.clone(), k.clone(), packed_a);
            (packed_a.as_ptr(), 1, rows.len())
        };
        let (panels, start) = self.kernels.cut(columns.len());
        for number in 0..panels {
            let (first, end) = (start(number), start(number + 1));
            let panel = self.kernels.panel(end - first);
            let (b, b_step) = match packed_b {
                Some(packed) => (packed[first * k.len()..].as_ptr(), panel.width),
                None => {
                    let first = k.start * self.b.row + columns.start + first;
                    (self.b.data.as_ptr().wrapping_add(first), self.b.row)
                }
            };
            let mut i = 0;
            while i < rows.len() {
                let (height, tile) = panel.tile(rows.len() - i);
                let t = Tile {
                    k: k.len(),
                    a: a.wrapping_add(i * row),
                    row,
                    step,
                    b,
                    b_step,
                    columns: end - first,
                    // SAFETY: the caller's promise.
                    out: unsafe { out.add(i * self.n + first) },
                    out_row: self.n,
                    add,
                };
                // SAFETY: A has `height` rows from `a` on and B `columns` columns, where they lie (`gemm` has looked at the
                // strides) or packed; C has both; the level's instructions are there.
                unsafe { tile(&t) };
                i += height;
            }
        }
    }

    /// The epilogue for a block of C.
    ///
    /// # Safety
    /// `out` must point to C, and no other task may touch this block.
    unsafe fn finish(&self, rows: Range<usize>, columns: Range<usize>, out: Shared<T>) {
        if matches!(self.epilogue, Epilogue::None) {
            return;
        }
        for i in rows {
            // SAFETY: the caller's promise.
            let row = unsafe {
                std::slice::from_raw_parts_mut(out.at(i * self.n + columns.start), columns.len())
            };
            self.epilogue.apply(row, (i, self.n), columns.start);
        }
    }
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
