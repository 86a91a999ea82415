//! Convolution of channels-last pictures, and its two gradients.
//!
//! x is (N, H, W, C), y is (N, H', W', F), and the weights come as a user has them, (F, C/groups, KH, KW); each way repacks them,
//! for they are small. [`naive`] says what is computed, in explicit loops:
//!
//! ```text
//! y[n,i,j,f] = sum over u, v, c of x[n, i s + u d - p, j s + v d - p, c] w[f,c,u,v]      (x is 0 in the padding)
//! dx = every dy w added where its x was read        dw[f,c,u,v] = sum over n, i, j of dy x
//! ```
//!
//! Which of five ways it goes depends on the type and on the shape of a picture and of the filters: not on the number of pictures,
//! so that a result does not depend on the batch it is in, and not on threads or instructions. Each way fixes the order of its
//! sums by the shape, so that all levels and any number of threads give the same bits; a safe twin of each gives them too.
//!
//! - **Winograd**: f32, 3 x 3 filters, stride 1, 16 channels and filters or more. Four by four outputs at a time cost 36
//!   multiplications a channel instead of 144: tiles of 6 x 6 inputs, and weights, go to their values at five points and
//!   infinity, where convolution is multiplication, hence 36 products of matrices (tiles x C) and (C x F), and the results come
//!   back. A block of tiles goes all the way while it is in the second-level cache, so x is read from memory once and y written
//!   once, with its bias and ReLU. Backward by data is the same with turned and transposed weights. Backward by weights sums
//!   over tiles before it comes back: F(3 x 3, 4 x 4), 4 x 4 gradients taking the place of the filter.
//! - **Rows** (forward and backward by weights): a row of a filter lies side by side in memory, so tiles of the product read
//!   patches from rows of the picture themselves, which only get their zeroes on both sides in scratch memory. Each number of y
//!   is one chain of fused multiply-adds in the order (u, v, c). f64 goes this way, and first layers, whose three channels make
//!   patches of 27 or 147 numbers.
//! - **Direct** (dilated filters and groups; backward by data of all but Winograd): patches are copied into a block that stays in
//!   the cache, and tiles of the product read them there; the whole matrix of patches is never in memory. Backward by data
//!   multiplies first and adds the products up where they belong, picture by picture.
//! - **1 x 1** filters at stride 1 are one [`gemm`](mod@crate::gemm) of (N H W, C) and (C, F).
//! - **Depthwise**: a filter for each channel. Channels are the lanes, and there is no product.
//!
//! Winograd's results are less exact than plain sums, since the transforms cancel. In units of the root of the mean square of the
//! results, the errors of forward with 96 channels have a root mean square of 1.0e-6 and reach 9e-6; those of plain chains have
//! 5e-7 and reach 4e-6. The points are 0, +-3/4, +-3/2; with the customary 0, +-1, +-2 the errors are about twice as large
//! (`A` in `winograd/transform.rs` set to 1). A NaN or an infinity spreads over its tile. All three passes are measured against
//! f64 by `cargo test --release -p chainrule-kernels --lib winograd::errors -- --nocapture`.
//!
//! Sources: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), for Winograd's algorithm and its
//! blocks; K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008), for panels and tiles.

mod depthwise;
mod direct;
pub mod naive;
mod patches;
mod rows;
mod segments;
mod shape;
mod task;
#[cfg(test)]
mod tests;
mod winograd;

pub use shape::{ConvShape, output_size};
pub(crate) use task::Registers;

use crate::buffer::block_bytes;
use crate::real::Real;
use crate::threads::{parallel_chunks, threads};

/// `y` (N, H', W', F) = the convolution of `x` (N, H, W, C) with `w` (F, C/groups, KH, KW), plus a bias for each filter, then
/// perhaps a ReLU, of which NaN stays NaN.
///
/// # Panics
/// If the sizes are not sound ([`ConvShape::problem`]) or a slice does not have them.
pub fn forward<T: Real>(
    shape: &ConvShape,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    relu: bool,
    y: &mut [T],
) {
    shape.check(x.len(), w.len(), y.len());
    assert!(bias.is_none_or(|b| b.len() == shape.filters), "one bias for each filter");
    if y.is_empty() {
        return;
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::forward(shape, x, w, bias, relu, y),
        Algorithm::Winograd => with_f32(x, w, y, |x, w, y| {
            winograd::forward(shape, x, w, bias.and_then(T::as_f32), relu, y);
        }),
        Algorithm::Rows => rows::forward(shape, x, w, bias, relu, y),
        Algorithm::Direct => direct::forward(shape, x, w, bias, relu, y),
    }
}

/// `dx` (N, H, W, C), the gradient of x, from `dy` (N, H', W', F), the gradient of y.
///
/// # Panics
/// As [`forward`].
pub fn backward_data<T: Real>(shape: &ConvShape, dy: &[T], w: &[T], dx: &mut [T]) {
    shape.check(dx.len(), w.len(), dy.len());
    if dx.is_empty() {
        return;
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::backward_data(shape, dy, w, dx),
        Algorithm::Winograd => with_f32(dy, w, dx, |dy, w, dx| {
            winograd::backward_data(shape, dy, w, dx);
        }),
        Algorithm::Rows | Algorithm::Direct => direct::backward_data(shape, dy, w, dx),
    }
}

/// `dw` (F, C/groups, KH, KW), the gradient of w. That of the bias is [`column_sums`](crate::reduce::column_sums) of `dy`.
///
/// # Panics
/// As [`forward`].
pub fn backward_weights<T: Real>(shape: &ConvShape, x: &[T], dy: &[T], dw: &mut [T]) {
    shape.check(x.len(), dw.len(), dy.len());
    if dy.is_empty() {
        return dw.fill(T::ZERO);
    }
    match Algorithm::of::<T>(shape) {
        Algorithm::Depthwise => depthwise::backward_weights(shape, x, dy, dw),
        Algorithm::Winograd => with_f32(x, dy, dw, |x, dy, dw| {
            winograd::backward_weights(shape, x, dy, dw);
        }),
        Algorithm::Rows => rows::backward_weights(shape, x, dy, dw),
        Algorithm::Direct => direct::backward_weights(shape, x, dy, dw),
    }
}

/// Bytes of the pool of memory that a pass takes beside its operands, at most, with the present number of threads.
///
/// # Panics
/// If the sizes are not sound ([`ConvShape::problem`]).
pub fn working_memory<T: Real>(shape: &ConvShape) -> usize {
    assert_eq!(shape.problem(), None, "a convolution");
    let passes = match Algorithm::of::<T>(shape) {
        _ if shape.n == 0 || direct::is_product(shape) => return 0,
        // Its tables are as small as its filters.
        Algorithm::Depthwise => return 0,
        Algorithm::Winograd => winograd::working(shape),
        Algorithm::Rows => {
            let [forward, weights] = rows::working(shape);
            [forward, weights, direct::working(shape)[2]]
        }
        Algorithm::Direct => direct::working(shape),
    };
    let bytes = |numbers: usize| block_bytes(numbers * size_of::<T>());
    let all = passes.map(|[shared, own]| bytes(shared) + bytes(own * threads()));
    all.into_iter().max().unwrap_or(0)
}

/// Which way a convolution goes. It depends on the type and the shape of a picture and of the filters, not on how many pictures
/// there are, so that a picture's result does not depend on the batch it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Depthwise,
    Winograd,
    Rows,
    Direct,
}

impl Algorithm {
    fn of<T: Real>(s: &ConvShape) -> Algorithm {
        if depthwise::applies(s) {
            Algorithm::Depthwise
        } else if T::as_f32(&[]).is_some() && winograd::applies(s) {
            Algorithm::Winograd
        } else if rows::applies(s) && !direct::is_product(s) {
            Algorithm::Rows
        } else {
            Algorithm::Direct
        }
    }
}

/// Calls `f` with the slices as what they are, slices of f32.
fn with_f32<T: Real>(a: &[T], b: &[T], c: &mut [T], f: impl FnOnce(&[f32], &[f32], &mut [f32])) {
    if let (Some(a), Some(b), Some(c)) = (T::as_f32(a), T::as_f32(b), T::as_f32_mut(c)) {
        f(a, b, c);
    }
}

/// Adds up parts of `len` numbers in order; the sum takes the place of the first.
fn sum_parts<T: Real>(parts: &mut [T], len: usize) -> &[T] {
    const TASK: usize = 4096;
    let (total, others) = parts.split_at_mut(len);
    parallel_chunks(total, TASK, |i, total| add_parts(total, others, i * TASK, len));
    total
}

crate::multiversion! {
    /// Adds numbers `from..` of every part to `total`, in the order of the parts.
    fn add_parts<T: Real>(total: &mut [T], parts: &[T], from: usize, len: usize) {
        for part in parts.chunks_exact(len) {
            total.iter_mut().zip(&part[from..]).for_each(|(t, p)| *t += *p);
        }
    }
}

/// What follows the sums of one pixel: the bias, then perhaps a ReLU, written so that NaN stays NaN.
#[inline(always)]
fn finish<T: Real>(row: &mut [T], bias: Option<&[T]>, relu: bool) {
    if let Some(bias) = bias {
        row.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
    }
    if relu {
        row.iter_mut().for_each(|y| *y = if T::ZERO > *y { T::ZERO } else { *y });
    }
}
