//! Update rules: a parameter, its gradient and its state in one pass, each number read and written once.
//!
//! Elementwise, so that neither the threads nor the width of a register can change a bit. Products and sums are rounded one
//! by one (no fused multiply-add: the passes wait for memory, square roots and divisions). Hyperparameters come as `f64` and
//! are rounded to the element type once; whatever does not depend on the element is computed before, in `f64`.
//!
//! In the formulas `g = dw + weight_decay * w`.

mod lion;

pub use lion::{Lion, lion};

use crate::real::Real;
use crate::threads::{Shared, parallel_for};

/// Elements that one task updates.
pub const CHUNK: usize = 16384;
/// Up to this many elements are updated by the caller alone: a parallel region would take as long.
pub const SERIAL: usize = 2 * CHUNK;

/// Runs `part` on the whole, or on chunks of [`CHUNK`] elements in parallel.
fn in_chunks<T: Real, const S: usize>(
    w: &mut [T],
    dw: &[T],
    state: [&mut [T]; S],
    part: impl Fn(&mut [T], &[T], [&mut [T]; S]) + Sync,
) {
    let n = w.len();
    assert!(
        dw.len() == n && state.iter().all(|s| s.len() == n),
        "a parameter of {n} elements, a gradient of {}, state of {:?}",
        dw.len(),
        state.each_ref().map(|s| s.len())
    );
    if n <= SERIAL {
        return part(w, dw, state);
    }
    let w = Shared(w.as_mut_ptr());
    let state = state.map(|s| Shared(s.as_mut_ptr()));
    parallel_for(n.div_ceil(CHUNK), |task| {
        let start = task * CHUNK;
        let len = CHUNK.min(n - start);
        // SAFETY: all these slices have n elements (checked above) and are borrowed mutably until every task has ended; the
        // chunks start..start + len of different tasks do not overlap and end at n.
        let cut = |base: Shared<T>| unsafe { std::slice::from_raw_parts_mut(base.at(start), len) };
        part(cut(w), &dw[start..start + len], state.map(cut));
    });
}

/// `w -= lr * g`.
///
/// # Panics
/// If the slices differ in length, as every function here.
pub fn sgd<T: Real>(w: &mut [T], dw: &[T], lr: f64, weight_decay: f64) {
    in_chunks(w, dw, [], |w, dw, []| sgd_part(w, dw, lr, weight_decay));
}

crate::multiversion! {
    fn sgd_part<T: Real>(w: &mut [T], dw: &[T], lr: f64, weight_decay: f64) {
        let [lr, decay] = [lr, weight_decay].map(T::from_f64);
        for (w, g) in w.iter_mut().zip(dw) {
            *w -= lr * (*g + decay * *w);
        }
    }
}

/// Numbers of [`momentum`].
#[derive(Clone, Copy, Debug)]
pub struct Momentum {
    /// Factor of the gradient in the velocity.
    pub lr: f64,
    /// Factor of the old velocity.
    pub momentum: f64,
    /// Factor of w in g.
    pub weight_decay: f64,
}

/// `v = momentum * v - lr * g; w += v`.
/// Panics as [`sgd`] does.
pub fn momentum<T: Real>(w: &mut [T], dw: &[T], v: &mut [T], p: Momentum) {
    in_chunks(w, dw, [v], |w, dw, [v]| momentum_part(w, dw, v, p));
}

crate::multiversion! {
    fn momentum_part<T: Real>(w: &mut [T], dw: &[T], v: &mut [T], p: Momentum) {
        let [lr, mu, decay] = [p.lr, p.momentum, p.weight_decay].map(T::from_f64);
        for ((w, g), v) in w.iter_mut().zip(dw).zip(v) {
            *v = mu * *v - lr * (*g + decay * *w);
            *w += *v;
        }
    }
}

/// Numbers of [`sgd_velocity`].
#[derive(Clone, Copy, Debug)]
pub struct SgdVelocity {
    /// Factor of the direction.
    pub lr: f64,
    /// Factor of the old velocity.
    pub momentum: f64,
    /// Factor of the gradient in the velocity: 1 - dampening, or 1 in the first step.
    pub gain: f64,
    /// Whether the direction looks ahead.
    pub nesterov: bool,
    /// Factor of w in g.
    pub weight_decay: f64,
}

/// `v = momentum * v + gain * g; w -= lr * v`, or with Nesterov `w -= lr * (g + momentum * v)`.
/// Panics as [`sgd`] does.
pub fn sgd_velocity<T: Real>(w: &mut [T], dw: &[T], v: &mut [T], p: SgdVelocity) {
    in_chunks(w, dw, [v], |w, dw, [v]| match p.nesterov {
        false => velocity_part(w, dw, v, p),
        true => nesterov_part(w, dw, v, p),
    });
}

crate::multiversion! {
    fn velocity_part<T: Real>(w: &mut [T], dw: &[T], v: &mut [T], p: SgdVelocity) {
        let [lr, mu, gain, decay] = [p.lr, p.momentum, p.gain, p.weight_decay].map(T::from_f64);
        for ((w, g), v) in w.iter_mut().zip(dw).zip(v) {
            *v = mu * *v + gain * (*g + decay * *w);
            *w -= lr * *v;
        }
    }
}

crate::multiversion! {
    fn nesterov_part<T: Real>(w: &mut [T], dw: &[T], v: &mut [T], p: SgdVelocity) {
        let [lr, mu, gain, decay] = [p.lr, p.momentum, p.gain, p.weight_decay].map(T::from_f64);
        for ((w, g), v) in w.iter_mut().zip(dw).zip(v) {
            let g = *g + decay * *w;
            *v = mu * *v + gain * g;
            *w -= lr * (g + mu * *v);
        }
    }
}

/// Numbers of the `rmsprop` functions.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    /// Factor of the direction.
    pub lr: f64,
    /// Factor of the old averages.
    pub decay_rate: f64,
    /// Added to the root.
    pub eps: f64,
    /// Factor of the old velocity, for the functions that have one.
    pub momentum: f64,
    /// Factor of w in g.
    pub weight_decay: f64,
}

/// [`RmsProp`] as numbers of the element type.
#[derive(Clone, Copy)]
struct Rms<T> {
    lr: T,
    keep: T,
    take: T,
    eps: T,
    mu: T,
    decay: T,
}

impl<T: Real> Rms<T> {
    #[inline(always)]
    fn new(p: RmsProp) -> Self {
        let [lr, keep, take] = [p.lr, p.decay_rate, 1.0 - p.decay_rate].map(T::from_f64);
        let [eps, mu, decay] = [p.eps, p.momentum, p.weight_decay].map(T::from_f64);
        Rms { lr, keep, take, eps, mu, decay }
    }

    /// The gradient over the root of its mean square.
    #[inline(always)]
    fn direction(self, w: T, dw: T, cache: &mut T) -> T {
        let g = dw + self.decay * w;
        *cache = self.keep * *cache + self.take * (g * g);
        g / (cache.sqrt() + self.eps)
    }

    /// The gradient over the root of its variance. Rounding can make an estimated variance negative; then it is 0.
    #[inline(always)]
    fn centered(self, w: T, dw: T, cache: &mut T, mean: &mut T) -> T {
        let g = dw + self.decay * w;
        *cache = self.keep * *cache + self.take * (g * g);
        *mean = self.keep * *mean + self.take * g;
        let variance = *cache - *mean * *mean;
        // Written so that a NaN stays one.
        let variance = if variance < T::ZERO { T::ZERO } else { variance };
        g / (variance.sqrt() + self.eps)
    }
}

/// `cache = decay_rate * cache + (1 - decay_rate) * g^2; w -= lr * g / (sqrt(cache) + eps)`.
/// Panics as [`sgd`] does.
pub fn rmsprop<T: Real>(w: &mut [T], dw: &[T], cache: &mut [T], p: RmsProp) {
    in_chunks(w, dw, [cache], |w, dw, [cache]| rmsprop_part(w, dw, cache, p));
}

crate::multiversion! {
    fn rmsprop_part<T: Real>(w: &mut [T], dw: &[T], cache: &mut [T], p: RmsProp) {
        let p = Rms::<T>::new(p);
        for ((w, g), cache) in w.iter_mut().zip(dw).zip(cache) {
            *w -= p.lr * p.direction(*w, *g, cache);
        }
    }
}

/// [`rmsprop`] with a velocity: `v = momentum * v + direction; w -= lr * v`.
/// Panics as [`sgd`] does.
pub fn rmsprop_velocity<T: Real>(w: &mut [T], dw: &[T], cache: &mut [T], v: &mut [T], p: RmsProp) {
    in_chunks(w, dw, [cache, v], |w, dw, [cache, v]| rmsprop_velocity_part(w, dw, cache, v, p));
}

crate::multiversion! {
    fn rmsprop_velocity_part<T: Real>(w: &mut [T], dw: &[T], cache: &mut [T], v: &mut [T], p: RmsProp) {
        let p = Rms::<T>::new(p);
        for (((w, g), cache), v) in w.iter_mut().zip(dw).zip(cache).zip(v) {
            *v = p.mu * *v + p.direction(*w, *g, cache);
            *w -= p.lr * *v;
        }
    }
}

/// [`rmsprop`] with the variance in place of the mean square:
/// `mean = decay_rate * mean + (1 - decay_rate) * g; w -= lr * g / (sqrt(cache - mean^2) + eps)`.
/// Panics as [`sgd`] does.
pub fn rmsprop_centered<T: Real>(
    w: &mut [T],
    dw: &[T],
    cache: &mut [T],
    mean: &mut [T],
    p: RmsProp,
) {
    in_chunks(w, dw, [cache, mean], |w, dw, [cache, mean]| {
        rmsprop_centered_part(w, dw, cache, mean, p);
    });
}

crate::multiversion! {
    fn rmsprop_centered_part<T: Real>(w: &mut [T], dw: &[T], cache: &mut [T], mean: &mut [T], p: RmsProp) {
        let p = Rms::<T>::new(p);
        for (((w, g), cache), mean) in w.iter_mut().zip(dw).zip(cache).zip(mean) {
            *w -= p.lr * p.centered(*w, *g, cache, mean);
        }
    }
}

/// [`rmsprop_centered`] with the velocity of [`rmsprop_velocity`].
/// Panics as [`sgd`] does.
pub fn rmsprop_centered_velocity<T: Real>(
    w: &mut [T],
    dw: &[T],
    cache: &mut [T],
    mean: &mut [T],
    v: &mut [T],
    p: RmsProp,
) {
    in_chunks(w, dw, [cache, mean, v], |w, dw, [cache, mean, v]| {
        rmsprop_centered_velocity_part(w, dw, cache, mean, v, p);
    });
}

crate::multiversion! {
    fn rmsprop_centered_velocity_part<T: Real>(
        w: &mut [T], dw: &[T], cache: &mut [T], mean: &mut [T], v: &mut [T], p: RmsProp,
    ) {
        let p = Rms::<T>::new(p);
        for ((((w, g), cache), mean), v) in w.iter_mut().zip(dw).zip(cache).zip(mean).zip(v) {
            *v = p.mu * *v + p.centered(*w, *g, cache, mean);
            *w -= p.lr * *v;
        }
    }
}

/// Numbers of [`adagrad`].
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    /// Factor of the direction.
    pub lr: f64,
    /// Added to the root.
    pub eps: f64,
    /// Factor of w in g.
    pub weight_decay: f64,
}

/// `sum += g^2; w -= lr * g / (sqrt(sum) + eps)`.
/// Panics as [`sgd`] does.
pub fn adagrad<T: Real>(w: &mut [T], dw: &[T], sum: &mut [T], p: Adagrad) {
    in_chunks(w, dw, [sum], |w, dw, [sum]| adagrad_part(w, dw, sum, p));
}

crate::multiversion! {
    fn adagrad_part<T: Real>(w: &mut [T], dw: &[T], sum: &mut [T], p: Adagrad) {
        let [lr, eps, decay] = [p.lr, p.eps, p.weight_decay].map(T::from_f64);
        for ((w, g), sum) in w.iter_mut().zip(dw).zip(sum) {
            let g = *g + decay * *w;
            *sum += g * g;
            *w -= lr * (g / (sum.sqrt() + eps));
        }
    }
}

/// Numbers of [`adam`] and [`adam_max`] in step t.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// `lr / (1 - beta1^t)`.
    pub step: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    pub root: f64,
    /// Factor of the old first moment.
    pub beta1: f64,
    /// Factor of the old second moment.
    pub beta2: f64,
    /// Added to the root.
    pub eps: f64,
    /// Factor of w in g.
    pub weight_decay: f64,
    /// What w loses beforehand, as a part of itself: AdamW's `lr * weight_decay`.
    pub shrink: f64,
}

/// [`Adam`] as numbers of the element type.
#[derive(Clone, Copy)]
struct Moments<T> {
    step: T,
    root: T,
    keep: [T; 2],
    take: [T; 2],
    eps: T,
    decay: T,
    shrink: T,
}

impl<T: Real> Moments<T> {
    #[inline(always)]
    fn new(p: Adam) -> Self {
        let [step, root, eps] = [p.step, p.root, p.eps].map(T::from_f64);
        let [decay, shrink] = [p.weight_decay, p.shrink].map(T::from_f64);
        let keep = [p.beta1, p.beta2].map(T::from_f64);
        let take = [1.0 - p.beta1, 1.0 - p.beta2].map(T::from_f64);
        Moments { step, root, keep, take, eps, decay, shrink }
    }

    /// Takes the gradient into both moments.
    #[inline(always)]
    fn mix(self, w: T, dw: T, m: &mut T, v: &mut T) {
        let g = dw + self.decay * w;
        *m = self.keep[0] * *m + self.take[0] * g;
        *v = self.keep[1] * *v + self.take[1] * (g * g);
    }

    /// The next w.
    #[inline(always)]
    fn next(self, w: T, m: T, v: T) -> T {
        (w - self.shrink * w) - self.step * m / (v.sqrt() * self.root + self.eps)
    }
}

/// `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2; w -= shrink * w + step * m / (sqrt(v) * root + eps)`.
/// Panics as [`sgd`] does.
pub fn adam<T: Real>(w: &mut [T], dw: &[T], m: &mut [T], v: &mut [T], p: Adam) {
    in_chunks(w, dw, [m, v], |w, dw, [m, v]| adam_part(w, dw, m, v, p));
}

crate::multiversion! {
    fn adam_part<T: Real>(w: &mut [T], dw: &[T], m: &mut [T], v: &mut [T], p: Adam) {
        let p = Moments::<T>::new(p);
        for (((w, g), m), v) in w.iter_mut().zip(dw).zip(m).zip(v) {
            p.mix(*w, *g, m, v);
            *w = p.next(*w, *m, *v);
        }
    }
}

/// [`adam`] with the largest v met so far, `v_max`, under the root.
/// Panics as [`sgd`] does.
pub fn adam_max<T: Real>(
    w: &mut [T],
    dw: &[T],
    m: &mut [T],
    v: &mut [T],
    v_max: &mut [T],
    p: Adam,
) {
    in_chunks(w, dw, [m, v, v_max], |w, dw, [m, v, v_max]| adam_max_part(w, dw, m, v, v_max, p));
}

crate::multiversion! {
    fn adam_max_part<T: Real>(w: &mut [T], dw: &[T], m: &mut [T], v: &mut [T], v_max: &mut [T], p: Adam) {
        let p = Moments::<T>::new(p);
        for ((((w, g), m), v), v_max) in w.iter_mut().zip(dw).zip(m).zip(v).zip(v_max) {
            p.mix(*w, *g, m, v);
            *v_max = v_max.max(*v);
            *w = p.next(*w, *m, *v_max);
        }
    }
}
