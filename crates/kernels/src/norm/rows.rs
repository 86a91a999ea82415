//! Layer norm: every row has its mean and variance; scales and shifts belong to the columns.

use super::view::ViewMut;
use super::{Affine, Downstream, Upstream, relu, spread};
use crate::buffer::Buffer;
use crate::real::Real;
use crate::reduce::{ROW_BLOCK, column_sums};
use crate::threads::Shared;

/// Sums along a row are kept in this many lanes.
const LANES: usize = 32;

/// Normalises the rows of `x` (N, D) by their own statistics: `y = gamma * (x - mean) * rstd + beta`, then perhaps a ReLU, with
/// `rstd = 1 / sqrt(var + eps)` of the biased variance. `mean` and `rstd` are (N).
///
/// # Panics
/// If a length does not fit.
pub fn layer_norm<T: Real>(
    x: &[T],
    after: Affine<T>,
    eps: T,
    mean: &mut [T],
    rstd: &mut [T],
    y: &mut [T],
) {
    let (n, d) = (mean.len(), after.gamma.len());
    assert!(x.len() == n * d && y.len() == n * d && rstd.len() == n, "the sizes of layer norm");
    assert!(after.beta.len() == d, "the size of beta");
    let height = (4096 / d.max(1)).clamp(1, ROW_BLOCK);
    let [mean, rstd, y] = [mean, rstd, y].map(|s| Shared(s.as_mut_ptr()));
    spread(n * d, n.div_ceil(height), |task| {
        let rows = task * height..n.min((task + 1) * height);
        // SAFETY: each task has its own rows of all three, seen as matrices of one row.
        let [mut mean, mut rstd, mut y] =
            [(mean, 1), (rstd, 1), (y, d)].map(|(base, width)| unsafe {
                ViewMut::new(base, 0, &(0..1), &(rows.start * width..rows.end * width))
            });
        let x = &x[rows.start * d..rows.end * d];
        norm_rows(x, after, eps, mean.row(0), rstd.row(0), y.row(0));
    });
}

/// The gradients of layer norm, with `g = dy gamma` and means along a row:
///
/// ```text
/// dbeta = sum over rows of dy    dgamma = sum over rows of dy xhat    dx = rstd (g - mean(g) - xhat mean(g xhat))
/// ```
///
/// # Panics
/// If a length does not fit.
pub fn layer_norm_backward<T: Real>(up: Upstream<T>, after: Affine<T>, to: Downstream<T>) {
    let (n, d) = (up.mean.len(), after.gamma.len());
    let sizes = [up.x.len(), up.dy.len(), up.rstd.len() * d];
    assert!(sizes == [n * d; 3] && after.beta.len() == d, "the sizes of layer norm");
    assert!(to.dgamma.len() == d && to.dbeta.len() == d, "the sizes of dgamma and dbeta");
    assert!(to.dx.as_ref().is_none_or(|dx| dx.len() == n * d), "the size of dx");
    let height = block_height(n);
    let blocks = n.div_ceil(height);
    let mut parts = [(); 2].map(|()| Buffer::<T>::dirty(blocks * d));
    let places = parts.each_mut().map(|p| Shared(p.make_mut().as_mut_ptr()));
    let dx = to.dx.map(|dx| Shared(dx.as_mut_ptr()));
    spread(n * d, blocks, |block| {
        let rows = block * height..n.min((block + 1) * height);
        let span = rows.start * d..rows.end * d;
        let part = Upstream {
            x: &up.x[span.clone()],
            dy: &up.dy[span.clone()],
            mean: &up.mean[rows.clone()],
            rstd: &up.rstd[rows],
        };
        // SAFETY: each task has its own rows of dx and its own row of both buffers.
        let mut dx = dx.map(|base| unsafe { ViewMut::new(base, 0, &(0..1), &span) });
        // SAFETY: as above.
        let [mut dbeta, mut dgamma] =
            places.map(|base| unsafe { ViewMut::new(base, d, &(block..block + 1), &(0..d)) });
        let (dbeta, dgamma) = (dbeta.row(0), dgamma.row(0));
        grad_rows(part, after, Downstream { dx: dx.as_mut().map(|v| v.row(0)), dgamma, dbeta });
    });
    column_sums(&parts[0], to.dbeta);
    column_sums(&parts[1], to.dgamma);
}

/// Rows that one partial sum of dbeta and dgamma covers.
fn block_height(n: usize) -> usize {
    if n <= 1024 { 32 } else { ROW_BLOCK }
}

/// The sum of the lanes, pairwise.
#[inline(always)]
fn add_lanes<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = lanes.split_at_mut(width);
        low.iter_mut().zip(high).for_each(|(l, h)| *l += *h);
        width /= 2;
    }
    lanes[0]
}

/// The sum of `f` along a row.
#[inline(always)]
fn lane_sum<T: Real>(x: &[T], add: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(l, v)| *l = add(*l, *v));
    }
    lanes.iter_mut().zip(rest).for_each(|(l, v)| *l = add(*l, *v));
    add_lanes(lanes)
}

/// The sum along a row of `add` of two rows.
#[inline(always)]
fn lane_sum_of_two<T: Real>(a: &[T], b: &[T], add: impl Fn(T, T, T) -> T) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        lanes.iter_mut().zip(a).zip(b).for_each(|((l, a), b)| *l = add(*l, *a, *b));
    }
    lanes.iter_mut().zip(a_rest).zip(b_rest).for_each(|((l, a), b)| *l = add(*l, *a, *b));
    add_lanes(lanes)
}

crate::multiversion! {
    fn norm_rows<T: Real>(x: &[T], after: Affine<'_, T>, eps: T, mean: &mut [T], rstd: &mut [T], y: &mut [T]) {
        let d = after.gamma.len();
        let count = T::from_f64(d as f64);
        let rows = x.chunks_exact(d.max(1)).zip(y.chunks_exact_mut(d.max(1)));
        for ((x, y), (mean, rstd)) in rows.zip(mean.iter_mut().zip(rstd)) {
            let m = lane_sum(x, |s, v| s + v) / count;
            let var = lane_sum(x, |s, v| (v - m).mul_add(v - m, s)) / count;
            let r = T::ONE / (var + eps).sqrt();
            (*mean, *rstd) = (m, r);
            let row = y.iter_mut().zip(x).zip(after.gamma.iter().zip(after.beta));
            if after.relu {
                row.for_each(|((y, v), (g, b))| *y = relu(((*v - m) * r).mul_add(*g, *b)));
            } else {
                row.for_each(|((y, v), (g, b))| *y = ((*v - m) * r).mul_add(*g, *b));
            }
        }
    }
}

crate::multiversion! {
    fn grad_rows<T: Real>(up: Upstream<'_, T>, after: Affine<'_, T>, to: Downstream<'_, T>) {
        let d = after.gamma.len();
        let count = T::from_f64(d as f64);
        let Downstream { mut dx, dgamma, dbeta } = to;
        dgamma.fill(T::ZERO);
        dbeta.fill(T::ZERO);
        for (i, (mean, rstd)) in up.mean.iter().zip(up.rstd).enumerate() {
            let (m, r) = (*mean, *rstd);
            let (x, dy) = (&up.x[i * d..][..d], &up.dy[i * d..][..d]);
            let columns = x.iter().zip(dy).zip(after.gamma.iter().zip(after.beta));
            let sums = dbeta.iter_mut().zip(dgamma.iter_mut());
            let add = |v: T, dy: T, gamma: T, beta: T, db: &mut T, dg: &mut T| {
                let hat = (v - m) * r;
                let passed = !after.relu || hat.mul_add(gamma, beta) > T::ZERO;
                let dy = if passed { dy } else { T::ZERO };
                *db += dy;
                *dg = dy.mul_add(hat, *dg);
                dy * gamma
            };
            let Some(dx) = dx.as_deref_mut() else {
                columns.zip(sums).for_each(|(((v, dy), (gamma, beta)), (db, dg))| {
                    add(*v, *dy, *gamma, *beta, db, dg);
                });
                continue;
            };
            let g = &mut dx[i * d..][..d];
            for ((((v, dy), (gamma, beta)), (db, dg)), g) in columns.zip(sums).zip(g.iter_mut()) {
                *g = add(*v, *dy, *gamma, *beta, db, dg);
            }
            let mean_g = lane_sum(g, |s, g| s + g) / count;
            let mean_product = lane_sum_of_two(g, x, |s, g, v| g.mul_add((v - m) * r, s)) / count;
            for (g, v) in g.iter_mut().zip(x) {
                *g = r * ((*v - m) * r).mul_add(-mean_product, *g - mean_g);
            }
        }
    }
}
