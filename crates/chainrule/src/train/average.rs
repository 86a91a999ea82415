//! The running average of the weights: what a training is judged by, and leaves, if it keeps one.
//!
//! ```text
//! average += (1 - d) (w - average)        d = min(decay, (1 + t) / (10 + t))   after step t, counted from 1
//! ```
//! The first averages are short, so that the initial weights are soon forgotten. Running averages of batch norm are averages
//! already and stay the model's own. Sources: Polyak, Juditsky 1992; the rule for d is TensorFlow's `ExponentialMovingAverage`.

use crate::models::{Model, Param};
use crate::tensor::{Tensor, float};
use chainrule_kernels::update::sgd;

/// Takes the weights after step `t` (from 1) into their averages, which begin with those of the first step.
pub(super) fn follow(averages: &mut Vec<Tensor>, params: &[Param], decay: f64, t: usize) {
    if averages.is_empty() {
        averages.extend(params.iter().map(|p| p.value.clone()));
        return;
    }
    let t = t as f64;
    let part = 1.0 - decay.min((1.0 + t) / (10.0 + t));
    for (average, param) in averages.iter_mut().zip(params) {
        if average.order() != param.value.order() {
            *average = average.to_order(param.value.order());
        }
        // A step of gradient descent with the rate -part and the decay -1: average += part (w - average).
        float!(average.dtype(), T => sgd(average.data_mut::<T>(), param.value.data(), -part, -1.0));
    }
}

/// Exchanges the model's weights and their averages, if there are any. Twice is nothing.
pub(super) fn exchange(averages: &mut [Tensor], model: &mut dyn Model) {
    if averages.is_empty() {
        return;
    }
    let params = model.params_mut().iter_mut().zip(averages);
    params.for_each(|(param, average)| std::mem::swap(&mut param.value, average));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn the_average_is_that_of_the_formula() {
        for decay in [0.2, 0.999] {
            let at = |t: usize| [t as f64, -0.5 * (t * t) as f64];
            let params = |t| {
                let value = Tensor::from_f64([2], &at(t));
                [Param { name: "W".to_string(), value, decay: true }]
            };
            let (mut averages, mut want) = (Vec::new(), at(1));
            for t in 1..=20 {
                follow(&mut averages, &params(t), decay, t);
                let d = f64::min(decay, (1 + t) as f64 / (10 + t) as f64);
                if t > 1 {
                    want = [0, 1].map(|i| d * want[i] + (1.0 - d) * at(t)[i]);
                }
            }
            let got = averages[0].to_vec();
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{got:?} {want:?}");
            assert_eq!(averages[0].dtype(), DType::F64);
        }
    }
}
