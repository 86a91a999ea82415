//! Lion's update: the sign of a moment.

use super::in_chunks;
use crate::real::Real;

/// Numbers of [`lion`].
#[derive(Clone, Copy, Debug)]
pub struct Lion {
    /// How far every number goes.
    pub lr: f64,
    /// Factor of the moment in the direction.
    pub beta1: f64,
    /// Factor of the old moment in the new one.
    pub beta2: f64,
    /// What w loses, as a part of itself: `lr * weight_decay`.
    pub shrink: f64,
}

/// `w -= shrink * w + lr * sign(beta1 * m + (1 - beta1) * dw); m = beta2 * m + (1 - beta2) * dw`. The sign of 0 is 0.
/// Panics as [`super::sgd`] does.
pub fn lion<T: Real>(w: &mut [T], dw: &[T], m: &mut [T], p: Lion) {
    in_chunks(w, dw, [m], |w, dw, [m]| lion_part(w, dw, m, p));
}

crate::multiversion! {
    fn lion_part<T: Real>(w: &mut [T], dw: &[T], m: &mut [T], p: Lion) {
        let [lr, shrink] = [p.lr, p.shrink].map(T::from_f64);
        let keep = [p.beta1, p.beta2].map(T::from_f64);
        let take = [1.0 - p.beta1, 1.0 - p.beta2].map(T::from_f64);
        for ((w, g), m) in w.iter_mut().zip(dw).zip(m) {
            let direction = keep[0] * *m + take[0] * *g;
            let up = if direction > T::ZERO { lr } else { T::ZERO };
            let down = if direction < T::ZERO { lr } else { T::ZERO };
            *w = (*w - shrink * *w) - (up - down);
            *m = keep[1] * *m + take[1] * *g;
        }
    }
}
