//! The twin of the fast paths: one number at a time, a tile after the other, in safe loops.

use super::transform::{A, AA, B, BB, SCALE};
use super::{ConvShape, weights};

/// A step along the columns of a square, then along its rows.
fn both<const I: usize, const O: usize>(
    d: [[f32; I]; I],
    step: fn([f32; I]) -> [f32; O],
) -> [[f32; O]; O] {
    let columns: [[f32; O]; I] = std::array::from_fn(|j| step(std::array::from_fn(|i| d[i][j])));
    std::array::from_fn(|i| step(std::array::from_fn(|j| columns[j][i])))
}

fn fma(k: f32, x: f32, y: f32) -> f32 {
    k.mul_add(x, y)
}

fn input(d: [f32; 6]) -> [f32; 6] {
    let sums = |q: f32| (fma(-q, d[2], d[4]), fma(-q, d[1], d[3]));
    let ((near, near_odd), (far, far_odd)) = (sums(BB), sums(AA));
    [
        fma(AA * BB, d[0], fma(-(AA + BB), d[2], d[4])),
        fma(A, near_odd, near),
        fma(-A, near_odd, near),
        fma(B, far_odd, far),
        fma(-B, far_odd, far),
        fma(AA * BB, d[1], fma(-(AA + BB), d[3], d[5])),
    ]
}

fn output(m: [f32; 6]) -> [f32; 4] {
    let (near, near_odd) = (m[1] + m[2], m[1] - m[2]);
    let (far, far_odd) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + near + far,
        fma(B, far_odd, A * near_odd),
        fma(BB, far, AA * near),
        fma(B * BB, far_odd, fma(A * AA, near_odd, m[5])),
    ]
}

fn filter(g: [f32; 3]) -> [f32; 6] {
    let (near, far) = (fma(AA, g[2], g[0]), fma(BB, g[2], g[0]));
    [
        SCALE[0] * g[0],
        SCALE[1] * fma(A, g[1], near),
        SCALE[1] * fma(-A, g[1], near),
        SCALE[2] * fma(B, g[1], far),
        SCALE[2] * fma(-B, g[1], far),
        g[2],
    ]
}

fn gradient(d: [f32; 4]) -> [f32; 6] {
    let sums = |q: f32| (fma(q, d[2], d[0]), fma(q, d[3], d[1]));
    let ((near, near_odd), (far, far_odd)) = (sums(AA), sums(BB));
    [
        d[0],
        fma(A, near_odd, near),
        fma(-A, near_odd, near),
        fma(B, far_odd, far),
        fma(-B, far_odd, far),
        d[3],
    ]
}

fn weight_gradient(m: [f32; 6]) -> [f32; 3] {
    let (near, near_odd) = (SCALE[1] * (m[1] + m[2]), SCALE[1] * (m[1] - m[2]));
    let (far, far_odd) = (SCALE[2] * (m[3] + m[4]), SCALE[2] * (m[3] - m[4]));
    [
        fma(SCALE[0], m[0], near) + far,
        fma(B, far_odd, A * near_odd),
        fma(BB, far, fma(AA, near, m[5])),
    ]
}

/// The `S` x `S` pixels of channel `c` of picture `n` from (y, x) on, zeroes outside.
fn window<const S: usize>(
    pictures: &[f32],
    [h, w, channels]: [usize; 3],
    n: usize,
    [y, x]: [isize; 2],
    c: usize,
) -> [[f32; S]; S] {
    let inside = |at: isize, size: usize| (0..size as isize).contains(&at).then_some(at as usize);
    std::array::from_fn(|i| {
        std::array::from_fn(|j| match (inside(y + i as isize, h), inside(x + j as isize, w)) {
            (Some(y), Some(x)) => pictures[((n * h + y) * w + x) * channels + c],
            _ => 0.0,
        })
    })
}

/// The convolution of x (N, H, W, C) to (N, H', W', F); `weight(f, c)` is a filter's square.
fn convolve(
    x: &[f32],
    [n, h, w, c]: [usize; 4],
    [out_h, out_w, filters]: [usize; 3],
    pad: [usize; 2],
    weight: impl Fn(usize, usize) -> [[f32; 3]; 3],
    y: &mut [f32],
) {
    for n in 0..n {
        for i in (0..out_h).step_by(4) {
            for j in (0..out_w).step_by(4) {
                let corner = [i as isize - pad[0] as isize, j as isize - pad[1] as isize];
                for f in 0..filters {
                    let mut sums = [[0.0; 6]; 6];
                    for k in 0..c {
                        let v = both(window::<6>(x, [h, w, c], n, corner, k), input);
                        let u = both(weight(f, k), filter);
                        let pairs = v.iter().flatten().zip(u.iter().flatten());
                        for (sum, (v, u)) in sums.iter_mut().flatten().zip(pairs) {
                            *sum = v.mul_add(*u, *sum);
                        }
                    }
                    let out = both(sums, output);
                    for (p, row) in out.iter().enumerate().take(out_h - i) {
                        for (q, v) in row.iter().enumerate().take(out_w - j) {
                            y[((n * out_h + i + p) * out_w + j + q) * filters + f] = *v;
                        }
                    }
                }
            }
        }
    }
}

fn square(w: &[f32], s: &ConvShape, f: usize, c: usize) -> [[f32; 3]; 3] {
    std::array::from_fn(|u| std::array::from_fn(|v| w[(f * s.c + c) * 9 + u * 3 + v]))
}

pub fn forward(s: &ConvShape, x: &[f32], w: &[f32], y: &mut [f32]) {
    let weight = |f, c| square(w, s, f, c);
    convolve(x, [s.n, s.h, s.w, s.c], [s.out_h(), s.out_w(), s.filters], s.pad, weight, y);
}

pub fn backward_data(s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let turned = |c, f| {
        let g = square(w, s, f, c);
        std::array::from_fn(|u| std::array::from_fn(|v| g[2 - u][2 - v]))
    };
    let from = [s.n, s.out_h(), s.out_w(), s.filters];
    convolve(dy, from, [s.h, s.w, s.c], s.pad.map(|p| 2 - p), turned, dx);
}

fn add(to: &mut [[f32; 6]; 6], from: &[[f32; 6]; 6]) {
    let pairs = to.iter_mut().flatten().zip(from.iter().flatten());
    pairs.for_each(|(t, f)| *t += *f);
}

pub fn backward_weights(s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (out_h, out_w) = (s.out_h(), s.out_w());
    let columns = out_w.div_ceil(4);
    let tiles = out_h.div_ceil(4) * columns;
    if s.n == 0 {
        return dw.fill(0.0);
    }
    let plan = weights::Plan::new(s);
    for f in 0..s.filters {
        for c in 0..s.c {
            let mut total = [[0.0; 6]; 6];
            for part in (0..plan.all).step_by(plan.part) {
                let mut sums = [[0.0; 6]; 6];
                let end = plan.all.min(part + plan.part);
                for first in (part..end).step_by(weights::BLOCK) {
                    let mut chain = [[0.0; 6]; 6];
                    for tile in first..end.min(first + weights::BLOCK) {
                        let (n, i, j) =
                            (tile / tiles, tile % tiles / columns * 4, tile % columns * 4);
                        let at = [i as isize, j as isize];
                        let [up, left] = s.pad.map(|p| p as isize);
                        let corner = [at[0] - up, at[1] - left];
                        let v = both(window::<6>(x, [s.h, s.w, s.c], n, corner, c), input);
                        let d =
                            both(window::<4>(dy, [out_h, out_w, s.filters], n, at, f), gradient);
                        let pairs = v.iter().flatten().zip(d.iter().flatten());
                        for (sum, (v, d)) in chain.iter_mut().flatten().zip(pairs) {
                            *sum = v.mul_add(*d, *sum);
                        }
                    }
                    add(&mut sums, &chain);
                }
                add(&mut total, &sums);
            }
            let out = both(total, weight_gradient);
            dw[(f * s.c + c) * 9..][..9].copy_from_slice(out.as_flattened());
        }
    }
}
