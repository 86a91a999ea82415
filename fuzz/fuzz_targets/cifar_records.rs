//! CIFAR-10's binary records, where the length that is said and the length that comes may differ.
#![no_main]
use chainrule::data::cifar10::read_records;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u64, &[u8])| {
    let (records, length, mut bytes) = input;
    let records = usize::from(records % 8);
    let mut pixels = vec![0; records * 3072];
    let length = if length % 2 == 0 { records as u64 * 3073 } else { length };
    if let Ok(labels) = read_records(&mut bytes, length, &mut pixels) {
        assert_eq!(labels.len(), records);
        assert!(labels.iter().all(|label| *label < 10));
    }
});
