//! What a filter sees: the patch of a pixel of the output is KH KW C/groups inputs, in the order (u, v, c).

use super::ConvShape;
use crate::real::Real;
use std::ops::Range;

/// Calls `f(patch, input, len)` for every run of numbers that lie side by side both in the patches of `pixels` (pixels of the
/// output, counted through all pictures) and in x: place in the patches, place in x, length. Padding has no runs.
#[inline(always)]
fn runs(s: &ConvShape, group: usize, pixels: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
    let (out_w, out_pixels, channels) = (s.out_w(), s.out_pixels(), s.c_group());
    // Taps side by side in a row are side by side in memory too, unless something lies between.
    let joined = if s.dilation[1] == 1 && s.groups == 1 { s.kw } else { 1 };
    let mut pixel = pixels.start;
    while pixel < pixels.end {
        let (n, i, j) = (pixel / out_pixels, pixel % out_pixels / out_w, pixel % out_w);
        let columns = j..out_w.min(j + pixels.end - pixel);
        let patches = (pixel - pixels.start) * s.patch();
        for u in 0..s.kh {
            let Some(y) = s.under(0, i, u) else { continue };
            let row = (n * s.h + y) * s.w * s.c + group * channels;
            for (k, j) in columns.clone().enumerate() {
                for v in (0..s.kw).step_by(joined) {
                    let x = j * s.stride[1] + v * s.dilation[1];
                    let cut = s.pad[1].saturating_sub(x);
                    let end = joined.min((s.w + s.pad[1]).saturating_sub(x));
                    if cut < end {
                        let patch = patches + k * s.patch() + (u * s.kw + v + cut) * channels;
                        let from = row + (x + cut - s.pad[1]) * s.c;
                        f(patch, from, (end - cut) * channels);
                    }
                }
            }
        }
        pixel += columns.len();
    }
}

crate::multiversion! {
    /// The patches of `pixels`, one a row of `to`.
    pub(super) fn gather<T: Real>(s: &ConvShape, group: usize, pixels: Range<usize>, x: &[T], to: &mut [T]) {
        if s.pad != [0, 0] {
            to.fill(T::ZERO);
        }
        runs(s, group, pixels, |patch, input, len| copy(&mut to[patch..patch + len], &x[input..input + len]));
    }
}

crate::multiversion! {
    /// Adds every number of the patches of `pixels` to the input that it comes from; `dx` begins with number `first` of x.
    pub(super) fn scatter<T: Real>(s: &ConvShape, group: usize, pixels: Range<usize>, patches: &[T], dx: &mut [T], first: usize) {
        runs(s, group, pixels, |patch, input, len| {
            let to = &mut dx[input - first..][..len];
            to.iter_mut().zip(&patches[patch..patch + len]).for_each(|(x, p)| *x += *p);
        });
    }
}

/// Copies a short run: in pieces of a fixed length of which the last may overlap the one before, for a call that copies any
/// length costs more than most runs.
#[inline(always)]
fn copy<T: Real>(to: &mut [T], from: &[T]) {
    match to.len() {
        16.. => pieces::<T, 16>(to, from),
        8.. => pieces::<T, 8>(to, from),
        4.. => pieces::<T, 4>(to, from),
        _ => to.iter_mut().zip(from).for_each(|(t, f)| *t = *f),
    }
}

#[inline(always)]
fn pieces<T: Real, const P: usize>(to: &mut [T], from: &[T]) {
    let (whole, _) = to.as_chunks_mut::<P>();
    whole.iter_mut().zip(from.as_chunks::<P>().0).for_each(|(t, f)| *t = *f);
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<P>(), from.last_chunk::<P>()) {
        *to = *from;
    }
}
