//! Softmax and its logarithm over rows, and their derivatives.
//!
//! A row's sums are taken in sixteen lanes that are added in order, so that every level gives the same bits. Tasks are blocks of
//! rows.

use crate::elementwise::PIECE;
use crate::real::Real;
use crate::threads::parallel_chunks;

/// The sum of `f(x[i], y[i])` in sixteen lanes, added in order.
#[inline(always)]
fn lane_sum<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; 16];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<16>(), y.as_chunks::<16>());
    for (x, y) in x.iter().zip(y) {
        lanes.iter_mut().zip(x).zip(y).for_each(|((s, x), y)| *s += f(*x, *y));
    }
    lanes.iter_mut().zip(x_rest).zip(y_rest).for_each(|((s, x), y)| *s += f(*x, *y));
    lanes.iter().fold(T::ZERO, |sum, lane| sum + *lane)
}

crate::multiversion! {
    fn softmax_rows<T: Real>(x: &[T], n: usize, log: bool, y: &mut [T]) {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let largest = x.iter().fold(x[0], |m, v| v.max(m));
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - largest).exp());
            let sum = lane_sum(y, y, |v, _| v);
            if log {
                let shift = largest + sum.ln();
                y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - shift);
            } else {
                y.iter_mut().for_each(|y| *y = *y / sum);
            }
        }
    }
}

crate::multiversion! {
    fn softmax_rows_back<T: Real>(dy: &[T], y: &[T], n: usize, log: bool, dx: &mut [T]) {
        let rows = dy.chunks_exact(n).zip(y.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
        for ((dy, y), dx) in rows {
            let elements = dx.iter_mut().zip(dy).zip(y);
            if log {
                let sum = lane_sum(dy, y, |dy, _| dy);
                elements.for_each(|((dx, dy), y)| *dx = *dy - y.exp() * sum);
            } else {
                let sum = lane_sum(dy, y, |dy, y| dy * y);
                elements.for_each(|((dx, dy), y)| *dx = *y * (*dy - sum));
            }
        }
    }
}

/// Elements a task takes: whole rows of n.
fn task(n: usize) -> usize {
    (PIECE / 4 / n).max(1) * n
}

/// `y = e^x / sum(e^x)` for each row of n numbers, or its logarithm.
///
/// # Panics
/// If n is 0, or the lengths are not equal and whole rows.
pub fn softmax<T: Real>(x: &[T], n: usize, log: bool, y: &mut [T]) {
    assert!(x.len() == y.len() && x.len().is_multiple_of(n), "whole rows");
    let task = task(n);
    parallel_chunks(y, task, |i, y| softmax_rows(&x[i * task..][..y.len()], n, log, y));
}

/// The gradient of x, given that of y and y itself.
///
/// # Panics
/// As [`softmax`].
pub fn softmax_back<T: Real>(dy: &[T], y: &[T], n: usize, log: bool, dx: &mut [T]) {
    assert!(dy.len() == dx.len() && y.len() == dx.len() && y.len().is_multiple_of(n), "whole rows");
    let task = task(n);
    parallel_chunks(dx, task, |i, dx| {
        let (from, len) = (i * task, dx.len());
        softmax_rows_back(&dy[from..][..len], &y[from..][..len], n, log, dx);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};
    use crate::threads::set_threads;

    #[test]
    fn every_level_and_number_of_threads_gives_the_bits_of_the_plain_rows() {
        for (rows, n) in [(1, 1), (5, 10), (700, 37), (3, 5000)] {
            let x: Vec<f32> = (0..rows * n).map(|i| ((i * 37) % 101) as f32 * 0.1 - 4.0).collect();
            let dy: Vec<f32> = (0..rows * n).map(|i| ((i * 53) % 89) as f32 * 0.1 - 4.0).collect();
            for log in [false, true] {
                let run = || {
                    let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                    softmax(&x, n, log, &mut y);
                    softmax_back(&dy, &y, n, log, &mut dx);
                    (y, dx)
                };
                set_threads(1);
                let want = with_level(Level::Portable, run);
                let total: f32 = want.0[..n].iter().map(|y| if log { y.exp() } else { *y }).sum();
                assert!((total - 1.0).abs() < 1e-5, "{total}");
                for level in Level::available() {
                    set_threads(3);
                    assert_eq!(with_level(level, run), want, "{rows} x {n}, {}", level.name());
                }
            }
        }
    }
}
