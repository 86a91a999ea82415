//! Pictures inside the page: PNG bytes as a `data:` address.

use super::html::escape;
use image::{ExtendedColorType, ImageEncoder, ImageResult, codecs::png};

/// A picture, `width` x `height` pixels, as the address of an `img`. Fails when `pixels` cannot be encoded.
pub fn data_uri(
    pixels: &[u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
) -> ImageResult<String> {
    let bytes = png(pixels, width, height, color)?;
    Ok(format!("data:image/png;base64,{}", base64(&bytes)))
}

/// A picture as the bytes of a PNG file. Fails when `pixels` cannot be encoded.
pub fn png(
    pixels: &[u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let (best, filter) = (png::CompressionType::Best, png::FilterType::Adaptive);
    png::PngEncoder::new_with_quality(&mut bytes, best, filter)
        .write_image(pixels, width, height, color)?;
    Ok(bytes)
}

/// A picture, `width` x `height` pixels, with a title and a sentence below it.
pub fn figure(
    pixels: &[u8],
    [width, height]: [u32; 2],
    color: ExtendedColorType,
    title: &str,
    text: &str,
) -> ImageResult<String> {
    let uri = data_uri(pixels, width, height, color)?;
    let (title, text) = (escape(title), escape(text));
    Ok(format!(
        "<figure><img src=\"{uri}\" alt=\"{title}\" width=\"{width}\" height=\"{height}\">\
         <figcaption><b>{title}</b> {text}</figcaption></figure>\n"
    ))
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            if i <= group.len() {
                text.push(char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
