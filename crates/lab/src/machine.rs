//! What this machine is.

use chainrule_kernels::{Level, simd, threads};

/// The processor's name, as the system gives it.
pub fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| {
        l.strip_prefix("model name")?.split_once(':').map(|(_, n)| n.trim().to_string())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.to_string())
}

/// The machine as (name, value), for reports.
pub fn facts() -> Vec<(String, String)> {
    let levels: Vec<&str> = Level::available().into_iter().map(Level::name).collect();
    [
        ("processor", cpu()),
        ("processors", threads::processors().to_string()),
        ("threads used", threads::threads().to_string()),
        ("vector instructions", format!("{} (of {})", simd::level().name(), levels.join(", "))),
        ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("chainrule", env!("CARGO_PKG_VERSION").to_string()),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .into()
}
