//! A picture of any size becomes a square of planes: the shorter side is brought to the square's and the middle is kept.
//!
//! Each pixel of the result is a mean of those below it, weighted by a triangle as wide as the step between results (as wide as
//! two pixels, that is linearly interpolated, where a picture is enlarged). So nothing is left out and nothing flickers; PyTorch's
//! `Resize(side)` and `CenterCrop(side)` on pictures do the same, up to the rounding of one level.

use super::decode::Picture;
use image::metadata::Orientation;

/// How the pixels of one axis come from those of the file.
struct Axis {
    /// For each result the first pixel of the file that it is a mean of, and where its weights begin.
    starts: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Axis {
    /// `side` results out of `resized`, beginning at `offset`, of an axis of `len` pixels.
    fn new(len: usize, resized: usize, offset: usize, side: usize) -> Axis {
        let scale = len as f64 / resized as f64;
        let reach = scale.max(1.0);
        let mut axis = Axis { starts: Vec::with_capacity(side + 1), weights: Vec::new() };
        for i in offset..offset + side {
            let center = (i as f64 + 0.5) * scale;
            let first = (center - reach + 0.5).max(0.0) as usize;
            let end = ((center + reach + 0.5) as usize).min(len);
            let triangle = |k| (1.0 - ((k as f64 + 0.5 - center) / reach).abs()).max(0.0);
            let sum: f64 = (first..end).map(triangle).sum();
            axis.starts.push((first, axis.weights.len()));
            axis.weights.extend((first..end).map(|k| (triangle(k) / sum) as f32));
        }
        axis.starts.push((0, axis.weights.len()));
        axis
    }

    /// The first pixel of result `i`, and the weights from there on.
    fn taps(&self, i: usize) -> (usize, &[f32]) {
        let ((first, begin), (_, end)) = (self.starts[i], self.starts[i + 1]);
        (first, &self.weights[begin..end])
    }
}

/// The middle of a picture, upright, as planes of `side` x `side`: red, green, blue.
///
/// # Panics
/// If `side` is 0, or `out` has not 3 x `side` x `side` bytes.
#[track_caller]
pub fn fit(picture: &Picture, side: usize, out: &mut [u8]) {
    assert!(side > 0 && out.len() == 3 * side * side, "three planes of {side} x {side}");
    let &Picture { width, height, channels, orientation, .. } = picture;
    let shorter = width.min(height);
    // The same rounding whichever way the picture lies: what is cut off comes from its upper left as it is seen.
    let place = |len: usize, mirrored: bool| {
        let resized = side * len / shorter;
        let before = (resized - side) / 2;
        Axis::new(len, resized, if mirrored { resized - side - before } else { before }, side)
    };
    let turn = Turn::of(orientation);
    let (columns, rows) = (place(width, turn.mirror_x), place(height, turn.mirror_y));
    let mut line = vec![0.0f32; width * channels];
    for y in 0..side {
        let (first, weights) = rows.taps(y);
        line.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            let row = &picture.pixels[(first + k) * width * channels..][..width * channels];
            add_weighted(&mut line, row, *weight);
        }
        for x in 0..side {
            let (first, weights) = columns.taps(x);
            let taps = &line[first * channels..][..weights.len() * channels];
            let to = turn.place(x, y, side);
            for channel in 0..3 {
                let own = channel.min(channels - 1);
                let values = taps.iter().skip(own).step_by(channels);
                let sum: f32 = values.zip(weights).fold(0.0, |sum, (v, w)| sum + v * w);
                out[channel * side * side + to] = (sum + 0.5) as u8;
            }
        }
    }
}

chainrule_kernels::multiversion! {
    /// `line += weight * row`.
    fn add_weighted(line: &mut [f32], row: &[u8], weight: f32) {
        for (sum, value) in line.iter_mut().zip(row) {
            *sum += weight * f32::from(*value);
        }
    }
}

/// How a picture has to be turned: each axis mirrored or not, then both exchanged or not.
struct Turn {
    mirror_x: bool,
    mirror_y: bool,
    exchange: bool,
}

impl Turn {
    fn of(orientation: Orientation) -> Turn {
        use Orientation::*;
        let (mirror_x, mirror_y, exchange) = match orientation {
            NoTransforms => (false, false, false),
            FlipHorizontal => (true, false, false),
            FlipVertical => (false, true, false),
            Rotate180 => (true, true, false),
            Rotate90FlipH => (false, false, true),
            Rotate90 => (false, true, true),
            Rotate270 => (true, false, true),
            Rotate270FlipH => (true, true, true),
        };
        Turn { mirror_x, mirror_y, exchange }
    }

    /// Where the pixel at (x, y) of the file's square is seen.
    fn place(&self, x: usize, y: usize, side: usize) -> usize {
        let x = if self.mirror_x { side - 1 - x } else { x };
        let y = if self.mirror_y { side - 1 - y } else { y };
        if self.exchange { x * side + y } else { y * side + x }
    }
}
