//! The inner loops of batch norm: some rows of a strip of columns, with what belongs to the columns side by side on the stack.

use super::view::{View, ViewMut};
use super::{Affine, relu};
use crate::real::Real;
use std::ops::Range;

/// The most columns of a strip.
pub(super) const WIDTH: usize = 96;

/// What the loops over some columns need, side by side on the stack.
pub(super) struct Panel<T> {
    mean: [T; WIDTH],
    /// gamma * rstd.
    scale: [T; WIDTH],
    beta: [T; WIDTH],
    relu: bool,
    /// What is subtracted from dy: its mean.
    shift: [T; WIDTH],
    /// And what is subtracted for each unit of x - mean.
    slope: [T; WIDTH],
}

impl<T: Real> Panel<T> {
    /// For the columns `cols`; `mean` and `rstd` are those of these columns alone.
    pub fn new(mean: &[T], rstd: &[T], after: Affine<T>, cols: &Range<usize>) -> Self {
        let zero = [T::ZERO; WIDTH];
        let mut panel = Panel {
            mean: zero,
            scale: zero,
            beta: zero,
            relu: after.relu,
            shift: zero,
            slope: zero,
        };
        panel.mean[..mean.len()].copy_from_slice(mean);
        panel.beta[..mean.len()].copy_from_slice(&after.beta[cols.clone()]);
        let products = after.gamma[cols.clone()].iter().zip(rstd);
        panel.scale.iter_mut().zip(products).for_each(|(s, (g, r))| *s = *g * *r);
        panel
    }

    /// Mean, scale and beta of the columns.
    #[inline(always)]
    fn columns(&self) -> impl Iterator<Item = (T, T, T)> {
        let columns = self.mean.iter().zip(&self.scale).zip(&self.beta);
        columns.map(|((mean, scale), beta)| (*mean, *scale, *beta))
    }

    /// Shift and slope of the columns.
    #[inline(always)]
    fn corrections(&self) -> impl Iterator<Item = (T, T)> {
        self.shift.iter().zip(&self.slope).map(|(shift, slope)| (*shift, *slope))
    }

    /// Prepares for the gradient of x, given dbeta and dgamma of these columns.
    pub fn for_gradient(&mut self, [dbeta, dgamma]: [&[T]; 2], rstd: &[T], share: T) {
        self.shift.iter_mut().zip(dbeta).for_each(|(s, b)| *s = *b * share);
        let products = dgamma.iter().zip(rstd);
        self.slope.iter_mut().zip(products).for_each(|(s, (g, r))| *s = *g * *r * share);
    }

    /// Prepares for the gradient of x in group norm, given shift and slope.
    pub fn for_group_gradient(&mut self, shift: &[T], slope: &[T]) {
        self.shift[..shift.len()].copy_from_slice(shift);
        self.slope[..slope.len()].copy_from_slice(slope);
    }
}

crate::multiversion! {
    /// `sums` = the sum of the rows, in order. Four rows at a time, so that the sums are fetched and stored less often.
    pub(super) fn sum_rows<T: Real>(x: View<'_, T>, sums: &mut [T]) {
        sums.fill(T::ZERO);
        let mut i = 0;
        while i + 4 <= x.rows() {
            let [a, b, c, d] = [x.row(i), x.row(i + 1), x.row(i + 2), x.row(i + 3)];
            for ((((s, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *s = *s + *a + *b + *c + *d;
            }
            i += 4;
        }
        for i in i..x.rows() {
            sums.iter_mut().zip(x.row(i)).for_each(|(s, v)| *s += *v);
        }
    }
}

crate::multiversion! {
    /// `sums` = the sum over the rows of `(x - mean)^2`, in order.
    pub(super) fn sum_squares<T: Real>(x: View<'_, T>, mean: &[T], sums: &mut [T]) {
        sums.fill(T::ZERO);
        let add = |s: T, v: T, mean: T| (v - mean).mul_add(v - mean, s);
        let mut i = 0;
        while i + 4 <= x.rows() {
            let [a, b, c, d] = [x.row(i), x.row(i + 1), x.row(i + 2), x.row(i + 3)];
            for (((((s, m), a), b), c), d) in sums.iter_mut().zip(mean).zip(a).zip(b).zip(c).zip(d) {
                *s = add(add(add(add(*s, *a, *m), *b, *m), *c, *m), *d, *m);
            }
            i += 4;
        }
        for i in i..x.rows() {
            let row = sums.iter_mut().zip(mean).zip(x.row(i));
            row.for_each(|((s, m), v)| *s = add(*s, *v, *m));
        }
    }
}

/// What forward made of x in a column with this mean, scale and shift, before any ReLU.
#[inline(always)]
fn value<T: Real>(x: T, (mean, scale, beta): (T, T, T)) -> T {
    (x - mean).mul_add(scale, beta)
}

/// dy, or 0 where the ReLU cut forward's result off.
#[inline(always)]
fn through_relu<T: Real>(x: T, dy: T, column: (T, T, T)) -> T {
    if value(x, column) > T::ZERO { dy } else { T::ZERO }
}

crate::multiversion! {
    /// `y = (x - mean) * scale + beta`, then perhaps a ReLU.
    pub(super) fn norm_rows<T: Real>(x: View<'_, T>, panel: &Panel<T>, y: &mut ViewMut<'_, T>) {
        for i in 0..x.rows() {
            let row = y.row(i).iter_mut().zip(x.row(i)).zip(panel.columns());
            if panel.relu {
                row.for_each(|((y, x), column)| *y = relu(value(*x, column)));
            } else {
                row.for_each(|((y, x), column)| *y = value(*x, column));
            }
        }
    }
}

crate::multiversion! {
    /// The sums over the rows of dy and of `dy * (x - mean)`, in order.
    pub(super) fn grad_sums<T: Real>(x: View<'_, T>, dy: View<'_, T>, panel: &Panel<T>, sums: [&mut [T]; 2]) {
        let [ones, products] = sums;
        ones.fill(T::ZERO);
        products.fill(T::ZERO);
        let add = |s: &mut T, p: &mut T, x: T, dy: T, mean: T| {
            *s += dy;
            *p = dy.mul_add(x - mean, *p);
        };
        for i in 0..x.rows() {
            let sums = ones.iter_mut().zip(products.iter_mut());
            let row = sums.zip(x.row(i).iter().zip(dy.row(i))).zip(panel.columns());
            if panel.relu {
                row.for_each(|(((s, p), (x, dy)), column)| {
                    add(s, p, *x, through_relu(*x, *dy, column), column.0);
                });
            } else {
                row.for_each(|(((s, p), (x, dy)), column)| add(s, p, *x, *dy, column.0));
            }
        }
    }
}

crate::multiversion! {
    /// `dx = scale * (dy - shift - (x - mean) * slope)`.
    pub(super) fn grad_rows<T: Real>(x: View<'_, T>, dy: View<'_, T>, panel: &Panel<T>, dx: &mut ViewMut<'_, T>) {
        let gradient = |x: T, dy: T, (mean, scale, _): (T, T, T), (shift, slope): (T, T)| {
            scale * (x - mean).mul_add(-slope, dy - shift)
        };
        for i in 0..x.rows() {
            let columns = panel.columns().zip(panel.corrections());
            let row = dx.row(i).iter_mut().zip(x.row(i).iter().zip(dy.row(i))).zip(columns);
            if panel.relu {
                row.for_each(|((dx, (x, dy)), (column, correction))| {
                    *dx = gradient(*x, through_relu(*x, *dy, column), column, correction);
                });
            } else {
                row.for_each(|((dx, (x, dy)), (column, correction))| {
                    *dx = gradient(*x, *dy, column, correction);
                });
            }
        }
    }
}

crate::multiversion! {
    /// `dx = scale * dy - shift - (x - mean) * slope`.
    pub(super) fn group_rows<T: Real>(x: View<'_, T>, dy: View<'_, T>, panel: &Panel<T>, dx: &mut ViewMut<'_, T>) {
        for i in 0..x.rows() {
            let columns = panel.columns().zip(panel.corrections());
            let row = dx.row(i).iter_mut().zip(x.row(i).iter().zip(dy.row(i))).zip(columns);
            for ((dx, (x, dy)), (column, (shift, slope))) in row {
                let (mean, scale, _) = column;
                let dy = if panel.relu { through_relu(*x, *dy, column) } else { *dy };
                *dx = (*x - mean).mul_add(-slope, scale * dy - shift);
            }
        }
    }
}
