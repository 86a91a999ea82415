//! Bytes that may be packed with gzip, then read as idx files.
#![no_main]
use chainrule::data::idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bytes) = idx::unpack(bytes) {
        let _ = idx::pictures(bytes);
    }
});
