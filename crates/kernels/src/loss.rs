//! Losses over class scores (N, C): each gives the mean of the rows' losses and its gradient in one go.
//!
//! A row's loss is computed from that row alone, and the rows' losses are added in order in `f64`, so neither threads nor
//! vectors change a bit.

use crate::buffer::Buffer;
use crate::real::Real;
use crate::threads::{Shared, parallel_for};
use std::ops::Range;

/// Matrices with fewer scores than this are worked on by the calling thread alone.
const PARALLEL_FROM: usize = 8 * 1024;
/// Scores a task takes.
const TASK: usize = 4 * 1024;

/// Softmax and cross-entropy of `scores` (N, C) against `labels` (N): the mean loss, and its gradient in `dx` (N, C).
///
/// With the row's maximum m and smoothing e, a row's loss is
/// `ln(sum exp(s - m)) - (1 - e) (s_y - m) - e / C sum (s - m)`, and dx is `(softmax - (1 - e) onehot - e / C) / N`.
/// It is finite for all finite scores.
///
/// # Panics
/// If a length does not fit, a label is not below C, or there is no row.
pub fn softmax_cross_entropy<T: Real>(
    scores: &[T],
    labels: &[usize],
    smoothing: f64,
    dx: &mut [T],
) -> f64 {
    let share = 1.0 / labels.len() as f64;
    check_labels(scores, labels);
    mean_over_rows(scores, labels.len(), dx, |rows, scores, losses, dx| {
        softmax_rows(scores, &labels[rows], share, smoothing, losses, dx);
    })
}

/// Softmax and cross-entropy of `scores` (N, C) against `shares` (N, C), how much of each class a row is: the mean loss, and its
/// gradient by the scores in `dx` (N, C).
///
/// With the row's maximum m, shares t and smoothing e, `t' = (1 - e) t + e / C`; a row's loss is
/// `sum t' ln(sum exp(s - m)) - sum t' (s - m)`, and dx is `(sum t' softmax - t') / N`. Shares need not add up to 1.
///
/// # Panics
/// If a length does not fit, or there is no row.
pub fn soft_cross_entropy<T: Real>(
    scores: &[T],
    shares: &[T],
    rows: usize,
    smoothing: f64,
    dx: &mut [T],
) -> f64 {
    assert!(shares.len() == scores.len(), "a share of every class");
    let classes = scores.len() / rows.max(1);
    mean_over_rows(scores, rows, dx, |range, scores, losses, dx| {
        let shares = &shares[range.start * classes..range.end * classes];
        soft_rows(scores, shares, 1.0 / rows as f64, smoothing, losses, dx);
    })
}

/// The multiclass hinge loss with margin 1 of `scores` (N, C) against `labels` (N): the mean loss, and its gradient in `dx`.
///
/// A row's loss is the sum over the wrong classes j of `max(0, s_j - s_y + 1)`.
///
/// # Panics
/// As [`softmax_cross_entropy`].
pub fn multiclass_svm<T: Real>(scores: &[T], labels: &[usize], dx: &mut [T]) -> f64 {
    let share = T::from_f64(1.0 / labels.len() as f64);
    check_labels(scores, labels);
    mean_over_rows(scores, labels.len(), dx, |rows, scores, losses, dx| {
        hinge_rows(scores, &labels[rows], share, losses, dx);
    })
}

/// Panics unless every label is below the number of classes.
fn check_labels<T>(scores: &[T], labels: &[usize]) {
    let classes = scores.len() / labels.len().max(1);
    assert!(labels.iter().all(|y| *y < classes), "labels below the number of classes");
}

/// Runs `f` on ranges of the n rows, with their scores; it writes the rows' losses and their part of `dx`.
fn mean_over_rows<T: Real>(
    scores: &[T],
    n: usize,
    dx: &mut [T],
    f: impl Fn(Range<usize>, &[T], &mut [f64], &mut [T]) + Sync,
) -> f64 {
    assert!(n > 0, "the mean of no rows is not defined");
    let classes = scores.len() / n;
    assert!(scores.len() == n * classes && dx.len() == scores.len(), "whole rows of scores");
    let mut losses = Buffer::<f64>::dirty(n);
    let height = (TASK / classes).clamp(1, n);
    let (to_losses, to_dx) = (Shared(losses.make_mut().as_mut_ptr()), Shared(dx.as_mut_ptr()));
    let task = |i: usize| {
        let (first, end) = (i * height, n.min((i + 1) * height));
        // SAFETY: each task has its own rows: those of `losses` and of `dx`, which have n and n * classes numbers.
        let (losses, dx) = unsafe {
            (
                std::slice::from_raw_parts_mut(to_losses.at(first), end - first),
                std::slice::from_raw_parts_mut(to_dx.at(first * classes), (end - first) * classes),
            )
        };
        f(first..end, &scores[first * classes..end * classes], losses, dx);
    };
    let tasks = n.div_ceil(height);
    if scores.len() < PARALLEL_FROM {
        (0..tasks).for_each(task);
    } else {
        parallel_for(tasks, task);
    }
    losses.iter().sum::<f64>() / n as f64
}

/// The sum of a row of at most a few thousand numbers: 16 lanes, then the lanes in order.
#[inline(always)]
fn row_sum<T: Real>(row: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let (blocks, rest) = row.as_chunks::<16>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(l, v)| *l += *v);
    }
    if blocks.is_empty() {
        return rest.iter().fold(T::ZERO, |s, v| s + *v);
    }
    lanes.iter_mut().zip(rest).for_each(|(l, v)| *l += *v);
    lanes.iter().fold(T::ZERO, |s, v| s + *v)
}

crate::multiversion! {
    fn softmax_rows<T: Real>(scores: &[T], labels: &[usize], share: f64, smoothing: f64, losses: &mut [f64], dx: &mut [T]) {
        let classes = dx.len() / labels.len();
        let rows = scores.chunks_exact(classes).zip(dx.chunks_exact_mut(classes));
        for ((s, dx), (loss, y)) in rows.zip(losses.iter_mut().zip(labels)) {
            let m = s.iter().fold(s[0], |m, v| if *v > m { *v } else { m });
            dx.iter_mut().zip(s).for_each(|(d, s)| *d = *s - m);
            // For now only the part of the loss that needs the scores themselves.
            *loss = (1.0 - smoothing) * dx[*y].to_f64();
            if smoothing != 0.0 {
                let sum = dx.iter().fold(0.0, |sum, v| sum + v.to_f64());
                *loss += smoothing / classes as f64 * sum;
            }
        }
        // All rows in one loop, for a row may be much shorter than a vector.
        dx.iter_mut().for_each(|d| *d = d.exp());
        let (hit, all) = ((1.0 - smoothing) * share, smoothing / classes as f64 * share);
        let (hit, all) = (T::from_f64(hit), T::from_f64(all));
        for (dx, (loss, y)) in dx.chunks_exact_mut(classes).zip(losses.iter_mut().zip(labels)) {
            let sum = row_sum(dx);
            *loss = sum.ln().to_f64() - *loss;
            let scale = T::from_f64(share) / sum;
            dx.iter_mut().for_each(|d| *d = d.mul_add(scale, -all));
            dx[*y] -= hit;
        }
    }
}

crate::multiversion! {
    fn soft_rows<T: Real>(scores: &[T], shares: &[T], share: f64, smoothing: f64, losses: &mut [f64], dx: &mut [T]) {
        let classes = dx.len() / losses.len();
        let all = smoothing / classes as f64;
        let target = |t: &T| (1.0 - smoothing) * t.to_f64() + all;
        let rows = scores.chunks_exact(classes).zip(shares.chunks_exact(classes));
        for (((s, t), dx), loss) in rows.zip(dx.chunks_exact_mut(classes)).zip(losses.iter_mut()) {
            let m = s.iter().fold(s[0], |m, v| if *v > m { *v } else { m });
            dx.iter_mut().zip(s).for_each(|(d, s)| *d = *s - m);
            // For now only the part of the loss that needs the scores themselves.
            *loss = dx.iter().zip(t).fold(0.0, |sum, (d, t)| sum + target(t) * d.to_f64());
        }
        dx.iter_mut().for_each(|d| *d = d.exp());
        let rows = dx.chunks_exact_mut(classes).zip(shares.chunks_exact(classes));
        for ((dx, t), loss) in rows.zip(losses.iter_mut()) {
            let sum = row_sum(dx);
            let whole = t.iter().fold(0.0, |sum, t| sum + target(t));
            *loss = whole * sum.ln().to_f64() - *loss;
            let scale = T::from_f64(share * whole) / sum;
            for (d, t) in dx.iter_mut().zip(t) {
                *d = d.mul_add(scale, -T::from_f64(share * target(t)));
            }
        }
    }
}

crate::multiversion! {
    fn hinge_rows<T: Real>(scores: &[T], labels: &[usize], share: T, losses: &mut [f64], dx: &mut [T]) {
        let classes = dx.len() / labels.len();
        let rows = scores.chunks_exact(classes).zip(dx.chunks_exact_mut(classes));
        for ((s, dx), (loss, y)) in rows.zip(losses.iter_mut().zip(labels)) {
            let base = T::ONE - s[*y];
            for (d, s) in dx.iter_mut().zip(s) {
                let margin = *s + base;
                // Written so that NaN comes through.
                *d = if T::ZERO >= margin { T::ZERO } else { margin };
            }
            dx[*y] = T::ZERO;
            *loss = dx.iter().fold(0.0, |sum, margin| sum + margin.to_f64());
            dx.iter_mut().for_each(|d| *d = if *d > T::ZERO { share } else { T::ZERO });
            let count = dx.iter().filter(|d| **d > T::ZERO).count();
            dx[*y] = -(T::from_f64(count as f64) * share);
        }
    }
}
