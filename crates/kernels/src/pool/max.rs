//! The largest number of each window.

use super::pairs::{pairs_of_channels, pairs_of_channels_back, row_of_pairs, row_of_pairs_back};
use super::{Column, PoolShape};
use crate::buffer::Element;
use crate::elementwise::parallel_pairs;
use crate::real::Real;
use crate::threads::parallel_chunks;
use std::ops::Range;

/// Channels that one inner loop covers.
pub(super) const LANES: usize = 16;

/// A number that tells the places of a window apart: a byte for windows of up to 256 places, else 32 bits.
pub trait Tap: Element {
    /// The number of place `i`.
    fn new(i: usize) -> Self;
    /// The place of this number.
    fn index(self) -> usize;
}

impl Tap for u8 {
    #[inline(always)]
    fn new(i: usize) -> u8 {
        i as u8
    }
    #[inline(always)]
    fn index(self) -> usize {
        usize::from(self)
    }
}

impl Tap for u32 {
    #[inline(always)]
    fn new(i: usize) -> u32 {
        i as u32
    }
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
}

/// Whether `v` is the one number that does not equal itself.
#[inline(always)]
#[allow(clippy::eq_op)]
pub(super) fn is_nan<T: Real>(v: T) -> bool {
    v != v
}

/// The largest number of each window, and which place of the window it had: the first of equal ones, row by row. NaN counts as
/// larger than any number.
///
/// # Panics
/// If a length does not fit, or `I` cannot tell the places of a window apart.
pub fn max_pool<T: Real, I: Tap>(x: &[T], shape: &PoolShape, y: &mut [T], which: &mut [I]) {
    check::<T, I>(shape, x, y, which);
    if y.is_empty() {
        return;
    }
    let row = shape.row_out();
    let task = shape.task_rows(shape.h.places() * shape.row_in()).min(y.len() / row);
    parallel_pairs(y, which, task * row, |i, y, which| max_rows(x, shape, i * task, y, which));
}

fn check<T, I: Tap>(shape: &PoolShape, x: &[T], y: &[T], which: &[I]) {
    assert!(x.len() == shape.input_len(), "the pictures of a pooling");
    let outputs = shape.output_len();
    assert!(y.len() == outputs && which.len() == outputs, "the results of a pooling");
    assert!(shape.taps() <= 256 || size_of::<I>() > 1, "a byte tells 256 places apart");
}

crate::multiversion! {
    /// The rows of the result from row `first` on, counted over all pictures.
    fn max_rows<T: Real, I: Tap>(x: &[T], shape: &PoolShape, first: usize, y: &mut [T], which: &mut [I]) {
        let width = shape.row_out();
        let rows = y.chunks_exact_mut(width).zip(which.chunks_exact_mut(width));
        let is_pairs = shape.h.is_pairs() && shape.w.is_pairs();
        let (mut o, mut i) = (first / shape.h.out, first % shape.h.out);
        for (y, which) in rows {
            let x = &x[o * shape.picture()..][..shape.picture()];
            if is_pairs {
                let [top, bottom] = [0, 1].map(|u| &x[(2 * i + u) * shape.row_in()..][..shape.row_in()]);
                if shape.inner > 1 {
                    pairs_of_channels(top, bottom, shape.inner, y, which);
                } else {
                    row_of_pairs(top, bottom, y, which);
                }
            } else if shape.inner > 1 || !shape.w.slides() {
                row_of_channels(x, shape, i, y, which);
            } else {
                plain_row(x, shape, i, y, which);
            }
            i += 1;
            if i == shape.h.out {
                (o, i) = (o + 1, 0);
            }
        }
    }
}

/// Takes `v` with its place if it is larger than what there is.
#[inline(always)]
pub(super) fn take<T: Real, I: Tap>(v: T, tap: I, best: &mut T, which: &mut I) {
    let better = (v > *best) | is_nan(v);
    *which = if better { tap } else { *which };
    *best = if better { v } else { *best };
}

/// A row of windows over places with several channels, which are compared side by side.
#[inline(always)]
fn row_of_channels<T: Real, I: Tap>(
    x: &[T],
    shape: &PoolShape,
    i: usize,
    y: &mut [T],
    which: &mut [I],
) {
    let inner = shape.inner;
    let rows = shape.h.window(i);
    let places = y.chunks_exact_mut(inner).zip(which.chunks_exact_mut(inner));
    for (j, (y, which)) in places.enumerate() {
        let window = [rows.clone(), shape.w.window(j)];
        let ((y, y_rest), (which, which_rest)) =
            (y.as_chunks_mut::<LANES>(), which.as_chunks_mut::<LANES>());
        for (b, (y, which)) in y.iter_mut().zip(which).enumerate() {
            let (mut best, mut at) = ([T::ZERO; LANES], [I::default(); LANES]);
            each_tap(shape, [i, j], &window, |place, tap, is_first| {
                let x = &x[place * inner + b * LANES..][..LANES];
                if is_first {
                    best.copy_from_slice(x);
                    at = [I::new(tap); LANES];
                } else {
                    let pairs = best.iter_mut().zip(&mut at).zip(x);
                    pairs.for_each(|((best, at), v)| take(*v, I::new(tap), best, at));
                }
            });
            (*y, *which) = (best, at);
        }
        let rest = inner - y_rest.len();
        each_tap(shape, [i, j], &window, |place, tap, is_first| {
            let x = &x[place * inner + rest..][..y_rest.len()];
            if is_first {
                y_rest.copy_from_slice(x);
                which_rest.fill(I::new(tap));
            } else {
                let pairs = y_rest.iter_mut().zip(which_rest.iter_mut()).zip(x);
                pairs.for_each(|((best, at), v)| take(*v, I::new(tap), best, at));
            }
        });
    }
}

/// Calls `f(place of the picture, place of the window, whether it is the first)` for what window (i, j) sees, row by row.
#[inline(always)]
fn each_tap(
    shape: &PoolShape,
    [i, j]: [usize; 2],
    [rows, columns]: &[Range<usize>; 2],
    mut f: impl FnMut(usize, usize, bool),
) {
    let mut is_first = true;
    for p in rows.clone() {
        for q in columns.clone() {
            let tap = shape.h.place(i, p) * shape.w.places() + shape.w.place(j, q);
            f(p * shape.w.size + q, tap, is_first);
            is_first = false;
        }
    }
}

/// A row of windows over places with one number each: place by place of the windows, along the row.
#[inline(always)]
fn plain_row<T: Real, I: Tap>(x: &[T], shape: &PoolShape, i: usize, y: &mut [T], which: &mut [I]) {
    let rows = shape.h.window(i);
    let (top, width) = (rows.start, shape.w.size);
    for (j, (y, which)) in y.iter_mut().zip(which.iter_mut()).enumerate() {
        let q = shape.w.window(j).start;
        *y = x[top * width + q];
        *which = I::new(shape.h.place(i, top) * shape.w.places() + shape.w.place(j, q));
    }
    for p in rows {
        let x = &x[p * width..][..width];
        let before = shape.h.place(i, p) * shape.w.places();
        for v in 0..shape.w.places() {
            let Some(Column { windows, first, stride }) = shape.w.column(v) else { continue };
            let along = x[first..].iter().step_by(stride);
            let row = y[windows.clone()].iter_mut().zip(&mut which[windows]).zip(along);
            row.for_each(|((best, at), x)| take(*x, I::new(before + v), best, at));
        }
    }
}

/// The gradient of [`max_pool`]: dy goes to the place that was chosen, and is added where windows overlap, row by row.
///
/// # Panics
/// As [`max_pool`].
pub fn max_pool_back<T: Real, I: Tap>(dy: &[T], which: &[I], shape: &PoolShape, dx: &mut [T]) {
    check::<T, I>(shape, dx, dy, which);
    if dx.is_empty() {
        return;
    }
    let row = shape.row_in();
    let task = shape.task_rows(row).min(dx.len() / row);
    parallel_chunks(dx, task * row, |i, dx| max_rows_back(dy, which, shape, i * task, dx));
}

crate::multiversion! {
    /// The rows of the pictures' gradient from row `first` on, counted over all pictures. Each number is written once where
    /// windows do not overlap.
    fn max_rows_back<T: Real, I: Tap>(dy: &[T], which: &[I], shape: &PoolShape, first: usize, dx: &mut [T]) {
        let out = shape.row_out();
        let is_pairs = shape.h.is_pairs() && shape.w.is_pairs();
        let (mut o, mut p) = (first / shape.h.size, first % shape.h.size);
        for dx in dx.chunks_exact_mut(shape.row_in()) {
            let from = o * shape.h.out * out;
            let row = |i: usize| (&dy[from + i * out..][..out], &which[from + i * out..][..out]);
            if is_pairs && p / 2 < shape.h.out {
                if shape.inner > 1 {
                    pairs_of_channels_back(row(p / 2), p % 2 * 2, shape.inner, dx);
                } else {
                    row_of_pairs_back(row(p / 2), p % 2 * 2, dx);
                }
            } else if shape.inner > 1 || !shape.w.slides() {
                row_of_channels_back(&row, shape, (p, shape.h.seen_by(p)), dx);
            } else {
                plain_row_back(&row, shape, (p, shape.h.seen_by(p)), dx);
            }
            p += 1;
            if p == shape.h.size {
                (o, p) = (o + 1, 0);
            }
        }
    }
}

/// dy where this place was chosen, else 0.
#[inline(always)]
pub(super) fn chosen<T: Real, I: Tap>(dy: T, which: I, tap: I) -> T {
    if which == tap { dy } else { T::ZERO }
}

/// The gradient of row p of a picture with several channels: place by place, from every window that sees it.
#[inline(always)]
fn row_of_channels_back<'a, T: Real, I: Tap>(
    row: &impl Fn(usize) -> (&'a [T], &'a [I]),
    shape: &PoolShape,
    (p, windows): (usize, Range<usize>),
    dx: &mut [T],
) {
    let inner = shape.inner;
    for (q, dx) in dx.chunks_exact_mut(inner).enumerate() {
        let mut is_first = true;
        for i in windows.clone() {
            let (dy, which) = row(i);
            for j in shape.w.seen_by(q) {
                let tap = shape.h.place(i, p) * shape.w.places() + shape.w.place(j, q);
                let tap = I::new(tap);
                let window = dy[j * inner..][..inner].iter().zip(&which[j * inner..][..inner]);
                let pairs = dx.iter_mut().zip(window);
                if is_first {
                    pairs.for_each(|(dx, (dy, which))| *dx = chosen(*dy, *which, tap));
                } else {
                    pairs.for_each(|(dx, (dy, which))| *dx += chosen(*dy, *which, tap));
                }
                is_first = false;
            }
        }
        if is_first {
            dx.fill(T::ZERO);
        }
    }
}

/// The gradient of row p of a picture with one number at a place: window by window, along the row.
#[inline(always)]
fn plain_row_back<'a, T: Real, I: Tap>(
    row: &impl Fn(usize) -> (&'a [T], &'a [I]),
    shape: &PoolShape,
    (p, windows): (usize, Range<usize>),
    dx: &mut [T],
) {
    dx.fill(T::ZERO);
    for i in windows {
        let (dy, which) = row(i);
        // From the last place of the windows to the first, so that a number is fed from its first window to its last.
        for v in (0..shape.w.places()).rev() {
            let tap = I::new(shape.h.place(i, p) * shape.w.places() + v);
            let Some(Column { windows, first, stride }) = shape.w.column(v) else { continue };
            let along = dx[first..].iter_mut().step_by(stride);
            let row = along.zip(dy[windows.clone()].iter().zip(&which[windows]));
            row.for_each(|(dx, (dy, which))| *dx += chosen(*dy, *which, tap));
        }
    }
}
