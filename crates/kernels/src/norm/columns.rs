//! Batch norm: every column has its mean and variance.
//!
//! Up to [`STRIP_ROWS`] rows, one task takes a strip of columns through all passes, while it is in the cache. Taller matrices are
//! cut into blocks of rows, with a pass over all of them for each sum. Both give the same bits.

use super::panel::{Panel, WIDTH, grad_rows, grad_sums, norm_rows, sum_rows, sum_squares};
use super::view::{View, ViewMut};
use super::{Affine, Downstream, ROW_BLOCK, Upstream, spread};
use crate::buffer::Buffer;
use crate::real::Real;
use crate::reduce::column_sums;
use crate::threads::Shared;
use std::ops::Range;

/// Matrices with more rows than this are cut into blocks of rows.
const STRIP_ROWS: usize = 1024;

/// The statistics of the columns, each (D).
#[derive(Debug)]
pub struct Stats<'a, T> {
    /// The mean.
    pub mean: &'a mut [T],
    /// The mean square of the deviations from it: the biased variance.
    pub var: &'a mut [T],
    /// `1 / sqrt(var + eps)`.
    pub rstd: &'a mut [T],
}

/// Normalises the columns of `x` (N, D) by their own statistics, which are returned too:
/// `y = gamma * (x - mean) * rstd + beta`, then perhaps a ReLU.
///
/// # Panics
/// If there is no row, or a length does not fit.
pub fn batch_norm<T: Real>(x: &[T], after: Affine<T>, eps: T, stats: Stats<T>, y: &mut [T]) {
    let n = height(x, after.gamma.len(), &after);
    let d = after.gamma.len();
    assert!(n > 0 || d == 0, "statistics need a row");
    assert!(x.len() == y.len(), "the sizes of x and y");
    assert!([stats.mean.len(), stats.var.len(), stats.rstd.len()] == [d; 3], "the sizes of stats");
    let count = T::from_f64(n as f64);
    let finish = move |var: &mut [T], rstd: &mut [T]| {
        divide(var, count);
        rstd.iter_mut().zip(var).for_each(|(r, v)| *r = T::ONE / (*v + eps).sqrt());
    };
    if n > STRIP_ROWS {
        let Stats { mean, var, rstd } = stats;
        sums_by_blocks(n, [&mut *mean], |rows, cols, [sums]| {
            sum_rows(View::new(x, d, rows, cols), sums);
        });
        divide(mean, count);
        sums_by_blocks(n, [&mut *var], |rows, cols, [sums]| {
            sum_squares(View::new(x, d, rows, cols), &mean[cols.clone()], sums);
        });
        finish(var, rstd);
        return normalise(x, mean, rstd, after, y);
    }
    let [mean, var, rstd, y] =
        [stats.mean, stats.var, stats.rstd, y].map(|s| Shared(s.as_mut_ptr()));
    each_strip(n, d, |cols| {
        // SAFETY: each task has its own columns, of these vectors and of y.
        let [mut mean, mut var, mut rstd] =
            [mean, var, rstd].map(|base| unsafe { ViewMut::new(base, d, &(0..1), &cols) });
        let (mean, var, rstd) = (mean.row(0), var.row(0), rstd.row(0));
        sums_of_strip(n, [mean], |rows, [s]| sum_rows(View::new(x, d, rows, &cols), s));
        divide(mean, count);
        sums_of_strip(n, [var], |rows, [s]| {
            sum_squares(View::new(x, d, rows, &cols), mean, s);
        });
        finish(var, rstd);
        let panel = Panel::new(mean, rstd, after, &cols);
        // SAFETY: as above.
        let mut y = unsafe { ViewMut::new(y, d, &(0..n), &cols) };
        norm_rows(View::new(x, d, &(0..n), &cols), &panel, &mut y);
    });
}

/// Normalises the columns of `x` (N, D) by given statistics: `y = gamma * (x - mean) * rstd + beta`, then perhaps a ReLU.
///
/// # Panics
/// If a length does not fit.
pub fn normalise<T: Real>(x: &[T], mean: &[T], rstd: &[T], after: Affine<T>, y: &mut [T]) {
    let d = mean.len();
    let n = height(x, d, &after);
    assert!(x.len() == y.len() && rstd.len() == d, "the sizes of y and rstd");
    let y = Shared(y.as_mut_ptr());
    each_block(n, d, |rows, cols| {
        let panel = Panel::new(&mean[cols.clone()], &rstd[cols.clone()], after, cols);
        // SAFETY: each task has its own rows of y.
        let mut y = unsafe { ViewMut::new(y, d, rows, cols) };
        norm_rows(View::new(x, d, rows, cols), &panel, &mut y);
    });
}

/// The gradients of batch norm in closed form. With `train`, mean and rstd are x's own statistics and depend on it; without,
/// they are constants.
///
/// ```text
/// dbeta = sum dy    dgamma = sum dy xhat    dx = gamma rstd (dy - dbeta / N - xhat dgamma / N)    (constants: gamma rstd dy)
/// ```
///
/// # Panics
/// If a length does not fit.
pub fn batch_norm_backward<T: Real>(
    up: Upstream<T>,
    after: Affine<T>,
    train: bool,
    to: Downstream<T>,
) {
    let Upstream { x, dy, mean, rstd } = up;
    let d = mean.len();
    let n = height(x, d, &after);
    assert!(dy.len() == x.len() && rstd.len() == d, "the sizes of dy and rstd");
    assert!(to.dgamma.len() == d && to.dbeta.len() == d, "the sizes of dgamma and dbeta");
    assert!(to.dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "the size of dx");
    let share = if train { T::ONE / T::from_f64(n as f64) } else { T::ZERO };
    let job = Backward { up, after, share, dx: to.dx.map(|dx| Shared(dx.as_mut_ptr())) };
    let (dgamma, dbeta) = (to.dgamma, to.dbeta);
    if n > STRIP_ROWS {
        sums_by_blocks(n, [&mut *dbeta, &mut *dgamma], |rows, cols, sums| {
            job.sums(rows, cols, &job.panel(cols), sums);
        });
        multiply(dgamma, rstd);
        return each_block(n, d, |rows, cols| {
            let sums = [&dbeta[cols.clone()], &dgamma[cols.clone()]];
            // SAFETY: each task has its own rows.
            unsafe { job.write_dx(rows, cols, job.panel(cols), sums) };
        });
    }
    let [dgamma, dbeta] = [dgamma, dbeta].map(|s| Shared(s.as_mut_ptr()));
    each_strip(n, d, |cols| {
        // SAFETY: each task has its own columns of both.
        let [mut dgamma, mut dbeta] =
            [dgamma, dbeta].map(|base| unsafe { ViewMut::new(base, d, &(0..1), &cols) });
        let (dgamma, dbeta) = (dgamma.row(0), dbeta.row(0));
        let panel = job.panel(&cols);
        sums_of_strip(n, [&mut *dbeta, &mut *dgamma], |rows, s| job.sums(rows, &cols, &panel, s));
        multiply(dgamma, &rstd[cols.clone()]);
        // SAFETY: each task has its own columns.
        unsafe { job.write_dx(&(0..n), &cols, panel, [dbeta, dgamma]) };
    });
}

/// What the tasks of a backward pass share.
struct Backward<'a, T> {
    up: Upstream<'a, T>,
    after: Affine<'a, T>,
    /// 1 / N, or 0 if the statistics are constants.
    share: T,
    dx: Option<Shared<T>>,
}

impl<T: Real> Backward<'_, T> {
    fn panel(&self, cols: &Range<usize>) -> Panel<T> {
        Panel::new(&self.up.mean[cols.clone()], &self.up.rstd[cols.clone()], self.after, cols)
    }

    fn views(&self, rows: &Range<usize>, cols: &Range<usize>) -> [View<'_, T>; 2] {
        [self.up.x, self.up.dy].map(|m| View::new(m, self.up.mean.len(), rows, cols))
    }

    fn sums(
        &self,
        rows: &Range<usize>,
        cols: &Range<usize>,
        panel: &Panel<T>,
        sums: [&mut [T]; 2],
    ) {
        let [x, dy] = self.views(rows, cols);
        grad_sums(x, dy, panel, sums);
    }

    /// Writes these rows and columns of dx, if it was asked for, given dbeta and dgamma of these columns.
    ///
    /// # Safety
    /// No other task may touch this part of dx.
    unsafe fn write_dx(
        &self,
        rows: &Range<usize>,
        cols: &Range<usize>,
        mut panel: Panel<T>,
        sums: [&[T]; 2],
    ) {
        let Some(dx) = self.dx else { return };
        panel.for_gradient(sums, &self.up.rstd[cols.clone()], self.share);
        // SAFETY: the caller's promise; dx has the size of x.
        let mut dx = unsafe { ViewMut::new(dx, self.up.mean.len(), rows, cols) };
        let [x, dy] = self.views(rows, cols);
        grad_rows(x, dy, &panel, &mut dx);
    }
}

/// The number of rows of `x`; the lengths that belong to columns are looked at too.
fn height<T>(x: &[T], d: usize, after: &Affine<T>) -> usize {
    assert!(after.gamma.len() == d && after.beta.len() == d, "the sizes of gamma and beta");
    assert!(if d == 0 { x.is_empty() } else { x.len().is_multiple_of(d) }, "whole rows");
    x.len().checked_div(d).unwrap_or(0)
}

fn divide<T: Real>(v: &mut [T], by: T) {
    v.iter_mut().for_each(|v| *v = *v / by);
}

fn multiply<T: Real>(v: &mut [T], by: &[T]) {
    v.iter_mut().zip(by).for_each(|(v, by)| *v *= *by);
}

/// The strips' width: at most [`WIDTH`], an even number of strips of nearly the same size where D allows it.
fn strip_width(d: usize) -> usize {
    let strips = d.div_ceil(WIDTH).next_multiple_of(2).max(1);
    d.div_ceil(strips).next_multiple_of(8).max(8)
}

/// The strips that D columns fall into.
pub(super) fn strips(d: usize) -> impl Iterator<Item = Range<usize>> {
    let width = strip_width(d);
    (0..d).step_by(width).map(move |from| from..d.min(from + width))
}

/// Runs `f` on every strip of columns, in parallel if the matrix is large.
fn each_strip(n: usize, d: usize, f: impl Fn(Range<usize>) + Sync) {
    let width = strip_width(d);
    spread(n * d, d.div_ceil(width), |task| f(task * width..d.min((task + 1) * width)));
}

/// Runs `f` on every strip of every block of rows; the blocks in parallel if the matrix is large.
fn each_block(n: usize, d: usize, f: impl Fn(&Range<usize>, &Range<usize>) + Sync) {
    // Each element by itself: blocks of any height give the same bits.
    let height = (8192 / d.max(1)).clamp(1, ROW_BLOCK);
    spread(n * d, n.div_ceil(height), |block| {
        let rows = block * height..n.min((block + 1) * height);
        strips(d).for_each(|cols| f(&rows, &cols));
    });
}

/// Sums over N rows of some columns: `f` gives those of one block of rows.
pub(super) fn sums_of_strip<T: Real, const K: usize>(
    n: usize,
    mut sums: [&mut [T]; K],
    f: impl Fn(&Range<usize>, [&mut [T]; K]),
) {
    f(&(0..n.min(ROW_BLOCK)), sums.each_mut().map(|s| &mut **s));
    for start in (ROW_BLOCK..n).step_by(ROW_BLOCK) {
        let mut parts = [[T::ZERO; WIDTH]; K];
        let width = sums[0].len();
        f(&(start..n.min(start + ROW_BLOCK)), parts.each_mut().map(|p| &mut p[..width]));
        for (sums, part) in sums.iter_mut().zip(&parts) {
            sums.iter_mut().zip(part).for_each(|(s, p)| *s += *p);
        }
    }
}

/// Sums over N rows of all columns, the blocks of rows in parallel: `f` gives those of some rows and columns.
fn sums_by_blocks<T: Real, const K: usize>(
    n: usize,
    sums: [&mut [T]; K],
    f: impl Fn(&Range<usize>, &Range<usize>, [&mut [T]; K]) + Sync,
) {
    let d = sums[0].len();
    let blocks = n.div_ceil(ROW_BLOCK);
    let mut parts = [(); K].map(|()| Buffer::<T>::dirty(blocks * d));
    let places = parts.each_mut().map(|p| Shared(p.make_mut().as_mut_ptr()));
    spread(n * d, blocks, |block| {
        let rows = block * ROW_BLOCK..n.min((block + 1) * ROW_BLOCK);
        for cols in strips(d) {
            // SAFETY: each task has its own row of every buffer.
            let mut to =
                places.map(|base| unsafe { ViewMut::new(base, d, &(block..block + 1), &cols) });
            f(&rows, &cols, to.each_mut().map(|v| v.row(0)));
        }
    });
    sums.into_iter().zip(&parts).for_each(|(sums, parts)| column_sums(parts, sums));
}
