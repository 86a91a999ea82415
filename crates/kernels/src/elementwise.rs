//! Functions of one element, their derivatives, and the two activations beside them that see more: PReLU and maxout.
//!
//! A function is a type that implements [`Function`]; the kernels are generic over it, so a new function needs no new kernel.
//! Work is split into pieces of [`PIECE`] elements, which shapes alone fix.

use crate::buffer::Buffer;
use crate::real::Real;
use crate::reduce::column_sums;
use crate::threads::{Shared, parallel_chunks};

/// Elements that one task covers.
pub const PIECE: usize = 16_384;
/// Vectors up to this length are one task: waking a thread would take longer than the work.
pub const ALONE: usize = 2 * PIECE;

/// The elements of one task for a vector of `len` elements in units of `unit`, a unit being what tasks do not divide.
pub(crate) fn piece(len: usize, unit: usize) -> usize {
    let unit = unit.max(1);
    if len <= ALONE { len.max(1) } else { (PIECE / unit).max(1) * unit }
}

/// A function of one number and a parameter, with its derivative.
///
/// The derivative is told what the forward pass keeps: x or f(x), whichever the formula needs. Both must be `#[inline(always)]`
/// and free of branches on data that a selection could replace, so that the loops around them become vector code.
pub trait Function {
    /// f(x), with the parameter p.
    fn value<T: Real>(x: T, p: T) -> T;
    /// f'(x), given what is kept: x or f(x).
    fn slope<T: Real>(kept: T, p: T) -> T;
}

crate::multiversion! {
    fn map<F: Function, T: Real>(x: &[T], p: T, y: &mut [T]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = F::value(*x, p));
    }
}

crate::multiversion! {
    fn map_back<F: Function, T: Real>(dy: &[T], kept: &[T], p: T, dx: &mut [T]) {
        dx.iter_mut().zip(dy).zip(kept).for_each(|((dx, dy), k)| {
            // Where f is flat nothing passes, not even an infinite dy, such as that of a square root at 0.
            let slope = F::slope(*k, p);
            *dx = if slope == T::ZERO { T::ZERO } else { *dy * slope };
        });
    }
}

/// `y[i] = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn forward<F: Function, T: Real>(x: &[T], p: T, y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "an elementwise function keeps the length");
    let piece = piece(x.len(), 1);
    parallel_chunks(y, piece, |i, y| map::<F, T>(&x[i * piece..][..y.len()], p, y));
}

/// `dx[i] = dy[i] f'(x[i])`, 0 where f' is, where `kept` is x or f(x) as `f` needs it.
///
/// # Panics
/// If the lengths differ.
pub fn backward<F: Function, T: Real>(dy: &[T], kept: &[T], p: T, dx: &mut [T]) {
    assert!(
        dy.len() == dx.len() && kept.len() == dx.len(),
        "an elementwise function keeps lengths"
    );
    let piece = piece(dx.len(), 1);
    parallel_chunks(dx, piece, |i, dx| {
        let (start, n) = (i * piece, dx.len());
        map_back::<F, T>(&dy[start..][..n], &kept[start..][..n], p, dx);
    });
}

crate::multiversion! {
    fn add_scaled_piece<T: Real>(factor: T, x: &[T], y: &mut [T]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * *x);
    }
}

/// `y[i] += factor x[i]`, the product and the sum rounded one after the other.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled<T: Real>(factor: T, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "a sum of vectors of one length");
    let piece = piece(y.len(), 1);
    parallel_chunks(y, piece, |i, y| add_scaled_piece(factor, &x[i * piece..][..y.len()], y));
}

/// How a tensor is seen by a function with one number a channel: (outer, channels, inner), the last contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// The number of channels.
    pub channels: usize,
    /// Elements of one channel that lie side by side.
    pub inner: usize,
}

crate::multiversion! {
    fn prelu_piece<T: Real>(v: &[T], x: &[T], slope: &[T], inner: usize, out: &mut [T]) {
        let one = |v: T, x: T, a: T| v * if x > T::ZERO { T::ONE } else { a };
        if inner == 1 && slope.len() > 1 {
            let n = slope.len();
            for ((out, v), x) in out.chunks_mut(n).zip(v.chunks(n)).zip(x.chunks(n)) {
                out.iter_mut().zip(v).zip(x).zip(slope).for_each(|(((o, v), x), a)| *o = one(*v, *x, *a));
            }
        } else {
            let n = if slope.len() == 1 { out.len().max(1) } else { inner };
            let planes = out.chunks_mut(n).zip(v.chunks(n)).zip(x.chunks(n)).zip(slope.iter().cycle());
            for (((out, v), x), a) in planes {
                out.iter_mut().zip(v).zip(x).for_each(|((o, v), x)| *o = one(*v, *x, *a));
            }
        }
    }
}

/// `out = v` where `x > 0`, else `slope v`: the forward pass of PReLU with `v = x`, the gradient of x with `v = dy`.
///
/// `slope` has one number, or one for each channel.
///
/// # Panics
/// If the lengths do not fit.
pub fn prelu<T: Real>(v: &[T], x: &[T], slope: &[T], at: Channels, out: &mut [T]) {
    let unit = unit(out.len(), slope, at);
    assert!(v.len() == out.len() && x.len() == out.len(), "PReLU keeps the length");
    let piece = piece(out.len(), unit);
    parallel_chunks(out, piece, |i, out| {
        let (start, n) = (i * piece, out.len());
        prelu_piece(&v[start..][..n], &x[start..][..n], slope, at.inner, out);
    });
}

/// What tasks must not divide: a row of all channels, or nothing when there is one slope.
fn unit<T>(len: usize, slope: &[T], at: Channels) -> usize {
    let unit = if slope.len() == 1 { 1 } else { at.channels * at.inner };
    assert!(slope.len() == 1 || slope.len() == at.channels, "one slope, or one a channel");
    assert!(len == 0 || len.is_multiple_of(unit), "whole rows of channels");
    unit
}

crate::multiversion! {
    /// `sums[c]` = the sum of `dy x` where x is not positive, over the rows of one piece.
    fn prelu_slope_piece<T: Real>(dy: &[T], x: &[T], inner: usize, sums: &mut [T]) {
        let term = |dy: T, x: T| dy * if x > T::ZERO { T::ZERO } else { x };
        sums.fill(T::ZERO);
        if inner == 1 && sums.len() > 1 {
            let n = sums.len();
            for (dy, x) in dy.chunks(n).zip(x.chunks(n)) {
                sums.iter_mut().zip(dy).zip(x).for_each(|((s, dy), x)| *s += term(*dy, *x));
            }
            return;
        }
        let channels = sums.len();
        let n = if channels == 1 { dy.len().max(1) } else { inner };
        for (plane, (dy, x)) in dy.chunks(n).zip(x.chunks(n)).enumerate() {
            // Sixteen sums side by side, added in order: a fixed order, whatever the width of a register.
            let mut lanes = [T::ZERO; 16];
            let ((dy, dy_rest), (x, x_rest)) = (dy.as_chunks::<16>(), x.as_chunks::<16>());
            for (dy, x) in dy.iter().zip(x) {
                lanes.iter_mut().zip(dy).zip(x).for_each(|((s, dy), x)| *s += term(*dy, *x));
            }
            let rest = lanes.iter_mut().zip(dy_rest).zip(x_rest);
            rest.for_each(|((s, dy), x)| *s += term(*dy, *x));
            lanes.iter().for_each(|lane| sums[plane % channels] += *lane);
        }
    }
}

/// The gradient of PReLU's slope: the sum of `dy x` where x is not positive, over everything or over each channel.
///
/// # Panics
/// If the lengths do not fit.
pub fn prelu_slope<T: Real>(dy: &[T], x: &[T], at: Channels, dslope: &mut [T]) {
    assert_eq!(dy.len(), x.len(), "PReLU keeps the length");
    let len = dy.len();
    let piece = piece(len, unit(len, dslope, at));
    let (pieces, channels) = (len.div_ceil(piece), dslope.len());
    if channels == 0 {
        return;
    }
    let mut partial = Buffer::<T>::dirty(pieces * channels);
    parallel_chunks(partial.make_mut(), channels, |i, sums| {
        let part = i * piece..len.min((i + 1) * piece);
        prelu_slope_piece(&dy[part.clone()], &x[part], at.inner, sums);
    });
    column_sums(&partial, dslope);
}

/// Whether `v` is the one number that does not equal itself.
#[inline(always)]
#[allow(clippy::eq_op)]
fn is_nan<T: Real>(v: T) -> bool {
    v != v
}

/// One unit of a maxout: y (inner) and which of x (pieces, inner) it came from.
#[inline(always)]
fn maxout_unit<T: Real>(x: &[T], y: &mut [T], which: &mut [u8]) {
    let inner = y.len();
    y.copy_from_slice(&x[..inner]);
    which.fill(0);
    for (piece, x) in (1u8..=u8::MAX).zip(x[inner..].chunks(inner)) {
        for ((y, which), x) in y.iter_mut().zip(which.iter_mut()).zip(x) {
            let better = (*x > *y) | is_nan(*x);
            *which = if better { piece } else { *which };
            *y = if better { *x } else { *y };
        }
    }
}

crate::multiversion! {
    fn maxout_piece<T: Real>(x: &[T], inner: usize, y: &mut [T], which: &mut [u8]) {
        let pieces = x.len() / y.len().max(1);
        let units = y.chunks_mut(inner).zip(which.chunks_mut(inner));
        for (x, (y, which)) in x.chunks(inner * pieces).zip(units) {
            maxout_unit(x, y, which);
        }
    }
}

/// The largest of each `pieces` neighbouring channels, and which it was: x (outer, units, pieces, inner), y (outer, units, inner).
/// The first of equal ones; NaN counts as larger than any number.
///
/// # Panics
/// If the lengths do not fit, or `pieces` is not in 1..=256.
pub fn maxout<T: Real>(x: &[T], pieces: usize, inner: usize, y: &mut [T], which: &mut [u8]) {
    assert!((1..=256).contains(&pieces), "maxout has 1 to 256 pieces");
    assert!(x.len() == y.len() * pieces && which.len() == y.len(), "the lengths of a maxout");
    let inner = inner.max(1);
    let task = piece(y.len(), inner);
    parallel_pairs(y, which, task, |i, y, which| {
        let x = &x[i * task * pieces..][..y.len() * pieces];
        maxout_piece(x, inner, y, which);
    });
}

/// The gradient of [`maxout`]: dy goes to the piece that was chosen, 0 to the others.
///
/// # Panics
/// As [`maxout`].
pub fn maxout_back<T: Real>(dy: &[T], which: &[u8], pieces: usize, inner: usize, dx: &mut [T]) {
    assert!((1..=256).contains(&pieces), "maxout has 1 to 256 pieces");
    assert!(dx.len() == dy.len() * pieces && which.len() == dy.len(), "the lengths of a maxout");
    let inner = inner.max(1);
    let task = piece(dx.len(), inner * pieces);
    parallel_chunks(dx, task, |i, dx| {
        let (start, n) = (i * task / pieces, dx.len() / pieces);
        maxout_piece_back(&dy[start..][..n], &which[start..][..n], inner, dx);
    });
}

crate::multiversion! {
    fn maxout_piece_back<T: Real>(dy: &[T], which: &[u8], inner: usize, dx: &mut [T]) {
        let pieces = dx.len() / dy.len().max(1);
        let chosen = dy.chunks(inner).zip(which.chunks(inner));
        for (dx, (dy, which)) in dx.chunks_mut(inner * pieces).zip(chosen) {
            for (piece, dx) in (0u8..=u8::MAX).zip(dx.chunks_mut(inner)) {
                for ((dx, dy), which) in dx.iter_mut().zip(dy).zip(which) {
                    *dx = if *which == piece { *dy } else { T::ZERO };
                }
            }
        }
    }
}

/// As [`parallel_chunks`], on the same pieces of two slices of one length.
pub(crate) fn parallel_pairs<A: Send, B: Send>(
    a: &mut [A],
    b: &mut [B],
    piece: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    assert_eq!(a.len(), b.len(), "pairs of pieces need one length");
    let second = Shared(b.as_mut_ptr());
    parallel_chunks(a, piece, |i, a| {
        // SAFETY: `b` is as long as `a` and borrowed mutably until all tasks have ended, so the piece that corresponds to this
        // task's piece of `a` lies within it and is no other task's.
        let b = unsafe { std::slice::from_raw_parts_mut(second.at(i * piece), a.len()) };
        f(i, a, b);
    });
}

#[cfg(test)]
mod tests;
