//! The innermost loop of the matrix product: a tile of C held in registers.

use super::vector::{Plain, Vector};
use crate::simd::Level;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// One call of a tile: `out[i][j] (+)= sum over k of a[i*row + k*step] * b[k*width + j]`, the sum as one chain of fused
/// multiply-adds in the order of k.
#[derive(Clone, Copy)]
pub(crate) struct Tile<T> {
    pub k: usize,
    pub a: *const T,
    /// From one row of A to the next.
    pub row: usize,
    /// From one k of A to the next.
    pub step: usize,
    /// A panel of B: `width` numbers for each k.
    pub b: *const T,
    pub width: usize,
    pub out: *mut T,
    pub out_row: usize,
    /// Whether the sum is added to what `out` holds.
    pub add: bool,
}

/// A function that computes a tile.
///
/// # Safety
/// The CPU must have the kernel's instructions, and the pointers must reach over the kernel's full number of rows and columns.
pub(crate) type TileFn<T> = unsafe fn(Tile<T>);

/// The tiles of one level and type: `rows` x `wide` and `rows` x `narrow` (for the last columns).
#[derive(Clone, Copy)]
pub struct Kernels<T> {
    pub(crate) rows: usize,
    pub(crate) wide: usize,
    pub(crate) narrow: usize,
    pub(crate) wide_tile: TileFn<T>,
    pub(crate) narrow_tile: TileFn<T>,
}

#[inline(always)]
pub(crate) unsafe fn tile<T: Copy, V: Vector<T>, const R: usize, const C: usize>(
    t: Tile<T>,
    zero: T,
) {
    // SAFETY: the caller promises R rows of A, `width` >= C * LANES columns of B for each k, and R rows of `out`.
    unsafe {
        let mut acc = [[V::splat(zero); C]; R];
        // Two pointers, each reaching half of the rows by scaled addresses, keep the additions off the critical path.
        let half = R.div_ceil(2);
        let (mut a, mut b) = ([t.a, t.a.add(half * t.row)], t.b);
        for _ in 0..t.k {
            let mut columns = [V::splat(zero); C];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = V::load(b.add(j * V::LANES));
            }
            for (i, row) in acc.iter_mut().enumerate() {
                let x = V::splat(*a[i / half].add(i % half * t.row));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = x.fma(column, *sum);
                }
            }
            a = a.map(|a| a.wrapping_add(t.step));
            b = b.wrapping_add(t.width);
        }
        for (i, row) in acc.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                let out = t.out.add(i * t.out_row + j * V::LANES);
                let sum = if t.add { V::load(out).add(*sum) } else { *sum };
                sum.store(out);
            }
        }
    }
}

macro_rules! kernels {
    ($name:ident, $t:ty, $v:ty, $rows:expr, $wide:expr, $narrow:expr $(, $feature:literal)?) => {
        fn $name() -> Kernels<$t> {
            $(#[target_feature(enable = $feature)])?
            unsafe fn wide(t: Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe { tile::<$t, $v, $rows, $wide>(t, 0.0) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn narrow(t: Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe { tile::<$t, $v, $rows, $narrow>(t, 0.0) }
            }
            let lanes = <$v as Vector<$t>>::LANES;
            Kernels {
                rows: $rows,
                wide: $wide * lanes,
                narrow: $narrow * lanes,
                wide_tile: wide,
                narrow_tile: narrow,
            }
        }
    };
}

kernels!(plain_f32, f32, Plain<f32, 4>, 6, 4, 2);
kernels!(plain_f64, f64, Plain<f64, 2>, 6, 4, 2);
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f32, f32, __m256, 6, 2, 1, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f64, f64, __m256d, 6, 2, 1, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_f32, f32, __m512, 12, 2, 1, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_f64, f64, __m512d, 12, 2, 1, "avx512f,avx2,fma");

/// A type that has kernels for the matrix product at every level.
pub trait HasKernels: Sized {
    #[doc(hidden)]
    fn kernels(level: Level) -> Kernels<Self>;
}

macro_rules! has_kernels {
    ($t:ty, $plain:ident, $avx2:ident, $avx512:ident) => {
        impl HasKernels for $t {
            fn kernels(level: Level) -> Kernels<$t> {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => $avx2(),
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => $avx512(),
                    _ => $plain(),
                }
            }
        }
    };
}
has_kernels!(f32, plain_f32, avx2_f32, avx512_f32);
has_kernels!(f64, plain_f64, avx2_f64, avx512_f64);
