//! Softmax and cross-entropy: the loss of a classifier with one right class an example.
//!
//! ```text
//! row loss = ln(sum exp(s - m)) - (1 - e) (s_y - m) - e / C sum (s - m)    m = max s    scores (N, C)   labels y (N)
//! loss = mean over N           dscores = (softmax(s) - (1 - e) onehot(y) - e / C) / N   e: label smoothing
//! ```
//! Written with the row's maximum taken out, the loss is finite for all finite scores, however small a probability gets.
//!
//! Saved: the gradient, which the forward pass has all but computed. Cost: N C exponentials. Rows' losses are added in order in
//! `f64`. Source of label smoothing: Szegedy et al., "Rethinking the Inception Architecture" (2016).

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::loss;

/// The settings of the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropyParams {
    /// Share of the target, 0 to 1, that is spread evenly over all classes.
    pub label_smoothing: f64,
}

/// What backward needs of forward: the gradient itself.
#[derive(Clone, Debug)]
pub struct Cache {
    dscores: Tensor,
}

/// The mean loss of scores (N, C) whose right classes are `labels` (N).
///
/// # Panics
/// If there is not one label a row, a label is not below C, there is no row, or the smoothing is not in 0 to 1.
#[track_caller]
pub fn forward(scores: &Tensor, labels: &[usize], params: &CrossEntropyParams) -> (f64, Cache) {
    let op = "softmax_cross_entropy";
    let smoothing = params.label_smoothing;
    check::labels(op, scores, labels);
    if labels.is_empty() || !(0.0..=1.0).contains(&smoothing) {
        let parameters = format!("label_smoothing {smoothing}");
        let reason = "the mean needs a row, and label smoothing is a share from 0 to 1";
        check::fail(op, reason, &[("scores", scores, "N C")], &parameters);
    }
    let mut dscores = Tensor::dirty(*scores.shape(), scores.dtype(), Order::RowMajor);
    let loss = float!(scores.dtype(), T => {
        loss::softmax_cross_entropy(scores.data::<T>(), labels, smoothing, dscores.data_mut())
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
    check::upstream("softmax_cross_entropy", dy, &[], &cache.dscores);
    [needs[0].then(|| scaled(&cache.dscores, dy))]
}

/// A loss's gradient times the upstream gradient of the loss, a scalar that mostly is 1.
pub(super) fn scaled(gradient: &Tensor, by: &Tensor) -> Tensor {
    let mut to = gradient.clone();
    if by.item() != 1.0 {
        float!(by.dtype(), T => {
            let by = by.data::<T>()[0];
            to.data_mut::<T>().iter_mut().for_each(|v| *v *= by);
        });
    }
    to
}

impl Var {
    /// The mean cross-entropy of these scores (N, C) on the tape, as a scalar of their type: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn softmax_cross_entropy(&self, labels: &[usize], params: &CrossEntropyParams) -> Var {
        let on = Operands::of([self]);
        let (loss, cache) = forward(&on.values[0], labels, params);
        let loss = Tensor::scalar(loss, self.dtype());
        on.record(loss, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, n: usize, c: usize, label_smoothing: f64| {
        Case::new("softmax_cross_entropy", name)
            .input("scores", &[n, c])
            .run(move |[scores]| {
                let labels: Vec<usize> = (0..n).map(|i| (i * 7 + 2) % c).collect();
                let (loss, cache) =
                    forward(scores, &labels, &CrossEntropyParams { label_smoothing });
                let loss = Tensor::scalar(loss, scores.dtype());
                (loss, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[scores]| {
                let labels: Vec<usize> = (0..n).map(|i| (i * 7 + 2) % c).collect();
                scores.softmax_cross_entropy(&labels, &CrossEntropyParams { label_smoothing })
            })
    };
    vec![
        case("ten classes", 5, 10, 0.0),
        case("smoothed", 4, 7, 0.1),
        case("uniform target", 3, 4, 1.0),
        case("one row", 1, 3, 0.0),
        case("one class", 3, 1, 0.0),
        case("many", 300, 37, 0.2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    const PLAIN: CrossEntropyParams = CrossEntropyParams { label_smoothing: 0.0 };

    #[test]
    fn equal_scores_cost_the_logarithm_of_the_number_of_classes() {
        for dtype in [DType::F32, DType::F64] {
            for smoothing in [0.0, 0.3] {
                let params = CrossEntropyParams { label_smoothing: smoothing };
                let (loss, _) = forward(&Tensor::full([4, 10], 3.5, dtype), &[0, 3, 9, 5], &params);
                assert!((loss - 10f64.ln()).abs() < 2e-7, "{loss}");
            }
        }
    }

    #[test]
    fn the_definition_with_and_without_smoothing() {
        let scores = Tensor::randn([6, 5], 2.0, DType::F64, &mut Rng::new(5));
        let labels = [4, 0, 1, 1, 3, 2];
        for e in [0.0, 0.1, 1.0] {
            let mut want = 0.0;
            let mut gradient = Vec::new();
            for (row, y) in scores.to_vec().chunks(5).zip(labels) {
                let sum: f64 = row.iter().map(|s| s.exp()).sum();
                for (j, s) in row.iter().enumerate() {
                    let target = e / 5.0 + if j == y { 1.0 - e } else { 0.0 };
                    want -= target * (s - sum.ln()) / 6.0;
                    gradient.push((s.exp() / sum - target) / 6.0);
                }
            }
            let (loss, cache) =
                forward(&scores, &labels, &CrossEntropyParams { label_smoothing: e });
            assert!((loss - want).abs() < 1e-14, "{loss} {want}");
            let got = backward(&cache).to_vec();
            assert!(got.iter().zip(&gradient).all(|(a, b)| (a - b).abs() < 1e-16 * 4.0));
        }
    }

    #[test]
    fn a_probability_of_zero_has_a_finite_loss() {
        for (dtype, big) in [(DType::F32, 1e30), (DType::F64, 1e300)] {
            let scores = Tensor::from_f64([2, 2], &[-big, 0.0, 5000.0, 0.0]).to_dtype(dtype);
            let (loss, cache) = forward(&scores, &[0, 1], &PLAIN);
            assert!(loss.is_finite() && (loss / (big / 2.0) - 1.0).abs() < 1e-6);
            assert_eq!(backward(&cache).to_vec(), [-0.5, 0.5, 0.5, -0.5]);
        }
    }

    #[test]
    fn nan_scores_give_a_nan_loss() {
        let scores = Tensor::from_f64([2, 3], &[0.0, f64::NAN, 1.0, 0.0, 0.0, 0.0]);
        assert!(forward(&scores, &[0, 0], &PLAIN).0.is_nan());
        assert!(forward(&scores.to_dtype(DType::F32), &[0, 0], &PLAIN).0.is_nan());
    }

    #[test]
    #[should_panic(expected = "the mean needs a row")]
    fn no_rows_have_no_mean() {
        forward(&Tensor::zeros([0, 3], DType::F32), &[], &PLAIN);
    }
}
