//! Checkpoints whose length and checksum are right, for else the checksum is all that is ever seen. What is read can be written,
//! and read again; a training like the one it came from takes it and goes on, or refuses it.
#![no_main]
use chainrule::train::Quiet;
use chainrule::train::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

#[path = "../training.rs"]
mod training;

/// Bytes before the head, and of the checksum.
const FRAME: [usize; 2] = [24, 4];

/// Puts the length and the checksum of a file in their places.
fn seal(file: &mut [u8]) {
    let (len, end) = (file.len() as u64, file.len() - FRAME[1]);
    file[16..24].copy_from_slice(&len.to_le_bytes());
    let sum = crc32fast::hash(&file[..end]);
    file[end..].copy_from_slice(&sum.to_le_bytes());
}

fn written(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = Vec::new();
    checkpoint.write(&mut bytes).expect("memory has room");
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let mut file = bytes.to_vec();
    if file.len() >= FRAME[0] + FRAME[1] {
        seal(&mut file);
    }
    let Ok(checkpoint) = Checkpoint::read(&mut Cursor::new(&file)) else { return };
    let again = written(&checkpoint);
    let twice = Checkpoint::read(&mut Cursor::new(&again)).expect("what was just written");
    assert!(written(&twice) == again);
    training::with(|mut solver, mut rng| {
        if solver.restore(checkpoint.state, &mut rng).is_ok() {
            let _ = solver.train(&mut rng, &mut Quiet);
        }
    });
});
