//! The pickle of CIFAR-10's Python version: what is accepted has the shape that it says.
#![no_main]
use chainrule::data::pickle::batch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(batch) = batch(bytes) {
        assert_eq!(batch.shape[0], batch.labels.len());
        assert_eq!(batch.shape[0] * batch.shape[1], batch.pixels.len());
    }
});
