//! The pictures of the examples: the embedded excerpt of CIFAR-10, or all of it in the directory that the first argument names.

#![allow(dead_code, reason = "each example uses its part")]

use chainrule::Result;
use chainrule::data::{Normalization, Pictures, Request, embedded, open};
use chainrule::tensor::{DType, Order, Tensor};
use chainrule::train::Examples;
use std::path::Path;

/// What an example learns from.
pub struct Pool {
    /// For learning.
    pub train: Pictures,
    /// For choosing.
    pub val: Pictures,
    /// Passes over them: one of all of CIFAR-10, four of the excerpt.
    pub epochs: u64,
}

impl Pool {
    /// Reads the pictures; each channel gets mean 0 and deviation 1.
    pub fn open() -> Result<Pool> {
        let (splits, epochs) = match std::env::args_os().nth(1) {
            Some(directory) => (open(Path::new(&directory), &Request::default())?, 1),
            None => (embedded()?, 4),
        };
        let normalization = Normalization::of("channels", &splits.train)?;
        println!("{} pictures: {}", splits.train.len(), splits.name);
        Ok(Pool {
            train: Pictures::new(splits.train, normalization.clone()),
            val: Pictures::new(splits.val, normalization),
            epochs,
        })
    }

    /// A batch of training pictures with their labels.
    pub fn batch(&self, indices: &[usize], order: Order) -> (Tensor, Vec<usize>) {
        let labels = indices.iter().map(|i| self.train.label(*i)).collect();
        (self.train.batch(indices, DType::F32, order), labels)
    }

    /// Prints how many of the validation pictures `scores` gives the right class.
    pub fn check(&self, order: Order, scores: impl Fn(Tensor) -> Tensor) {
        let all: Vec<usize> = (0..self.val.len()).collect();
        let right = |part: &[usize]| {
            let predicted = scores(self.val.batch(part, DType::F32, order)).argmax(1);
            part.iter().zip(predicted).filter(|(i, p)| *p == self.val.label(**i)).count()
        };
        let right: usize = all.chunks(100).map(right).sum();
        let percent = 100.0 * right as f64 / all.len() as f64;
        println!("Got {right} / {} correct ({percent:.2}%)", all.len());
    }
}
