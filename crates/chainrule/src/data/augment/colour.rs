//! Brightness, contrast and saturation.

use crate::rng::{Key, KeyedRng};

/// A change of colours. With g the grey of a pixel and m the mean grey of the picture, a byte x becomes
/// `b (c (s x + (1 - s) g) + (1 - c) m)`, cut off at 0 and 255: saturation, then contrast, then brightness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Colour {
    brightness: f64,
    contrast: f64,
    saturation: f64,
    mean: f64,
}

/// How much of each colour is in the grey that an eye sees: ITU-R BT.601.
const GREY: [f64; 3] = [0.299, 0.587, 0.114];

impl Colour {
    /// Factors uniform in [1 - strength, 1 + strength], for the picture with these bytes.
    pub(super) fn of(strength: f64, key: Key, bytes: &[u8], channels: usize) -> Colour {
        let mut rng = KeyedRng::new(key);
        let mut factor = || 1.0 + strength * (2.0 * rng.uniform() - 1.0);
        let (brightness, contrast, saturation) = (factor(), factor(), factor());
        let plane = bytes.len() / channels.max(1);
        // The grey of the mean is the mean of the grey; sums of bytes are exact.
        let sum = |c: usize| bytes[c * plane..][..plane].iter().map(|b| u64::from(*b)).sum::<u64>();
        let mean = grey(channels, |c| sum(c) as f64 / plane.max(1) as f64);
        Colour { brightness, contrast, saturation, mean }
    }

    /// The grey of a pixel.
    pub(in crate::data) fn grey_at(bytes: &[u8], at: usize, channels: usize) -> f64 {
        let plane = bytes.len() / channels;
        grey(channels, |c| f64::from(bytes[c * plane + at]))
    }

    /// What becomes of a byte of a pixel with this grey.
    pub(in crate::data) fn change(&self, byte: f64, grey: f64) -> f64 {
        let Colour { brightness, contrast, saturation, mean } = self;
        let saturated = saturation * byte + (1.0 - saturation) * grey;
        (brightness * (contrast * saturated + (1.0 - contrast) * mean)).clamp(0.0, 255.0)
    }
}

/// Grey of the values of the channels: weighted for red, green and blue, else their mean.
fn grey(channels: usize, value: impl Fn(usize) -> f64) -> f64 {
    match channels {
        3 => (0..3).map(|c| GREY[c] * value(c)).sum(),
        _ => (0..channels).map(value).sum::<f64>() / channels.max(1) as f64,
    }
}
