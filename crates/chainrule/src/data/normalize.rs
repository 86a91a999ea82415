//! From bytes to numbers.

use super::Dataset;
use crate::tensor::{DType, Float, Order, Tensor, float};
use crate::train::Examples;
use chainrule_kernels::threads::parallel_chunks;
use std::sync::Arc;

/// How bytes become the numbers a network sees. Computed in `f64` and rounded once to the network's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalization {
    /// `byte - mean` with a mean for every pixel of every channel: the course's way.
    MeanImage(Arc<[f64]>),
    /// `(byte / 255 - mean) / std` with a mean and a standard deviation for each channel.
    Channels {
        /// Mean of each channel, in 0..1.
        mean: Vec<f64>,
        /// Standard deviation of each channel, in 0..1.
        std: Vec<f64>,
    },
}

/// The mean picture: for every pixel of every channel its mean over all pictures, as `f64`. The sum of bytes is exact, so each
/// mean is rounded once.
///
/// # Panics
/// If there are no pictures.
pub fn mean_image(pictures: &Dataset) -> Vec<f64> {
    assert!(!pictures.is_empty(), "the mean of no pictures");
    let mut sums = vec![0u64; pictures.shape().iter().product()];
    for i in 0..pictures.len() {
        sums.iter_mut().zip(pictures.picture(i)).for_each(|(s, p)| *s += u64::from(*p));
    }
    sums.into_iter().map(|s| s as f64 / pictures.len() as f64).collect()
}

/// A data set seen through a normalization: what a solver trains on. Bytes stay bytes; a batch is made when it is asked for.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// The pictures.
    pub data: Dataset,
    /// What happens to their bytes.
    pub normalization: Normalization,
}

impl Pictures {
    /// The pictures of `data` under a normalization.
    ///
    /// # Panics
    /// If the normalization is for pictures of another shape.
    #[track_caller]
    pub fn new(data: Dataset, normalization: Normalization) -> Pictures {
        let fits = match &normalization {
            Normalization::MeanImage(mean) => mean.len() == data.shape().iter().product::<usize>(),
            Normalization::Channels { mean, std } => {
                mean.len() == data.shape()[0] && std.len() == mean.len()
            }
        };
        assert!(fits, "the normalization is for pictures of another shape than {:?}", data.shape());
        Pictures { data, normalization }
    }

    fn fill<T: Float>(&self, bytes: &[u8], out: &mut [T]) {
        match &self.normalization {
            Normalization::MeanImage(mean) => subtract(bytes, mean, out),
            Normalization::Channels { mean, std } => {
                let plane = bytes.len() / mean.len();
                let planes = bytes.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
                for ((bytes, out), (mean, std)) in planes.zip(mean.iter().zip(std)) {
                    let pairs = out.iter_mut().zip(bytes);
                    pairs.for_each(|(o, b)| *o = T::from_f64((f64::from(*b) / 255.0 - mean) / std));
                }
            }
        }
    }
}

chainrule_kernels::multiversion! {
    /// `out = bytes - mean`, in `f64`, rounded once.
    fn subtract<T: Float>(bytes: &[u8], mean: &[f64], out: &mut [T]) {
        for ((o, b), m) in out.iter_mut().zip(bytes).zip(mean) {
            *o = T::from_f64(f64::from(*b) - m);
        }
    }
}

/// Pictures that one task of a batch turns into numbers.
const A_TASK: usize = 16;

impl Examples for Pictures {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn shape(&self) -> &[usize] {
        self.data.shape()
    }

    fn label(&self, i: usize) -> usize {
        self.data.label(i)
    }

    fn batch(&self, indices: &[usize], dtype: DType) -> Tensor {
        let [c, h, w] = *self.data.shape();
        let mut batch = Tensor::dirty([indices.len(), c, h, w], dtype, Order::RowMajor);
        let size = c * h * w;
        float!(dtype, T => parallel_chunks(batch.data_mut::<T>(), (A_TASK * size).max(1), |task, part| {
            let indices = &indices[task * A_TASK..];
            part.chunks_exact_mut(size).zip(indices).for_each(|(out, &i)| self.fill(self.data.picture(i), out));
        }));
        batch
    }
}
