//! Picture files, decoded and brought to a square.
#![no_main]
use chainrule::data::pictures::{decode, fit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = decode::decode(bytes) {
        assert_eq!(picture.pixels.len(), picture.width * picture.height * picture.channels);
        let mut out = [0; 3 * 8 * 8];
        fit(&picture, 8, &mut out);
    }
});
