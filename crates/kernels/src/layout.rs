//! Batches of matrices transposed: how pictures change their memory order.

use crate::buffer::Element;
use crate::square::{SIDE, turn};
use crate::threads::parallel_chunks;

/// Elements that one task writes, about.
const TASK: usize = 16 * 1024;
/// Rows and columns of a tile, which stays in the cache while it is read down and written across.
const TILE: usize = 16;

/// Each `to` (cols, rows) = the transposition of its `from` (rows, cols), for as many matrices as there are.
///
/// # Panics
/// If the lengths differ, or are not those of whole matrices.
pub fn transpose_all<T: Element>(from: &[T], to: &mut [T], rows: usize, cols: usize) {
    let matrix = rows * cols;
    assert_eq!(from.len(), to.len(), "a transposition keeps the length");
    if to.is_empty() {
        return;
    }
    assert!(matrix > 0 && to.len().is_multiple_of(matrix), "whole matrices");
    if to.len() == matrix {
        let task = (TASK / rows).next_multiple_of(TILE) * rows;
        return parallel_chunks(to, task, |i, to| transpose(from, to, rows, cols, i * task / rows));
    }
    let task = (TASK / matrix).max(1) * matrix;
    parallel_chunks(to, task, |i, to| {
        let from = &from[i * task..][..to.len()];
        for (from, to) in from.chunks_exact(matrix).zip(to.chunks_exact_mut(matrix)) {
            transpose(from, to, rows, cols, 0);
        }
    });
}

crate::multiversion! {
    /// Rows `first`.. of the transposition.
    fn transpose<T: Element>(from: &[T], to: &mut [T], rows: usize, cols: usize, first: usize) {
        if rows == 3 {
            let [a, b, c] = [0, 1, 2].map(|i| &from[i * cols + first..(i + 1) * cols]);
            let columns = a.iter().zip(b).zip(c);
            for (to, ((a, b), c)) in to.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
                *to = [*a, *b, *c];
            }
            return;
        }
        for (t, to) in to.chunks_mut(TILE * rows).enumerate() {
            let j = first + t * TILE;
            for i in (0..rows).step_by(TILE) {
                let height = TILE.min(rows - i);
                if height == TILE && to.len() == TILE * rows {
                    squares(&from[i * cols + j..], cols, &mut to[i..], rows);
                    continue;
                }
                for (j, to) in (j..).zip(to.chunks_exact_mut(rows)) {
                    let column = from[i * cols + j..].iter().step_by(cols);
                    to[i..i + height].iter_mut().zip(column).for_each(|(t, f)| *t = *f);
                }
            }
        }
    }
}

/// A whole tile, square by square.
#[inline(always)]
fn squares<T: Element>(from: &[T], cols: usize, to: &mut [T], rows: usize) {
    for i in (0..TILE).step_by(SIDE) {
        for j in (0..TILE).step_by(SIDE) {
            turn(&from[i * cols + j..], cols, &mut to[j * rows + i..], rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, with_level};

    #[test]
    fn every_element_finds_its_place() {
        for level in Level::available() {
            for (n, rows, cols) in [
                (1, 1, 1),
                (2, 3, 5),
                (1, 300, 170),
                (40, 3, 1024),
                (3, 17, 33),
                (2, 40, 1),
                (1, 3, 9000),
            ] {
                let from: Vec<u32> = (0..(n * rows * cols) as u32).collect();
                let mut to = vec![0; from.len()];
                with_level(level, || transpose_all(&from, &mut to, rows, cols));
                for (k, v) in to.iter().enumerate() {
                    let (m, j, i) = (k / (rows * cols), k % (rows * cols) / rows, k % rows);
                    assert_eq!(*v as usize, (m * rows + i) * cols + j, "{n} {rows} {cols}");
                }
            }
        }
    }
}
