//! Registers of numbers: the operations that the matrix product needs, for each level, and several registers side by side.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// `LANES` numbers of type `T`, in one register or in several side by side.
///
/// # Safety
/// The methods may only be called on a CPU that has the registers, and with pointers to `LANES` readable (writable) numbers;
/// for `load_first` and `store_first`, `n` of them, where n reaches into the last register: more numbers than those before it
/// hold, and at most `LANES`.
pub unsafe trait Vector<T>: Copy {
    const LANES: usize;
    unsafe fn splat(v: T) -> Self;
    unsafe fn load(p: *const T) -> Self;
    unsafe fn store(self, p: *mut T);
    /// The first `n` numbers, and zeroes.
    unsafe fn load_first(p: *const T, n: usize) -> Self;
    /// Stores the first `n` numbers alone.
    unsafe fn store_first(self, p: *mut T, n: usize);
    /// `self * b + c`, rounded once.
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
}

/// Asks for a cache line that will be needed soon. Any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    // SAFETY: a hint, which no address makes wrong; every x86-64 has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

// SAFETY: each register is used as the trait asks; all but the last are full.
unsafe impl<T, V: Vector<T>, const N: usize> Vector<T> for [V; N] {
    const LANES: usize = N * V::LANES;
    #[inline(always)]
    unsafe fn splat(v: T) -> Self {
        // SAFETY: the caller's promise.
        [unsafe { V::splat(v) }; N]
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe { V::load(p.add(i * V::LANES)) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller's promise.
        (0..N).for_each(|i| unsafe { self[i].store(p.add(i * V::LANES)) });
    }
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe {
            let (p, before) = (p.add(i * V::LANES), i * V::LANES);
            if i + 1 < N { V::load(p) } else { V::load_first(p, n - before) }
        })
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut T, n: usize) {
        // SAFETY: the caller's promise.
        (0..N).for_each(|i| unsafe {
            let (p, before) = (p.add(i * V::LANES), i * V::LANES);
            if i + 1 < N { self[i].store(p) } else { self[i].store_first(p, n - before) }
        });
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe { self[i].fma(b[i], c[i]) })
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: the caller's promise.
        std::array::from_fn(|i| unsafe { self[i].add(b[i]) })
    }
}

// SAFETY: as above.
unsafe impl<T: Copy, A: Vector<T>, B: Vector<T>> Vector<T> for (A, B) {
    const LANES: usize = A::LANES + B::LANES;
    #[inline(always)]
    unsafe fn splat(v: T) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (A::splat(v), B::splat(v)) }
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (A::load(p), B::load(p.add(A::LANES))) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller's promise.
        unsafe {
            self.0.store(p);
            self.1.store(p.add(A::LANES));
        }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (A::load(p), B::load_first(p.add(A::LANES), n - A::LANES)) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut T, n: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.0.store(p);
            self.1.store_first(p.add(A::LANES), n - A::LANES);
        }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (self.0.fma(b.0, c.0), self.1.fma(b.1, c.1)) }
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { (self.0.add(b.0), self.1.add(b.1)) }
    }
}

/// Plain Rust: 128 bits, which is a NEON register on AArch64 and the safe twin of the others elsewhere.
#[derive(Clone, Copy)]
pub struct Plain<T, const N: usize>([T; N]);

// SAFETY: plain Rust, which every CPU runs.
unsafe impl<T: crate::Real, const N: usize> Vector<T> for Plain<T, N> {
    const LANES: usize = N;
    #[inline(always)]
    unsafe fn splat(v: T) -> Self {
        Plain([v; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> Self {
        // SAFETY: the caller's promise.
        Plain(unsafe { p.cast::<[T; N]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut T) {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[T; N]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        // SAFETY: the caller's promise.
        Plain(std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { T::ZERO }))
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut T, n: usize) {
        for (i, v) in self.0.iter().enumerate().take(n) {
            // SAFETY: the caller's promise.
            unsafe { *p.add(i) = *v };
        }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + b.0[i]))
    }
}

/// A register of x86: thin names for its instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($v:ty: [$t:ty; $n:expr], $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident,
        |$p:ident, $count:ident, $whole:ident| $load_first:expr, $store_first:expr) => {
        // SAFETY: the caller promises that the CPU has the instructions.
        unsafe impl Vector<$t> for $v {
            const LANES: usize = $n;
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $splat(v) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn load_first($p: *const $t, $count: usize) -> Self {
                // SAFETY: the caller's promise; lanes beyond the mask are not touched.
                unsafe { $load_first }
            }
            #[inline(always)]
            unsafe fn store_first(self, $p: *mut $t, $count: usize) {
                let $whole = self;
                // SAFETY: as above.
                unsafe { $store_first }
            }
            #[inline(always)]
            unsafe fn fma(self, b: Self, c: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $fma(self, b, c) }
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $add(self, b) }
            }
        }
    };
}

/// The first `n` of 8 lanes, as AVX2 has it: the sign bits of a register.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn first_of_8(n: usize) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }
}

/// The first `n` of 4 lanes of 64 bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn first_of_4(n: usize) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
}

/// The first `n` lanes, as AVX-512 has it: a bit each.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn first(n: usize) -> u32 {
    (1 << n) - 1
}

/// Half a register of AVX-512, with that level's masks. It takes half the time of a whole one on processors that compute 512
/// bits in two halves.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Half<V>(V);

#[cfg(target_arch = "x86_64")]
macro_rules! half {
    ($v:ty, $t:ty, $maskz_loadu:ident, $mask_storeu:ident) => {
        // SAFETY: the register's own methods but for the masks, which AVX-512 VL has.
        unsafe impl Vector<$t> for Half<$v> {
            const LANES: usize = <$v as Vector<$t>>::LANES;
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                // SAFETY: the caller's promise.
                Half(unsafe { <$v>::splat(v) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                // SAFETY: the caller's promise.
                Half(unsafe { <$v>::load(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { self.0.store(p) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $t, n: usize) -> Self {
                // SAFETY: the caller's promise.
                Half(unsafe { $maskz_loadu(first(n) as u8, p) })
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $t, n: usize) {
                // SAFETY: the caller's promise.
                unsafe { $mask_storeu(p, first(n) as u8, self.0) }
            }
            #[inline(always)]
            unsafe fn fma(self, b: Self, c: Self) -> Self {
                // SAFETY: the caller's promise.
                Half(unsafe { self.0.fma(b.0, c.0) })
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                // SAFETY: the caller's promise.
                Half(unsafe { self.0.add(b.0) })
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
half!(__m256, f32, _mm256_maskz_loadu_ps, _mm256_mask_storeu_ps);
#[cfg(target_arch = "x86_64")]
half!(__m256d, f64, _mm256_maskz_loadu_pd, _mm256_mask_storeu_pd);
#[cfg(target_arch = "x86_64")]
x86!(__m256: [f32; 8], _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps,
    |p, n, v| _mm256_maskload_ps(p, first_of_8(n)), _mm256_maskstore_ps(p, first_of_8(n), v));
#[cfg(target_arch = "x86_64")]
x86!(__m256d: [f64; 4], _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd,
    |p, n, v| _mm256_maskload_pd(p, first_of_4(n)), _mm256_maskstore_pd(p, first_of_4(n), v));
#[cfg(target_arch = "x86_64")]
x86!(__m512: [f32; 16], _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps,
    |p, n, v| _mm512_maskz_loadu_ps(first(n) as u16, p), _mm512_mask_storeu_ps(p, first(n) as u16, v));
#[cfg(target_arch = "x86_64")]
x86!(__m512d: [f64; 8], _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd,
    |p, n, v| _mm512_maskz_loadu_pd(first(n) as u8, p), _mm512_mask_storeu_pd(p, first(n) as u8, v));
