//! Winograd's convolution with 3 x 3 filters: a quarter of the multiplications.

#[cfg(test)]
mod errors;
mod forward;
mod pictures;
mod product;
mod transform;
#[cfg(test)]
pub(super) mod twin;
mod weights;

use super::ConvShape;
use forward::Layer;

/// Channels and filters from which on the transforms are worth their time.
const CHANNELS: usize = 16;

/// Whether this goes by Winograd's algorithm: 3 x 3 filters at stride 1 that see all channels, enough channels, and pictures
/// that fill the tiles of 4 x 4 pixels well enough to save a third of the multiplications.
pub(super) fn applies(s: &ConvShape) -> bool {
    let tiles = s.out_h().div_ceil(4) * s.out_w().div_ceil(4);
    let plain = [s.kh, s.kw] == [3, 3]
        && s.stride == [1, 1]
        && s.dilation == [1, 1]
        && s.groups == 1
        && s.pad.iter().all(|p| *p <= 2);
    plain && s.c.min(s.filters) >= CHANNELS && s.out_pixels() >= 6 * tiles
}

/// Forward, without its operands.
fn up(s: &ConvShape) -> Layer<'static> {
    Layer {
        x: &[],
        n: s.n,
        h: s.h,
        w: s.w,
        c: s.c,
        f: s.filters,
        out_h: s.out_h(),
        out_w: s.out_w(),
        pad: s.pad,
        weights: &[],
        stride: [s.c * 9, 9],
        turned: false,
        bias: None,
        relu: false,
    }
}

/// Backward by data, without its operands; the padding is at most 2.
fn down(s: &ConvShape) -> Layer<'static> {
    Layer {
        x: &[],
        n: s.n,
        h: s.out_h(),
        w: s.out_w(),
        c: s.filters,
        f: s.c,
        out_h: s.h,
        out_w: s.w,
        pad: s.pad.map(|p| 2 - p),
        weights: &[],
        stride: [9, s.c * 9],
        turned: true,
        bias: None,
        relu: false,
    }
}

/// [`super::forward`] for shapes of 3x3 stride 1.
pub(super) fn forward(
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    y: &mut [f32],
) {
    Layer { x, weights: w, bias, relu, ..up(s) }.run(y);
}

/// [`super::backward_data`] for the same shapes.
pub(super) fn backward_data(s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    Layer { x: dy, weights: w, ..down(s) }.run(dx);
}

/// [`super::backward_weights`] for the same shapes.
pub(super) fn backward_weights(s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    weights::run(s, x, dy, dw);
}

/// [`super::working_memory`] in numbers, of each pass: what all threads share, and what each has.
pub(super) fn working(s: &ConvShape) -> [[usize; 2]; 3] {
    [up(s).working(), weights::working(s), down(s).working()]
}
