//! Patches of pictures as the columns of a matrix: what turns a convolution into a matrix product.
//!
//! ```text
//! cols[(c,u,v), (n,i,j)] = x[n, c, i s + u d - p, j s + v d - p], 0 in the padding
//! x, dx (N, C, H, W)    cols (C KH KW, N H' W')    H' = floor((H + 2p - d (KH - 1) - 1) / s) + 1
//! dx = col2im(dcols): each number of x gets the sum of its copies
//! ```
//! Rows are (c, u, v). Columns are (n, i, j), or (i, j, n) with all pictures together: the course has helpers for either. The
//! product of filters (F, C KH KW) with cols is a convolution without bias.
//!
//! Pictures in either memory order go in; what comes back of them is row-major. Saved: sizes alone. Cost: one write a number of
//! cols. The library's own convolutions do not take this way, which moves each number KH KW times. [`naive`] is explicit loops. Source: K. Chellapilla et al.,
//! "High performance convolutional neural networks for document processing", 2006.

pub mod naive;

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{DType, Order, Tensor, float};
use chainrule_kernels::conv::ConvShape;
use chainrule_kernels::im2col as kernels;

pub use kernels::Columns;

/// The settings of a patch matrix. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Im2colParams {
    /// The size of a patch, at least 1.
    pub kernel: [usize; 2],
    /// Pixels from one patch to the next, at least 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeroes on each side.
    pub pad: [usize; 2],
    /// Pixels from one number of a patch to the next, at least 1.
    pub dilation: [usize; 2],
    /// The order of the columns.
    pub columns: Columns,
}

impl Im2colParams {
    /// Square patches with a stride and a padding; all patches of a picture together.
    pub fn new(kernel: usize, stride: usize, pad: usize) -> Self {
        Im2colParams {
            kernel: [kernel; 2],
            stride: [stride; 2],
            pad: [pad; 2],
            dilation: [1; 2],
            columns: Columns::PatchesTogether,
        }
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    shape: ConvShape,
    columns: Columns,
    dtype: DType,
}

/// The patch matrix (C KH KW, N H' W') of x (N, C, H, W).
///
/// # Panics
/// If there are not four axes or a patch does not fit into the padded picture.
#[track_caller]
pub fn forward(x: &Tensor, params: &Im2colParams) -> (Tensor, Cache) {
    let [n, c, h, w] = x.shape()[..] else {
        check::fail("im2col", "x must have four axes", &[("x", x, "N C H W")], "");
    };
    let shape = sizes([n, c, h, w], params, ("x", x, "N C H W"));
    let mut cols = Tensor::dirty(matrix(&shape), x.dtype(), Order::RowMajor);
    let strides = match x.order() {
        Order::RowMajor => [c * h * w, h * w, w, 1],
        Order::ChannelsLast => [c * h * w, 1, w * c, c],
    };
    float!(x.dtype(), T => {
        kernels::im2col::<T>(&shape, params.columns, x.data(), &strides, cols.data_mut());
    });
    (cols, Cache { shape, columns: params.columns, dtype: x.dtype() })
}

/// The sizes of a patch matrix, if they are sound.
#[track_caller]
fn sizes([n, c, h, w]: [usize; 4], params: &Im2colParams, operand: check::Operand) -> ConvShape {
    let Im2colParams { kernel: [kh, kw], stride, pad, dilation, .. } = *params;
    let shape = ConvShape { n, c, h, w, filters: 1, kh, kw, stride, pad, dilation, groups: 1 };
    if let Some(problem) = shape.problem() {
        let settings = format!(
            "kernel {:?}, stride {stride:?}, pad {pad:?}, dilation {dilation:?}",
            params.kernel
        );
        check::fail("im2col", problem, &[operand], &settings);
    }
    shape
}

/// The shape of the patch matrix.
fn matrix(shape: &ConvShape) -> [usize; 2] {
    [shape.c * shape.kh * shape.kw, shape.n * shape.out_h() * shape.out_w()]
}

/// Pictures of shape \[N, C, H, W\] from a patch matrix (C KH KW, N H' W'): each number is the sum of its copies, and what lies
/// in the padding is dropped. Row-major.
///
/// # Panics
/// If the patch matrix is not one of such pictures.
#[track_caller]
pub fn col2im(cols: &Tensor, shape: [usize; 4], params: &Im2colParams) -> Tensor {
    let operand = ("cols", cols, "CKHKW NHW");
    let sizes = sizes(shape, params, operand);
    if cols.shape()[..] != matrix(&sizes) {
        let reason = format!("the patch matrix of {shape:?} has shape {:?}", matrix(&sizes));
        check::fail("col2im", reason, &[operand], "");
    }
    back(cols, &sizes, params.columns)
}

fn back(cols: &Tensor, shape: &ConvShape, columns: Columns) -> Tensor {
    let pictures = [shape.n, shape.c, shape.h, shape.w];
    let mut x = Tensor::dirty(pictures, cols.dtype(), Order::RowMajor);
    float!(cols.dtype(), T => kernels::col2im::<T>(shape, columns, cols.data(), x.data_mut()));
    x
}

/// The gradient of x, given the upstream gradient of the patch matrix: [`col2im`] of it.
///
/// # Panics
/// If dcols does not have the output's shape and type.
#[track_caller]
pub fn backward(dcols: &Tensor, cache: &Cache) -> Tensor {
    let like = Tensor::dirty([0], cache.dtype, Order::RowMajor);
    check::upstream("im2col", dcols, &matrix(&cache.shape), &like);
    back(dcols, &cache.shape, cache.columns)
}

/// The gradient of x if it is needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for([x]: [bool; 1], dcols: &Tensor, cache: &Cache) -> [Option<Tensor>; 1] {
    [x.then(|| backward(dcols, cache))]
}

impl Var {
    /// The patch matrix on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn im2col(&self, params: &Im2colParams) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: &[usize], params: Im2colParams, order: Order| {
        Case::new("im2col", name)
            .input("x", shape)
            .run(move |[x]| {
                let (cols, cache) = forward(&x.to_order(order), &params);
                (cols, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x]| x.to_order(order).im2col(&params))
    };
    let together =
        Im2colParams { columns: Columns::PicturesTogether, ..Im2colParams::new(3, 1, 1) };
    let strided = Im2colParams { dilation: [2, 1], ..Im2colParams::new(2, 3, 1) };
    vec![
        case("patches", &[2, 3, 4, 5], Im2colParams::new(3, 1, 1), Order::RowMajor),
        case("pictures", &[2, 3, 4, 5], together, Order::ChannelsLast),
        case("dilated", &[2, 2, 7, 6], strided, Order::ChannelsLast),
        case("one", &[1, 1, 1, 1], Im2colParams::new(1, 1, 0), Order::RowMajor),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::rel_error;
    use crate::ops::affine;
    use crate::ops::conv2d::{self, Conv2dParams};
    use crate::rng::Rng;

    #[test]
    fn the_fast_ones_equal_their_naive_twins() {
        let x = Tensor::randn([2, 3, 7, 8], 1.0, DType::F64, &mut Rng::new(1));
        for columns in [Columns::PatchesTogether, Columns::PicturesTogether] {
            for (kernel, stride, pad, dilation) in [(3, 2, 1, 1), (2, 1, 0, 2), (1, 3, 0, 1)] {
                let params = Im2colParams {
                    columns,
                    dilation: [dilation; 2],
                    ..Im2colParams::new(kernel, stride, pad)
                };
                let want = naive::forward(&x, &params);
                for order in [Order::RowMajor, Order::ChannelsLast] {
                    assert_eq!(forward(&x.to_order(order), &params).0.to_vec(), want.to_vec());
                }
                let back = naive::col2im(&want, [2, 3, 7, 8], &params);
                let fast = col2im(&want, [2, 3, 7, 8], &params);
                assert!(rel_error(&fast, &back) < 1e-12);
            }
        }
    }

    #[test]
    fn a_product_with_the_patch_matrix_is_a_convolution() {
        let x = Tensor::randn([2, 3, 7, 8], 1.0, DType::F64, &mut Rng::new(1));
        let w = Tensor::randn([4, 3, 3, 3], 1.0, DType::F64, &mut Rng::new(2));
        let (want, _) = conv2d::forward(&x, &w, None, &Conv2dParams::new(2, 1));
        for columns in [Columns::PatchesTogether, Columns::PicturesTogether] {
            let params = Im2colParams { columns, ..Im2colParams::new(3, 2, 1) };
            let (cols, _) = forward(&x, &params);
            let (y, _) = affine::forward(
                &w.reshape([4, 27]),
                &cols,
                &Tensor::zeros([cols.shape()[1]], DType::F64),
            );
            for f in 0..4 {
                for (k, n) in (0..32).map(|k| (k / 2, k % 2)) {
                    let column = match columns {
                        Columns::PatchesTogether => n * 16 + k,
                        Columns::PicturesTogether => k * 2 + n,
                    };
                    let want = want.at(&[n, f, k / 4, k % 4]);
                    assert!((y.at(&[f, column]) - want).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn an_empty_batch_has_no_patches() {
        let (cols, cache) =
            forward(&Tensor::zeros([0, 3, 4, 4], DType::F32), &Im2colParams::new(3, 1, 1));
        assert_eq!((cols.shape()[..].to_vec(), backward(&cols, &cache).len()), (vec![27, 0], 0));
    }

    #[test]
    #[should_panic(
        expected = "im2col: a filter that spans 5 x 5 does not fit into 4 x 4 with padding\n    \
                               x  [1, 1, 4, 4]   N C H W\n  \
                               in   kernel [5, 5], stride [1, 1], pad [0, 0], dilation [1, 1]"
    )]
    fn patches_that_do_not_fit_panic() {
        forward(&Tensor::zeros([1, 1, 4, 4], DType::F32), &Im2colParams::new(5, 1, 0));
    }

    #[test]
    #[should_panic(expected = "col2im: the patch matrix of [1, 1, 4, 4] has shape [4, 9]\n    \
                               cols  [4, 8]   CKHKW NHW")]
    fn a_matrix_of_other_pictures_panics() {
        let cols = Tensor::zeros([4, 8], DType::F32);
        col2im(&cols, [1, 1, 4, 4], &Im2colParams::new(2, 1, 0));
    }
}
