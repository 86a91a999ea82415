//! The learning-rate range test: a short training whose rate grows from step to step, to see where the loss falls fastest and
//! where it blows up.
//!
//! ```text
//! rate of step i of n:  from * (to / from)^(i / (n - 1))
//! smooth_i = 0.9 * smooth_(i-1) + 0.1 * loss_i,   shown divided by (1 - 0.9^(i+1))
//! ```
//! It ends early when the smoothed loss is four times its least, or not a number. The suggestion is the rate at which the smoothed
//! loss falls fastest per decade of the rate. Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks",
//! section 3.3, with the smoothing and the growing by a factor that are usual since.

use super::Solver;
use crate::error::{Error, Result};
use crate::rng::Rng;

/// What rates to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateRange {
    /// The rate of the first step.
    pub from: f64,
    /// The rate of the last.
    pub to: f64,
    /// How many steps.
    pub steps: usize,
}

impl Default for RateRange {
    fn default() -> Self {
        RateRange { from: 1e-6, to: 10.0, steps: 200 }
    }
}

/// What a range test saw.
#[derive(Clone, Debug, PartialEq)]
pub struct RateCurve {
    /// The rate of each step, and the loss before its update.
    pub losses: Vec<(f64, f64)>,
    /// The rate of each step, and the smoothed loss.
    pub smoothed: Vec<(f64, f64)>,
    /// Where the smoothed loss falls fastest; none if it never falls.
    pub suggestion: Option<f64>,
}

impl Solver<'_> {
    /// Tries the rates of a range, and puts everything back: the model, the update rule, the history and the random numbers are
    /// afterwards, bit for bit, as they were before.
    ///
    /// # Errors
    /// If the range makes no sense: it needs two rates, the second the larger, and at least ten steps.
    pub fn find_rate(&mut self, range: RateRange, rng: &mut Rng) -> Result<RateCurve> {
        let RateRange { from, to, steps } = range;
        if !(from > 0.0 && to > from && to.is_finite() && steps >= 10) {
            let want = "it must be two rates, 0 < from < to, and at least 10 steps";
            return Err(Error::value("range", format!("{from} to {to} in {steps} steps"), want));
        }
        let before = self.state(rng);
        let losses = self.try_rates(range, rng);
        self.restore(before, rng)?;
        let losses = losses?;
        let smoothed = smooth(&losses);
        let suggestion = steepest(&smoothed);
        Ok(RateCurve { losses, smoothed, suggestion })
    }

    fn try_rates(&mut self, range: RateRange, rng: &mut Rng) -> Result<Vec<(f64, f64)>> {
        let RateRange { from, to, steps } = range;
        let (mut losses, mut least) = (Vec::with_capacity(steps), f64::INFINITY);
        for i in 0..steps {
            let rate = from * libm::pow(to / from, i as f64 / (steps - 1) as f64);
            rng.at((i / self.steps_per_epoch()) as u64, i as u64);
            match self.step(i, rate, rng) {
                Ok(loss) if loss.is_finite() => losses.push((rate, loss)),
                Ok(_) | Err(Error::NotFinite { .. }) => break,
                Err(error) => return Err(error),
            }
            let now = smooth(&losses).last().map_or(f64::INFINITY, |p| p.1);
            least = now.min(least);
            if i >= 10 && now > 4.0 * least {
                break;
            }
        }
        Ok(losses)
    }
}

/// The moving average, freed of the bias that comes from starting at zero.
fn smooth(losses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const KEEP: f64 = 0.9;
    let (mut mean, mut weight) = (0.0, 0.0);
    let next = |(rate, loss): &(f64, f64)| {
        mean = KEEP * mean + (1.0 - KEEP) * loss;
        weight = KEEP * weight + (1.0 - KEEP);
        (*rate, mean / weight)
    };
    losses.iter().map(next).collect()
}

/// The rate in the middle of the steepest fall, over windows of a tenth of the points. The rates grow by one factor, so that equal
/// windows are equal parts of a decade.
fn steepest(smoothed: &[(f64, f64)]) -> Option<f64> {
    let window = (smoothed.len() / 10).max(2);
    let falls = smoothed.windows(window + 1).map(|w| (w[0].1 - w[window].1, w[window / 2].0));
    falls.filter(|(fall, _)| *fall > 0.0).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, rate)| rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_is_found() {
        // Flat, a fall around the fifth decade, flat, a rise.
        let loss =
            |x: f64| 2.0 - 1.0 / (1.0 + libm::exp(-4.0 * (x - 5.0))) + libm::exp(3.0 * (x - 8.0));
        let points: Vec<(f64, f64)> =
            (0..200).map(|i| f64::from(i) * 0.04).map(|x| (x, loss(x))).collect();
        let found = steepest(&points).expect("it falls");
        assert!((found - 5.0).abs() < 0.15, "{found}");
        let rising: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), f64::from(i))).collect();
        assert_eq!((steepest(&rising), steepest(&[])), (None, None));
    }

    #[test]
    fn a_constant_is_smoothed_to_itself() {
        let smoothed = smooth(&[(1.0, 3.0); 5]);
        assert!(smoothed.iter().all(|(_, loss)| (loss - 3.0).abs() < 1e-12), "{smoothed:?}");
    }
}
