//! Random changes of training pictures: a mirror image, a shifted crop, a hole.
//!
//! What happens to a picture is a pure function of (seed, epoch, its number in the data set): neither the batch it is in, nor the
//! threads that make it, nor where a training was resumed can matter. It happens while bytes become numbers, so that nothing is
//! copied for it. What falls outside of the picture is 0, which is the mean under both normalizations.
//!
//! Sources: Krizhevsky 2012 (mirrors and shifted crops); DeVries, Taylor 2017 (cutout).

use super::{Dataset, Normalization, Pictures};
use crate::error::{Error, Result};
use crate::keys::unknown;
use crate::rng::{Key, KeyedRng, Purpose};
use crate::tensor::{DType, Order, Tensor};
use crate::train::Examples;

/// Which changes are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augment {
    /// Every other picture is mirrored, left and right exchanged.
    pub flip: bool,
    /// Pictures are moved by up to so many pixels each way.
    pub crop: usize,
    /// A square with sides of so many pixels, its middle anywhere in the picture, becomes 0.
    pub cutout: usize,
}

impl Augment {
    /// The changes by name, with their usual sizes for pictures of 32 x 32: a crop of 4 pixels, a hole of 8.
    pub const NAMES: [&'static str; 3] = ["flip", "crop", "cutout"];

    /// The changes of a list such as `flip,crop`; none for `none`.
    ///
    /// # Errors
    /// If there is no such change, or one is named twice.
    pub fn named(list: &str) -> Result<Augment> {
        let mut augment = Augment::default();
        if list == "none" {
            return Ok(augment);
        }
        for name in list.split(',').map(str::trim) {
            let before = augment;
            match name {
                "flip" => augment.flip = true,
                "crop" => augment.crop = 4,
                "cutout" => augment.cutout = 8,
                _ => {
                    return Err(unknown(
                        "augment",
                        name,
                        &[&Augment::NAMES[..], &["none"]].concat(),
                    ));
                }
            }
            if augment == before {
                return Err(Error::value(
                    "augment",
                    format!("{name} is named twice"),
                    "once is enough",
                ));
            }
        }
        Ok(augment)
    }

    /// What happens to the picture of this key, of `height` x `width` pixels.
    fn view(&self, key: Key, [height, width]: [usize; 2]) -> View {
        let mut rng = KeyedRng::new(key);
        // Every change draws, wanted or not, so that switching one on leaves the others as they are.
        let flip = rng.below(2) == 1 && self.flip;
        let mut shift = || rng.below(2 * self.crop + 1) as isize - self.crop as isize;
        let (down, right) = (shift(), shift());
        let mut middle = |size: usize| rng.below(size.max(1));
        let corner = |middle: usize| middle as isize - (self.cutout / 2) as isize;
        let hole = [corner(middle(height)), corner(middle(width))];
        View { flip, down, right, hole, hole_size: self.cutout as isize }
    }
}

/// How a picture is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    flip: bool,
    down: isize,
    right: isize,
    hole: [isize; 2],
    hole_size: isize,
}

impl View {
    /// The picture moved by so many pixels (down, right), mirrored first if `flip`.
    pub(super) fn moved(flip: bool, [down, right]: [isize; 2]) -> View {
        View { flip, down, right, ..View::default() }
    }

    /// Whether the picture is seen as it is.
    pub(super) fn is_plain(&self) -> bool {
        View { hole: [0; 2], ..*self } == View::default()
    }

    /// Calls `put(pixel, source)` for every pixel of a picture, both numbered row by row. The source is `None` where there is
    /// nothing to see.
    #[inline]
    pub(super) fn trace(
        &self,
        [height, width]: [usize; 2],
        mut put: impl FnMut(usize, Option<usize>),
    ) {
        let in_hole = |axis: usize, at: usize| {
            (self.hole[axis]..self.hole[axis] + self.hole_size).contains(&(at as isize))
        };
        for y in 0..height {
            let from_y = y as isize + self.down;
            let seen = (0..height as isize).contains(&from_y);
            for x in 0..width {
                let mirrored = if self.flip { width - 1 - x } else { x };
                let from_x = mirrored as isize + self.right;
                let seen = seen
                    && (0..width as isize).contains(&from_x)
                    && !(in_hole(0, y) && in_hole(1, x));
                put(y * width + x, seen.then_some(from_y as usize * width + from_x as usize));
            }
        }
    }
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
        let epoch = Key::new(self.seed, Purpose::Augment).epoch(epoch);
        let [_, height, width] = *self.pictures.data.shape();
        let view = |i: usize| self.augment.view(epoch.sample(i as u64), [height, width]);
        self.pictures.batch_of(indices, dtype, order, view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::float;
    use chainrule_kernels::Real;
    use chainrule_kernels::threads::set_threads;

    /// Twenty pictures of 3 x 8 x 10 bytes that are all different.
    fn pictures(augment: Augment) -> Augmented {
        let bytes: Vec<u8> = (0..20 * 240).map(|i| (i * 7 % 251) as u8).collect();
        let data = Dataset::new(bytes, vec![0u8; 20], [3, 8, 10], &["thing"]);
        Augmented::new(data, Normalization::MeanImage(vec![-1.0; 240]), augment, 5)
    }

    fn picture(x: &Augmented, i: usize, epoch: u64) -> Tensor {
        x.training_batch(&[i], epoch, DType::F64, Order::RowMajor)
    }

    #[test]
    fn a_flip_is_a_mirror_image_of_about_half_of_them() {
        let x = pictures(Augment { flip: true, ..Augment::default() });
        let mut mirrored = 0;
        for epoch in 0..10 {
            for i in 0..20 {
                let plain = x.batch(&[i], DType::F64, Order::RowMajor);
                let seen = picture(&x, i, epoch);
                let rows =
                    |t: &Tensor| t.to_vec().chunks(10).map(<[f64]>::to_vec).collect::<Vec<_>>();
                let mut turned = rows(&plain);
                turned.iter_mut().for_each(|row| row.reverse());
                if rows(&seen) == turned {
                    mirrored += 1;
                } else {
                    assert_eq!(rows(&seen), rows(&plain));
                }
            }
        }
        assert!((70..130).contains(&mirrored), "{mirrored} of 200");
    }

    #[test]
    fn a_crop_shifts_and_leaves_zeroes() {
        let x = pictures(Augment { crop: 2, ..Augment::default() });
        let mut shifts = std::collections::BTreeSet::new();
        for i in 0..20 {
            let (plain, seen) = (x.batch(&[i], DType::F64, Order::RowMajor), picture(&x, i, 3));
            let shifted = |down: isize, right: isize| {
                (0..240isize).all(|k| {
                    let (c, y, x) = (k / 80, k / 10 % 8 + down, k % 10 + right);
                    let inside = (0..8).contains(&y) && (0..10).contains(&x);
                    let want = if inside {
                        plain.at(&[0, c as usize, y as usize, x as usize])
                    } else {
                        0.0
                    };
                    seen.to_vec()[k as usize] == want
                })
            };
            let found =
                (-2..=2).flat_map(|d| (-2..=2).map(move |r| (d, r))).find(|s| shifted(s.0, s.1));
            shifts.insert(found.expect("a shift of at most two pixels each way"));
        }
        assert!(shifts.len() > 8, "{shifts:?}");
    }

    #[test]
    fn a_hole_is_a_square_of_zeroes() {
        let x = pictures(Augment { cutout: 4, ..Augment::default() });
        for i in 0..20 {
            let (plain, seen) = (x.batch(&[i], DType::F64, Order::RowMajor), picture(&x, i, 0));
            let differs = |k: &usize| plain.to_vec()[*k] != seen.to_vec()[*k];
            let changed: Vec<usize> = (0..240).filter(differs).collect();
            assert!(changed.iter().all(|k| seen.to_vec()[*k] == 0.0));
            // At an edge only a part of the square is inside.
            let size = changed.len() / 3;
            assert!((4..=16).contains(&size), "{size} pixels");
        }
    }

    #[test]
    fn a_picture_depends_on_seed_epoch_and_number_alone() {
        let all = Augment { flip: true, crop: 3, cutout: 3 };
        let x = pictures(all);
        let indices: Vec<usize> = (0..20).rev().chain([4, 4]).collect();
        let bits = |t: &Tensor| float!(t.dtype(), T => t.data::<T>().iter().map(|v| v.to_f64()).collect::<Vec<_>>());
        let batches = [1, 2, 3, 8].map(|threads| {
            set_threads(threads);
            bits(&x.training_batch(&indices, 2, DType::F32, Order::ChannelsLast))
        });
        assert!(batches.iter().all(|b| *b == batches[0]), "whatever the number of threads");
        for (row, &i) in batches[0].chunks_exact(240).zip(&indices) {
            let alone = x.training_batch(&[i], 2, DType::F32, Order::ChannelsLast);
            assert_eq!(row, bits(&alone), "whatever the batch");
        }
        assert_ne!(bits(&picture(&x, 0, 1)), bits(&picture(&x, 0, 2)), "another epoch");
        let other = Augmented { seed: 6, ..x.clone() };
        assert_ne!(bits(&picture(&x, 0, 1)), bits(&picture(&other, 0, 1)), "another seed");
    }

    #[test]
    fn names_make_the_changes() {
        let both = Augment { flip: true, crop: 4, cutout: 0 };
        assert_eq!(Augment::named("flip,crop").expect("known"), both);
        assert_eq!(Augment::named("none").expect("known"), Augment::default());
        for (list, part) in [("flop", "did you mean flip"), ("flip,flip", "twice"), ("", "unknown")]
        {
            let error = Augment::named(list).expect_err("refused").to_string();
            assert!(error.contains(part), "{list}: {error}");
        }
    }
}
