//! The fast paths against safe twins, bit for bit at every level and for any number of threads, and against the explicit loops.

use super::winograd::twin;
use super::{Algorithm, ConvShape, direct, finish, naive, rows};
use crate::gemm::{Epilogue, Mat, naive::gemm};
use crate::real::Real;
use crate::simd::{Level, with_level};
use crate::threads::set_threads;
use std::ops::Range;

/// Numbers in (-1, 1) that depend on the index alone.
fn numbers<T: Real>(n: usize, salt: u64) -> Vec<T> {
    (0..n as u64)
        .map(|i| {
            let bits = (i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            T::from_f64(bits as f64 / f64::from(1u32 << 23) - 1.0)
        })
        .collect()
}

/// Square filters of `k` on `n` pictures of `size`, as much padding as keeps the size.
fn shape(n: usize, size: [usize; 2], c: usize, filters: usize, k: usize) -> ConvShape {
    let [h, w] = size;
    let pad = [k / 2; 2];
    ConvShape {
        n,
        c,
        h,
        w,
        filters,
        kh: k,
        kw: k,
        stride: [1; 2],
        pad,
        dilation: [1; 2],
        groups: 1,
    }
}

/// A pass's result, computed into a slice of NaN.
fn result<T: Real>(len: usize, f: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut out = vec![T::from_f64(f64::NAN); len];
    f(&mut out);
    out
}

/// The three passes.
struct Passes<T> {
    y: Vec<T>,
    dx: Vec<T>,
    dw: Vec<T>,
}

/// Operands of a shape: x, w, dy and the bias.
fn operands<T: Real>(s: &ConvShape) -> [Vec<T>; 4] {
    let lens = [s.x_len(), s.w_len(), s.y_len(), s.filters];
    [1, 2, 3, 4].map(|salt| numbers(lens[salt - 1], salt as u64))
}

fn fast<T: Real>(s: &ConvShape) -> Passes<T> {
    let [x, w, dy, bias] = operands(s);
    Passes {
        y: result(s.y_len(), |y| super::forward(s, &x, &w, Some(&bias), true, y)),
        dx: result(s.x_len(), |dx| super::backward_data(s, &dy, &w, dx)),
        dw: result(s.w_len(), |dw| super::backward_weights(s, &x, &dy, dw)),
    }
}

fn by_loops<T: Real>(s: &ConvShape) -> Passes<T> {
    let [x, w, dy, bias] = operands(s);
    Passes {
        y: result(s.y_len(), |y| naive::forward(s, &x, &w, Some(&bias), true, y)),
        dx: result(s.x_len(), |dx| naive::backward_data(s, &dy, &w, dx)),
        dw: result(s.w_len(), |dw| naive::backward_weights(s, &x, &dy, dw)),
    }
}

/// The twin's results are the fast ones at every level, for one thread and for three.
fn agree<T: Real>(s: &ConvShape, want: &Passes<T>) {
    for level in Level::available() {
        with_level(level, || {
            for threads in [1, 3] {
                set_threads(threads);
                let got = fast::<T>(s);
                let at = format!("{s:?} at {} on {threads}", level.name());
                assert!(got.y == want.y, "forward of {at}");
                assert!(got.dx == want.dx, "backward by data of {at}");
                assert!(got.dw == want.dw, "backward by weights of {at}");
            }
        });
    }
}

/// The largest difference is at most `tolerance` times the largest number.
fn close<T: Real>(s: &ConvShape, tolerance: f64) {
    let (got, want) = (fast::<T>(s), by_loops::<f64>(s));
    for (name, got, want) in
        [("y", &got.y, &want.y), ("dx", &got.dx, &want.dx), ("dw", &got.dw, &want.dw)]
    {
        let largest = want.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let far = got.iter().zip(want).map(|(g, w)| (g.to_f64() - w).abs());
        // A NaN, which a maximum would pass over, is far too.
        let far = far.fold(0.0f64, |a, b| if b <= a { a } else { b });
        assert!(far <= tolerance * largest.max(1e-30), "{name} of {s:?}: {far:e} of {largest:e}");
    }
}

/// Shapes whose filters have their rows side by side in memory.
fn rows_shapes() -> Vec<ConvShape> {
    let plain = shape(2, [9, 7], 3, 5, 3);
    vec![
        plain,
        shape(3, [17, 17], 3, 33, 5),
        ConvShape { stride: [2, 2], ..shape(2, [31, 31], 3, 25, 3) },
        ConvShape { stride: [4, 5], pad: [2, 2], ..plain },
        ConvShape { stride: [1, 2], dilation: [3, 1], ..shape(2, [20, 24], 24, 34, 3) },
        ConvShape { stride: [2, 2], pad: [0, 0], ..shape(2, [5, 5], 17, 20, 1) },
        ConvShape { n: 20, kh: 1, ..plain },
        ConvShape { n: 0, ..plain },
        ConvShape { h: 2, w: 2, ..plain },
    ]
}

/// Shapes without a faster way.
fn direct_shapes() -> Vec<ConvShape> {
    let plain = shape(2, [9, 7], 3, 5, 3);
    vec![
        shape(1, [1, 1], 1, 1, 1),
        shape(2, [5, 5], 17, 20, 1),
        ConvShape { dilation: [2, 3], pad: [2, 3], ..plain },
        ConvShape { dilation: [1, 2], ..shape(2, [20, 24], 24, 34, 3) },
        ConvShape { c: 6, filters: 4, groups: 2, ..plain },
        ConvShape { c: 6, filters: 12, groups: 3, dilation: [1, 2], stride: [2, 1], ..plain },
        ConvShape { n: 0, dilation: [1, 2], ..plain },
    ]
}

/// Patches as a matrix (pixels, KH KW C/groups) of group `group`.
fn patches<T: Real>(s: &ConvShape, x: &[T], group: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; s.n * s.out_pixels() * s.patch()];
    for (row, out) in out.chunks_exact_mut(s.patch()).enumerate() {
        let (n, inside) = (row / s.out_pixels(), row % s.out_pixels());
        for (k, out) in out.iter_mut().enumerate() {
            let (tap, c) = (k / s.c_group(), k % s.c_group());
            let y = s.under(0, inside / s.out_w(), tap / s.kw);
            let x_ = s.under(1, inside % s.out_w(), tap % s.kw);
            if let (Some(y), Some(x_)) = (y, x_) {
                *out = x[((n * s.h + y) * s.w + x_) * s.c + group * s.c_group() + c];
            }
        }
    }
    out
}

/// The columns of a group of a matrix (rows, F).
fn columns<T: Real>(s: &ConvShape, y: &[T], group: usize) -> Vec<T> {
    let own = |row: &[T]| row[group * s.f_group()..][..s.f_group()].to_vec();
    y.chunks_exact(s.filters).flat_map(own).collect()
}

/// A product of one chain a number, however long.
fn chains<T: Real>(a: Mat<T>, b: Mat<T>, c: &mut [T]) {
    for (i, row) in c.chunks_exact_mut(b.cols).enumerate() {
        for (j, out) in row.iter_mut().enumerate() {
            let at = |k: usize| (a.data[i * a.row + k * a.col], b.data[k * b.row + j * b.col]);
            *out = (0..a.cols).map(at).fold(T::ZERO, |sum, (a, b)| a.mul_add(b, sum));
        }
    }
}

/// The passes by rows or by patches as whole matrices and a naive product; 1 x 1 filters by that of [`gemm`].
fn matrix_twin<T: Real>(s: &ConvShape, by_rows: bool) -> Passes<T> {
    let [x, w, dy, bias] = operands(s);
    let filters = direct::by_patch(s, &w);
    let product = |a: Mat<T>, b: Mat<T>, c: &mut [T]| match direct::is_product(s) {
        true => gemm(a, b, c, Epilogue::None),
        false => chains(a, b, c),
    };
    let (all, k, fg) = (s.n * s.out_pixels(), s.patch(), s.f_group());
    let mut out = Passes {
        y: vec![T::ZERO; s.y_len()],
        dx: vec![T::ZERO; s.x_len()],
        dw: vec![T::ZERO; s.w_len()],
    };
    for group in 0..s.groups {
        let w = Mat::new(&filters[group * fg * k..][..fg * k], fg, k);
        let patches = patches(s, &x, group);
        let matrix = Mat::new(&patches, all, k);
        let y = result(all * fg, |y| product(matrix, w.t(), y));
        for (to, from) in out.y.chunks_exact_mut(s.filters).zip(y.chunks_exact(fg)) {
            to[group * fg..][..fg].copy_from_slice(from);
        }
        let dy = columns(s, &dy, group);
        let parts = result(all * k, |p| product(Mat::new(&dy, all, fg), w, p));
        scatter_twin(s, group, &parts, &mut out.dx);
        let (blocks, part) = if by_rows { row_blocks(s) } else { patch_blocks(s) };
        for blocks in blocks.chunks(part) {
            let mut sums = vec![T::ZERO; fg * k];
            for rows in blocks {
                let dy = Mat::new(&dy[rows.start * fg..rows.end * fg], rows.len(), fg).t();
                let patches = Mat::new(&patches[rows.start * k..rows.end * k], rows.len(), k);
                let sum = result(fg * k, |p| product(dy, patches, p));
                sums.iter_mut().zip(sum).for_each(|(s, p)| *s += p);
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let (f, tap, c) = (i / k, i % k / s.c_group(), i % s.c_group());
                out.dw[(group * fg + f) * k + c * s.kh * s.kw + tap] += sum;
            }
        }
    }
    out.y.chunks_exact_mut(s.filters).for_each(|row| finish(row, Some(&bias), true));
    out
}

/// Blocks of output pixels whose products are summed one after the other, and how many of them make a part of the batch.
fn patch_blocks(s: &ConvShape) -> (Vec<Range<usize>>, usize) {
    let (all, block) = (s.n * s.out_pixels(), direct::block(s));
    let blocks: Vec<_> = (0..all).step_by(block).map(|i| i..all.min(i + block)).collect();
    let part = blocks.len().div_ceil(direct::PARTS).max(1);
    (blocks, part)
}

/// The same for the way by rows.
fn row_blocks(s: &ConvShape) -> (Vec<Range<usize>>, usize) {
    let (blocks, part) = rows::parts(s);
    let pixels = |block| {
        let (n, rows) = blocks.at(block);
        let [start, end] = [rows.start, rows.end].map(|i| n * s.out_pixels() + i * s.out_w());
        start..end
    };
    ((0..s.n * blocks.each).map(pixels).collect(), part.max(1))
}

/// Adds every number of every patch to its input, one after the other.
fn scatter_twin<T: Real>(s: &ConvShape, group: usize, patches: &[T], dx: &mut [T]) {
    let places: Vec<f64> = (1..=s.x_len()).map(|p| p as f64).collect();
    for (place, v) in self::patches(s, &places, group).iter().zip(patches) {
        if *place > 0.0 {
            dx[*place as usize - 1] += *v;
        }
    }
}

#[test]
fn ways_by_rows_and_by_patches_agree_with_whole_matrices() {
    let (rows, patches) = (rows_shapes(), direct_shapes());
    for (s, by_rows) in rows.iter().map(|s| (s, true)).chain(patches.iter().map(|s| (s, false))) {
        let way = if by_rows { Algorithm::Rows } else { Algorithm::Direct };
        assert_eq!(Algorithm::of::<f32>(s), way, "{s:?}");
        agree(s, &matrix_twin::<f32>(s, by_rows));
        agree(s, &matrix_twin::<f64>(s, by_rows));
        close::<f32>(s, 2e-6);
        close::<f64>(s, 1e-14);
    }
}

/// Shapes for Winograd's algorithm: pictures that fill their tiles and that do not, odd channels, every padding.
fn winograd_shapes() -> Vec<ConvShape> {
    vec![
        shape(2, [8, 12], 16, 16, 3),
        shape(1, [5, 7], 17, 35, 3),
        ConvShape { pad: [0, 2], ..shape(3, [9, 3], 33, 18, 3) },
        ConvShape { pad: [2, 0], ..shape(5, [13, 17], 48, 16, 3) },
        shape(80, [3, 3], 16, 31, 3),
        shape(0, [8, 8], 16, 16, 3),
    ]
}

#[test]
fn winograd_agrees_with_its_twin() {
    for s in winograd_shapes() {
        assert_eq!(Algorithm::of::<f32>(&s), Algorithm::Winograd, "{s:?}");
        assert_eq!(Algorithm::of::<f64>(&s), Algorithm::Rows, "{s:?}");
        let [x, w, dy, bias] = operands(&s);
        let mut y = result(s.y_len(), |y| twin::forward(&s, &x, &w, y));
        y.chunks_exact_mut(s.filters).for_each(|row| finish(row, Some(&bias), true));
        let dx = result(s.x_len(), |dx| twin::backward_data(&s, &dy, &w, dx));
        let dw = result(s.w_len(), |dw| twin::backward_weights(&s, &x, &dy, dw));
        agree(&s, &Passes { y, dx, dw });
        close::<f32>(&s, 4e-6);
    }
}

/// Depthwise passes: each number a chain of fused multiply-adds in the order (u, v) or (n, i, j).
fn depthwise_twin<T: Real>(s: &ConvShape) -> Passes<T> {
    let [x, w, dy, bias] = operands::<T>(s);
    let (taps, mut y) = (s.kh * s.kw, vec![T::ZERO; s.y_len()]);
    let mut dx = vec![T::ZERO; s.x_len()];
    let parts = (s.n * s.out_h()).div_ceil(16).max(1);
    let mut dw = vec![T::ZERO; s.w_len() * 16];
    for c in 0..if s.n > 0 { s.c } else { 0 } {
        for (i, out) in y[c..].iter_mut().step_by(s.c).enumerate() {
            for tap in 0..taps {
                if let Some(place) = seen(s, i, tap) {
                    *out = x[place * s.c + c].mul_add(w[c * taps + tap], *out);
                    let row = i / s.out_w();
                    let sum = &mut dw[row / parts * s.w_len() + c * taps + tap];
                    *sum = dy[i * s.c + c].mul_add(x[place * s.c + c], *sum);
                }
            }
        }
        // An input meets the outputs that have seen it in the order of the taps.
        for tap in 0..taps {
            for i in 0..s.n * s.out_pixels() {
                if let Some(place) = seen(s, i, tap) {
                    let to = &mut dx[place * s.c + c];
                    *to = dy[i * s.c + c].mul_add(w[c * taps + tap], *to);
                }
            }
        }
    }
    y.chunks_exact_mut(s.c).for_each(|row| finish(row, Some(&bias), true));
    let sum = |i: usize| dw[i..].iter().step_by(s.w_len()).fold(T::ZERO, |a, b| a + *b);
    Passes { y, dx, dw: (0..s.w_len()).map(sum).collect() }
}

/// The pixel of x under tap `tap` at pixel `i` of y, counted through all pictures.
fn seen(s: &ConvShape, i: usize, tap: usize) -> Option<usize> {
    let (n, inside) = (i / s.out_pixels(), i % s.out_pixels());
    let y = s.under(0, inside / s.out_w(), tap / s.kw)?;
    let x = s.under(1, inside % s.out_w(), tap % s.kw)?;
    Some((n * s.h + y) * s.w + x)
}

#[test]
fn depthwise_agrees_with_its_twin() {
    let depthwise = |n, size, c: usize, k| ConvShape { groups: c, ..shape(n, size, c, c, k) };
    for s in [
        depthwise(2, [9, 7], 83, 3),
        depthwise(20, [3, 3], 2, 3),
        ConvShape { stride: [2, 2], ..depthwise(3, [8, 9], 64, 3) },
        ConvShape {
            stride: [3, 2],
            dilation: [2, 1],
            pad: [3, 1],
            ..depthwise(1, [12, 11], 17, 3)
        },
        ConvShape { stride: [5, 5], ..depthwise(2, [11, 6], 5, 2) },
        ConvShape { n: 0, ..depthwise(1, [4, 4], 3, 3) },
    ] {
        assert_eq!(Algorithm::of::<f64>(&s), Algorithm::Depthwise, "{s:?}");
        agree(&s, &depthwise_twin::<f32>(&s));
        agree(&s, &depthwise_twin::<f64>(&s));
        close::<f32>(&s, 2e-6);
        close::<f64>(&s, 1e-14);
    }
}

#[test]
fn nan_reaches_the_result_through_a_relu() {
    for c in [3, 16] {
        let s = shape(1, [6, 6], c, 16, 3);
        let mut x = vec![-1.0f32; s.x_len()];
        x[0] = f32::NAN;
        let w = vec![1.0f32; s.w_len()];
        let y = result(s.y_len(), |y| super::forward(&s, &x, &w, None, true, y));
        assert!(y[0].is_nan() && y[s.y_len() - 1] == 0.0);
    }
}
