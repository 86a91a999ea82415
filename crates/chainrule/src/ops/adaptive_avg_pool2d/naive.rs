//! The same means in explicit loops over every index: what the fast ones are compared with.

use crate::tensor::{Shape, Tensor};

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: Shape,
    output: [usize; 2],
}

/// As [`super::forward`], row-major.
///
/// # Panics
/// If there are not four axes, or there is no bin.
#[track_caller]
pub fn forward(x: &Tensor, output: [usize; 2]) -> (Tensor, Cache) {
    let [n, c, _, _] = sizes(x.shape());
    let mut y = vec![0.0; n * c * output[0] * output[1]];
    let values = x.to_vec();
    each_number(x.shape(), output, |from, to, share| y[to] += values[from] * share);
    let y = Tensor::from_f64([n, c, output[0], output[1]], &y).to_dtype(x.dtype());
    (y, Cache { shape: *x.shape(), output })
}

/// As [`super::backward`], row-major.
///
/// # Panics
/// If dy does not have as many numbers as the output.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let mut dx = vec![0.0; cache.shape.elements()];
    let values = dy.to_vec();
    each_number(&cache.shape, cache.output, |from, to, share| dx[from] += values[to] * share);
    Tensor::from_f64(cache.shape, &dx).to_dtype(dy.dtype())
}

#[track_caller]
fn sizes(shape: &Shape) -> [usize; 4] {
    let [n, c, h, w] = shape[..] else { panic!("adaptive_avg_pool2d: x must have four axes") };
    [n, c, h, w]
}

/// Where each number of x goes: its place, that of its bin, and its share in the bin's mean.
#[track_caller]
fn each_number(shape: &Shape, [oh, ow]: [usize; 2], mut f: impl FnMut(usize, usize, f64)) {
    let [n, c, h, w] = sizes(shape);
    let bin = |i: usize, bins: usize, size: usize| i * size / bins..((i + 1) * size).div_ceil(bins);
    for plane in 0..n * c {
        for i in 0..oh {
            for j in 0..ow {
                let (rows, columns) = (bin(i, oh, h), bin(j, ow, w));
                let share = 1.0 / (rows.len() * columns.len()) as f64;
                for row in rows {
                    for column in columns.clone() {
                        f((plane * h + row) * w + column, (plane * oh + i) * ow + j, share);
                    }
                }
            }
        }
    }
}
