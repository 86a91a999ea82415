//! Pooling as one would write it down: the twins that the fast kernels equal bit for bit.

use super::PoolShape;
use crate::real::Real;

/// The largest number of each window, and its place in it (row by row): the first of equal ones. NaN counts as larger than any
/// number; of several the last is taken, which nothing but its place can tell.
pub fn max_pool<T: Real>(x: &[T], shape: &PoolShape) -> (Vec<T>, Vec<usize>) {
    let (mut y, mut which) = (Vec::new(), Vec::new());
    each_output(shape, |o, i, j, c| {
        let mut best: Option<(T, usize)> = None;
        for p in shape.h.window(i) {
            for q in shape.w.window(j) {
                let v = x[at(shape, o, p, q, c)];
                if best.is_none_or(|(b, _)| v > b || super::max::is_nan(v)) {
                    best = Some((v, tap(shape, [i, j], [p, q])));
                }
            }
        }
        let (b, tap) = best.expect("every window sees something");
        y.push(b);
        which.push(tap);
    });
    (y, which)
}

/// The gradient of [`max_pool`]: dy is added at the place that was chosen.
pub fn max_pool_back<T: Real>(dy: &[T], which: &[usize], shape: &PoolShape) -> Vec<T> {
    let mut dx = vec![T::ZERO; shape.input_len()];
    let mut k = 0;
    each_output(shape, |o, i, j, c| {
        for p in shape.h.window(i) {
            for q in shape.w.window(j) {
                if tap(shape, [i, j], [p, q]) == which[k] {
                    dx[at(shape, o, p, q, c)] += dy[k];
                }
            }
        }
        k += 1;
    });
    dx
}

/// The mean of each window: the sum, row by row, divided by the numbers of the window, with padding or (`!count_pad`) without.
pub fn avg_pool<T: Real>(x: &[T], shape: &PoolShape, count_pad: bool) -> Vec<T> {
    let mut y = Vec::new();
    each_output(shape, |o, i, j, c| {
        let mut sum = T::ZERO;
        for p in shape.h.window(i) {
            for q in shape.w.window(j) {
                sum += x[at(shape, o, p, q, c)];
            }
        }
        y.push(sum / super::avg::count(shape, i, j, count_pad));
    });
    y
}

/// The gradient of [`avg_pool`]: each number of a window gets its share of dy.
pub fn avg_pool_back<T: Real>(dy: &[T], shape: &PoolShape, count_pad: bool) -> Vec<T> {
    let mut dx = vec![T::ZERO; shape.input_len()];
    let mut k = 0;
    each_output(shape, |o, i, j, c| {
        let share = dy[k] / super::avg::count(shape, i, j, count_pad);
        for p in shape.h.window(i) {
            for q in shape.w.window(j) {
                dx[at(shape, o, p, q, c)] += share;
            }
        }
        k += 1;
    });
    dx
}

/// Calls `f(outer, row, column, inner)` for every number of the result, in its order.
fn each_output(shape: &PoolShape, mut f: impl FnMut(usize, usize, usize, usize)) {
    for o in 0..shape.outer {
        for i in 0..shape.h.out {
            for j in 0..shape.w.out {
                (0..shape.inner).for_each(|c| f(o, i, j, c));
            }
        }
    }
}

fn at(shape: &PoolShape, o: usize, p: usize, q: usize, c: usize) -> usize {
    ((o * shape.h.size + p) * shape.w.size + q) * shape.inner + c
}

/// The number of place (p, q) in window (i, j).
fn tap(shape: &PoolShape, [i, j]: [usize; 2], [p, q]: [usize; 2]) -> usize {
    shape.h.place(i, p) * shape.w.places() + shape.w.place(j, q)
}
