//! Max pooling by windows of 2 x 2 that touch: nearly all there is, and worth loops of its own.

use super::max::{LANES, Tap, chosen, take};
use crate::real::Real;

/// The largest of four numbers, and which it is.
#[inline(always)]
fn of_four<T: Real, I: Tap>([a, b, c, d]: [T; 4]) -> (T, I) {
    let (mut best, mut at) = (a, I::new(0));
    take(b, I::new(1), &mut best, &mut at);
    take(c, I::new(2), &mut best, &mut at);
    take(d, I::new(3), &mut best, &mut at);
    (best, at)
}

/// A row of windows of 2 x 2 that touch.
#[inline(always)]
pub(super) fn row_of_pairs<T: Real, I: Tap>(top: &[T], bottom: &[T], y: &mut [T], which: &mut [I]) {
    let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
    for ((y, which), (top, bottom)) in y.iter_mut().zip(which).zip(pairs) {
        (*y, *which) = of_four([top[0], top[1], bottom[0], bottom[1]]);
    }
}

/// A row of windows of 2 x 2 that touch, over places with several channels.
#[inline(always)]
pub(super) fn pairs_of_channels<T: Real, I: Tap>(
    top: &[T],
    bottom: &[T],
    inner: usize,
    y: &mut [T],
    which: &mut [I],
) {
    let places = y.chunks_exact_mut(inner).zip(which.chunks_exact_mut(inner));
    let pairs = top.chunks_exact(2 * inner).zip(bottom.chunks_exact(2 * inner));
    for ((y, which), (top, bottom)) in places.zip(pairs) {
        let four = [&top[..inner], &top[inner..], &bottom[..inner], &bottom[inner..]];
        let (y, y_rest) = y.as_chunks_mut::<LANES>();
        let (which, which_rest) = which.as_chunks_mut::<LANES>();
        let [a, b, c, d] = four.map(|row| row.as_chunks::<LANES>().0);
        for ((y, which), (((a, b), c), d)) in
            y.iter_mut().zip(which).zip(a.iter().zip(b).zip(c).zip(d))
        {
            let (mut best, mut at) = ([T::ZERO; LANES], [I::default(); LANES]);
            for l in 0..LANES {
                (best[l], at[l]) = of_four([a[l], b[l], c[l], d[l]]);
            }
            (*y, *which) = (best, at);
        }
        let [a, b, c, d] = four.map(|row| row.as_chunks::<LANES>().1);
        for (l, (y, which)) in y_rest.iter_mut().zip(which_rest).enumerate() {
            (*y, *which) = of_four([a[l], b[l], c[l], d[l]]);
        }
    }
}

/// The gradient of one of the two rows that a row of touching windows of 2 x 2 sees; `left` is the place of its left column.
#[inline(always)]
pub(super) fn row_of_pairs_back<T: Real, I: Tap>(
    (dy, which): (&[T], &[I]),
    left: usize,
    dx: &mut [T],
) {
    let taps = [left, left + 1].map(I::new);
    // Eight windows at a time, so that a vector of numbers can be spread into pairs.
    let (dy, dy_rest) = dy.as_chunks::<8>();
    let (which, which_rest) = which.as_chunks::<8>();
    let (blocks, dx_rest) = dx.split_at_mut(16 * dy.len());
    for (dx, (dy, which)) in blocks.as_chunks_mut::<16>().0.iter_mut().zip(dy.iter().zip(which)) {
        let twice: [T; 16] = std::array::from_fn(|m| dy[m / 2]);
        let places: [I; 16] = std::array::from_fn(|m| which[m / 2]);
        for m in 0..16 {
            dx[m] = chosen(twice[m], places[m], taps[m % 2]);
        }
    }
    let (pairs, odd) = dx_rest.split_at_mut(2 * dy_rest.len());
    odd.fill(T::ZERO);
    let rest = dy_rest.iter().zip(which_rest);
    for (dx, (dy, which)) in pairs.as_chunks_mut::<2>().0.iter_mut().zip(rest) {
        *dx = taps.map(|tap| chosen(*dy, *which, tap));
    }
}

/// As [`row_of_pairs_back`], over places with several channels.
#[inline(always)]
pub(super) fn pairs_of_channels_back<T: Real, I: Tap>(
    (dy, which): (&[T], &[I]),
    left: usize,
    inner: usize,
    dx: &mut [T],
) {
    let taps = [left, left + 1].map(I::new);
    let (pairs, odd) = dx.split_at_mut(2 * dy.len());
    odd.fill(T::ZERO);
    let windows = dy.chunks_exact(inner).zip(which.chunks_exact(inner));
    for (dx, (dy, which)) in pairs.chunks_exact_mut(2 * inner).zip(windows) {
        for (dx, tap) in dx.chunks_exact_mut(inner).zip(taps) {
            let (blocks, dx_rest) = dx.as_chunks_mut::<LANES>();
            let ((dy, dy_rest), (which, which_rest)) =
                (dy.as_chunks::<LANES>(), which.as_chunks::<LANES>());
            for (dx, (dy, which)) in blocks.iter_mut().zip(dy.iter().zip(which)) {
                let mut passed = [T::ZERO; LANES];
                for l in 0..LANES {
                    passed[l] = chosen(dy[l], which[l], tap);
                }
                *dx = passed;
            }
            let rest = dy_rest.iter().zip(which_rest);
            dx_rest
                .iter_mut()
                .zip(rest)
                .for_each(|(dx, (dy, which))| *dx = chosen(*dy, *which, tap));
        }
    }
}
