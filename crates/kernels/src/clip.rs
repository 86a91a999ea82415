//! Bounds for gradients: each number into an interval, or all times a factor.

use crate::real::Real;
use crate::threads::parallel_chunks;

/// Elements that one task changes.
const CHUNK: usize = 32 * 1024;

/// `x *= factor`, the factor rounded to the element type once.
pub fn scale<T: Real>(x: &mut [T], factor: f64) {
    let factor = T::from_f64(factor);
    parallel_chunks(x, CHUNK, |_, x| scale_part(x, factor));
}

crate::multiversion! {
    fn scale_part<T: Real>(x: &mut [T], factor: T) {
        x.iter_mut().for_each(|v| *v *= factor);
    }
}

/// `x = min(max(x, -most), most)`; NaN stays NaN.
pub fn clamp<T: Real>(x: &mut [T], most: f64) {
    let most = T::from_f64(most);
    parallel_chunks(x, CHUNK, |_, x| clamp_part(x, most));
}

crate::multiversion! {
    fn clamp_part<T: Real>(x: &mut [T], most: T) {
        let least = T::ZERO - most;
        for v in x {
            let floored = if *v < least { least } else { *v };
            *v = if floored > most { most } else { floored };
        }
    }
}
