//! Convolution from rows of pixels: where a filter's row lies side by side in memory, patches need not be copied at all. Rows of
//! the picture get their zeroes on both sides in scratch memory, and tiles of the product read them there.

use super::segments::Segments;
use super::task::{Job, Runner};
use super::{ConvShape, finish, sum_parts};
use crate::buffer::Buffer;
use crate::gemm::vector::Vector;
use crate::real::Real;
use crate::threads::{Shared, parallel_chunks};
use std::ops::Range;

/// Numbers of y a task of the forward pass computes.
const TASK: usize = 16 * 1024;
/// Numbers of dy in a block of backward by weights: a quarter of the second-level cache in f32.
const BLOCK: usize = 64 * 1024;
/// Parts of the batch whose gradients of the weights are summed apart.
const PARTS: usize = 16;

/// Whether a filter's row lies side by side in memory.
pub(super) fn applies(s: &ConvShape) -> bool {
    s.groups == 1 && s.dilation[1] == 1
}

/// Rows of the output of one picture, cut into blocks of nearly `numbers` numbers.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    rows: usize,
    /// Rows of a picture.
    of: usize,
    /// Blocks of a picture.
    pub each: usize,
}

impl Blocks {
    fn new(s: &ConvShape, numbers: usize) -> Blocks {
        let of = s.out_h();
        let rows = (numbers / (s.out_w() * s.filters)).clamp(1, of);
        Blocks { rows, of, each: of.div_ceil(rows) }
    }

    /// A block's picture and rows.
    pub fn at(&self, block: usize) -> (usize, Range<usize>) {
        let first = block % self.each * self.rows;
        (block / self.each, first..self.of.min(first + self.rows))
    }
}

/// Numbers of a row of a picture with its padding.
fn padded(s: &ConvShape) -> usize {
    (s.w + 2 * s.pad[1]) * s.c
}

/// Room for what `rows` rows of the output see.
fn window_len(s: &ConvShape, rows: usize) -> usize {
    ((rows - 1) * s.stride[0] + s.dilation[0] * (s.kh - 1) + 1) * padded(s)
}

/// The rows of picture `n` that rows `out` of the output see, with their padding.
#[inline(always)]
fn window<T: Real>(s: &ConvShape, x: &[T], n: usize, out: &Range<usize>, to: &mut [T]) {
    let first = out.start * s.stride[0];
    let to = &mut to[..window_len(s, out.len())];
    for (i, to) in to.chunks_exact_mut(padded(s)).enumerate() {
        let Some(y) = (first + i).checked_sub(s.pad[0]).filter(|y| *y < s.h) else {
            to.fill(T::ZERO);
            continue;
        };
        let (left, rest) = to.split_at_mut(s.pad[1] * s.c);
        let (row, right) = rest.split_at_mut(s.w * s.c);
        left.fill(T::ZERO);
        right.fill(T::ZERO);
        row.copy_from_slice(&x[(n * s.h + y) * s.w * s.c..][..row.len()]);
    }
}

/// w (F, C/groups, KH, KW) as (KH, KW, C/groups, F/groups) for each group, in panels of `wide` columns.
pub(super) fn panels<T: Real>(s: &ConvShape, w: &[T], wide: usize) -> Buffer<T> {
    let (taps, k, channels) = (s.kh * s.kw, s.patch(), s.c_group());
    let mut out = Buffer::dirty(w.len());
    let piece = if s.groups == 1 { wide * k } else { s.f_group() * k };
    parallel_chunks(out.make_mut(), piece, |number, to| {
        for (panel, to) in to.chunks_mut(wide * k).enumerate() {
            let width = to.len() / k;
            let first = number * piece + panel * wide * k;
            for (f, w) in w[first..].chunks_exact(k).take(width).enumerate() {
                for (c, w) in w.chunks_exact(taps).enumerate() {
                    for (tap, w) in w.iter().enumerate() {
                        to[(tap * channels + c) * width + f] = *w;
                    }
                }
            }
        }
    });
    out
}

/// [`super::working_memory`] in numbers, forward and backward by weights: what all threads share, and what each has.
pub(super) fn working(s: &ConvShape) -> [[usize; 2]; 2] {
    let (blocks, part) = parts(s);
    let sums = (s.n * blocks.each).div_ceil(part.max(1)) * s.w_len();
    let forward = [s.w_len(), window_len(s, Blocks::new(s, TASK).rows)];
    [forward, [sums, window_len(s, blocks.rows)]]
}

/// [`super::forward`].
pub(super) fn forward<T: Real>(
    s: &ConvShape,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    let runner = Runner::new();
    let wide = runner.wide::<T>();
    let w = panels(s, w, wide);
    let blocks = Blocks::new(s, TASK);
    let y = Shared(y.as_mut_ptr());
    let job = Forward { s, x, w: &w, wide, bias, relu, blocks, y };
    runner.run(&job, s.n * blocks.each, window_len(s, blocks.rows));
}

/// A block of rows of y a task.
struct Forward<'a, T> {
    s: &'a ConvShape,
    x: &'a [T],
    w: &'a [T],
    wide: usize,
    bias: Option<&'a [T]>,
    relu: bool,
    blocks: Blocks,
    y: Shared<T>,
}

impl<T: Real> Job<T> for Forward<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    ) {
        let (s, line) = (self.s, padded(self.s));
        let (n, rows) = self.blocks.at(number);
        window(s, self.x, n, &rows, scratch);
        let first = (n * s.out_h() + rows.start) * s.out_w() * s.filters;
        for f in (0..s.filters).step_by(self.wide) {
            let columns = self.wide.min(s.filters - f);
            for i in 0..rows.len() {
                // SAFETY: the caller's promise; a task has its own rows of y, and scratch holds what they see.
                unsafe {
                    let product = Segments {
                        segments: s.kh,
                        k: s.kw * s.c,
                        a: scratch[i * s.stride[0] * line..].as_ptr(),
                        a_segment: s.dilation[0] * line,
                        row: s.stride[1] * s.c,
                        step: 1,
                        b: self.w[f * s.patch()..].as_ptr(),
                        b_segment: s.kw * s.c * columns,
                        b_step: columns,
                        out: self.y.at(first + i * s.out_w() * s.filters + f),
                        out_row: s.filters,
                        add: false,
                    };
                    product.run::<V, R>(s.out_w(), columns, T::ZERO);
                }
            }
        }
        if self.bias.is_some() || self.relu {
            let len = rows.len() * s.out_w() * s.filters;
            // SAFETY: as above.
            let y = unsafe { std::slice::from_raw_parts_mut(self.y.at(first), len) };
            y.chunks_exact_mut(s.filters).for_each(|row| finish(row, self.bias, self.relu));
        }
    }
}

/// The blocks of dy and how many of them a part of the batch has.
pub(super) fn parts(s: &ConvShape) -> (Blocks, usize) {
    let blocks = Blocks::new(s, BLOCK);
    (blocks, (s.n * blocks.each).div_ceil(PARTS))
}

/// [`super::backward_weights`]: a product a block of rows of dy, summed for each of [`PARTS`] parts of the batch, then in order.
pub(super) fn backward_weights<T: Real>(s: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    let runner = Runner::new();
    let (blocks, part) = parts(s);
    let count = (s.n * blocks.each).div_ceil(part);
    let mut sums = Buffer::<T>::dirty(count * dw.len());
    let to = Shared(sums.make_mut().as_mut_ptr());
    let job = Weights { s, x, dy, blocks, part, wide: runner.wide::<T>(), sums: to };
    runner.run(&job, count, window_len(s, blocks.rows));
    let sums = sum_parts(sums.make_mut(), dw.len());
    let taps = s.kh * s.kw;
    parallel_chunks(dw, s.patch(), |f, dw| {
        for (c, dw) in dw.chunks_exact_mut(taps).enumerate() {
            for (tap, dw) in dw.iter_mut().enumerate() {
                *dw = sums[(tap * s.c + c) * s.filters + f];
            }
        }
    });
}

/// A part of the batch a task, to sums (KH, KW, C, F).
struct Weights<'a, T> {
    s: &'a ConvShape,
    x: &'a [T],
    dy: &'a [T],
    blocks: Blocks,
    part: usize,
    wide: usize,
    sums: Shared<T>,
}

impl<T: Real> Job<T> for Weights<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    ) {
        let (s, line) = (self.s, padded(self.s));
        let first = number * self.part;
        for block in first..(s.n * self.blocks.each).min(first + self.part) {
            let (n, rows) = self.blocks.at(block);
            window(s, self.x, n, &rows, scratch);
            let dy = &self.dy[(n * s.out_h() + rows.start) * s.out_w() * s.filters..];
            for f in (0..s.filters).step_by(self.wide) {
                for u in 0..s.kh {
                    // SAFETY: the caller's promise; a task has its own sums, and scratch holds what the rows see.
                    unsafe {
                        let product = Segments {
                            segments: rows.len(),
                            k: s.out_w(),
                            a: scratch[u * s.dilation[0] * line..].as_ptr(),
                            a_segment: s.stride[0] * line,
                            row: 1,
                            step: s.stride[1] * s.c,
                            b: dy[f..].as_ptr(),
                            b_segment: s.out_w() * s.filters,
                            b_step: s.filters,
                            out: self
                                .sums
                                .at((number * s.patch() + u * s.kw * s.c) * s.filters + f),
                            out_row: s.filters,
                            add: block > first,
                        };
                        let columns = self.wide.min(s.filters - f);
                        product.run::<V, R>(s.kw * s.c, columns, T::ZERO);
                    }
                }
            }
        }
    }
}
