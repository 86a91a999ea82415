//! Gradient checks of whole networks, as the course's notebooks print them.

use super::Found;
use chainrule::gradcheck::{numerical_gradient, rel_error};
use chainrule::models::Model;
use chainrule::rng::Rng;
use chainrule::tensor::Tensor;
use std::collections::BTreeMap;

/// The loss of a network, and the relative error of each parameter's gradient, by name.
pub struct Errors {
    /// The loss.
    pub loss: f64,
    /// `max |n - a| / max(1e-8, |n| + |a|)` for each parameter.
    pub of: BTreeMap<String, f64>,
    /// The same, where a difference that the rounding of two losses explains counts as none.
    resolved: BTreeMap<String, f64>,
}

/// Compares every derivative of a network's loss with a difference of two losses, `h` to either side.
pub fn errors(net: &mut dyn Model, x: &Tensor, labels: &[usize], h: f64, rng: &mut Rng) -> Errors {
    // show: gradient-errors
    let mut grads = Vec::new();
    let loss = net.loss(x, labels, rng, &mut grads);
    let (mut of, mut resolved) = (BTreeMap::new(), BTreeMap::new());
    for (i, gradient) in grads.iter().enumerate() {
        let (name, before) = (net.params()[i].name.clone(), net.params()[i].value.clone());
        let f = |probe: &Tensor| {
            net.params_mut()[i].value = probe.clone();
            net.loss(x, labels, rng, &mut Vec::new())
        };
        let numerical = numerical_gradient(f, &before, h);
        net.params_mut()[i].value = before;
        of.insert(name.clone(), rel_error(&numerical, gradient));
        resolved
            .insert(name, rel_error(&without_rounding(&numerical, gradient, loss, h), gradient));
    }
    // end
    Errors { loss, of, resolved }
}

/// The numerical gradient, but the hand-derived one where they differ by no more than the rounding of two losses can make.
///
/// The gradient of a bias below batch norm is 0 in theory: what is computed is rounding alone, and its relative error chance.
fn without_rounding(numerical: &Tensor, gradient: &Tensor, loss: f64, h: f64) -> Tensor {
    let resolution = 4.0 * f64::EPSILON * loss.abs() / (2.0 * h);
    let pairs = numerical.to_vec().into_iter().zip(gradient.to_vec());
    let values: Vec<f64> =
        pairs.map(|(n, a)| if (n - a).abs() <= resolution { a } else { n }).collect();
    Tensor::from_f64(&numerical.shape()[..], &values)
}

impl Errors {
    /// Prints the loss and the errors beside the course's, and checks them: the loss to the last digit but one, the errors for
    /// staying small. `printed` has the errors in the order of the names.
    pub fn tell(&self, found: &mut Found, what: &str, loss: f64, printed: &[f64]) {
        found.check_printed(format!("loss, {what}"), self.loss, loss, 1e-14);
        let rows = self.of.iter().zip(printed).map(|((name, error), printed)| {
            [name.clone(), format!("{printed:.2e}"), format!("{error:.2e}")]
        });
        found.table(
            &format!("Relative error of each gradient, {what}"),
            ["parameter", "printed by the course", "ours"],
            rows,
        );
        // Where the course's own error is large, the difference across a kink or a tiny gradient is, not the derivation.
        let within = |error: f64, printed: f64| error <= (20.0 * printed).max(1e-6);
        let (mut right, mut rounding) = (0, Vec::new());
        for (((name, error), resolved), printed) in
            self.of.iter().zip(self.resolved.values()).zip(printed)
        {
            right += usize::from(within(*error, *printed) || within(*resolved, *printed));
            if !within(*error, *printed) && within(*resolved, *printed) {
                rounding.push(format!("`{name}`"));
            }
        }
        let all = self.of.len();
        let wanted = format!("all {all}: at most 20 times the course's error, or 1e-6");
        found.check(format!("gradients that are right, {what}"), right, wanted, right == all);
        if !rounding.is_empty() {
            found.text(format!(
                "Of {} the derivative is 0 in theory, and the error that of rounding with rounding: numerical and derived gradient are as \
                 near each other as the rounding of two losses allows.",
                rounding.join(" and "),
            ));
        }
    }
}
