//! Convolution as a product of matrices whose left one is never in memory: a block of patches at a time.
//!
//! Tasks take no memory of the pool beyond their scratch, so that what a pass asks for does not depend on how its tasks meet.

use super::patches::{gather, scatter};
use super::rows::panels;
use super::segments::Segments;
use super::task::{Job, Runner};
use super::{ConvShape, finish};
use crate::buffer::Buffer;
use crate::gemm::vector::Vector;
use crate::gemm::{Epilogue, Mat, gemm};
use crate::real::Real;
use crate::threads::{Shared, parallel_chunks};

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

/// Whether a pixel is its own patch, so that x is the matrix of patches.
pub(super) fn is_product(s: &ConvShape) -> bool {
    [s.kh, s.kw, s.groups] == [1; 3] && s.pad == [0; 2] && s.stride == [1; 2]
}

/// Pixels of a part of the batch.
fn part(s: &ConvShape) -> usize {
    let (all, height) = (s.n * s.out_pixels(), block(s));
    all.div_ceil(height).div_ceil(PARTS).max(1) * height
}

/// [`super::working_memory`] in numbers, forward and backward by weights and by data: what all threads share, and what each has.
pub(super) fn working(s: &ConvShape) -> [[usize; 2]; 3] {
    let own = block(s) * s.patch();
    let sums = (s.n * s.out_pixels()).div_ceil(part(s)) * s.w_len();
    let data = block(s).min(s.out_pixels()) * s.patch();
    [[s.w_len(), own], [sums, own], [s.w_len(), data]]
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
    let pixels = s.n * s.out_pixels();
    if is_product(s) {
        let zeros = Buffer::zeroed(if bias.is_none() && relu { s.filters } else { 0 });
        let epilogue = match bias {
            Some(bias) if relu => Epilogue::BiasRelu(bias),
            Some(bias) => Epilogue::Bias(bias),
            None if relu => Epilogue::BiasRelu(&zeros),
            None => Epilogue::None,
        };
        let filters = Mat::new(w, s.filters, s.c).t();
        return gemm(Mat::new(x, pixels, s.c), filters, y, epilogue);
    }
    let (runner, height) = (Runner::new(), block(s));
    let wide = runner.wide::<T>();
    let (w, y) = (panels(s, w, wide), Shared(y.as_mut_ptr()));
    let job = Forward { s, x, w: &w, wide, bias, relu, height, y };
    runner.run(&job, pixels.div_ceil(height), height * s.patch());
}

/// A block of pixels of y a task.
struct Forward<'a, T> {
    s: &'a ConvShape,
    x: &'a [T],
    w: &'a [T],
    wide: usize,
    bias: Option<&'a [T]>,
    relu: bool,
    height: usize,
    y: Shared<T>,
}

impl<T: Real> Job<T> for Forward<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    ) {
        let (s, k, own) = (self.s, self.s.patch(), self.s.f_group());
        let start = number * self.height;
        let pixels = start..(s.n * s.out_pixels()).min(start + self.height);
        let patches = &mut scratch[..pixels.len() * k];
        for group in 0..s.groups {
            gather(s, group, pixels.clone(), self.x, patches);
            for f in (0..own).step_by(self.wide) {
                let columns = self.wide.min(own - f);
                let first = group * own + f;
                // SAFETY: the caller's promise; each task writes the rows of its own pixels, and each group its own columns.
                unsafe {
                    let product = Segments {
                        segments: 1,
                        k,
                        a: patches.as_ptr(),
                        a_segment: 0,
                        row: k,
                        step: 1,
                        b: self.w[first * k..].as_ptr(),
                        b_segment: 0,
                        b_step: columns,
                        out: self.y.at(start * s.filters + first),
                        out_row: s.filters,
                        add: false,
                    };
                    product.run::<V, R>(pixels.len(), columns, T::ZERO);
                }
            }
        }
        if self.bias.is_some() || self.relu {
            let len = pixels.len() * s.filters;
            // SAFETY: as above.
            let y = unsafe { std::slice::from_raw_parts_mut(self.y.at(start * s.filters), len) };
            y.chunks_exact_mut(s.filters).for_each(|row| finish(row, self.bias, self.relu));
        }
    }
}

/// [`super::backward_data`]: gradients of patches, a block at a time, added up in the picture they come from.
pub(super) fn backward_data<T: Real>(s: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    if is_product(s) {
        let dy = Mat::new(dy, s.n * s.out_pixels(), s.filters);
        return gemm(dy, Mat::new(w, s.filters, s.c), dx, Epilogue::None);
    }
    let w = by_patch(s, w);
    let height = block(s).min(s.out_pixels());
    let job = Data { s, dy, w: &w, height, dx: Shared(dx.as_mut_ptr()) };
    Runner::new().run(&job, s.n, height * s.patch());
}

/// A picture of dx a task.
struct Data<'a, T> {
    s: &'a ConvShape,
    dy: &'a [T],
    w: &'a [T],
    height: usize,
    dx: Shared<T>,
}

impl<T: Real> Job<T> for Data<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    ) {
        let (s, k, own) = (self.s, self.s.patch(), self.s.f_group());
        let picture = s.h * s.w * s.c;
        // SAFETY: each task writes one picture.
        let dx = unsafe { std::slice::from_raw_parts_mut(self.dx.at(number * picture), picture) };
        dx.fill(T::ZERO);
        let end = (number + 1) * s.out_pixels();
        for start in (number * s.out_pixels()..end).step_by(self.height) {
            let pixels = start..end.min(start + self.height);
            let patches = &mut scratch[..pixels.len() * k];
            for group in 0..s.groups {
                let product = Segments {
                    segments: 1,
                    k: own,
                    a: self.dy[start * s.filters + group * own..].as_ptr(),
                    a_segment: 0,
                    row: s.filters,
                    step: 1,
                    b: self.w[group * own * k..].as_ptr(),
                    b_segment: 0,
                    b_step: k,
                    out: patches.as_mut_ptr(),
                    out_row: k,
                    add: false,
                };
                // SAFETY: the caller's promise; there is a row of patches for each pixel.
                unsafe { product.run::<V, R>(pixels.len(), k, T::ZERO) };
                scatter(s, group, pixels.clone(), patches, dx, number * picture);
            }
        }
    }
}

/// [`super::backward_weights`]: a product a block of pixels, summed for each of [`PARTS`] parts of the batch, then in order.
pub(super) fn backward_weights<T: Real>(s: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    let all = s.n * s.out_pixels();
    if is_product(s) {
        return gemm(Mat::new(dy, all, s.filters).t(), Mat::new(x, all, s.c), dw, Epilogue::None);
    }
    let (height, part) = (block(s), part(s));
    let (parts, len) = (all.div_ceil(part), dw.len());
    let mut sums = Buffer::<T>::dirty(parts * len);
    let job = Weights { s, x, dy, height, part, sums: Shared(sums.make_mut().as_mut_ptr()) };
    Runner::new().run(&job, parts, height * s.patch());
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

/// A part of the batch a task, to sums (F, KH, KW, C/groups).
struct Weights<'a, T> {
    s: &'a ConvShape,
    x: &'a [T],
    dy: &'a [T],
    height: usize,
    /// Pixels of a part.
    part: usize,
    sums: Shared<T>,
}

impl<T: Real> Job<T> for Weights<'_, T> {
    #[inline(always)]
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    ) {
        let (s, k, own) = (self.s, self.s.patch(), self.s.f_group());
        let first = number * self.part;
        let end = (s.n * s.out_pixels()).min(first + self.part);
        for start in (first..end).step_by(self.height) {
            let pixels = start..end.min(start + self.height);
            let patches = &mut scratch[..pixels.len() * k];
            for group in 0..s.groups {
                gather(s, group, pixels.clone(), self.x, patches);
                // SAFETY: the caller's promise; a task has its own sums.
                unsafe {
                    let product = Segments {
                        segments: 1,
                        k: pixels.len(),
                        a: self.dy[start * s.filters + group * own..].as_ptr(),
                        a_segment: 0,
                        row: 1,
                        step: s.filters,
                        b: patches.as_ptr(),
                        b_segment: 0,
                        b_step: k,
                        out: self.sums.at((number * s.groups + group) * own * k),
                        out_row: k,
                        add: start > first,
                    };
                    product.run::<V, R>(own, k, T::ZERO);
                }
            }
        }
    }
}
