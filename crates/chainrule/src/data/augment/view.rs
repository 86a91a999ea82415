//! Which pixel of a picture is seen where: mirror images, shifts, holes.

use super::Augment;
use crate::rng::{Key, KeyedRng};

/// A part of a picture: rows and columns from the first, so many. It may reach beyond the edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rectangle {
    first: [isize; 2],
    size: [isize; 2],
}

impl Rectangle {
    /// Of this size, its middle at a pixel.
    pub fn around(middle: [usize; 2], size: [usize; 2]) -> Rectangle {
        let first = [0, 1].map(|axis| middle[axis] as isize - (size[axis] / 2) as isize);
        Rectangle { first, size: size.map(|s| s as isize) }
    }

    /// With its first corner at a pixel.
    pub fn from(first: [usize; 2], size: [usize; 2]) -> Rectangle {
        Rectangle { first: first.map(|v| v as isize), size: size.map(|s| s as isize) }
    }

    fn covers(&self, axis: usize, at: usize) -> bool {
        (self.first[axis]..self.first[axis] + self.size[axis]).contains(&(at as isize))
    }

    /// Whether a pixel is in it.
    pub fn has(&self, y: usize, x: usize) -> bool {
        self.covers(0, y) && self.covers(1, x)
    }

    /// Pixels of a picture of this size in it.
    pub fn pixels_within(&self, size: [usize; 2]) -> usize {
        [0, 1]
            .map(|axis| (0..size[axis]).filter(|at| self.covers(axis, *at)).count())
            .iter()
            .product()
    }
}

/// How a picture is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct View {
    flip: bool,
    down: isize,
    right: isize,
    /// The holes of cutout and of random erasing; one of size 0 has no pixel.
    holes: [Rectangle; 2],
}

impl View {
    /// What happens to the picture of this key, of `size` (height, width).
    pub(super) fn of(augment: &Augment, key: Key, size: [usize; 2]) -> View {
        let mut rng = KeyedRng::new(key);
        // Every change draws, wanted or not, so that switching one on leaves the others as they are.
        let flip = rng.below(2) == 1 && augment.flip;
        let mut shift = || rng.below(2 * augment.crop + 1) as isize - augment.crop as isize;
        let (down, right) = (shift(), shift());
        let middle = size.map(|size| rng.below(size.max(1)));
        let cut = Rectangle::around(middle, [augment.cutout; 2]);
        View { flip, down, right, holes: [cut, erased(augment.erase, key.stream(1), size)] }
    }

    /// The picture moved by so many pixels (down, right), mirrored first if `flip`.
    pub(in crate::data) fn moved(flip: bool, [down, right]: [isize; 2]) -> View {
        View { flip, down, right, ..View::default() }
    }

    /// Whether the picture is seen as it is.
    pub(in crate::data) fn is_plain(&self) -> bool {
        let View { flip, down, right, holes } = self;
        !flip && [*down, *right] == [0, 0] && holes.iter().all(|h| h.size.contains(&0))
    }

    /// Calls `put(pixel, source)` for every pixel of a picture, both numbered row by row. The source is `None` where there is
    /// nothing to see.
    #[inline]
    pub(in crate::data) fn trace(
        &self,
        [height, width]: [usize; 2],
        mut put: impl FnMut(usize, Option<usize>),
    ) {
        for y in 0..height {
            let from_y = y as isize + self.down;
            let seen = (0..height as isize).contains(&from_y);
            let holes = self.holes.map(|hole| hole.covers(0, y));
            for x in 0..width {
                let mirrored = if self.flip { width - 1 - x } else { x };
                let from_x = mirrored as isize + self.right;
                let in_hole = (0..2).any(|k| holes[k] && self.holes[k].covers(1, x));
                let seen = seen && (0..width as isize).contains(&from_x) && !in_hole;
                put(y * width + x, seen.then_some(from_y as usize * width + from_x as usize));
            }
        }
    }
}

/// The hole of random erasing, with a probability: 2 to 40 percent of the picture, its height 0.3 to 3.3 times its width.
fn erased(probability: f64, key: Key, size: [usize; 2]) -> Rectangle {
    let mut rng = KeyedRng::new(key);
    if rng.uniform() >= probability {
        return Rectangle::default();
    }
    // The paper draws until a rectangle fits. Ten times is as good as always: most do at the first.
    for _ in 0..10 {
        let area = (0.02 + 0.38 * rng.uniform()) * (size[0] * size[1]) as f64;
        let aspect = libm::exp((2.0 * rng.uniform() - 1.0) * libm::log(3.3));
        let sides = [area * aspect, area / aspect].map(|square| square.sqrt().round() as usize);
        if sides[0] <= size[0] && sides[1] <= size[1] {
            let first = [0, 1].map(|axis| rng.below(size[axis] - sides[axis] + 1));
            return Rectangle::from(first, sides);
        }
    }
    Rectangle::default()
}
