//! A picture file becomes pixels, within bounds that are checked before anything is decoded.
//!
//! Its first bytes say what a file is, not its name. What a file may look like is brought to one form: 8 bits, one channel or
//! three. Transparent pixels are laid on white, of 16 bits the upper 8 are kept, CMYK is converted. Of moving pictures the first
//! counts. A file that ends too early is broken, also where a viewer would show its upper half.

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, Limits};
use std::io::Cursor;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The most pixels along one side.
pub const MOST_SIDE: usize = 16_384;
/// The most pixels altogether: a frame of 8K video.
pub const MOST_PIXELS: usize = 34_000_000;
/// The most bytes of a decoded picture.
const MOST_DECODED: u64 = 160 << 20;
/// The most bytes of a file.
pub const MOST_FILE: u64 = 128 << 20;

/// A decoded picture.
#[derive(Debug)]
pub struct Picture {
    /// Pixels along a row, as the file has them.
    pub width: usize,
    /// Rows, as the file has them.
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Row after row, pixel after pixel.
    pub pixels: Vec<u8>,
    /// How the picture has to be turned to stand upright.
    pub orientation: Orientation,
    /// What the file was: `jpeg RGB`, `png gray 16-bit`.
    pub mode: &'static str,
}

type Outcome<T> = Result<T, String>;

/// Decodes a png, jpeg, webp or bmp file.
///
/// # Errors
/// Why it cannot be used, to be put after the file's name.
pub fn decode(bytes: &[u8]) -> Outcome<Picture> {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg(bytes),
        Ok(format @ (ImageFormat::Png | ImageFormat::WebP | ImageFormat::Bmp)) => {
            other(bytes, format)
        }
        Ok(format) => Err(format!("is {format:?}, not png, jpeg, webp or bmp").to_lowercase()),
        Err(_) if bytes.is_empty() => Err("is empty".into()),
        Err(_) => Err("is not png, jpeg, webp or bmp".into()),
    }
}

/// Refuses a picture that is too large, before memory is taken for it.
fn check_size(width: usize, height: usize) -> Outcome<()> {
    if width == 0 || height == 0 {
        return Err("has no pixels".into());
    }
    if width > MOST_SIDE || height > MOST_SIDE || width * height > MOST_PIXELS {
        return Err(format!(
            "has {width} x {height} pixels; at most {MOST_SIDE} a side and {MOST_PIXELS} in all are read"
        ));
    }
    Ok(())
}

fn jpeg(bytes: &[u8]) -> Outcome<Picture> {
    if ends_early(bytes) {
        return Err("is cut short".into());
    }
    let damaged = |e: zune_jpeg::errors::DecodeErrors| format!("is damaged ({})", first_line(&e));
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MOST_SIDE)
        .set_max_height(MOST_SIDE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let (width, height) = decoder.dimensions().ok_or("has no size")?;
    check_size(width, height)?;
    let (mode, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ("jpeg gray", ColorSpace::Luma),
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => ("jpeg CMYK", ColorSpace::RGB),
        _ => ("jpeg RGB", ColorSpace::RGB),
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(space));
    let mut pixels = vec![0; width * height * space.num_components()];
    decoder.decode_into(&mut pixels).map_err(damaged)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(Picture {
        width,
        height,
        channels: space.num_components(),
        pixels,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        mode,
    })
}

/// Whether a JPEG has no end, or none after its last scan. The two bytes that end it cannot stand within a scan.
fn ends_early(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|two| two == [0xff, marker]);
    last(0xd9).is_none() || last(0xd9) < last(0xda)
}

fn other(bytes: &[u8], format: ImageFormat) -> Outcome<Picture> {
    let damaged = |e: image::ImageError| format!("is damaged ({})", first_line(&e));
    let mut decoder = image::ImageReader::with_format(Cursor::new(bytes), format)
        .into_decoder()
        .map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_size(width, height)?;
    if decoder.total_bytes() > MOST_DECODED {
        let all = decoder.total_bytes();
        return Err(format!("decodes to {all} bytes; at most {MOST_DECODED} are read"));
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * MOST_DECODED);
    decoder.set_limits(limits).map_err(damaged)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let mode = mode(format, image.color())?;
    let (channels, pixels) = in_eight_bits(image);
    Ok(Picture { width, height, channels, pixels, orientation, mode })
}

/// The first line of what a decoder says, and not more than fits one.
fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(100).collect()
}

fn mode(format: ImageFormat, color: ColorType) -> Outcome<&'static str> {
    Ok(match (format, color) {
        (ImageFormat::Png, ColorType::L8) => "png gray",
        (ImageFormat::Png, ColorType::La8) => "png gray with alpha",
        (ImageFormat::Png, ColorType::Rgb8) => "png RGB",
        (ImageFormat::Png, ColorType::Rgba8) => "png RGB with alpha",
        (ImageFormat::Png, ColorType::L16) => "png gray 16-bit",
        (ImageFormat::Png, ColorType::La16) => "png gray with alpha 16-bit",
        (ImageFormat::Png, ColorType::Rgb16) => "png RGB 16-bit",
        (ImageFormat::Png, ColorType::Rgba16) => "png RGB with alpha 16-bit",
        (ImageFormat::WebP, ColorType::Rgb8) => "webp RGB",
        (ImageFormat::WebP, ColorType::Rgba8) => "webp RGB with alpha",
        (ImageFormat::Bmp, ColorType::L8) => "bmp gray",
        (ImageFormat::Bmp, ColorType::Rgb8) => "bmp RGB",
        (ImageFormat::Bmp, ColorType::Rgba8) => "bmp RGB with alpha",
        (_, color) => return Err(format!("has colours that are not read ({color:?})")),
    })
}

/// Channels and bytes.
fn in_eight_bits(image: DynamicImage) -> (usize, Vec<u8>) {
    match image {
        DynamicImage::ImageLuma8(gray) => (1, gray.into_raw()),
        DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
        DynamicImage::ImageLumaA8(gray) => (1, on_white(gray.as_raw(), 2)),
        DynamicImage::ImageRgba8(rgb) => (3, on_white(rgb.as_raw(), 4)),
        DynamicImage::ImageLuma16(gray) => (1, upper(gray.as_raw())),
        DynamicImage::ImageRgb16(rgb) => (3, upper(rgb.as_raw())),
        DynamicImage::ImageLumaA16(gray) => (1, on_white(&upper(gray.as_raw()), 2)),
        rgb => (3, on_white(rgb.into_rgba8().as_raw(), 4)),
    }
}

/// The upper 8 of 16 bits.
fn upper(wide: &[u16]) -> Vec<u8> {
    wide.iter().map(|v| (v >> 8) as u8).collect()
}

/// Pixels of some channels, the last of which says how much of them is seen, on a white ground.
fn on_white(pixels: &[u8], channels: usize) -> Vec<u8> {
    let colours = channels - 1;
    let mut out = Vec::with_capacity(pixels.len() / channels * colours);
    for pixel in pixels.chunks_exact(channels) {
        let seen = u32::from(pixel[colours]);
        let blend = |v: &u8| ((u32::from(*v) * seen + 255 * (255 - seen) + 127) / 255) as u8;
        out.extend(pixel[..colours].iter().map(blend));
    }
    out
}
