//! The mean of each window.

use super::{Column, PoolShape};
use crate::real::Real;
use crate::threads::parallel_chunks;

/// What the sum of window (i, j) is divided by: the numbers of the window, with its padding or without.
#[inline(always)]
pub(super) fn count<T: Real>(shape: &PoolShape, i: usize, j: usize, count_pad: bool) -> T {
    let count = if count_pad {
        shape.h.extent(i) * shape.w.extent(j)
    } else {
        shape.h.window(i).len() * shape.w.window(j).len()
    };
    T::from_f64(count as f64)
}

/// The mean of each window: the sum, row by row, divided by the numbers of the window; padding counts as zeroes, or not at all.
///
/// # Panics
/// If a length does not fit.
pub fn avg_pool<T: Real>(x: &[T], shape: &PoolShape, count_pad: bool, y: &mut [T]) {
    assert!(
        x.len() == shape.input_len() && y.len() == shape.output_len(),
        "the sizes of a pooling"
    );
    if y.is_empty() {
        return;
    }
    let row = shape.row_out();
    let task = shape.task_rows(shape.h.places() * shape.row_in()).min(y.len() / row);
    parallel_chunks(y, task * row, |i, y| avg_rows(x, shape, count_pad, i * task, y));
}

crate::multiversion! {
    /// The rows of the result from row `first` on, counted over all pictures.
    fn avg_rows<T: Real>(x: &[T], shape: &PoolShape, count_pad: bool, first: usize, y: &mut [T]) {
        for (n, y) in (first..).zip(y.chunks_exact_mut(shape.row_out())) {
            let (o, i) = (n / shape.h.out, n % shape.h.out);
            let x = &x[o * shape.picture()..][..shape.picture()];
            if shape.inner > 1 || !shape.w.slides() {
                row_of_channels(x, shape, i, y);
            } else {
                plain_row(x, shape, i, y);
            }
            for (j, y) in y.chunks_exact_mut(shape.inner).enumerate() {
                let count = count::<T>(shape, i, j, count_pad);
                y.iter_mut().for_each(|y| *y = *y / count);
            }
        }
    }
}

/// The sums of a row of windows over places with several channels, which are added side by side.
#[inline(always)]
fn row_of_channels<T: Real>(x: &[T], shape: &PoolShape, i: usize, y: &mut [T]) {
    let inner = shape.inner;
    for (j, y) in y.chunks_exact_mut(inner).enumerate() {
        y.fill(T::ZERO);
        for p in shape.h.window(i) {
            for q in shape.w.window(j) {
                let x = &x[(p * shape.w.size + q) * inner..][..inner];
                y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
            }
        }
    }
}

/// The sums of a row of windows over places with one number each: place by place of the windows, along the row.
#[inline(always)]
fn plain_row<T: Real>(x: &[T], shape: &PoolShape, i: usize, y: &mut [T]) {
    y.fill(T::ZERO);
    for p in shape.h.window(i) {
        let x = &x[p * shape.w.size..][..shape.w.size];
        for v in 0..shape.w.places() {
            let Some(Column { windows, first, stride }) = shape.w.column(v) else { continue };
            let along = x[first..].iter().step_by(stride);
            y[windows].iter_mut().zip(along).for_each(|(y, x)| *y += *x);
        }
    }
}

/// The gradient of [`avg_pool`]: each number gets its share of dy from every window that sees it, in the order of the windows.
///
/// # Panics
/// If a length does not fit.
pub fn avg_pool_back<T: Real>(dy: &[T], shape: &PoolShape, count_pad: bool, dx: &mut [T]) {
    let fits = dx.len() == shape.input_len() && dy.len() == shape.output_len();
    assert!(fits, "the sizes of a pooling");
    if dx.is_empty() {
        return;
    }
    let row = shape.row_in();
    let task = shape.task_rows(row).min(dx.len() / row);
    parallel_chunks(dx, task * row, |i, dx| avg_rows_back(dy, shape, count_pad, i * task, dx));
}

crate::multiversion! {
    /// The rows of the pictures' gradient from row `first` on, counted over all pictures.
    fn avg_rows_back<T: Real>(dy: &[T], shape: &PoolShape, count_pad: bool, first: usize, dx: &mut [T]) {
        let inner = shape.inner;
        for (n, dx) in (first..).zip(dx.chunks_exact_mut(shape.row_in())) {
            let (o, p) = (n / shape.h.size, n % shape.h.size);
            for (q, dx) in dx.chunks_exact_mut(inner).enumerate() {
                dx.fill(T::ZERO);
                for i in shape.h.seen_by(p) {
                    for j in shape.w.seen_by(q) {
                        let count = count::<T>(shape, i, j, count_pad);
                        let dy = &dy[((o * shape.h.out + i) * shape.w.out + j) * inner..][..inner];
                        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy / count);
                    }
                }
            }
        }
    }
}
