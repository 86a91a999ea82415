//! Depthwise convolution: each channel has its own filter, so channels are the lanes of a vector and there is no product.

use super::task::{Job, Runner};
use super::{ConvShape, finish, sum_parts};
use crate::buffer::Buffer;
use crate::gemm::vector::Vector;
use crate::real::Real;
use crate::threads::Shared;
use std::ops::Range;

/// Numbers of a result that a task computes.
const TASK: usize = 16 * 1024;
/// Parts of the batch whose gradients of the weights are summed apart.
const PARTS: usize = 16;
/// Vectors of channels that are worked on together.
const TOGETHER: usize = 4;

/// Whether there are several channels, each with a filter of its own.
pub(super) fn applies(s: &ConvShape) -> bool {
    s.groups > 1 && s.groups == s.c && s.filters == s.c
}

/// For each place along one axis of a result, which places of the source it takes through which taps.
struct Axis {
    /// For each place: how many, then pairs of place and tap, both as distances in memory.
    table: Buffer<usize>,
    each: usize,
}

impl Axis {
    /// For `size` places; a place of the source is `steps[0]` numbers from the next, a tap of the weights `steps[1]`.
    fn new(
        size: usize,
        taps: usize,
        steps: [usize; 2],
        source: impl Fn(usize, usize) -> Option<usize>,
    ) -> Axis {
        let each = 1 + 2 * taps;
        let mut table = Buffer::dirty(size * each);
        for (place, entry) in table.make_mut().chunks_exact_mut(each).enumerate() {
            let mut count = 0;
            for tap in 0..taps {
                if let Some(from) = source(place, tap) {
                    (entry[1 + 2 * count], entry[2 + 2 * count]) =
                        (from * steps[0], tap * steps[1]);
                    count += 1;
                }
            }
            entry[0] = count;
        }
        Axis { table, each }
    }

    #[inline(always)]
    fn pairs(&self, place: usize) -> &[[usize; 2]] {
        let entry = &self.table[place * self.each..][..self.each];
        &entry[1..].as_chunks::<2>().0[..entry[0]]
    }
}

/// w (C, 1, KH, KW) as (KH, KW, C).
fn by_tap<T: Real>(w: &[T], taps: usize) -> Buffer<T> {
    let mut out = Buffer::dirty(w.len());
    let channels = w.len() / taps;
    for (tap, to) in out.make_mut().chunks_exact_mut(channels).enumerate() {
        to.iter_mut().zip(w[tap..].iter().step_by(taps)).for_each(|(t, f)| *t = *f);
    }
    out
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
    let axes = [
        Axis::new(s.out_h(), s.kh, [s.w * s.c, s.kw * s.c], |i, u| s.under(0, i, u)),
        Axis::new(s.out_w(), s.kw, [s.c; 2], |j, v| s.under(1, j, v)),
    ];
    gather(s, (x, [s.h, s.w]), w, &axes, (y, [s.out_h(), s.out_w()]), (bias, relu));
}

/// [`super::backward_data`]: every input takes from the outputs that have seen it.
pub(super) fn backward_data<T: Real>(s: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    let seen_by = |axis: usize, size: usize| {
        move |place: usize, tap: usize| {
            let from = (place + s.pad[axis]).checked_sub(tap * s.dilation[axis])?;
            let out = from / s.stride[axis];
            (from % s.stride[axis] == 0 && out < size).then_some(out)
        }
    };
    let (out_h, out_w) = (s.out_h(), s.out_w());
    let axes = [
        Axis::new(s.h, s.kh, [out_w * s.c, s.kw * s.c], seen_by(0, out_h)),
        Axis::new(s.w, s.kw, [s.c; 2], seen_by(1, out_w)),
    ];
    gather(s, (dy, [out_h, out_w]), w, &axes, (dx, [s.h, s.w]), (None, false));
}

/// `to[n, i, j, c] = sum over the pairs (r, u) of i and (q, v) of j of from[n, r, q, c] w[c, u, v]`.
fn gather<T: Real>(
    s: &ConvShape,
    (from, from_size): (&[T], [usize; 2]),
    w: &[T],
    axes: &[Axis; 2],
    (to, to_size): (&mut [T], [usize; 2]),
    end: (Option<&[T]>, bool),
) {
    let rows = s.n * to_size[0];
    let each = (TASK / (to_size[1] * s.c)).max(1);
    let w = by_tap(w, s.kh * s.kw);
    let to = Shared(to.as_mut_ptr());
    let job = Gather { c: s.c, from, from_size, w: &w, axes, to, to_size, rows, each, end };
    Runner::new().run(&job, rows.div_ceil(each), 0);
}

/// Some rows of a result a task.
struct Gather<'a, T> {
    c: usize,
    from: &'a [T],
    from_size: [usize; 2],
    w: &'a [T],
    axes: &'a [Axis; 2],
    to: Shared<T>,
    to_size: [usize; 2],
    rows: usize,
    each: usize,
    /// The bias and the ReLU that follow.
    end: (Option<&'a [T]>, bool),
}

impl<T: Real> Job<T> for Gather<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [T],
    ) {
        for row in number * self.each..self.rows.min((number + 1) * self.each) {
            let (n, i) = (row / self.to_size[0], row % self.to_size[0]);
            for j in 0..self.to_size[1] {
                let mut c = 0;
                // SAFETY: the caller's promise; blocks of channels lie within a pixel, which belongs to this task.
                unsafe {
                    let to = self.to.at((row * self.to_size[1] + j) * self.c);
                    while c + TOGETHER * V::LANES <= self.c {
                        self.block::<V, TOGETHER>(n, i, j, c, to.add(c));
                        c += TOGETHER * V::LANES;
                    }
                    while c + V::LANES <= self.c {
                        self.block::<V, 1>(n, i, j, c, to.add(c));
                        c += V::LANES;
                    }
                    while c < self.c {
                        self.block::<T::Single, 1>(n, i, j, c, to.add(c));
                        c += 1;
                    }
                    if self.end.0.is_some() || self.end.1 {
                        let row = std::slice::from_raw_parts_mut(to, self.c);
                        finish(row, self.end.0, self.end.1);
                    }
                }
            }
        }
    }
}

impl<T: Real> Gather<'_, T> {
    /// `B` vectors of channels from `c` on of one pixel.
    #[inline(always)]
    unsafe fn block<V: Vector<T>, const B: usize>(
        &self,
        n: usize,
        i: usize,
        j: usize,
        c: usize,
        to: *mut T,
    ) {
        let columns = self.axes[1].pairs(j);
        // SAFETY: the tables hold places within a picture and taps within a filter; `c` leaves room for the block.
        unsafe {
            let mut sums = [V::splat(T::ZERO); B];
            let picture = n * self.from_size[0] * self.from_size[1] * self.c + c;
            let (from, w) = (self.from.as_ptr().add(picture), self.w.as_ptr().add(c));
            for [r, u] in self.axes[0].pairs(i) {
                let (from, w) = (from.add(*r), w.add(*u));
                for [q, v] in columns {
                    let (x, w) = (from.add(*q), w.add(*v));
                    for (k, sum) in sums.iter_mut().enumerate() {
                        let at = k * V::LANES;
                        *sum = V::load(x.add(at)).fma(V::load(w.add(at)), *sum);
                    }
                }
            }
            for (k, sum) in sums.into_iter().enumerate() {
                sum.store(to.add(k * V::LANES));
            }
        }
    }
}

/// [`super::backward_weights`].
pub(super) fn backward_weights<T: Real>(s: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    let rows = s.n * s.out_h();
    let part = rows.div_ceil(PARTS).max(1);
    let parts = rows.div_ceil(part);
    let mut sums = Buffer::<T>::zeroed(parts * dw.len());
    let to = Shared(sums.make_mut().as_mut_ptr());
    Runner::new().run(&Weights { s, x, dy, sums: to, part, rows }, parts, 0);
    let taps = s.kh * s.kw;
    let sums = sum_parts(sums.make_mut(), taps * s.c);
    for (c, dw) in dw.chunks_exact_mut(taps).enumerate() {
        dw.iter_mut().zip(sums[c..].iter().step_by(s.c)).for_each(|(dw, sum)| *dw = *sum);
    }
}

/// The sums of some rows of the output a task, (KH, KW, C).
struct Weights<'a, T> {
    s: &'a ConvShape,
    x: &'a [T],
    dy: &'a [T],
    sums: Shared<T>,
    part: usize,
    rows: usize,
}

impl<T: Real> Job<T> for Weights<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        _: &mut [T],
    ) {
        for row in number * self.part..self.rows.min((number + 1) * self.part) {
            for u in 0..self.s.kh {
                if let Some(y) = self.s.under(0, row % self.s.out_h(), u) {
                    // SAFETY: the caller's promise; each task has its own sums.
                    unsafe { self.row::<V>(row, y, self.sums.at(self.place(number, u))) };
                }
            }
        }
    }
}

impl<T: Real> Weights<'_, T> {
    /// Where the sums of row `u` of the filters begin in those of a part.
    fn place(&self, part: usize, u: usize) -> usize {
        (part * self.s.kh + u) * self.s.kw * self.s.c
    }

    /// Outputs of a row whose input under column `v` of the filters is not padding.
    fn seen(&self, v: usize) -> Range<usize> {
        let s = self.s;
        let place = |pad: usize| (pad + s.pad[1]).saturating_sub(v * s.dilation[1]);
        let [first, end] = [place(0), place(s.w)].map(|place| place.div_ceil(s.stride[1]));
        first..end.min(s.out_w())
    }

    /// Row `row` of dy with row `y` of x. Three columns of filters share what they read of dy, where all of them see something.
    #[inline(always)]
    unsafe fn row<V: Vector<T>>(&self, row: usize, y: usize, sums: *mut T) {
        let s = self.s;
        let seen = [0, 1, 2].map(|v| if s.kw == 3 { self.seen(v) } else { 0..0 });
        let first = seen.iter().map(|r| r.start).max().unwrap_or(0);
        let end = seen.iter().map(|r| r.end).min().unwrap_or(0);
        let shared = first..end.max(first);
        for v in 0..s.kw {
            let own = self.seen(v);
            let own = if shared.is_empty() { own } else { own.start..shared.start };
            // SAFETY: the caller's promise.
            unsafe { self.run::<V, 1>(row, y, v, own, sums) };
        }
        if shared.is_empty() {
            return;
        }
        // SAFETY: as above; every sum goes on in the order of the columns.
        unsafe {
            self.run::<V, 3>(row, y, 0, shared.clone(), sums);
            for v in 0..3 {
                self.run::<V, 1>(row, y, v, shared.end..self.seen(v).end, sums);
            }
        }
    }

    /// Outputs `columns` of a row with `K` columns of filters from `v` on.
    #[inline(always)]
    unsafe fn run<V: Vector<T>, const K: usize>(
        &self,
        row: usize,
        y: usize,
        v: usize,
        columns: Range<usize>,
        sums: *mut T,
    ) {
        if columns.is_empty() {
            return;
        }
        let s = self.s;
        let (n, first) = (row / s.out_h(), columns.start);
        let from = first * s.stride[1] + v * s.dilation[1] - s.pad[1];
        let run = Run {
            dy: self.dy[(row * s.out_w() + first) * s.c..].as_ptr(),
            x: self.x[((n * s.h + y) * s.w + from) * s.c..].as_ptr(),
            step: s.stride[1] * s.c,
            tap: s.dilation[1] * s.c,
            c: s.c,
            pixels: columns.len(),
        };
        let mut c = 0;
        // SAFETY: the caller's promise; blocks of channels lie within pixels.
        unsafe {
            let sums = sums.add(v * s.c);
            while c + TOGETHER * V::LANES <= s.c {
                run.block::<V, TOGETHER, K>(c, sums.add(c));
                c += TOGETHER * V::LANES;
            }
            while c + V::LANES <= s.c {
                run.block::<V, 1, K>(c, sums.add(c));
                c += V::LANES;
            }
            while c < s.c {
                run.block::<T::Single, 1, K>(c, sums.add(c));
                c += 1;
            }
        }
    }
}

/// Pixels of a row of dy, and of x, `step` numbers apart, that meet in taps `tap` numbers apart.
struct Run<T> {
    dy: *const T,
    x: *const T,
    step: usize,
    tap: usize,
    c: usize,
    pixels: usize,
}

impl<T: Real> Run<T> {
    /// Adds the products of `B` vectors of channels from `c` on to the sums of `K` taps.
    #[inline(always)]
    unsafe fn block<V: Vector<T>, const B: usize, const K: usize>(&self, c: usize, to: *mut T) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[V::splat(T::ZERO); B]; K];
            for (v, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(to.add(v * self.c + k * V::LANES));
                }
            }
            for j in 0..self.pixels {
                let (dy, x) = (self.dy.add(j * self.c + c), self.x.add(j * self.step + c));
                for (v, sums) in sums.iter_mut().enumerate() {
                    let x = x.add(v * self.tap);
                    for (k, sum) in sums.iter_mut().enumerate() {
                        let at = k * V::LANES;
                        *sum = V::load(dy.add(at)).fma(V::load(x.add(at)), *sum);
                    }
                }
            }
            for (v, sums) in sums.iter().enumerate() {
                for (k, sum) in sums.iter().enumerate() {
                    sum.store(to.add(v * self.c + k * V::LANES));
                }
            }
        }
    }
}
