//! The innermost loop of the matrix product: a tile of C held in registers.

#[cfg(target_arch = "x86_64")]
use super::vector::Half;
use super::vector::{Plain, Vector, prefetch};
use crate::simd::Level;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;
/// Rows of B of more bytes than this are far apart.
const FAR: usize = 512;

/// One call of a tile: `out[i][j] (+)= sum over k of a[i*row + k*step] * b[k*b_step + j]`, the sum as one chain of fused
/// multiply-adds in the order of k. Nothing needs to be packed: the strides say where A and B lie.
#[derive(Clone, Copy)]
pub(crate) struct Tile<T> {
    /// How many k's.
    pub k: usize,
    /// A's first number.
    pub a: *const T,
    /// From one row of A to the next.
    pub row: usize,
    /// From one k of A to the next.
    pub step: usize,
    /// B's first number; its columns lie side by side.
    pub b: *const T,
    /// From one k of B to the next.
    pub b_step: usize,
    /// How many columns there are: the panel's width, or fewer, as far as they reach into its last register.
    pub columns: usize,
    /// C's first number; its columns lie side by side.
    pub out: *mut T,
    /// From one row of C to the next.
    pub out_row: usize,
    /// Whether the sum is added to what `out` holds.
    pub add: bool,
}

/// A function that computes a tile.
///
/// # Safety
/// The CPU must have the kernel's instructions, and the pointers must reach over the tile's rows and columns.
pub(crate) type TileFn<T> = unsafe fn(&Tile<T>);

/// The tiles for some columns side by side.
#[derive(Clone, Copy)]
pub(crate) struct Panel<T> {
    /// Columns.
    pub width: usize,
    /// Tiles by the number of their rows, the tallest first; the last has one row.
    pub tiles: [(usize, TileFn<T>); 4],
}

impl<T> Panel<T> {
    /// The tallest tile of at most `rows` rows, and how many it has.
    pub fn tile(&self, rows: usize) -> (usize, TileFn<T>) {
        let fits = self.tiles.iter().find(|(height, _)| *height <= rows);
        *fits.unwrap_or(&self.tiles[3])
    }
}

/// The tiles of one level and type: panels of 1, 2, ... units of columns.
#[derive(Clone, Copy)]
pub struct Kernels<T: 'static> {
    /// The columns that the narrowest panel has.
    pub(crate) unit: usize,
    /// Panel i has i + 1 units.
    pub(crate) panels: &'static [Panel<T>],
}

impl<T> Kernels<T> {
    /// Cuts `columns` into panels of nearly the same width: their number, and what gives the first column of each.
    pub(crate) fn cut(&self, columns: usize) -> (usize, impl Fn(usize) -> usize + use<T>) {
        let (unit, units) = (self.unit, columns.div_ceil(self.unit));
        let panels = units.div_ceil(self.panels.len());
        (panels, move |panel| columns.min(panel * units / panels.max(1) * unit))
    }

    /// The panel for `columns` columns, at most as many as the widest has.
    pub(crate) fn panel(&self, columns: usize) -> &'static Panel<T> {
        &self.panels[columns.div_ceil(self.unit) - 1]
    }
}

/// A tile of `R` rows and the lanes of `V`: of all of them if `FULL`, else of the first `t.columns`.
///
/// # Safety
/// As [`TileFn`].
#[inline(always)]
pub(crate) unsafe fn tile<T: Copy, V: Vector<T>, const R: usize, const FULL: bool>(
    t: &Tile<T>,
    zero: T,
) {
    // SAFETY: the caller promises R rows of A and of `out`, and `columns` columns of B and `out`: all lanes of V if FULL, else
    // some of its last register's.
    unsafe {
        let load = |p| if FULL { V::load(p) } else { V::load_first(p, t.columns) };
        // Rows of B that are far apart are fetched ahead of their use; those close together the processor foresees.
        let row = t.b_step * size_of::<T>();
        let ahead = if row > FAR { 4 * row } else { 0 };
        let mut acc = [V::splat(zero); R];
        // Two pointers, each reaching half of the rows by scaled addresses, keep the additions off the critical path.
        let half = R.div_ceil(2);
        let (mut a, mut b) = ([t.a, t.a.wrapping_add(half * t.row)], t.b);
        // What is written is fetched while the sums are made, for a store that misses the cache waits as a load does.
        for row in 0..R {
            for line in 0..V::LANES * size_of::<T>() / LINE + 1 {
                prefetch(t.out.wrapping_add(row * t.out_row).wrapping_byte_add(line * LINE));
            }
        }
        for _ in 0..t.k {
            let columns = load(b);
            for line in 0..V::LANES * size_of::<T>() / LINE + 1 {
                prefetch(b.wrapping_byte_add(ahead + line * LINE));
            }
            for (i, sum) in acc.iter_mut().enumerate() {
                *sum = V::splat(*a[i / half].add(i % half * t.row)).fma(columns, *sum);
            }
            a = a.map(|a| a.wrapping_add(t.step));
            b = b.wrapping_add(t.b_step);
        }
        for (i, sum) in acc.iter().enumerate() {
            let out = t.out.add(i * t.out_row);
            let sum = if t.add { load(out).add(*sum) } else { *sum };
            if FULL { sum.store(out) } else { sum.store_first(out, t.columns) }
        }
    }
}

/// Panels: for each the registers of a row, and the numbers of rows.
macro_rules! kernels {
    ($name:ident, $t:ty, $unit:expr, [$($v:ty: [$($rows:literal),*]),*] $(, $feature:literal)?) => {
        fn $name() -> Kernels<$t> {
            $(#[target_feature(enable = $feature)])?
            unsafe fn of<V: Vector<$t>, const R: usize>(t: &Tile<$t>) {
                // SAFETY: the caller's promise.
                unsafe {
                    if t.columns == V::LANES {
                        tile::<$t, V, R, true>(t, 0.0);
                    } else {
                        tile::<$t, V, R, false>(t, 0.0);
                    }
                }
            }
            const PANELS: &[Panel<$t>] = &[$(
                Panel { width: <$v as Vector<$t>>::LANES, tiles: [$(($rows, of::<$v, $rows>)),*] }
            ),*];
            Kernels { unit: $unit, panels: PANELS }
        }
    };
}

type P4 = Plain<f32, 4>;
type P2 = Plain<f64, 2>;
kernels!(plain_f32, f32, 4, [[P4; 1]: [6, 4, 2, 1], [P4; 2]: [6, 4, 2, 1], [P4; 3]: [6, 4, 2, 1], [P4; 4]: [6, 4, 2, 1]]);
kernels!(plain_f64, f64, 2, [[P2; 1]: [6, 4, 2, 1], [P2; 2]: [6, 4, 2, 1], [P2; 3]: [6, 4, 2, 1], [P2; 4]: [6, 4, 2, 1]]);
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f32, f32, 8, [[__m256; 1]: [6, 4, 2, 1], [__m256; 2]: [6, 4, 2, 1]], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_f64, f64, 4, [[__m256d; 1]: [6, 4, 2, 1], [__m256d; 2]: [6, 4, 2, 1]], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512_f32,
    f32,
    8,
    [
        Half<__m256>: [8, 4, 2, 1],
        [__m512; 1]: [8, 4, 2, 1],
        ([__m512; 1], Half<__m256>): [8, 4, 2, 1],
        [__m512; 2]: [8, 4, 2, 1],
        ([__m512; 2], Half<__m256>): [8, 4, 2, 1],
        [__m512; 3]: [8, 4, 2, 1],
        ([__m512; 3], Half<__m256>): [6, 4, 2, 1]
    ],
    "avx512f,avx512vl,avx2,fma"
);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512_f64,
    f64,
    4,
    [
        Half<__m256d>: [8, 4, 2, 1],
        [__m512d; 1]: [8, 4, 2, 1],
        ([__m512d; 1], Half<__m256d>): [8, 4, 2, 1],
        [__m512d; 2]: [8, 4, 2, 1],
        ([__m512d; 2], Half<__m256d>): [8, 4, 2, 1],
        [__m512d; 3]: [8, 4, 2, 1],
        ([__m512d; 3], Half<__m256d>): [6, 4, 2, 1]
    ],
    "avx512f,avx512vl,avx2,fma"
);

/// A type that has kernels for the matrix product at every level.
pub trait HasKernels: Sized + 'static {
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
