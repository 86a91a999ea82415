//! The explicit layers: one file an op, each with its formula, forward, backward, cache and gradient checks.
//!
//! `forward` returns the output and a cache; `backward` takes the upstream gradient and the cache. Nothing else passes from one
//! to the other, and there is no second implementation of any derivative.

pub mod adaptive_avg_pool2d;
pub mod affine;
pub mod affine_norm_relu;
pub mod affine_relu;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod binary;
pub mod choose;
pub mod concat;
pub mod conv2d;
pub mod conv_norm_relu;
pub mod conv_relu;
pub mod conv_relu_pool;
pub mod dropout;
pub mod elementwise;
pub mod extremum;
pub mod functions;
pub mod gather;
pub mod im2col;
pub mod layer_norm;
pub mod linear;
pub mod linear_relu;
pub mod matmul;
pub mod max_pool2d;
pub mod maxout;
pub mod multiclass_svm;
pub mod permute;
pub mod prelu;
pub mod reshape;
pub mod slice;
pub mod soft_cross_entropy;
pub mod softmax;
pub mod softmax_cross_entropy;
pub mod spatial_batch_norm;
pub mod spatial_group_norm;
pub mod sum;
pub mod variance;

use crate::gradcheck::Case;
pub use crate::tape::Mode;
pub use soft_cross_entropy::Targets;

/// An op of the library: what `gradcheck` runs.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its name, which is its file's.
    pub name: &'static str,
    /// Its cases for the gradient check.
    pub checks: fn() -> Vec<Case>,
}

macro_rules! ops {
    ($($name:ident),* $(,)?) => {
        /// Every op, in the order of reading.
        pub const OPS: &[Op] = &[$(Op { name: stringify!($name), checks: $name::checks }),*];
    };
}

ops![
    affine,
    linear,
    matmul,
    elementwise,
    functions,
    binary,
    sum,
    variance,
    extremum,
    softmax,
    reshape,
    permute,
    slice,
    concat,
    gather,
    choose,
    prelu,
    maxout,
    dropout,
    batch_norm,
    layer_norm,
    softmax_cross_entropy,
    soft_cross_entropy,
    multiclass_svm,
    conv2d,
    im2col,
    max_pool2d,
    avg_pool2d,
    adaptive_avg_pool2d,
    spatial_batch_norm,
    spatial_group_norm,
    affine_relu,
    linear_relu,
    affine_norm_relu,
    conv_relu,
    conv_relu_pool,
    conv_norm_relu,
];
