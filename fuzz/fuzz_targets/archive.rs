//! The members of a tar that may be packed: each is read to its end and has the size that was said.
#![no_main]
use chainrule::data::archive::members;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = members(bytes, "folder", &["a", "b.bin"], |i, size, source| {
        assert!(i < 2);
        let mut buffer = [0; 4096];
        let mut all = 0;
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                n => all += n as u64,
            }
        }
        assert!(all <= size);
        Ok(())
    });
});
