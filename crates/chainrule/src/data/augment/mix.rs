//! Two pictures in one, with a share of each class.

use super::Augment;
use super::view::Rectangle;
use crate::rng::{Key, KeyedRng};

/// What another picture adds to one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Mix {
    /// The other picture.
    pub other: usize,
    /// How much of the mix, in pixels or in brightness, is the picture itself: also its share of the label.
    pub own: f64,
    /// The part where the other one is seen instead; without it the two are blended.
    patch: Option<Rectangle>,
}

impl Mix {
    /// The mix of the picture of this key, of `size` (height, width), with one of `n`; `None` if pictures stay by themselves. Where
    /// both ways are wanted, each is taken for half of the pictures.
    pub(super) fn of(augment: &Augment, key: Key, size: [usize; 2], n: usize) -> Option<Mix> {
        let (blends, cuts) = (augment.mixup > 0.0, augment.cutmix > 0.0);
        if !blends && !cuts {
            return None;
        }
        let mut rng = KeyedRng::new(key);
        let (other, second) = (rng.below(n), rng.below(2) == 1);
        if blends && !(cuts && second) {
            return Some(Mix { other, own: beta(augment.mixup, &mut rng), patch: None });
        }
        let side = (1.0 - beta(augment.cutmix, &mut rng)).sqrt();
        let sides = size.map(|size| (size as f64 * side).round() as usize);
        let patch = Rectangle::around(size.map(|size| rng.below(size.max(1))), sides);
        // The share is that of the pixels, some of which may have fallen outside.
        let pixels = (size[0] * size[1]).max(1);
        let own = 1.0 - patch.pixels_within(size) as f64 / pixels as f64;
        Some(Mix { other, own, patch: Some(patch) })
    }

    /// A picture by itself.
    pub(super) fn none(i: usize) -> Mix {
        Mix { other: i, own: 1.0, patch: None }
    }

    /// What a number becomes at (y, x), given the other picture's.
    #[inline]
    pub(in crate::data) fn mixed(&self, own: f64, other: f64, [y, x]: [usize; 2]) -> f64 {
        match self.patch {
            None => self.own * own + (1.0 - self.own) * other,
            Some(patch) if patch.has(y, x) => other,
            Some(_) => own,
        }
    }
}

/// A draw from Beta(a, a): M. D. Jöhnk, "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen", Metrika 8 (1964). Fast
/// for small a, and a is at most 4 here.
fn beta(a: f64, rng: &mut KeyedRng) -> f64 {
    loop {
        let [x, y] = [rng.uniform(), rng.uniform()].map(|u| libm::pow(u, 1.0 / a));
        if x + y <= 1.0 && x + y > 0.0 {
            return x / (x + y);
        }
    }
}
