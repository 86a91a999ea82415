//! The cross-entropy with everything PyTorch's takes: class weights, label smoothing, a sum or no reduction.

use crate::check;
use crate::ops::sum::Over;
use crate::tape::Var;
use crate::tensor::Tensor;

/// What becomes of the losses of a batch's examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, in which an example counts as much as the weight of its class.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Nothing: one loss an example.
    None,
}

/// The cross-entropy of scores, of which [`Var::cross_entropy`] is the plain and faster form. `torch.nn.CrossEntropyLoss`.
///
/// An example of class y costs `(1 - e) w_y (-lp_y) + (e / C) sum over c of w_c (-lp_c)`, lp the logarithm of the softmax, w the
/// weights, e the label smoothing.
#[derive(Clone, Debug, Default)]
pub struct CrossEntropy {
    /// The weight of each class, (C), of the scores' type; 1 for all if there are none.
    pub weights: Option<Tensor>,
    /// Share of the target, 0 to 1, that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// What becomes of the examples' losses.
    pub reduction: Reduction,
}

impl CrossEntropy {
    /// The loss of scores (N, C) whose right classes are `labels`: a scalar, or (N) without a reduction.
    ///
    /// # Panics
    /// If there is not one label a row, a label is not below C, or there is not one weight a class.
    #[track_caller]
    pub fn of(&self, scores: &Var, labels: &[usize]) -> Var {
        check::labels("cross_entropy", scores.value(), labels);
        let (n, classes) = scores.value().rows();
        let ones = Tensor::ones([classes], scores.dtype());
        let weights = self.weights.as_ref().unwrap_or(&ones);
        if weights.shape()[..] != [classes] {
            let operands = [("scores", scores.value(), "N C"), ("weights", weights, "C")];
            check::fail("cross_entropy", "there must be one weight a class", &operands, "");
        }
        let own = weights.select(0, labels);
        let tape = scores.tape();
        let cost = -scores.log_softmax();
        let e = self.label_smoothing;
        let right = cost.gather(1, labels).reshape(&[n]) * tape.constant(&own * (1.0 - e));
        let over = Over { axes: &[1], keep: false };
        let all = (cost * tape.constant(weights * (e / classes as f64))).sum_over(over);
        let losses = if e == 0.0 { right } else { right + all };
        match self.reduction {
            Reduction::None => losses,
            Reduction::Sum => losses.sum(),
            Reduction::Mean => losses.sum() / own.sum().item(),
        }
    }
}
