//! Dropout: which elements are kept, from one random word each, and the product with the mask in the same pass.
//!
//! Element i has word i mod 4 of Philox4x32-10's block i / 4 (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), so the mask is a pure function of key and index, whoever computes it. Sixteen blocks are computed side by side.

use crate::elementwise::{parallel_pairs, piece};
use crate::real::Real;
use crate::threads::parallel_chunks;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Blocks computed side by side: what 512 bits hold.
const BLOCKS: usize = 16;
/// Elements they serve.
const GROUP: usize = 4 * BLOCKS;

/// Which elements are kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Philox's key.
    pub key: [u32; 2],
    /// Words 1, 2 and 3 of Philox's counter; word 0 is the number of the block.
    pub counter: [u32; 3],
    /// An element is kept if its word is below this; at most 2^32, which keeps all.
    pub threshold: u64,
}

/// The words of blocks `first` to `first + 15`, block after block.
#[inline(always)]
fn philox(keep: &Keep, first: u32) -> [u32; GROUP] {
    let mut words = [0; GROUP];
    // Written a block at a time: the compiler makes vectors of the blocks, for the rounds are unrolled.
    for (block, words) in words.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let [c1, c2, c3] = keep.counter;
        let mut c = [first.wrapping_add(block as u32), c1, c2, c3];
        let mut k = keep.key;
        for _ in 0..ROUNDS {
            let a = u64::from(c[0]) * u64::from(MULTIPLIERS[0]);
            let b = u64::from(c[2]) * u64::from(MULTIPLIERS[1]);
            let high = [(a >> 32) as u32, (b >> 32) as u32];
            c = [high[1] ^ c[1] ^ k[0], b as u32, high[0] ^ c[3] ^ k[1], a as u32];
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        *words = c;
    }
    words
}

/// The mask of elements `GROUP * group` and following: 1 where kept, 0 where dropped.
#[inline(always)]
fn group_mask(keep: &Keep, group: usize) -> [u8; GROUP] {
    let words = philox(keep, (group * BLOCKS) as u32);
    let (threshold, all) = (keep.threshold as u32, u8::from(keep.threshold >> 32 != 0));
    let mut mask = [0; GROUP];
    mask.iter_mut().zip(words).for_each(|(m, word)| *m = u8::from(word < threshold) | all);
    mask
}

#[inline(always)]
fn scaled<T: Real>(x: &[T], mask: &[u8], scale: T, y: &mut [T]) {
    for ((y, x), mask) in y.iter_mut().zip(x).zip(mask) {
        // A product, not a selection: what is not a number stays so, and the training notices.
        *y = *x * if *mask != 0 { scale } else { T::ZERO };
    }
}

crate::multiversion! {
    fn drop_piece<T: Real>(keep: &Keep, group: usize, scale: T, x: &[T], y: &mut [T], mask: &mut [u8]) {
        let (x, x_rest) = x.as_chunks::<GROUP>();
        let (y, y_rest) = y.as_chunks_mut::<GROUP>();
        let (mask, mask_rest) = mask.as_chunks_mut::<GROUP>();
        for (i, ((x, y), mask)) in x.iter().zip(y).zip(mask).enumerate() {
            *mask = group_mask(keep, group + i);
            scaled(x, mask, scale, y);
        }
        if !x_rest.is_empty() {
            mask_rest.copy_from_slice(&group_mask(keep, group + x.len())[..x_rest.len()]);
            scaled(x_rest, mask_rest, scale, y_rest);
        }
    }
}

/// Drops elements at random: `mask[i]` = 1 if element i is kept, else 0, and `y[i] = x[i] scale mask[i]`.
///
/// # Panics
/// If the lengths differ, or there are more than 2^34 elements, which is how many words a key has.
pub fn forward<T: Real>(keep: &Keep, scale: T, x: &[T], y: &mut [T], mask: &mut [u8]) {
    assert!(x.len() == y.len(), "dropout keeps the length");
    assert!(x.len() >> 34 == 0, "a dropout key serves 2^34 elements");
    let piece = piece(x.len(), GROUP);
    parallel_pairs(y, mask, piece, |i, y, mask| {
        drop_piece(keep, i * piece / GROUP, scale, &x[i * piece..][..y.len()], y, mask);
    });
}

crate::multiversion! {
    fn draw_piece(keep: &Keep, group: usize, mask: &mut [u8]) {
        for (group, mask) in (group..).zip(mask.chunks_mut(GROUP)) {
            mask.copy_from_slice(&group_mask(keep, group)[..mask.len()]);
        }
    }
}

/// The mask of [`forward`] alone: 1 for each element that is kept, else 0.
///
/// # Panics
/// If there are more than 2^34 elements, which is how many words a key has.
pub fn draw(keep: &Keep, mask: &mut [u8]) {
    assert!(mask.len() >> 34 == 0, "a dropout key serves 2^34 elements");
    let piece = piece(mask.len(), GROUP);
    parallel_chunks(mask, piece, |i, mask| draw_piece(keep, i * piece / GROUP, mask));
}

crate::multiversion! {
    fn apply_piece<T: Real>(x: &[T], mask: &[u8], scale: T, y: &mut [T]) {
        scaled(x, mask, scale, y);
    }
}

/// `y[i] = x[i] scale` where the mask is not 0, else `x[i] 0`.
///
/// # Panics
/// If the lengths differ.
pub fn apply<T: Real>(x: &[T], mask: &[u8], scale: T, y: &mut [T]) {
    assert!(x.len() == y.len() && mask.len() == y.len(), "dropout keeps the length");
    let piece = piece(x.len(), 1);
    parallel_chunks(y, piece, |i, y| {
        let (start, n) = (i * piece, y.len());
        apply_piece(&x[start..][..n], &mask[start..][..n], scale, y);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementwise::{ALONE, PIECE};
    use crate::simd::{Level, with_level};
    use crate::threads::set_threads;

    /// One block, written as the paper has it.
    fn naive(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
        for _ in 0..ROUNDS {
            let a = u64::from(c[0]) * u64::from(MULTIPLIERS[0]);
            let b = u64::from(c[2]) * u64::from(MULTIPLIERS[1]);
            c = [
                (b >> 32) as u32 ^ c[1] ^ k[0],
                b as u32,
                (a >> 32) as u32 ^ c[3] ^ k[1],
                a as u32,
            ];
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        c
    }

    /// The answers published with the paper's code (Random123, `kat_vectors`).
    #[test]
    fn known_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, want) in cases {
            assert_eq!(naive(counter, key), want);
            let keep = Keep { key, counter: [counter[1], counter[2], counter[3]], threshold: 0 };
            assert_eq!(philox(&keep, counter[0])[..4], want);
        }
    }

    fn check<T: Real>(n: usize, threshold: u64) {
        let keep = Keep { key: [7, 0xdead_beef], counter: [1, 2 << 30, 77], threshold };
        let scale = T::from_f64(1.25);
        let x: Vec<T> = (0..n).map(|i| T::from_f64(i as f64 - 7.0)).collect();
        let word = |i: usize| naive([(i / 4) as u32, 1, 2 << 30, 77], keep.key)[i % 4];
        let want_mask: Vec<u8> = (0..n).map(|i| (u64::from(word(i)) < threshold).into()).collect();
        let want: Vec<T> = x
            .iter()
            .zip(&want_mask)
            .map(|(x, m)| *x * if *m == 1 { scale } else { T::ZERO })
            .collect();
        for level in Level::available() {
            for threads in [1, 3] {
                set_threads(threads);
                let (mut y, mut again, mut mask) = (vec![T::ONE; n], vec![T::ONE; n], vec![9; n]);
                with_level(level, || {
                    forward(&keep, scale, &x, &mut y, &mut mask);
                    apply(&x, &mask, scale, &mut again);
                });
                assert_eq!(mask, want_mask, "{n} elements, {}", level.name());
                assert!(y == want && again == want, "{n} elements, {}", level.name());
            }
        }
    }

    #[test]
    fn every_element_has_its_own_word_at_every_level() {
        for n in [0, 1, 3, 17, 64, 1000, ALONE + 1, 3 * PIECE + 65] {
            for threshold in [0, 1 << 31, 3_435_973_837, 1 << 32] {
                check::<f32>(n, threshold);
            }
            check::<f64>(n, 1 << 30);
        }
    }
}
