//! Patches of pictures as the columns of a matrix, and the way back.

use crate::conv::ConvShape;
use crate::real::Real;
use crate::threads::parallel_chunks;

/// In which order the columns of a patch matrix stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// (i, j, n): the same patch of all pictures side by side.
    PicturesTogether,
    /// (n, i, j): all patches of a picture side by side.
    PatchesTogether,
}

/// The distances in memory between neighbours along N, C, H and W.
pub type Strides = [usize; 4];

/// Where each number of row (c, u, v) of the patch matrix stands in x; none in the padding. `to(column, place)`.
#[inline(always)]
fn each_column(
    shape: &ConvShape,
    columns: Columns,
    row: usize,
    strides: &Strides,
    mut to: impl FnMut(usize, Option<usize>),
) {
    let (c, u, v) = (row / (shape.kh * shape.kw), row / shape.kw % shape.kh, row % shape.kw);
    let (h, w) = (shape.out_h(), shape.out_w());
    for n in 0..shape.n {
        let from = n * strides[0] + c * strides[1];
        for i in 0..h {
            let p = (i * shape.stride[0] + u * shape.dilation[0]).checked_sub(shape.pad[0]);
            let p = p.filter(|p| *p < shape.h).map(|p| from + p * strides[2]);
            for j in 0..w {
                let q = (j * shape.stride[1] + v * shape.dilation[1]).checked_sub(shape.pad[1]);
                let q = q.filter(|q| *q < shape.w);
                let at = p.and_then(|p| Some(p + q? * strides[3]));
                let column = match columns {
                    Columns::PicturesTogether => (i * w + j) * shape.n + n,
                    Columns::PatchesTogether => (n * h + i) * w + j,
                };
                to(column, at);
            }
        }
    }
}

/// The patch matrix (C KH KW, N H' W') of x, whose rows are (c, u, v). `shape` says what a patch is; its filters are not used.
///
/// # Panics
/// If a length does not fit.
pub fn im2col<T: Real>(
    shape: &ConvShape,
    columns: Columns,
    x: &[T],
    strides: &Strides,
    cols: &mut [T],
) {
    let width = check(shape, x.len(), cols.len());
    if width > 0 {
        parallel_chunks(cols, width, |row, cols| {
            each_column(shape, columns, row, strides, |column, at| {
                cols[column] = at.map_or(T::ZERO, |at| x[at]);
            });
        });
    }
}

/// The way back: x (N, C, H, W), row-major, of which each number is the sum of its copies in the patch matrix, in the order (u, v,
/// i, j). The padding is dropped.
///
/// # Panics
/// If a length does not fit.
pub fn col2im<T: Real>(shape: &ConvShape, columns: Columns, cols: &[T], x: &mut [T]) {
    let width = check(shape, x.len(), cols.len());
    let (plane, taps) = (shape.h * shape.w, shape.kh * shape.kw);
    x.fill(T::ZERO);
    if width == 0 || plane == 0 {
        return;
    }
    parallel_chunks(x, plane, |k, x| {
        let (n, c) = (k / shape.c, k % shape.c);
        let one = ConvShape { n: 1, ..*shape };
        let patches = width / shape.n;
        for row in c * taps..(c + 1) * taps {
            let cols = &cols[row * width..][..width];
            each_column(&one, Columns::PatchesTogether, row, &[0, 0, shape.w, 1], |patch, at| {
                let column = match columns {
                    Columns::PicturesTogether => patch * shape.n + n,
                    Columns::PatchesTogether => n * patches + patch,
                };
                if let Some(at) = at {
                    x[at] += cols[column];
                }
            });
        }
    });
}

/// The width of the patch matrix.
fn check(shape: &ConvShape, x: usize, cols: usize) -> usize {
    let width = shape.n * shape.out_h() * shape.out_w();
    assert_eq!(x, shape.x_len(), "the pictures");
    assert_eq!(cols, shape.c * shape.kh * shape.kw * width, "the patch matrix");
    width
}
