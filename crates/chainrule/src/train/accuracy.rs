//! How good a model is: predictions, accuracy, the confusion matrix.

use super::Examples;
use crate::models::Model;
use crate::tensor::{Tensor, float};
use chainrule_kernels::Real;

/// Examples scored at a time. The scores of an example do not depend on it.
pub(super) const BATCH: usize = 100;

/// The index of the largest score of each row of (N, C); the first one on ties.
///
/// # Panics
/// If there are not two axes.
#[track_caller]
pub fn argmax_rows(scores: &Tensor) -> Vec<usize> {
    assert_eq!(scores.shape().len(), 2, "scores have two axes; the shape is {:?}", scores.shape());
    let classes = scores.shape()[1].max(1);
    float!(scores.dtype(), T => {
        let first_largest = |row: &[T]| {
            (1..row.len()).fold(0, |best, i| if row[i].to_f64() > row[best].to_f64() { i } else { best })
        };
        scores.data::<T>().chunks_exact(classes).map(first_largest).collect()
    })
}

/// The predicted class of each of these examples, in test mode.
pub fn predictions(model: &dyn Model, examples: &dyn Examples, indices: &[usize]) -> Vec<usize> {
    let mut classes = Vec::with_capacity(indices.len());
    for part in indices.chunks(BATCH) {
        let batch = examples.batch(part, model.dtype(), model.order());
        classes.extend(argmax_rows(&model.scores(&batch)));
    }
    classes
}

/// The share of these examples whose class is predicted right; 0 for none.
pub fn accuracy(model: &dyn Model, examples: &dyn Examples, indices: &[usize]) -> f64 {
    let predicted = predictions(model, examples, indices);
    let right = predicted.iter().zip(indices).filter(|(p, i)| **p == examples.label(**i)).count();
    right as f64 / indices.len().max(1) as f64
}

/// How often each class was taken for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// `counts[truth][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Counts the predictions of a model over all examples.
    pub fn of(model: &dyn Model, examples: &dyn Examples) -> Confusion {
        let indices: Vec<usize> = (0..examples.len()).collect();
        let mut counts = vec![vec![0; model.classes()]; model.classes()];
        for (predicted, i) in predictions(model, examples, &indices).into_iter().zip(indices) {
            counts[examples.label(i)][predicted] += 1;
        }
        Confusion { counts }
    }

    /// The share of the diagonal: the accuracy.
    pub fn accuracy(&self) -> f64 {
        let all: u64 = self.counts.iter().flatten().sum();
        let right: u64 = self.counts.iter().enumerate().map(|(i, row)| row[i]).sum();
        right as f64 / all.max(1) as f64
    }

    /// For each class, the share of its examples that were recognised.
    pub fn per_class(&self) -> Vec<f64> {
        let share =
            |(i, row): (usize, &Vec<u64>)| row[i] as f64 / row.iter().sum::<u64>().max(1) as f64;
        self.counts.iter().enumerate().map(share).collect()
    }
}
