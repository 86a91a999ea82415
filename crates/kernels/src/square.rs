//! A square of numbers transposed in registers: what transposing copies are made of.

use crate::buffer::Element;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Level, level};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// The side of the square.
pub(crate) const SIDE: usize = 8;

/// The first numbers of eight rows, `from_row` apart, become the first eight columns of rows that are `to_row` apart.
///
/// # Panics
/// If a row begins or ends outside of its slice.
#[inline(always)]
pub(crate) fn turn<T: Element>(from: &[T], from_row: usize, to: &mut [T], to_row: usize) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == size_of::<f32>() && level() >= Level::Avx2 {
        let reach =
            |row: usize| (SIDE - 1).checked_mul(row).and_then(|last| last.checked_add(SIDE));
        let inside = |row, len| reach(row).is_some_and(|reach| reach <= len);
        assert!(inside(from_row, from.len()) && inside(to_row, to.len()), "a square");
        // SAFETY: the CPU has AVX2; eight numbers of eight rows lie inside of both slices; any bits are a number of type T, and
        // loads and stores keep them.
        unsafe { turn_avx2(from.as_ptr().cast(), from_row, to.as_mut_ptr().cast(), to_row) };
        return;
    }
    turn_plain(from, from_row, to, to_row);
}

/// [`turn`] for any type and CPU: three rounds that each interleave the upper half of the rows with the lower one.
#[inline(always)]
fn turn_plain<T: Element>(from: &[T], from_row: usize, to: &mut [T], to_row: usize) {
    let mut square: [[T; SIDE]; SIDE] =
        std::array::from_fn(|i| from[i * from_row..].as_chunks().0[0]);
    for _ in 0..SIDE.ilog2() {
        let [a, b, c, d, e, f, g, h] = square;
        let pairs = [interleave(a, e), interleave(b, f), interleave(c, g), interleave(d, h)];
        let [[a, b], [c, d], [e, f], [g, h]] = pairs;
        square = [a, b, c, d, e, f, g, h];
    }
    for (i, row) in square.into_iter().enumerate() {
        to[i * to_row..].as_chunks_mut().0[0] = row;
    }
}

#[inline(always)]
fn interleave<T: Copy>(a: [T; SIDE], b: [T; SIDE]) -> [[T; SIDE]; 2] {
    [
        [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]],
        [a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]],
    ]
}

/// [`turn`] in registers of eight, two times four columns: row i beside row i + 4, then pairs of rows, then pairs of pairs.
/// Compilers take the safe twin apart number by number, which takes twice as long.
///
/// # Safety
/// Eight numbers must be readable at each of eight rows `from_row` apart, and writable at each of eight `to_row` apart.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn turn_avx2(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    for first in [0, 4] {
        let four = |row: usize| {
            // SAFETY: the caller's promise, for `row` is below 8 and `first` at most 4.
            unsafe { _mm_loadu_ps(from.add(row * from_row + first)) }
        };
        let eight =
            |row| _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(four(row)), four(row + 4));
        let [a, b, c, d] = [eight(0), eight(1), eight(2), eight(3)];
        let [ab, cd] = [_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d)];
        let [ab_high, cd_high] = [_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d)];
        let columns = [
            _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
            _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
            _mm256_shuffle_ps::<0b01_00_01_00>(ab_high, cd_high),
            _mm256_shuffle_ps::<0b11_10_11_10>(ab_high, cd_high),
        ];
        for (i, column) in columns.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(to.add((first + i) * to_row), column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};

    fn check<T: Element>(number: impl Fn(usize) -> T) {
        for (from_row, to_row) in [(8, 8), (9, 20), (300, 8)] {
            let from: Vec<T> = (0..7 * from_row + 8).map(&number).collect();
            let untouched = vec![number(1 << 30); 7 * to_row + 8];
            let mut plain = untouched.clone();
            turn_plain(&from, from_row, &mut plain, to_row);
            for (k, v) in plain.iter().enumerate() {
                let (i, j) = (k / to_row, k % to_row);
                let want = if j < 8 { from[j * from_row + i] } else { untouched[k] };
                assert_eq!(*v, want, "row {i}, column {j}");
            }
            for level in Level::available() {
                let mut to = untouched.clone();
                with_level(level, || turn(&from, from_row, &mut to, to_row));
                assert_eq!(to, plain, "{}", level.name());
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        check(|k| k as f32);
        check(|k| k as u32);
        check(|k| k as f64);
        check(|k| k as u8);
    }

    #[test]
    fn what_leaves_the_slices_is_refused() {
        for level in Level::available() {
            for (from, to) in [(63, 64), (64, 63)] {
                let refused = std::panic::catch_unwind(|| {
                    with_level(level, || turn(&vec![0f32; from], 8, &mut vec![0f32; to], 8));
                });
                assert!(refused.is_err(), "{} numbers to {}", from, to);
            }
        }
    }
}
