//! From bytes to numbers.

use super::Dataset;
use super::augment::{Colour, Look, Mix};
use crate::error::{Error, Result};
use crate::keys::unknown;
use crate::tensor::{DType, Float, Order, Tensor, float};
use crate::train::Examples;
use chainrule_kernels::Real;
use chainrule_kernels::threads::parallel_chunks;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    pub const NAMES: [&'static str; 4] = ["mean-image", "channels", "cifar10", "to-tensor"];

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
            "cifar10" => Normalization::constants(&CIFAR10_MEAN, &CIFAR10_STD, pictures.shape()),
            "to-tensor" => Ok(Normalization::to_tensor(pictures.shape()[0])),
            _ => Err(unknown("normalize", name, &Normalization::NAMES)),
        }
    }

    /// `(byte / 255 - mean) / std` with these constants, one a channel, for pictures of a shape (channels, height, width).
    ///
    /// # Errors
    /// If there is not one of each a channel, or a standard deviation is not a number above 0.
    pub fn constants(mean: &[f64], std: &[f64], shape: &[usize; 3]) -> Result<Normalization> {
        let channels = Normalization::Channels { mean: mean.to_vec(), std: std.to_vec() };
        let sound =
            mean.iter().all(|m| m.is_finite()) && std.iter().all(|s| s.is_finite() && *s > 0.0);
        if !channels.fits(shape) || !sound {
            let found = format!("{} means and {} deviations", mean.len(), std.len());
            let want = format!("numbers, one a channel of {}, deviations above 0", shape[0]);
            return Err(Error::value("normalize", found, want));
        }
        Ok(channels)
    }

    /// Bytes as numbers in 0..1, and nothing more: `torchvision.transforms.ToTensor`.
    pub fn to_tensor(channels: usize) -> Normalization {
        Normalization::Channels { mean: vec![0.0; channels], std: vec![1.0; channels] }
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

/// The constants that everybody normalises CIFAR-10 with, the course too: means of red, green and blue over its training pictures.
const CIFAR10_MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];
/// The deviations that go with them. They are means of the deviations of single pictures.
const CIFAR10_STD: [f64; 3] = [0.2023, 0.1994, 0.2010];

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
    pub(super) data: Dataset,
    normalization: Normalization,
    /// For [`Normalization::Channels`] the numbers of the 256 bytes, channel after channel.
    table: Arc<[f64]>,
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
        let table = match &normalization {
            Normalization::MeanImage(_) => Vec::new(),
            Normalization::Channels { mean, std } => {
                let numbers = |(mean, std): (&f64, &f64)| {
                    let (mean, std) = (*mean, *std);
                    (0..256).map(move |byte| (f64::from(byte) / 255.0 - mean) / std)
                };
                mean.iter().zip(std).flat_map(numbers).collect()
            }
        };
        Pictures { data, normalization, table: table.into() }
    }

    /// A batch of pictures, each looked at in its own way, and mixed with another if it has one.
    pub(super) fn batch_of(
        &self,
        indices: &[usize],
        dtype: DType,
        order: Order,
        look: impl Fn(usize) -> Look + Sync,
        mix: impl Fn(usize) -> Option<Mix> + Sync,
    ) -> Tensor {
        let [c, h, w] = *self.data.shape();
        let mut batch = Tensor::dirty([indices.len(), c, h, w], dtype, order);
        let size = c * h * w;
        float!(dtype, T => parallel_chunks(batch.data_mut::<T>(), (A_TASK * size).max(1), |task, part| {
            for (out, &i) in part.chunks_exact_mut(size).zip(&indices[task * A_TASK..]) {
                self.fill(i, &look(i), order, out);
                if let Some(mix) = mix(i) {
                    self.numbers(mix.other, &look(mix.other), order, |pixel, at, other| {
                        out[at] = T::from_f64(mix.mixed(out[at].to_f64(), other, [pixel / w, pixel % w]));
                    });
                }
            }
        }));
        batch
    }

    /// One picture as numbers.
    fn fill<T: Float>(&self, i: usize, look: &Look, order: Order, out: &mut [T]) {
        let plain = look.view.is_plain() && look.colour.is_none();
        match &self.normalization {
            Normalization::MeanImage(mean) if order == Order::RowMajor && plain => {
                subtract(self.data.picture(i), mean, out);
            }
            _ => self.numbers(i, look, order, |_, at, number| out[at] = T::from_f64(number)),
        }
    }

    /// Calls `put(pixel, place in memory, number)` for all numbers of a picture.
    #[inline]
    fn numbers(&self, i: usize, look: &Look, order: Order, mut put: impl FnMut(usize, usize, f64)) {
        let bytes = self.data.picture(i);
        let [channels, h, w] = *self.data.shape();
        let plane = h * w;
        let (of_channel, of_pixel) = match order {
            Order::RowMajor => (plane, 1),
            Order::ChannelsLast => (1, channels),
        };
        let place = |c: usize, pixel: usize| c * of_channel + pixel * of_pixel;
        match (&self.normalization, &look.colour) {
            (Normalization::MeanImage(mean), None) => look.view.trace([h, w], |pixel, source| {
                for c in 0..channels {
                    let number = source.map(|at| c * plane + at);
                    let number = number.map_or(0.0, |at| f64::from(bytes[at]) - mean[at]);
                    put(pixel, place(c, pixel), number);
                }
            }),
            (Normalization::Channels { .. }, None) => look.view.trace([h, w], |pixel, source| {
                for (c, numbers) in self.table.chunks_exact(256).enumerate() {
                    let byte = source.map(|at| usize::from(bytes[c * plane + at]));
                    put(pixel, place(c, pixel), byte.map_or(0.0, |byte| numbers[byte]));
                }
            }),
            (normalization, Some(colour)) => look.view.trace([h, w], |pixel, source| {
                let grey = source.map_or(0.0, |at| Colour::grey_at(bytes, at, channels));
                for c in 0..channels {
                    let number = source.map(|at| {
                        let changed = colour.change(f64::from(bytes[c * plane + at]), grey);
                        match normalization {
                            Normalization::MeanImage(mean) => changed - mean[c * plane + at],
                            Normalization::Channels { mean, std } => {
                                (changed / 255.0 - mean[c]) / std[c]
                            }
                        }
                    });
                    put(pixel, place(c, pixel), number.unwrap_or(0.0));
                }
            }),
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
        self.batch_of(indices, dtype, order, |_| Look::default(), |_| None)
    }
}
