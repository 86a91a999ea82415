//! Idx files: what is accepted has the size that it says.
#![no_main]
use chainrule::data::idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = idx::labels(bytes.to_vec());
    if let Ok(pictures) = idx::pictures(bytes.to_vec()) {
        assert_eq!(pictures.shape.iter().product::<usize>(), pictures.bytes.len());
    }
});
