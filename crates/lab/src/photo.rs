//! Photographs as the models and the pages want them: square and small.

use anyhow::Result;
use chainrule::Error;
use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageReader, RgbImage};
use std::path::Path;

/// Reads a picture file.
///
/// # Errors
/// If it cannot be read or is no picture of a kind that is known.
pub fn open(path: &Path) -> Result<RgbImage> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?;
    let want = "expected a whole png or webp picture";
    if !kind.is_file() {
        return Err(Error::file(path, "is not a regular file", want).into());
    }
    let reader = ImageReader::open(path).map_err(Error::io("read", path))?;
    let reader = reader.with_guessed_format().map_err(Error::io("read", path))?;
    let picture = reader.decode();
    let picture =
        picture.map_err(|e| Error::file(path, format!("cannot be decoded ({e})"), want))?;
    Ok(picture.into_rgb8())
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
