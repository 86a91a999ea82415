//! Successive halving: all trials train a little, the better ones longer, the best to the end (K. Jamieson, A. Talwalkar,
//! "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016).

/// A round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// How many trials train.
    pub trials: usize,
    /// Until how many epochs.
    pub epochs: usize,
}

/// The rounds of `trials` trials of at most `epochs` epochs: from one to the next a part of 1 / `eta` of them goes on, `eta`
/// times as long, and the last round goes to the end.
pub fn rungs(trials: usize, epochs: usize, min_epochs: usize, eta: usize) -> Vec<Rung> {
    let (mut n, mut until) = (trials, min_epochs.min(epochs));
    let mut rungs = Vec::new();
    while until < epochs && n > 1 {
        rungs.push(Rung { trials: n, epochs: until });
        n = (n / eta).max(1);
        until = until.saturating_mul(eta).min(epochs);
    }
    rungs.push(Rung { trials: n, epochs });
    rungs
}

/// The best `n` of some trials with their accuracies, the best first; of equals the earlier trial. Those without an accuracy
/// have failed and are not among them.
pub fn best(results: &[(usize, Option<f64>)], n: usize) -> Vec<usize> {
    let mut order: Vec<(usize, f64)> =
        results.iter().filter_map(|(trial, acc)| Some((*trial, (*acc)?))).collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order.into_iter().take(n).map(|(trial, _)| trial).collect()
}
