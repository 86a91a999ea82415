//! Labelled pictures as bytes in memory.

use std::sync::{Arc, LazyLock};

/// Where the bytes of pictures are.
#[derive(Clone, Debug)]
enum Pixels {
    /// In a vector, because `Arc<[u8]>` would copy 150 MB once more.
    Here(Arc<Vec<u8>>),
    /// In a part of the program that is decoded when it is first looked at.
    Embedded(&'static LazyLock<Vec<u8>>),
}

/// Pictures (n, channels, height, width) of bytes with a label each. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dataset {
    pixels: Pixels,
    labels: Arc<[u16]>,
    /// The examples of this set among those in memory: `first..first + n`.
    first: usize,
    n: usize,
    shape: [usize; 3],
    classes: Arc<[String]>,
}

impl Dataset {
    /// Pictures one after the other, each of `shape` (channels, height, width), with their labels and the names of the classes.
    ///
    /// # Panics
    /// If the sizes do not fit together, or a label has no class.
    #[track_caller]
    pub fn new(
        pixels: Vec<u8>,
        labels: impl IntoIterator<Item: Into<u16>>,
        shape: [usize; 3],
        classes: &[&str],
    ) -> Dataset {
        let labels: Vec<u16> = labels.into_iter().map(Into::into).collect();
        let size: usize = shape.iter().product();
        assert_eq!(pixels.len(), labels.len() * size, "one label a picture");
        Dataset::over(Pixels::Here(Arc::new(pixels)), labels, shape, classes)
    }

    /// Pictures that are decoded when the first one is asked for; their labels are known before.
    #[track_caller]
    pub(super) fn embedded(
        pixels: &'static LazyLock<Vec<u8>>,
        labels: &[u8],
        shape: [usize; 3],
        classes: &[&str],
    ) -> Dataset {
        let labels = labels.iter().copied().map(u16::from).collect();
        Dataset::over(Pixels::Embedded(pixels), labels, shape, classes)
    }

    #[track_caller]
    fn over(pixels: Pixels, labels: Vec<u16>, shape: [usize; 3], classes: &[&str]) -> Dataset {
        let known = |label: &u16| usize::from(*label) < classes.len();
        assert!(labels.iter().all(known), "every label has a class");
        let classes = classes.iter().map(|c| c.to_string()).collect();
        Dataset { n: labels.len(), pixels, labels: labels.into(), first: 0, shape, classes }
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// (channels, height, width).
    pub fn shape(&self) -> &[usize; 3] {
        &self.shape
    }

    /// The bytes of picture `i`: channel by channel, each row-major.
    ///
    /// # Panics
    /// If there is no such picture.
    #[track_caller]
    pub fn picture(&self, i: usize) -> &[u8] {
        assert!(i < self.n, "picture {i} of {}", self.n);
        let size: usize = self.shape.iter().product();
        let pixels: &[u8] = match &self.pixels {
            Pixels::Here(pixels) => pixels,
            Pixels::Embedded(pixels) => pixels,
        };
        &pixels[(self.first + i) * size..][..size]
    }

    /// The label of picture `i`.
    ///
    /// # Panics
    /// If there is no such picture.
    #[track_caller]
    pub fn label(&self, i: usize) -> usize {
        assert!(i < self.n, "label {i} of {}", self.n);
        usize::from(self.labels[self.first + i])
    }

    /// The names of the classes, in the order of the labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The pictures `range`, sharing memory.
    ///
    /// # Panics
    /// If the range leaves the set.
    #[track_caller]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Dataset {
        assert!(
            range.start <= range.end && range.end <= self.n,
            "pictures {range:?} of {}",
            self.n
        );
        Dataset { first: self.first + range.start, n: range.len(), ..self.clone() }
    }

    /// How many pictures each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        (0..self.n).for_each(|i| counts[self.label(i)] += 1);
        counts
    }
}

/// The three parts of a data set.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For learning.
    pub train: Dataset,
    /// For choosing.
    pub val: Dataset,
    /// For the last word.
    pub test: Dataset,
    /// What to call it beside a figure.
    pub name: String,
}
