//! A run's metrics.jsonl, read back.
#![no_main]
use chainrule::train::Metrics;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("chainrule-fuzz-metrics-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("a scratch file");
    if let Ok(metrics) = Metrics::read(&path) {
        let _ = metrics.best();
    }
});
