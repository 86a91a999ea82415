//! Weights in the safetensors format, read into a small network. What is refused leaves the network as it was.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../weights.rs"]
mod file;

fuzz_target!(|bytes: &[u8]| file::read(bytes, "safetensors"));
