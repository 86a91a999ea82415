//! The numerical kernels of chainrule: slices and sizes in, slices out. The only crate with `unsafe`.

pub mod buffer;
pub mod clip;
pub mod conv;
pub mod counting;
pub mod dropout;
pub mod elementwise;
pub mod environment;
pub mod exp;
pub mod gemm;
pub mod im2col;
pub mod layout;
pub mod loss;
pub mod norm;
pub mod pool;
pub mod real;
pub mod reduce;
pub mod simd;
pub mod softmax;
mod square;
pub mod strided;
pub mod threads;
pub mod update;

pub use buffer::{Buffer, Element};
pub use real::Real;
pub use simd::Level;
