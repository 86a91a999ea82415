//! One binary for every CPU: which vector instructions this machine has, chosen once at run time.
//!
//! A kernel is written once, as plain Rust over slices, and [`multiversion!`](crate::multiversion) compiles it once per
//! [`Level`]. No level changes a result: every kernel is made of IEEE operations (`+ - * / sqrt` and fused multiply-add) in an
//! order that its *shapes* fix, never the width of a register. So the levels are compared bit for bit, and the slowest of
//! them is the safe twin of the others. On AArch64 the portable level is compiled to NEON, which is always there.

use crate::environment;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// A set of vector instructions, from the most common to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// What the target always has: SSE2 on x86-64, NEON on AArch64. A fused multiply-add may be a function call here.
    Portable = 1,
    /// AVX2 and FMA: 256 bits, x86-64 processors since 2013.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ and VL: 512 bits.
    Avx512 = 3,
}

impl Level {
    /// The name a person reads, as `CHAINRULE_SIMD` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable if cfg!(target_arch = "aarch64") => "neon",
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The widest level of this CPU.
    pub fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                return Level::Avx512;
            }
            if avx2 {
                return Level::Avx2;
            }
        }
        Level::Portable
    }

    /// Every level this CPU can run, narrowest first.
    pub fn available() -> Vec<Level> {
        let best = Level::detect();
        [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(|l| *l <= best).collect()
    }
}

static CURRENT: AtomicU8 = AtomicU8::new(0);

/// The level that kernels use now: the widest of this CPU, or what `CHAINRULE_SIMD` (`portable`, `avx2`, `avx512`) narrows it to.
#[inline]
pub fn level() -> Level {
    match CURRENT.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => choose(),
    }
}

#[cold]
fn choose() -> Level {
    let wanted = environment::or_warn(environment::level());
    let chosen = wanted.unwrap_or_else(Level::detect);
    CURRENT.store(chosen as u8, Ordering::Relaxed);
    chosen
}

static FORCED: Mutex<()> = Mutex::new(());

/// Runs `f` with the level forced to `level`, for tests and measurements that compare levels. One caller at a time.
///
/// # Panics
/// If this CPU does not have `level`.
pub fn with_level<R>(wanted: Level, f: impl FnOnce() -> R) -> R {
    assert!(wanted <= Level::detect(), "this CPU has no {}", wanted.name());
    struct Restore(Level);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.store(self.0 as u8, Ordering::Relaxed);
        }
    }
    let _one_at_a_time = FORCED.lock().unwrap_or_else(PoisonError::into_inner);
    let _restore = Restore(level());
    CURRENT.store(wanted as u8, Ordering::Relaxed);
    f()
}

/// Defines a function that is compiled once for each [`Level`] and picks one when it is called.
///
/// The body is plain safe Rust: loops over slices that the compiler vectorises. Closures and `#[inline(always)]` functions
/// used inside are compiled for the same level.
#[macro_export]
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(< $($g:ident : $bound:path),* >)? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name $(< $($g: $bound),* >)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body $(< $($g: $bound),* >)? ($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512 $(< $($g: $bound),* >)? ($($arg: $ty),*) $(-> $ret)? {
                    body $(::< $($g),* >)? ($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(< $($g: $bound),* >)? ($($arg: $ty),*) $(-> $ret)? {
                    body $(::< $($g),* >)? ($($arg),*)
                }
                match $crate::simd::level() {
                    // SAFETY: `level` never exceeds `Level::detect`, which found these features on this CPU.
                    $crate::simd::Level::Avx512 => return unsafe { avx512 $(::< $($g),* >)? ($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2 $(::< $($g),* >)? ($($arg),*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            body $(::< $($g),* >)? ($($arg),*)
        }
    };
}
