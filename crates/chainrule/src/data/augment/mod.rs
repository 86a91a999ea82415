//! Random changes of training pictures: a mirror image, a shifted crop, holes, other colours, two pictures in one.
//!
//! What happens to a picture is a pure function of (seed, epoch, its number in the data set): neither the batch it is in, nor the
//! threads that make it, nor where a training was resumed can matter. It happens while bytes become numbers, so that nothing is
//! copied for it. What falls outside of the picture is 0, which is the mean wherever a normalization takes the mean out.
//!
//! Two pictures in one have a share of each class for a label ([`Examples::training_shares`]). The partner of a picture is any
//! picture of the set, itself changed as it would be alone, and each mix has its own weight: the papers draw one weight a batch
//! and a partner within it, which would make a picture depend on its batch.
//!
//! Sources: A. Krizhevsky et al., "ImageNet classification with deep CNNs", 2012 (mirrors, shifted crops); T. DeVries, G. Taylor,
//! "Improved regularization of CNNs with cutout", 2017; Z. Zhong et al., "Random erasing data augmentation", 2017 (with the mean in
//! the hole); A. Howard, "Some improvements on deep CNN based image classification", 2013 (colours); H. Zhang et al., "mixup:
//! beyond empirical risk minimization", 2018; S. Yun et al., "CutMix", 2019.

mod colour;
mod mix;
#[cfg(test)]
mod tests;
mod view;

pub(super) use colour::Colour;
pub(super) use mix::Mix;
pub(super) use view::View;

use super::{Dataset, Normalization, Pictures};
use crate::error::{Error, Result};
use crate::keys::unknown;
use crate::rng::{Key, Purpose};
use crate::tensor::{DType, Order, Tensor, float};
use crate::train::Examples;
use chainrule_kernels::Real;

/// Which changes are made; those that are 0 or false are not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augment {
    /// Every other picture is mirrored, left and right exchanged.
    pub flip: bool,
    /// Pictures are moved by up to so many pixels each way.
    pub crop: usize,
    /// A square with sides of so many pixels, its middle anywhere in the picture, becomes 0.
    pub cutout: usize,
    /// With this probability a rectangle of 2 to 40 percent of the picture becomes 0.
    pub erase: f64,
    /// Brightness, contrast and saturation change by up to this factor either way.
    pub jitter: f64,
    /// Each picture is blended with another; its weight is drawn from Beta(a, a) with this a.
    pub mixup: f64,
    /// A rectangle of each picture shows another; the share of the rest is drawn from Beta(a, a) with this a.
    pub cutmix: f64,
}

/// A change by name: its usual amount, the largest, and how it is set. An amount of a change that has none is 1.
struct Change {
    name: &'static str,
    usual: f64,
    largest: f64,
    whole: bool,
    set: fn(&mut Augment, f64),
}

const CHANGES: [Change; 7] = [
    Change { name: "flip", usual: 1.0, largest: 1.0, whole: true, set: |a, _| a.flip = true },
    Change {
        name: "crop",
        usual: 4.0,
        largest: 512.0,
        whole: true,
        set: |a, v| a.crop = v as usize,
    },
    Change {
        name: "cutout",
        usual: 8.0,
        largest: 512.0,
        whole: true,
        set: |a, v| a.cutout = v as usize,
    },
    Change { name: "erase", usual: 0.5, largest: 1.0, whole: false, set: |a, v| a.erase = v },
    Change { name: "jitter", usual: 0.4, largest: 1.0, whole: false, set: |a, v| a.jitter = v },
    Change { name: "mixup", usual: 1.0, largest: 4.0, whole: false, set: |a, v| a.mixup = v },
    Change { name: "cutmix", usual: 1.0, largest: 4.0, whole: false, set: |a, v| a.cutmix = v },
];

impl Augment {
    /// The changes by name. Their usual amounts are for pictures of 32 x 32: a crop of 4 pixels, a hole of 8, erasing with
    /// probability 0.5, colours by 0.4, both mixes with a = 1.
    pub const NAMES: [&'static str; 7] = {
        let mut names = [""; 7];
        let mut i = 0;
        while i < 7 {
            names[i] = CHANGES[i].name;
            i += 1;
        }
        names
    };

    /// The changes of a list such as `flip,crop` or `flip,crop:2,mixup:0.2`, amounts behind colons; none for `none`.
    ///
    /// # Errors
    /// If there is no such change, one is named twice, or an amount is not above 0 and within reason.
    pub fn named(list: &str) -> Result<Augment> {
        let mut augment = Augment::default();
        if list == "none" {
            return Ok(augment);
        }
        let mut seen: Vec<&str> = Vec::new();
        for item in list.split(',').map(str::trim) {
            let (name, amount) = item.split_once(':').map_or((item, None), |(n, a)| (n, Some(a)));
            let Some(change) = CHANGES.iter().find(|c| c.name == name) else {
                let known = [&Augment::NAMES[..], &["none"]].concat();
                return Err(unknown("augment", name, &known));
            };
            if seen.contains(&name) {
                let found = format!("{name} is named twice");
                return Err(Error::value("augment", found, "once is enough"));
            }
            seen.push(name);
            let right =
                |v: &f64| *v > 0.0 && *v <= change.largest && (!change.whole || v.fract() == 0.0);
            let value = match amount {
                None => Some(change.usual),
                Some(amount) => amount.parse().ok().filter(right),
            };
            let Some(value) = value else {
                let kind = if change.whole { "a whole number" } else { "a number" };
                let want = format!("{kind} above 0, at most {}", change.largest);
                return Err(Error::value("augment", format!("it has {item}"), want));
            };
            (change.set)(&mut augment, value);
        }
        Ok(augment)
    }

    /// Whether pictures are mixed, so that an example is of several classes.
    pub fn mixes(&self) -> bool {
        self.mixup > 0.0 || self.cutmix > 0.0
    }
}

/// How a picture is seen: where its pixels come from, and in which colours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    pub view: View,
    pub colour: Option<Colour>,
}

/// Training pictures that change from epoch to epoch. A plain [`Examples::batch`] shows them as they are, so that accuracies are
/// measured on real pictures.
#[derive(Clone, Debug)]
pub struct Augmented {
    pictures: Pictures,
    augment: Augment,
    seed: u64,
}

impl Augmented {
    /// Pictures under a normalization, changed in a way that belongs to the seed.
    ///
    /// # Panics
    /// If the normalization is for pictures of another shape.
    #[track_caller]
    pub fn new(
        data: Dataset,
        normalization: Normalization,
        augment: Augment,
        seed: u64,
    ) -> Augmented {
        Augmented { pictures: Pictures::new(data, normalization), augment, seed }
    }
}

impl Examples for Augmented {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn shape(&self) -> &[usize] {
        self.pictures.shape()
    }

    fn label(&self, i: usize) -> usize {
        self.pictures.label(i)
    }

    fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor {
        self.pictures.batch(indices, dtype, order)
    }

    fn training_batch(&self, indices: &[usize], epoch: u64, dtype: DType, order: Order) -> Tensor {
        if self.augment == Augment::default() {
            return self.pictures.batch(indices, dtype, order);
        }
        let epoch = self.epoch(epoch);
        let (look, mix) = (|i: usize| self.look(epoch, i), |i: usize| self.mix(epoch, i));
        self.pictures.batch_of(indices, dtype, order, look, mix)
    }

    fn training_shares(&self, indices: &[usize], epoch: u64, dtype: DType) -> Option<Tensor> {
        if !self.augment.mixes() {
            return None;
        }
        let (epoch, classes) = (self.epoch(epoch), self.pictures.data.classes().len());
        let mut shares = Tensor::zeros([indices.len(), classes], dtype);
        float!(dtype, T => {
            let rows = shares.data_mut::<T>().chunks_exact_mut(classes);
            for (row, &i) in rows.zip(indices) {
                let mix = self.mix(epoch, i).unwrap_or_else(|| Mix::none(i));
                row[self.label(i)] += T::from_f64(mix.own);
                row[self.label(mix.other)] += T::from_f64(1.0 - mix.own);
            }
        });
        Some(shares)
    }
}

impl Augmented {
    fn epoch(&self, epoch: u64) -> Key {
        Key::new(self.seed, Purpose::Augment).epoch(epoch)
    }

    fn size(&self) -> [usize; 2] {
        let [_, height, width] = *self.pictures.data.shape();
        [height, width]
    }

    /// How picture `i` is seen in an epoch. Each change has a stream of its own, so that one leaves the others as they are.
    fn look(&self, epoch: Key, i: usize) -> Look {
        let key = epoch.sample(i as u64);
        let (data, strength) = (&self.pictures.data, self.augment.jitter);
        let colour = || Colour::of(strength, key.stream(2), data.picture(i), data.shape()[0]);
        let colour = (strength > 0.0).then(colour);
        Look { view: View::of(&self.augment, key, self.size()), colour }
    }

    fn mix(&self, epoch: Key, i: usize) -> Option<Mix> {
        let key = epoch.sample(i as u64).stream(3);
        Mix::of(&self.augment, key, self.size(), self.len())
    }
}
