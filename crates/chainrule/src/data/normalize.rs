//! From bytes to numbers.

use super::Dataset;
use crate::error::Result;
use crate::keys::unknown;
use crate::tensor::{DType, Float, Order, Tensor, float};
use crate::train::Examples;
use chainrule_kernels::threads::parallel_chunks;
use serde::{Deserialize, Serialize};

/// How bytes become the numbers a network sees. Computed in `f64` and rounded once to the network's type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// `byte - mean` with a mean for every pixel of every channel: the course's way.
    MeanImage(Vec<f64>),
    /// `(byte / 255 - mean) / std` with a mean and a standard deviation for each channel.
    Channels {
        /// Mean of each channel, in 0..1.
        mean: Vec<f64>,
        /// Standard deviation of each channel, in 0..1.
        std: Vec<f64>,
    },
}

impl Normalization {
    /// The names by which [`Normalization::of`] knows them.
    pub const NAMES: [&'static str; 2] = ["mean-image", "channels"];

    /// The normalization of this name, with the means of these (training) pictures.
    ///
    /// # Errors
    /// If there is none of this name.
    ///
    /// # Panics
    /// If there are no pictures.
    pub fn of(name: &str, pictures: &Dataset) -> Result<Normalization> {
        match name {
            "mean-image" => Ok(Normalization::MeanImage(mean_image(pictures))),
            "channels" => Ok(channels(pictures)),
            _ => Err(unknown("normalize", name, &Normalization::NAMES)),
        }
    }

    /// Whether it is for pictures of this shape (channels, height, width).
    pub fn fits(&self, shape: &[usize; 3]) -> bool {
        match self {
            Normalization::MeanImage(mean) => mean.len() == shape.iter().product::<usize>(),
            Normalization::Channels { mean, std } => {
                mean.len() == shape[0] && std.len() == shape[0]
            }
        }
    }
}

/// Mean and standard deviation of each channel over all pixels of all pictures. Sums of bytes and of their squares are exact.
fn channels(pictures: &Dataset) -> Normalization {
    assert!(!pictures.is_empty(), "the mean of no pictures");
    let [c, h, w] = *pictures.shape();
    let mut sums = vec![[0u64; 2]; c];
    for i in 0..pictures.len() {
        for (sums, plane) in sums.iter_mut().zip(pictures.picture(i).chunks_exact(h * w)) {
            for byte in plane.iter().map(|b| u64::from(*b)) {
                sums[0] += byte;
                sums[1] += byte * byte;
            }
        }
    }
    let n = (pictures.len() * h * w) as f64;
    let stats = |[sum, squares]: &[u64; 2]| {
        let mean = *sum as f64 / n;
        // One value everywhere has no spread to divide by.
        let std = (*squares as f64 / n - mean * mean).max(0.0).sqrt();
        (mean / 255.0, if std > 0.0 { std / 255.0 } else { 1.0 })
    };
    let (mean, std) = sums.iter().map(stats).unzip();
    Normalization::Channels { mean, std }
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
        let fits = normalization.fits(data.shape());
        assert!(fits, "the normalization is for pictures of another shape than {:?}", data.shape());
        Pictures { data, normalization }
    }

    /// One picture as numbers.
    fn fill<T: Float>(&self, bytes: &[u8], order: Order, out: &mut [T]) {
        let plane = self.data.shape()[1] * self.data.shape()[2];
        let channels = self.data.shape()[0];
        match (&self.normalization, order) {
            (Normalization::MeanImage(mean), Order::RowMajor) => subtract(bytes, mean, out),
            (Normalization::MeanImage(mean), Order::ChannelsLast) => {
                let pairs = bytes.iter().zip(mean).enumerate();
                pairs.for_each(|(i, (b, m))| {
                    out[i % plane * channels + i / plane] = T::from_f64(f64::from(*b) - m);
                });
            }
            (Normalization::Channels { mean, std }, order) => {
                let steps = match order {
                    Order::RowMajor => (plane, 1),
                    Order::ChannelsLast => (1, channels),
                };
                for (c, bytes) in bytes.chunks_exact(plane).enumerate() {
                    let to = out[c * steps.0..].iter_mut().step_by(steps.1);
                    to.zip(bytes).for_each(|(o, b)| {
                        *o = T::from_f64((f64::from(*b) / 255.0 - mean[c]) / std[c]);
                    });
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

    fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor {
        let [c, h, w] = *self.data.shape();
        let mut batch = Tensor::dirty([indices.len(), c, h, w], dtype, order);
        let size = c * h * w;
        float!(dtype, T => parallel_chunks(batch.data_mut::<T>(), (A_TASK * size).max(1), |task, part| {
            let indices = &indices[task * A_TASK..];
            part.chunks_exact_mut(size).zip(indices).for_each(|(out, &i)| self.fill(self.data.picture(i), order, out));
        }));
        batch
    }
}
