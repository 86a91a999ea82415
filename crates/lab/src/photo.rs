//! Photographs as the models and the pages want them: square and small.

use chainrule::data::pictures::decode::Picture;
use chainrule::data::pictures::fit;
use image::imageops::{FilterType, crop_imm, resize};
use image::{Rgb, RgbImage};

/// A picture as a model is shown it: its middle, `side` x `side`, upright; red, green and blue one after the other.
pub fn seen(picture: &Picture, side: usize) -> Vec<u8> {
    let mut planes = vec![0; 3 * side * side];
    fit(picture, side, &mut planes);
    planes
}

/// [`seen`] as a page shows it, with a pixel's colours side by side.
pub fn shown(picture: &Picture, side: usize) -> RgbImage {
    let planes = seen(picture, side);
    let at = |c: usize, x: u32, y: u32| planes[(c * side + y as usize) * side + x as usize];
    RgbImage::from_fn(side as u32, side as u32, |x, y| Rgb([0, 1, 2].map(|c| at(c, x, y))))
}

/// The central square of a photograph, resized (bicubic).
pub fn square(photograph: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = photograph.dimensions();
    let shorter = width.min(height);
    let (x, y) = ((width - shorter) / 2, (height - shorter) / 2);
    let square = crop_imm(photograph, x, y, shorter, shorter).to_image();
    resize(&square, side, side, FilterType::CatmullRom)
}

/// Red, green and blue one after the other, each row by row.
pub fn planes(photograph: &RgbImage) -> Vec<u8> {
    (0..3).flat_map(|c| photograph.pixels().map(move |p| p.0[c])).collect()
}
