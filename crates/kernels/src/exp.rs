//! Exponential, hyperbolic tangent and error function for `f32`: no branches, so that loops over them become vector code.
//!
//! Range reduction and the two-step scaling are the classical ones (Cody and Waite, 1980); the polynomials were fitted at
//! Chebyshev nodes. The tests state the largest error against `f64`.

// Close to well-known constants, but not them: fitted coefficients, and ln 2 cut after some bits.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first with enough trailing zeroes that multiples of it are exact.
const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;
/// Adding this rounds to an integer, which then stands in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// `(expm1(r) - r) / r^2` for |r| <= ln 2 / 2.
const EXP: [f32; 6] =
    [0.5, 0.166_666_67, 0.041_666_456, 0.008_333_297, 0.001_393_454_5, 0.000_199_004_44];
/// `erf(x) / x` in powers of x^2, for |x| <= 1.
const ERF: [f32; 8] = [
    1.128_379_2,
    -0.376_126_38,
    0.112_837_83,
    -0.026_865_438,
    0.005_221_053_5,
    -0.000_848_439_64,
    0.000_112_682_54,
    -9.673_59e-6,
];
/// `-ln(erfc(x))` for 1 <= x <= 4.
const ERFC: [f32; 9] = [
    -0.000_287_458_53,
    1.130_099_7,
    0.632_057,
    0.109_860_18,
    -0.026_294_718,
    0.004_714_577,
    -0.000_587_088_17,
    4.489_323e-5,
    -1.577_663_5e-6,
];

#[inline(always)]
fn polynomial<const N: usize>(c: [f32; N], x: f32) -> f32 {
    let mut sum = c[N - 1];
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, c[i]);
    }
    sum
}

/// 2 to the power n, -126 <= n <= 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `(n, r, expm1(r))` with x = n ln 2 + r.
#[inline(always)]
fn reduce(x: f32) -> (i32, f32) {
    let shifted = x.mul_add(LOG2_E, MAGIC);
    let n = (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32);
    let whole = shifted - MAGIC;
    let r = whole.mul_add(-LN2_LO, whole.mul_add(-LN2_HI, x));
    (n, (polynomial(EXP, r) * r).mul_add(r, r))
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // Comparisons with NaN are false, so it passes through.
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// e^x, to 1 unit in the last place; 0 and infinity where f32 ends.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (n, e) = reduce(clamp(x, -104.0, 89.0));
    let half = n >> 1;
    // Two steps, for 2^n alone may be beyond f32 at either end.
    (e + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// e^x - 1, to 2 units in the last place.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let (n, e) = reduce(clamp(x, -88.0, 88.0));
    let scale = power_of_two(n);
    let y = e.mul_add(scale, scale - 1.0);
    if x > 88.0 { exp(x) } else { y }
}

/// Hyperbolic tangent, to 3 units in the last place.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = exp_m1(2.0 * clamp(x.abs(), 0.0, 10.0));
    (e / (e + 2.0)).copysign(x)
}

/// The error function, to 3 units in the last place.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 4.0);
    let near = a * polynomial(ERF, a * a);
    let far = 1.0 - exp(-polynomial(ERFC, a));
    let y = if a > 1.0 { far } else { near };
    // NaN fails the comparison and comes out by way of `near`.
    y.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error in units in the last place over a grid, against an `f64` function.
    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, low: f64, high: f64) -> f64 {
        (0..=200_000)
            .map(|i| (low + (high - low) * f64::from(i) / 200_000.0) as f32)
            .map(|x| {
                let want = exact(f64::from(x));
                let unit = f64::from((want as f32).abs().next_up() - (want as f32).abs());
                (f64::from(f(x)) - want).abs() / unit
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_in_units_in_the_last_place() {
        assert!(worst(exp, libm::exp, -87.0, 88.7) < 1.1, "{}", worst(exp, libm::exp, -87.0, 88.7));
        assert!(
            worst(exp_m1, libm::expm1, -20.0, 20.0) < 2.5,
            "{}",
            worst(exp_m1, libm::expm1, -20.0, 20.0)
        );
        assert!(worst(exp_m1, libm::expm1, -0.01, 0.01) < 2.0);
        assert!(
            worst(tanh, libm::tanh, -12.0, 12.0) < 3.0,
            "{}",
            worst(tanh, libm::tanh, -12.0, 12.0)
        );
        assert!(worst(erf, libm::erf, -5.0, 5.0) < 3.0, "{}", worst(erf, libm::erf, -5.0, 5.0));
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!((exp(200.0), exp(-200.0), exp(0.0)), (f32::INFINITY, 0.0, 1.0));
        assert_eq!((exp_m1(f32::INFINITY), exp_m1(f32::NEG_INFINITY)), (f32::INFINITY, -1.0));
        assert_eq!((tanh(50.0), tanh(-50.0), erf(9.0), erf(-9.0)), (1.0, -1.0, 1.0, -1.0));
        for f in [exp, exp_m1, tanh, erf] {
            assert!(f(f32::NAN).is_nan());
        }
        assert!(exp(-100.0) > 0.0, "numbers below the normal range are kept");
    }
}
