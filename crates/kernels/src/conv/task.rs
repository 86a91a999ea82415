//! Parallel work that is written once for registers of any width.

use crate::gemm::vector::{Plain, Vector};
use crate::real::Real;
use crate::simd::{Level, level};
use crate::threads::parallel_scratch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

/// A job of numbered tasks. A tile of a product in registers has `R` rows and `C` vectors.
pub trait Job<T>: Sync {
    /// Does one task.
    ///
    /// # Safety
    /// The CPU must have `V`'s instructions, and no other task of this number may run.
    unsafe fn task<V: Vector<T>, const R: usize, const C: usize>(
        &self,
        number: usize,
        scratch: &mut [T],
    );
}

/// A task of a job, compiled for one level.
pub type Code<J, T> = unsafe fn(&J, usize, &mut [T]);

/// The level that all jobs of a pass run at, for some depend on each other's.
#[derive(Clone, Copy)]
pub(super) struct Runner(Level);

impl Runner {
    /// The present level.
    pub fn new() -> Runner {
        Runner(level())
    }

    /// Runs the tasks of a job in parallel, each with `scratch` numbers of unspecified contents.
    pub fn run<T: Real, J: Job<T>>(self, job: &J, tasks: usize, scratch: usize) {
        let code = T::code::<J>(self.0);
        // SAFETY: `level` never exceeds `Level::detect`, which found the instructions on this CPU; each number runs once.
        parallel_scratch(tasks, scratch, |number, scratch| unsafe { code(job, number, scratch) });
    }

    /// Columns of a panel: two registers, or four where registers hold 128 bits.
    pub fn wide<T: Real>(self) -> usize {
        if self.0 == Level::Avx512 { 2 * T::LANES } else { T::LANES }
    }
}

/// A type whose registers are known at every level.
pub trait Registers: Sized {
    /// A register of one number, for what does not fill a larger one.
    type Single: Vector<Self>;
    /// A job's tasks at a level.
    fn code<J: Job<Self>>(level: Level) -> Code<J, Self>;
}

macro_rules! registers {
    ($t:ty, $avx512:ty, $avx2:ty, $lanes:expr) => {
        impl Registers for $t {
            type Single = Plain<$t, 1>;
            fn code<J: Job<$t>>(level: Level) -> Code<J, $t> {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx2,fma")]
                unsafe fn avx512<J: Job<$t>>(job: &J, number: usize, scratch: &mut [$t]) {
                    // SAFETY: the caller's promise.
                    unsafe { job.task::<$avx512, 8, 2>(number, scratch) }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2<J: Job<$t>>(job: &J, number: usize, scratch: &mut [$t]) {
                    // SAFETY: the caller's promise.
                    unsafe { job.task::<$avx2, 4, 2>(number, scratch) }
                }
                unsafe fn plain<J: Job<$t>>(job: &J, number: usize, scratch: &mut [$t]) {
                    // SAFETY: the caller's promise; plain Rust, which every CPU runs.
                    unsafe { job.task::<Plain<$t, $lanes>, 4, 4>(number, scratch) }
                }
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => avx512::<J>,
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => avx2::<J>,
                    _ => plain::<J>,
                }
            }
        }
    };
}
registers!(f32, __m512, __m256, 4);
registers!(f64, __m512d, __m256d, 2);
