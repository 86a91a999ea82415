//! Picture files, decoded and brought to a square. Large pictures take a decoder seconds, so only some of them are decoded.
#![no_main]
use chainrule::data::pictures::{decode, fit};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

/// Whether the file says that it has many pixels.
fn is_large(bytes: &[u8]) -> bool {
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    size.is_some_and(|(width, height)| u64::from(width) * u64::from(height) > 1 << 14)
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() % 64 != 0 && is_large(bytes) {
        return;
    }
    if let Ok(picture) = decode::decode(bytes) {
        assert_eq!(picture.pixels.len(), picture.width * picture.height * picture.channels);
        let mut out = [0; 3 * 8 * 8];
        fit(&picture, 8, &mut out);
    }
});
