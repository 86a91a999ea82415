//! Softmax and cross-entropy against shares: the loss of a classifier whose examples are of several classes at once.
//!
//! ```text
//! row loss = -sum_c t'_c ln softmax(s)_c       t' = (1 - e) t + e / C       scores, shares t (N, C)    e: label smoothing
//! loss = mean over N       dscores = (sum(t') softmax(s) - t') / N       dshares = -(1 - e) ln softmax(s) / N
//! ```
//! Shares are what pictures that were mixed have for labels, or what another network says of them. They need not add up to 1.
//! With one share of 1 a row it is the loss of [`softmax_cross_entropy`](super::softmax_cross_entropy).
//!
//! Saved: scores (shared) and their gradient, which the forward pass has all but computed. Cost: N C exponentials, as many again
//! for dshares. Rows' losses are added in order in `f64`. Sources: C. Szegedy et al., "Rethinking the Inception Architecture"
//! (2016); H. Zhang et al., "mixup" (2018); `torch.nn.CrossEntropyLoss` with probabilities.

use super::softmax;
use super::softmax_cross_entropy::{CrossEntropyParams, scaled};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::loss;

/// What a classifier is to say of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// The right class of each example.
    Classes(&'a [usize]),
    /// How much of each class an example is: (N, C), of the scores' type.
    Shares(&'a Tensor),
}

impl<'a> From<&'a [usize]> for Targets<'a> {
    fn from(labels: &'a [usize]) -> Self {
        Targets::Classes(labels)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Targets<'a> {
    fn from(labels: &'a [usize; N]) -> Self {
        Targets::Classes(labels)
    }
}

impl<'a> From<&'a Vec<usize>> for Targets<'a> {
    fn from(labels: &'a Vec<usize>) -> Self {
        Targets::Classes(labels)
    }
}

impl<'a> From<&'a Tensor> for Targets<'a> {
    fn from(shares: &'a Tensor) -> Self {
        Targets::Shares(shares)
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    scores: Tensor,
    dscores: Tensor,
    smoothing: f64,
}

/// The mean loss of scores (N, C) of which each row is to have these shares (N, C) of the classes.
///
/// # Panics
/// If the two differ in shape or type, there is no row or no class, or the smoothing is not in 0 to 1.
#[track_caller]
pub fn forward(scores: &Tensor, shares: &Tensor, params: &CrossEntropyParams) -> (f64, Cache) {
    let op = "soft_cross_entropy";
    let smoothing = params.label_smoothing;
    let operands = [("scores", scores, "N C"), ("shares", shares, "N C")];
    check::same_dtype(op, &operands);
    if scores.shape().len() != 2 || scores.shape() != shares.shape() || scores.is_empty() {
        let reason = "there must be a share of every class in every row, and a row";
        check::fail(op, reason, &operands, "");
    }
    if !(0.0..=1.0).contains(&smoothing) {
        let parameters = format!("label_smoothing {smoothing}");
        check::fail(op, "label smoothing is a share from 0 to 1", &operands, parameters);
    }
    let (n, _) = scores.rows();
    let mut dscores = Tensor::dirty(*scores.shape(), scores.dtype(), Order::RowMajor);
    let loss = float!(scores.dtype(), T => {
        loss::soft_cross_entropy(scores.data::<T>(), shares.data(), n, smoothing, dscores.data_mut())
    });
    (loss, Cache { scores: scores.clone(), dscores, smoothing })
}

/// The gradients of scores and shares.
#[derive(Clone, Debug)]
pub struct Grads {
    /// Of the scores, (N, C).
    pub dscores: Tensor,
    /// Of the shares, (N, C).
    pub dshares: Tensor,
}

/// Both gradients.
pub fn backward(cache: &Cache) -> Grads {
    Grads { dscores: cache.dscores.clone(), dshares: of_shares(cache) }
}

/// The gradient of the scores alone.
pub fn backward_scores(cache: &Cache) -> Tensor {
    cache.dscores.clone()
}

fn of_shares(cache: &Cache) -> Tensor {
    let (n, _) = cache.scores.rows();
    softmax::forward(&cache.scores, true).0 * ((cache.smoothing - 1.0) / n as f64)
}

/// The gradients that are needed of scores and shares, when the loss itself has the upstream gradient dy (a scalar).
///
/// # Panics
/// If dy is not a scalar of the scores' type.
#[track_caller]
pub fn backward_for(needs: [bool; 2], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 2] {
    check::upstream("soft_cross_entropy", dy, &[], &cache.dscores);
    [needs[0].then(|| scaled(&cache.dscores, dy)), needs[1].then(|| scaled(&of_shares(cache), dy))]
}

impl Var {
    /// The mean cross-entropy of these scores (N, C) against shares (N, C) on the tape, as a scalar of their type: see
    /// [`forward`]. Shares that need no gradient are a constant of the tape.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn soft_cross_entropy(&self, shares: &Var, params: &CrossEntropyParams) -> Var {
        let on = Operands::of([self, shares]);
        let (loss, cache) = forward(&on.values[0], &on.values[1], params);
        let loss = Tensor::scalar(loss, self.dtype());
        on.record(loss, cache, backward_for)
    }

    /// The mean cross-entropy of these scores (N, C): `scores.cross_entropy(&labels)`, labels one class an example, or shares of
    /// all classes as a tensor (N, C), which gets no gradient.
    ///
    /// # Panics
    /// As [`softmax_cross_entropy`](super::softmax_cross_entropy::forward) and [`forward`].
    #[track_caller]
    pub fn cross_entropy<'a>(&self, targets: impl Into<Targets<'a>>) -> Var {
        let params = CrossEntropyParams::default();
        match targets.into() {
            Targets::Classes(labels) => self.softmax_cross_entropy(labels, &params),
            Targets::Shares(shares) => {
                self.soft_cross_entropy(&self.tape().constant(shares.clone()), &params)
            }
        }
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, n: usize, c: usize, label_smoothing: f64| {
        let params = CrossEntropyParams { label_smoothing };
        Case::new("soft_cross_entropy", name)
            .input("scores", &[n, c])
            .input_with("shares", &[n, c], move |v| v.abs() / c as f64)
            .run(move |[scores, shares]| {
                let (loss, cache) = forward(scores, shares, &params);
                let loss = Tensor::scalar(loss, scores.dtype());
                (loss, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[scores, shares]| scores.soft_cross_entropy(shares, &params))
    };
    vec![
        case("ten classes", 5, 10, 0.0),
        case("smoothed", 4, 7, 0.1),
        case("uniform target", 3, 4, 1.0),
        case("one row", 1, 3, 0.0),
        case("one class", 3, 1, 0.0),
        // Of many more numbers, some share lies so close to its probability that the gradient is lost in the loss's rounding.
        case("more", 20, 37, 0.2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::softmax_cross_entropy;
    use crate::rng::Rng;
    use crate::tape::Tape;
    use crate::tensor::DType;

    #[test]
    fn a_whole_share_of_one_class_is_its_label() {
        let labels = [4, 0, 1, 1, 3, 2];
        for dtype in [DType::F32, DType::F64] {
            let scores = Tensor::randn([6, 5], 2.0, dtype, &mut Rng::new(5));
            let shares = Tensor::one_hot(&labels, 5, dtype);
            for label_smoothing in [0.0, 0.1] {
                let params = CrossEntropyParams { label_smoothing };
                let (hard, of_hard) = softmax_cross_entropy::forward(&scores, &labels, &params);
                let (soft, of_soft) = forward(&scores, &shares, &params);
                let small = if dtype == DType::F32 { 1e-6 } else { 1e-14 };
                assert!((hard - soft).abs() < small, "{hard} {soft}");
                let hard = softmax_cross_entropy::backward(&of_hard).to_vec();
                let soft = backward(&of_soft).dscores.to_vec();
                assert!(hard.iter().zip(&soft).all(|(a, b)| (a - b).abs() < small));
            }
        }
    }

    /// `torch.nn.functional.cross_entropy` of PyTorch 2.15 on these numbers, in `f64`, with and without smoothing:
    /// `cross_entropy(tensor([[1, 2, -1], [0.5, 0, 3]]), tensor([[0.7, 0.2, 0.1], [0, 0.4, 0.6]]), label_smoothing=e)`.
    #[test]
    fn pytorch_agrees() {
        let scores = Tensor::from_f64([2, 3], &[1.0, 2.0, -1.0, 0.5, 0.0, 3.0]);
        let shares = Tensor::from_f64([2, 3], &[0.7, 0.2, 0.1, 0.0, 0.4, 0.6]);
        for (label_smoothing, want) in TORCH {
            let tape = Tape::train(0);
            let params = CrossEntropyParams { label_smoothing };
            let of = tape.leaf(&scores).soft_cross_entropy(&tape.leaf(&shares), &params);
            assert!((of.item() - want).abs() < 1e-12, "{label_smoothing}: {} {want}", of.item());
        }
        let tape = Tape::train(0);
        let loss = tape.leaf(&scores).cross_entropy(&shares);
        assert!((loss.item() - TORCH[0].1).abs() < 1e-12);
        assert_eq!(loss.backward().len(), 1, "the targets are constants");
    }

    const TORCH: [(f64, f64); 2] = [(0.0, 1.3364425875687769), (0.3, 1.4814425875687767)];

    #[test]
    #[should_panic(expected = "a share of every class")]
    fn shares_of_other_classes_are_refused() {
        let of = |c: usize| Tensor::zeros([2, c], DType::F32);
        forward(&of(3), &of(4), &CrossEntropyParams::default());
    }
}
