//! The multiclass hinge loss: the right class should score at least 1 more than every other.
//!
//! ```text
//! row loss = sum over j != y of max(0, s_j - s_y + 1)      loss = mean over N      scores (N, C)   labels y (N)
//! dscores_j = 1 / N where the margin is positive, dscores_y = -(number of positive margins) / N
//! ```
//! At a margin of exactly 0 the derivative is taken to be 0, as for the ReLU.
//!
//! Saved: the gradient, which the forward pass has all but computed. Cost: N C additions. Rows' losses are added in order in
//! `f64`. Source: Weston and Watkins, "Support Vector Machines for Multi-Class Pattern Recognition" (1999).

use super::softmax_cross_entropy::scaled;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::loss;

/// What backward needs of forward: the gradient itself.
#[derive(Clone, Debug)]
pub struct Cache {
    dscores: Tensor,
}

/// The mean loss of scores (N, C) whose right classes are `labels` (N).
///
/// # Panics
/// If there is not one label a row, a label is not below C, or there is no row.
#[track_caller]
pub fn forward(scores: &Tensor, labels: &[usize]) -> (f64, Cache) {
    check::labels("multiclass_svm", scores, labels);
    if labels.is_empty() {
        check::fail("multiclass_svm", "the mean needs a row", &[("scores", scores, "N C")], "");
    }
    let mut dscores = Tensor::dirty(*scores.shape(), scores.dtype(), Order::RowMajor);
    let loss = float!(scores.dtype(), T => {
        loss::multiclass_svm(scores.data::<T>(), labels, dscores.data_mut())
    });
    (loss, Cache { dscores })
}

/// The gradient of the scores (N, C).
pub fn backward(cache: &Cache) -> Tensor {
    cache.dscores.clone()
}

/// The gradient of the scores, if it is needed, when the loss itself has the upstream gradient dy (a scalar).
///
/// # Panics
/// If dy is not a scalar of the scores' type.
#[track_caller]
pub fn backward_for(needs: [bool; 1], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 1] {
    check::upstream("multiclass_svm", dy, &[], &cache.dscores);
    [needs[0].then(|| scaled(&cache.dscores, dy))]
}

impl Var {
    /// The mean hinge loss of these scores (N, C) on the tape, as a scalar of their type: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn multiclass_svm(&self, labels: &[usize]) -> Var {
        let on = Operands::of([self]);
        let (loss, cache) = forward(&on.values[0], labels);
        let loss = Tensor::scalar(loss, self.dtype());
        on.record(loss, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, n: usize, c: usize| {
        // Multiples of 1/4 and a small shift for each class: no margin comes near 0.
        let scores: Vec<f64> = (0..n * c)
            .map(|i| f64::from((i * 37 % 29) as u8) / 4.0 + f64::from((i % c) as u8) / 512.0)
            .collect();
        let scores = Tensor::from_f64([n, c], &scores);
        Case::new("multiclass_svm", name)
            .input_values("scores", scores)
            .run(move |[scores]| {
                let labels: Vec<usize> = (0..n).map(|i| (i * 7 + 2) % c).collect();
                let (loss, cache) = forward(scores, &labels);
                let loss = Tensor::scalar(loss, scores.dtype());
                (loss, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[scores]| {
                scores.multiclass_svm(&(0..n).map(|i| (i * 7 + 2) % c).collect::<Vec<_>>())
            })
    };
    vec![
        case("ten classes", 5, 10),
        case("one row", 1, 3),
        case("one class", 3, 1),
        case("many", 90, 37),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn equal_scores_cost_one_for_each_wrong_class() {
        for dtype in [DType::F32, DType::F64] {
            let (loss, cache) = forward(&Tensor::full([2, 10], 0.5, dtype), &[3, 9]);
            assert_eq!(loss, 9.0);
            let gradient = backward(&cache).to_vec();
            assert_eq!((gradient[3], gradient[0], gradient[19]), (-4.5, 0.5, -4.5));
        }
    }

    #[test]
    fn a_row_by_hand() {
        // Margins of the wrong classes: 1.5, a tie at exactly 0, -1.
        let scores = Tensor::from_f64([1, 4], &[2.5, 1.0, 2.0, 0.0]);
        let (loss, cache) = forward(&scores, &[2]);
        assert_eq!((loss, backward(&cache).to_vec()), (1.5, vec![1.0, 0.0, -1.0, 0.0]));
    }

    #[test]
    fn nan_scores_give_a_nan_loss() {
        let scores = Tensor::from_f64([1, 3], &[0.0, f64::NAN, 1.0]);
        assert!(forward(&scores, &[0]).0.is_nan() && forward(&scores, &[1]).0.is_nan());
    }
}
