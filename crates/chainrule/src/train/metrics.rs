//! What predictions are worth, in numbers: loss, top-k accuracy, and precision, recall and F1 of each class.
//!
//! The definitions are scikit-learn's (`precision_recall_fscore_support` with `zero_division=0`, `log_loss`,
//! `top_k_accuracy_score`); golden/sklearn_metrics.json holds its values. All of it is `f64` arithmetic on the scores, whatever
//! the model computes in.

use super::Examples;
use super::accuracy::{BATCH, Confusion};
use crate::models::Model;

/// What a model makes of one example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The class of the example.
    pub label: usize,
    /// The class with the largest score, the first one on ties.
    pub predicted: usize,
    /// How many classes come before the true one when they are ordered by score: 0 if it is the predicted one. Equal scores
    /// keep the order of the classes.
    pub rank: usize,
    /// The loss of the example alone, without regularization.
    pub loss: f64,
}

/// The loss of one example: its scores and its class go in.
pub type ExampleLoss = fn(&[f64], usize) -> f64;

/// Softmax cross-entropy of one row of scores, without label smoothing: `log sum_j exp(s_j - s_label)`.
///
/// # Panics
/// If there is no such class.
#[track_caller]
pub fn cross_entropy(scores: &[f64], label: usize) -> f64 {
    let most = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
    libm::log(scores.iter().map(|s| libm::exp(s - most)).sum()) + (most - scores[label])
}

/// Multiclass hinge loss of one row of scores with margin 1: `sum over j other than the label of max(0, s_j - s_label + 1)`.
///
/// # Panics
/// If there is no such class.
#[track_caller]
pub fn hinge(scores: &[f64], label: usize) -> f64 {
    let margin =
        |(j, s): (usize, &f64)| if j == label { 0.0 } else { (s - scores[label] + 1.0).max(0.0) };
    scores.iter().enumerate().map(margin).sum()
}

/// The softmax of one row of scores: positive numbers that add up to 1.
pub fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
    let powers: Vec<f64> = scores.iter().map(|s| libm::exp(s - most)).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// The loss of one example whose classes have these probabilities: the logarithm of its own class's, negated.
///
/// # Panics
/// If there is no such class.
#[track_caller]
pub fn surprise(shares: &[f64], label: usize) -> f64 {
    -libm::log(shares[label])
}

/// The mean of several opinions on the same examples, each a row of probabilities an example.
///
/// # Panics
/// If there is no opinion, or they are not on equally many examples.
#[track_caller]
pub fn mean_shares(opinions: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let mut mean = opinions[0].clone();
    for opinion in &opinions[1..] {
        assert_eq!(opinion.len(), mean.len(), "opinions on equally many examples");
        for (row, other) in mean.iter_mut().zip(opinion) {
            row.iter_mut().zip(other).for_each(|(sum, share)| *sum += share);
        }
    }
    let n = opinions.len() as f64;
    mean.iter_mut().flatten().for_each(|share| *share /= n);
    mean
}

/// The classes in the order of their scores, the largest first; equal scores keep the order of the classes.
pub fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// The scores of these examples, a row of `f64` each, in test mode.
pub fn score_rows(model: &dyn Model, examples: &dyn Examples, indices: &[usize]) -> Vec<Vec<f64>> {
    let mut rows = Vec::with_capacity(indices.len());
    for part in indices.chunks(BATCH) {
        let scores = model.scores(&examples.batch(part, model.dtype(), model.order())).to_vec();
        rows.extend(scores.chunks_exact(model.classes().max(1)).map(<[f64]>::to_vec));
    }
    rows
}

/// The verdict on one row of scores.
///
/// # Panics
/// If there is no such class.
#[track_caller]
pub fn judge(scores: &[f64], label: usize, loss: ExampleLoss) -> Verdict {
    let own = scores[label];
    let predicted =
        (1..scores.len()).fold(0, |best, j| if scores[j] > scores[best] { j } else { best });
    let before = |(j, s): (usize, &f64)| *s > own || (*s == own && j < label);
    let rank = match (predicted == label, own.is_nan()) {
        (true, _) => 0,
        // A score that is not a number is no hit, however many classes are asked for.
        (false, true) => scores.len(),
        (false, false) => scores.iter().enumerate().filter(|e| before((e.0, e.1))).count(),
    };
    Verdict { label, predicted, rank, loss: loss(scores, label) }
}

/// What a model makes of many examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// How many classes there are.
    pub classes: usize,
    /// One for each example, in their order.
    pub verdicts: Vec<Verdict>,
}

impl Evaluation {
    /// Judges a model by all of these examples.
    pub fn of(model: &dyn Model, examples: &dyn Examples, loss: ExampleLoss) -> Evaluation {
        let indices: Vec<usize> = (0..examples.len()).collect();
        let mut verdicts = Vec::with_capacity(indices.len());
        for part in indices.chunks(BATCH) {
            let rows = score_rows(model, examples, part);
            verdicts
                .extend(rows.iter().zip(part).map(|(row, i)| judge(row, examples.label(*i), loss)));
        }
        Evaluation { classes: model.classes(), verdicts }
    }

    /// Judges rows of scores, or of probabilities, of as many examples.
    ///
    /// # Panics
    /// If a row does not have a number for the class of its example.
    #[track_caller]
    pub fn of_rows(rows: &[Vec<f64>], examples: &dyn Examples, loss: ExampleLoss) -> Evaluation {
        let judged = rows.iter().enumerate().map(|(i, row)| judge(row, examples.label(i), loss));
        Evaluation { classes: rows.first().map_or(0, Vec::len), verdicts: judged.collect() }
    }

    /// The mean loss; 0 for no examples.
    pub fn loss(&self) -> f64 {
        self.verdicts.iter().map(|v| v.loss).sum::<f64>() / self.verdicts.len().max(1) as f64
    }

    /// The share of examples whose class is among the `k` with the largest scores; 0 for no examples.
    pub fn top(&self, k: usize) -> f64 {
        self.verdicts.iter().filter(|v| v.rank < k).count() as f64
            / self.verdicts.len().max(1) as f64
    }

    /// How often each class was taken for each other.
    pub fn confusion(&self) -> Confusion {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        self.verdicts.iter().for_each(|v| counts[v.label][v.predicted] += 1);
        Confusion { counts }
    }

    /// The numbers of the examples that are predicted wrong, the highest loss first, at most `most` of them.
    pub fn worst(&self, most: usize) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.verdicts.len())
            .filter(|i| self.verdicts[*i].predicted != self.verdicts[*i].label)
            .collect();
        wrong.sort_by(|a, b| self.verdicts[*b].loss.total_cmp(&self.verdicts[*a].loss));
        wrong.truncate(most);
        wrong
    }
}

/// How well one class is recognised, or several on average. A share of nothing is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassScore {
    /// The share of the examples predicted as this class that are of it.
    pub precision: f64,
    /// The share of the examples of this class that are predicted as it.
    pub recall: f64,
    /// The harmonic mean of the two: `2 right / (examples of the class + predictions of it)`.
    pub f1: f64,
    /// Examples of this class.
    pub support: u64,
}

/// Precision, recall and F1 of every class, and their averages.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// One for each class.
    pub classes: Vec<ClassScore>,
    /// Every class counts the same, those without examples too.
    pub macro_average: ClassScore,
    /// Every class counts as often as it has examples.
    pub weighted_average: ClassScore,
}

impl Confusion {
    /// Precision, recall and F1 of every class, as scikit-learn gives them with `zero_division=0`.
    pub fn scores(&self) -> ClassScores {
        let classes: Vec<ClassScore> = (0..self.counts.len()).map(|k| self.score(k)).collect();
        let support = classes.iter().map(|c| c.support).sum();
        let average = |weight: &dyn Fn(&ClassScore) -> f64| {
            let all: f64 = classes.iter().map(weight).sum();
            let mean = |value: fn(&ClassScore) -> f64| {
                share(classes.iter().map(|c| weight(c) * value(c)).sum(), all)
            };
            let [precision, recall, f1] =
                [mean(|c| c.precision), mean(|c| c.recall), mean(|c| c.f1)];
            ClassScore { precision, recall, f1, support }
        };
        let macro_average = average(&|_| 1.0);
        let weighted_average = average(&|c| c.support as f64);
        ClassScores { classes, macro_average, weighted_average }
    }

    fn score(&self, class: usize) -> ClassScore {
        let right = self.counts[class][class] as f64;
        let support: u64 = self.counts[class].iter().sum();
        let predicted: u64 = self.counts.iter().map(|row| row[class]).sum();
        ClassScore {
            precision: share(right, predicted as f64),
            recall: share(right, support as f64),
            f1: share(2.0 * right, (support + predicted) as f64),
            support,
        }
    }
}

/// `part / all`, 0 if there is nothing.
fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_examples_or_predictions_has_zeros_and_counts_in_the_macro_average() {
        // Class 1 is never predicted, class 2 never occurs, class 3 neither.
        let counts = vec![vec![3, 0, 1, 0], vec![2, 0, 0, 0], vec![0; 4], vec![0; 4]];
        let scores = Confusion { counts }.scores();
        let of = |k: usize| {
            let ClassScore { precision, recall, f1, support } = scores.classes[k];
            (precision, recall, f1, support)
        };
        assert_eq!(of(0), (3.0 / 5.0, 3.0 / 4.0, 6.0 / 9.0, 4));
        assert_eq!(
            (of(1), of(2), of(3)),
            ((0.0, 0.0, 0.0, 2), (0.0, 0.0, 0.0, 0), (0.0, 0.0, 0.0, 0))
        );
        assert_eq!(scores.macro_average.precision, 3.0 / 5.0 / 4.0);
        assert_eq!(scores.weighted_average.recall, 4.0 * 0.75 / 6.0);
        assert_eq!(scores.weighted_average.support, 6);
    }

    #[test]
    fn nothing_at_all_is_zero_everywhere() {
        let nothing = Evaluation { classes: 2, verdicts: Vec::new() };
        assert_eq!((nothing.loss(), nothing.top(1), nothing.worst(3)), (0.0, 0.0, vec![]));
        let scores = nothing.confusion().scores();
        assert_eq!(scores.macro_average, ClassScore::default());
        assert_eq!(scores.weighted_average, ClassScore::default());
    }

    #[test]
    fn ties_go_to_the_first_class_and_ranks_agree_with_predictions() {
        let scores = [1.0, 3.0, 3.0, 3.0, 0.0];
        let ranks: Vec<usize> = (0..5).map(|k| judge(&scores, k, cross_entropy).rank).collect();
        assert_eq!(ranks, [3, 0, 1, 2, 4]);
        assert_eq!(ranking(&scores), [1, 2, 3, 0, 4]);
        assert_eq!(judge(&scores, 0, hinge).predicted, 1);
    }

    #[test]
    fn losses_of_huge_scores_are_finite_and_those_of_nan_are_no_hits() {
        assert_eq!(cross_entropy(&[1e4, 0.0], 1), 1e4);
        assert_eq!(cross_entropy(&[-1e300, 0.0], 1), 0.0);
        assert_eq!(hinge(&[2.0, 1.5, -4.0], 1), 1.5);
        assert_eq!(softmax(&[-1e4, -1e4]), [0.5, 0.5]);
        let broken = judge(&[0.0, f64::NAN, 1.0], 1, cross_entropy);
        assert_eq!((broken.predicted, broken.rank), (2, 3));
        assert!(broken.loss.is_nan());
    }

    #[test]
    fn the_worst_are_wrong_and_come_in_the_order_of_their_losses() {
        let verdict = |predicted, loss| Verdict { label: 0, predicted, rank: predicted, loss };
        let verdicts = vec![verdict(1, 2.0), verdict(0, 9.0), verdict(1, 5.0), verdict(1, 2.0)];
        let all = Evaluation { classes: 2, verdicts };
        assert_eq!((all.worst(9), all.worst(1)), (vec![2, 0, 3], vec![2]));
        assert_eq!((all.top(1), all.top(2), all.loss()), (0.25, 1.0, 4.5));
    }
}
