//! The same patch matrix in explicit loops over every index: what the fast one is compared with.

use super::{Columns, Im2colParams, matrix, sizes};
use crate::tensor::Tensor;

/// The patch matrix of x (N, C, H, W), as [`super::forward`] has it.
///
/// # Panics
/// As [`super::forward`].
#[track_caller]
pub fn forward(x: &Tensor, params: &Im2colParams) -> Tensor {
    let [n, c, h, w] = x.shape()[..] else { panic!("im2col: x must have four axes") };
    let shape = matrix(&sizes([n, c, h, w], params, ("x", x, "N C H W")));
    let mut cols = vec![0.0; shape[0] * shape[1]];
    each_copy([n, c, h, w], params, |from, to| cols[to] = x.at(&from));
    Tensor::from_f64(shape, &cols).to_dtype(x.dtype())
}

/// Pictures from a patch matrix, as [`super::col2im`] makes them.
///
/// # Panics
/// If the sizes are not sound.
#[track_caller]
pub fn col2im(cols: &Tensor, [n, c, h, w]: [usize; 4], params: &Im2colParams) -> Tensor {
    let (values, mut x) = (cols.to_vec(), vec![0.0; n * c * h * w]);
    each_copy([n, c, h, w], params, |[n, channel, i, j], to| {
        x[((n * c + channel) * h + i) * w + j] += values[to];
    });
    Tensor::from_f64([n, c, h, w], &x).to_dtype(cols.dtype())
}

/// Each copy that a patch makes of a number of x: the number's index, and where the copy is in the matrix.
fn each_copy(x: [usize; 4], params: &Im2colParams, mut f: impl FnMut([usize; 4], usize)) {
    let [pictures, channels, h, w] = x;
    let Im2colParams { kernel: [kh, kw], stride, pad, dilation, columns } = *params;
    let out = |size, k, a: usize| (size + 2 * pad[a] - dilation[a] * (k - 1) - 1) / stride[a] + 1;
    let (oh, ow) = (out(h, kh, 0), out(w, kw, 1));
    for row in 0..channels * kh * kw {
        let (channel, u, v) = (row / (kh * kw), row / kw % kh, row % kw);
        for n in 0..pictures {
            for i in 0..oh {
                for j in 0..ow {
                    let y = (i * stride[0] + u * dilation[0]).checked_sub(pad[0]);
                    let x = (j * stride[1] + v * dilation[1]).checked_sub(pad[1]);
                    let column = match columns {
                        Columns::PatchesTogether => (n * oh + i) * ow + j,
                        Columns::PicturesTogether => (i * ow + j) * pictures + n,
                    };
                    if let (Some(y), Some(x)) = (y.filter(|y| *y < h), x.filter(|x| *x < w)) {
                        f([n, channel, y, x], row * pictures * oh * ow + column);
                    }
                }
            }
        }
    }
}
