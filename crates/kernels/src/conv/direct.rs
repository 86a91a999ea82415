//! Convolution as a product of matrices whose left one is never in memory: a block of patches at a time.

use super::ConvShape;
use super::patches::{gather, scatter};
use crate::buffer::Buffer;
use crate::gemm::{Epilogue, Mat, gemm};
use crate::real::Real;
use crate::threads::{Shared, parallel_chunks, parallel_scratch};
use std::ops::Range;

/// Numbers in a block of patches: a quarter of the second-level cache in f32.
const BLOCK: usize = 64 * 1024;
/// Parts of the batch whose gradients of the weights are summed apart.
pub(super) const PARTS: usize = 16;

/// Pixels whose patches are worked on at a time.
pub(super) fn block(s: &ConvShape) -> usize {
    (BLOCK / s.patch()).clamp(48, 1024)
}

/// w (F, C/groups, KH, KW) as (F, KH, KW, C/groups): filters in the order of patches.
pub(super) fn by_patch<T: Real>(s: &ConvShape, w: &[T]) -> Buffer<T> {
    let mut out = Buffer::dirty(w.len());
    let (taps, channels) = (s.kh * s.kw, s.c_group());
    for (to, from) in out.make_mut().chunks_exact_mut(s.patch()).zip(w.chunks_exact(s.patch())) {
        for (tap, to) in to.chunks_exact_mut(channels).enumerate() {
            to.iter_mut().zip(from[tap..].iter().step_by(taps)).for_each(|(t, f)| *t = *f);
        }
    }
    out
}

/// The matrix of group `group`'s filters, (F/groups, KH KW C/groups).
fn filters<'a, T>(s: &ConvShape, w: &'a [T], group: usize) -> Mat<'a, T> {
    let len = s.f_group() * s.patch();
    Mat::new(&w[group * len..][..len], s.f_group(), s.patch())
}

/// Columns of group `group` of the pixels `pixels` of a matrix (pixels, F).
fn columns<'a, T>(s: &ConvShape, y: &'a [T], pixels: &Range<usize>, group: usize) -> Mat<'a, T> {
    let data = &y[pixels.start * s.filters + group * s.f_group()..pixels.end * s.filters];
    Mat { data, rows: pixels.len(), cols: s.f_group(), row: s.filters, col: 1 }
}

/// Whether a pixel is its own patch, so that x is the matrix of patches.
pub(super) fn is_product(s: &ConvShape) -> bool {
    [s.kh, s.kw, s.groups] == [1; 3] && s.pad == [0; 2] && s.stride == [1; 2]
}

/// [`super::forward`].
pub(super) fn forward<T: Real>(
    s: &ConvShape,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    let w = by_patch(s, w);
    let zeros = Buffer::zeroed(if bias.is_none() && relu { s.filters } else { 0 });
    let epilogue = |group: usize| {
        let columns = group * s.f_group()..(group + 1) * s.f_group();
        match bias {
            Some(bias) if relu => Epilogue::BiasRelu(&bias[columns]),
            Some(bias) => Epilogue::Bias(&bias[columns]),
            None if relu => Epilogue::BiasRelu(&zeros[columns]),
            None => Epilogue::None,
        }
    };
    let pixels = s.n * s.out_pixels();
    if is_product(s) {
        return gemm(Mat::new(x, pixels, s.c), filters(s, &w, 0).t(), y, epilogue(0));
    }
    let height = block(s);
    let out = Shared(y.as_mut_ptr());
    let group_len = if s.groups > 1 { height * s.f_group() } else { 0 };
    parallel_scratch(pixels.div_ceil(height), height * s.patch() + group_len, |task, scratch| {
        let pixels = task * height..pixels.min((task + 1) * height);
        // SAFETY: each task writes the rows of its own pixels.
        let y = unsafe {
            std::slice::from_raw_parts_mut(
                out.at(pixels.start * s.filters),
                pixels.len() * s.filters,
            )
        };
        let (patches, own) = scratch.split_at_mut(height * s.patch());
        let patches = &mut patches[..pixels.len() * s.patch()];
        for group in 0..s.groups {
            gather(s, group, pixels.clone(), x, patches);
            let patches = Mat::new(patches, pixels.len(), s.patch());
            let filters = filters(s, &w, group).t();
            if s.groups == 1 {
                gemm(patches, filters, y, epilogue(0));
                continue;
            }
            let own = &mut own[..pixels.len() * s.f_group()];
            gemm(patches, filters, own, epilogue(group));
            let to = y.chunks_exact_mut(s.filters).map(|y| &mut y[group * s.f_group()..]);
            to.zip(own.chunks_exact(s.f_group()))
                .for_each(|(y, own)| y[..own.len()].copy_from_slice(own));
        }
    });
}

/// [`super::backward_data`]: gradients of patches, a block at a time, added up in the picture they come from.
pub(super) fn backward_data<T: Real>(s: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    if is_product(s) {
        return gemm(
            Mat::new(dy, s.n * s.out_pixels(), s.filters),
            filters(s, w, 0),
            dx,
            Epilogue::None,
        );
    }
    let w = by_patch(s, w);
    let height = block(s).min(s.out_pixels());
    let picture = s.h * s.w * s.c;
    let out = Shared(dx.as_mut_ptr());
    parallel_scratch(s.n, height * s.patch(), |n, scratch| {
        // SAFETY: each task writes one picture.
        let dx = unsafe { std::slice::from_raw_parts_mut(out.at(n * picture), picture) };
        dx.fill(T::ZERO);
        let end = (n + 1) * s.out_pixels();
        for start in (n * s.out_pixels()..end).step_by(height) {
            let pixels = start..end.min(start + height);
            let patches = &mut scratch[..pixels.len() * s.patch()];
            for group in 0..s.groups {
                let dy = columns(s, dy, &pixels, group);
                gemm(dy, filters(s, &w, group), patches, Epilogue::None);
                scatter(s, group, pixels.clone(), patches, dx, n * picture);
            }
        }
    });
}

/// [`super::backward_weights`]: a product a block of pixels, summed for each of [`PARTS`] parts of the batch, then in order.
pub(super) fn backward_weights<T: Real>(s: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    let all = s.n * s.out_pixels();
    if is_product(s) {
        return gemm(Mat::new(dy, all, s.filters).t(), Mat::new(x, all, s.c), dw, Epilogue::None);
    }
    let height = block(s);
    let blocks = all.div_ceil(height);
    let part = blocks.div_ceil(PARTS).max(1);
    let parts = blocks.div_ceil(part);
    let len = dw.len();
    let mut sums = Buffer::<T>::dirty(parts * len);
    let to = Shared(sums.make_mut().as_mut_ptr());
    let one = s.f_group() * s.patch();
    parallel_scratch(parts, height * s.patch() + one, |task, scratch| {
        // SAFETY: each task writes the sums of its own part.
        let sums = unsafe { std::slice::from_raw_parts_mut(to.at(task * len), len) };
        sums.fill(T::ZERO);
        let (product, patches) = scratch.split_at_mut(one);
        for block in task * part..blocks.min((task + 1) * part) {
            let pixels = block * height..all.min((block + 1) * height);
            let patches = &mut patches[..pixels.len() * s.patch()];
            for (group, sums) in sums.chunks_exact_mut(one).enumerate() {
                gather(s, group, pixels.clone(), x, patches);
                let patches = Mat::new(patches, pixels.len(), s.patch());
                gemm(columns(s, dy, &pixels, group).t(), patches, product, Epilogue::None);
                add(sums, product);
            }
        }
    });
    let (taps, channels) = (s.kh * s.kw, s.c_group());
    parallel_chunks(dw, s.patch(), |f, dw| {
        dw.fill(T::ZERO);
        for sums in sums.chunks_exact(len) {
            for (tap, from) in sums[f * s.patch()..][..s.patch()].chunks_exact(channels).enumerate()
            {
                dw[tap..].iter_mut().step_by(taps).zip(from).for_each(|(d, f)| *d += *f);
            }
        }
    });
}

crate::multiversion! {
    fn add<T: Real>(to: &mut [T], from: &[T]) {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += *f);
    }
}
