//! Pictures looked at in several fixed ways, so that a model's mean opinion of all of them can be asked: test-time augmentation.
//!
//! Source: Krizhevsky 2012, who averages ten crops and mirror images.

use super::Pictures;
use super::augment::{Look, View};
use crate::tensor::{DType, Order, Tensor};
use crate::train::Examples;

/// Pixels that a picture is moved by, of 32; larger pictures are moved by as large a part.
const STEP: usize = 2;

/// All pictures seen in one way.
#[derive(Clone, Debug)]
pub struct Viewed<'a> {
    pictures: &'a Pictures,
    view: View,
}

impl Viewed<'_> {
    /// The ten ways: as they are and moved up, down, left and right by a sixteenth of their size, each also mirrored. What comes
    /// in from outside is 0.
    pub fn ten(pictures: &Pictures) -> [Viewed<'_>; 10] {
        let [height, width] = [1, 2].map(|axis| pictures.shape()[axis]);
        let [down, right] = [height, width].map(|size| (size * STEP / 32).max(1) as isize);
        let moves = [[0, 0], [-down, 0], [down, 0], [0, -right], [0, right]];
        std::array::from_fn(|i| Viewed { pictures, view: View::moved(i % 2 == 1, moves[i / 2]) })
    }
}

impl Examples for Viewed<'_> {
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
        let look = |_| Look { view: self.view, colour: None };
        self.pictures.batch_of(indices, dtype, order, look, |_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Normalization};

    #[test]
    fn the_ten_ways_are_the_picture_its_neighbours_and_their_mirror_images() {
        let pixels: Vec<u8> = (1..=12).collect();
        let data = Dataset::new(pixels, [0u8], [1, 3, 4], &["a"]);
        let zero = Normalization::MeanImage(vec![0.0; 12]);
        let pictures = Pictures::new(data, zero);
        let seen =
            Viewed::ten(&pictures).map(|v| v.batch(&[0], DType::F64, Order::RowMajor).to_vec());
        let plain: Vec<f64> = (1..=12).map(f64::from).collect();
        let mirrored: Vec<f64> =
            plain.chunks(4).flat_map(|row| row.iter().rev().copied()).collect();
        assert_eq!((&seen[0], &seen[1]), (&plain, &mirrored));
        let up = [&[0.0; 4], &plain[..8]].concat();
        let down = [&plain[4..], &[0.0; 4]].concat();
        let mut moved = [&seen[2], &seen[4]];
        moved.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert_eq!(moved, [&up, &down]);
        let left: Vec<f64> = plain.chunks(4).flat_map(|r| [r[1], r[2], r[3], 0.0]).collect();
        assert!(seen[6] == left || seen[8] == left);
        for i in 0..10 {
            assert!((0..i).all(|j| seen[i] != seen[j]), "{i} is like another");
        }
    }
}
