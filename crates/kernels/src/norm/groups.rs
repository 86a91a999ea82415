//! Group norm of channels-last pictures: each group of channels of each picture has its mean and variance over all pixels.
//!
//! A picture is a matrix of pixels by channels, so the sums down its columns are those of batch norm; a group's are the sums of
//! its channels, in order.

use super::columns::{strips, sums_of_strip};
use super::panel::{Panel, grad_sums, group_rows, norm_rows, sum_rows, sum_squares};
use super::view::{View, ViewMut};
use super::{Affine, Downstream, PARALLEL_FROM, Upstream};
use crate::buffer::{Buffer, Element};
use crate::real::Real;
use crate::reduce::column_sums;
use crate::threads::{Shared, parallel_scratch};
use std::ops::Range;

/// The sizes of a group norm: x is (N, pixels, C), the last contiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupShape {
    /// N, pictures.
    pub pictures: usize,
    /// Pixels of a picture.
    pub pixels: usize,
    /// C, channels.
    pub channels: usize,
    /// Groups that the channels fall into, each C/groups neighbours.
    pub groups: usize,
}

impl GroupShape {
    fn picture(&self) -> usize {
        self.pixels * self.channels
    }

    fn width(&self) -> usize {
        self.channels / self.groups
    }

    /// Numbers that a group of one picture has.
    fn count<T: Real>(&self) -> T {
        T::from_f64((self.pixels * self.width()) as f64)
    }

    fn check<T>(&self, x: &[T], stats: [&[T]; 2], after: &Affine<T>) {
        let Self { pictures, channels, groups, .. } = *self;
        assert!(groups > 0 && channels.is_multiple_of(groups), "whole groups");
        assert!(x.len() == pictures * self.picture(), "the size of x");
        assert!(stats.iter().all(|s| s.len() == pictures * groups), "one number a group");
        assert!([after.gamma, after.beta].iter().all(|v| v.len() == channels), "one a channel");
    }
}

/// Normalises the groups of `x` by their own statistics: `y = gamma * (x - mean) * rstd + beta`, then perhaps a ReLU, with
/// `rstd = 1 / sqrt(var + eps)` of the biased variance. `mean` and `rstd` are (N, groups).
///
/// # Panics
/// If a length does not fit, or the channels do not fall into whole groups.
pub fn group_norm<T: Real>(
    shape: GroupShape,
    x: &[T],
    after: Affine<T>,
    eps: T,
    [mean, rstd]: [&mut [T]; 2],
    y: &mut [T],
) {
    shape.check(x, [mean, rstd], &after);
    assert!(x.len() == y.len(), "the sizes of x and y");
    let (d, count, all) = (shape.channels, shape.count::<T>(), 0..shape.pixels);
    let [mean, rstd, y] = [mean, rstd, y].map(|s| Shared(s.as_mut_ptr()));
    each_picture(&shape, 2 * d, |n, scratch: &mut [T]| {
        let x = &x[n * shape.picture()..][..shape.picture()];
        // SAFETY: each picture has its own row of both.
        let [mut mean, mut rstd] = [mean, rstd].map(|base| unsafe {
            ViewMut::new(base, shape.groups, &(n..n + 1), &(0..shape.groups))
        });
        let (mean, rstd) = (mean.row(0), rstd.row(0));
        let (means, rstds) = scratch.split_at_mut(d);
        down_columns(&shape, [&mut *means], |rows, cols, [s]| {
            sum_rows(View::new(x, d, rows, cols), s);
        });
        gather(means, mean, |sum| sum / count);
        scatter(mean, means);
        down_columns(&shape, [&mut *rstds], |rows, cols, [s]| {
            sum_squares(View::new(x, d, rows, cols), &means[cols.clone()], s);
        });
        gather(rstds, rstd, |sum| T::ONE / (sum / count + eps).sqrt());
        scatter(rstd, rstds);
        for cols in strips(d) {
            let panel = Panel::new(&means[cols.clone()], &rstds[cols.clone()], after, &cols);
            let own = n * shape.pixels..(n + 1) * shape.pixels;
            // SAFETY: each picture has its own rows of y.
            let mut y = unsafe { ViewMut::new(y, d, &own, &cols) };
            norm_rows(View::new(x, d, &all, &cols), &panel, &mut y);
        }
    });
}

/// The gradients of group norm, with `g = dy gamma` and means over a group of a picture:
///
/// ```text
/// dbeta = sum over N and pixels of dy    dgamma = sum over N and pixels of dy xhat
/// dx = rstd (g - mean(g) - xhat mean(g xhat))
/// ```
///
/// # Panics
/// If a length does not fit, or the channels do not fall into whole groups.
pub fn group_norm_backward<T: Real>(
    shape: GroupShape,
    up: Upstream<T>,
    after: Affine<T>,
    to: Downstream<T>,
) {
    let Upstream { x, dy, mean, rstd } = up;
    shape.check(x, [mean, rstd], &after);
    assert!(dy.len() == x.len(), "the sizes of x and dy");
    assert!(to.dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "the size of dx");
    let (d, groups, count, all) =
        (shape.channels, shape.groups, shape.count::<T>(), 0..shape.pixels);
    assert!(to.dgamma.len() == d && to.dbeta.len() == d, "the sizes of dgamma and dbeta");
    let mut parts = [(); 2].map(|()| Buffer::<T>::dirty(shape.pictures * d));
    let parts_of = parts.each_mut().map(|p| Shared(p.make_mut().as_mut_ptr()));
    let dx = to.dx.map(|dx| Shared(dx.as_mut_ptr()));
    each_picture(&shape, 4 * d + 2 * groups, |n, scratch: &mut [T]| {
        let views = |rows: &Range<usize>, cols: &Range<usize>| {
            [x, dy].map(|m| View::new(&m[n * shape.picture()..][..shape.picture()], d, rows, cols))
        };
        let (means, scratch) = scratch.split_at_mut(d);
        let (rstds, scratch) = scratch.split_at_mut(d);
        scatter(&mean[n * groups..][..groups], means);
        let rstd = &rstd[n * groups..][..groups];
        scatter(rstd, rstds);
        let panel = |cols: &Range<usize>| {
            Panel::new(&means[cols.clone()], &rstds[cols.clone()], after, cols)
        };
        // SAFETY: each picture has its own row of both.
        let [mut ones, mut products] =
            parts_of.map(|base| unsafe { ViewMut::new(base, d, &(n..n + 1), &(0..d)) });
        let (ones, products) = (ones.row(0), products.row(0));
        down_columns(&shape, [&mut *ones, &mut *products], |rows, cols, sums| {
            let [x, dy] = views(rows, cols);
            grad_sums(x, dy, &panel(cols), sums);
        });
        if let Some(dx) = dx {
            let (shifts, scratch) = scratch.split_at_mut(d);
            let (slopes, scratch) = scratch.split_at_mut(d);
            let (shift, slope) = scratch.split_at_mut(groups);
            weigh(ones, after.gamma, rstds, shifts);
            gather(shifts, shift, |sum| sum / count);
            weigh(products, after.gamma, rstds, slopes);
            gather(slopes, slope, |sum| sum / count);
            slope.iter_mut().zip(rstd).for_each(|(slope, r)| *slope = *slope * *r * *r);
            scatter(shift, shifts);
            scatter(slope, slopes);
            for cols in strips(d) {
                let mut panel = panel(&cols);
                panel.for_group_gradient(&shifts[cols.clone()], &slopes[cols.clone()]);
                let own = n * shape.pixels..(n + 1) * shape.pixels;
                // SAFETY: each picture has its own rows of dx.
                let mut dx = unsafe { ViewMut::new(dx, d, &own, &cols) };
                let [x, dy] = views(&all, &cols);
                group_rows(x, dy, &panel, &mut dx);
            }
        }
        products.iter_mut().zip(rstds).for_each(|(p, r)| *p *= *r);
    });
    column_sums(&parts[0], to.dbeta);
    column_sums(&parts[1], to.dgamma);
}

/// Runs `f` on every picture, some together as a task, with scratch memory for `len` numbers.
fn each_picture<T: Element>(shape: &GroupShape, len: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let together = (PARALLEL_FROM / 2 / shape.picture().max(1)).max(1);
    parallel_scratch(shape.pictures.div_ceil(together), len, |task, scratch| {
        let first = task * together;
        (first..shape.pictures.min(first + together)).for_each(|n| f(n, scratch));
    });
}

/// Sums down the columns of one picture: `f` gives those of some rows and columns.
fn down_columns<T: Real, const K: usize>(
    shape: &GroupShape,
    mut sums: [&mut [T]; K],
    f: impl Fn(&Range<usize>, &Range<usize>, [&mut [T]; K]),
) {
    for cols in strips(shape.channels) {
        let part = sums.each_mut().map(|s| &mut s[cols.clone()]);
        sums_of_strip(shape.pixels, part, |rows, sums| f(rows, &cols, sums));
    }
}

/// `to[g]` = `finish` of the sum over group g's channels, in order.
fn gather<T: Real>(channels: &[T], to: &mut [T], finish: impl Fn(T) -> T) {
    let width = channels.len() / to.len();
    for (to, group) in to.iter_mut().zip(channels.chunks(width.max(1))) {
        *to = finish(group.iter().fold(T::ZERO, |sum, v| sum + *v));
    }
}

/// Every channel gets the number of its group.
fn scatter<T: Real>(groups: &[T], channels: &mut [T]) {
    let width = channels.len() / groups.len();
    for (group, v) in channels.chunks_mut(width.max(1)).zip(groups) {
        group.fill(*v);
    }
}

/// `to = v * (gamma * rstd)`, channel by channel: rounded as the gradient's own products, so that what cancels does so exactly.
fn weigh<T: Real>(v: &[T], gamma: &[T], rstd: &[T], to: &mut [T]) {
    let scales = gamma.iter().zip(rstd).map(|(g, r)| *g * *r);
    to.iter_mut().zip(v).zip(scales).for_each(|((to, v), scale)| *to = *v * scale);
}
