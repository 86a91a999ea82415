//! Functions of one element beside the activations: exponential, logarithm, powers, and arithmetic with a number.
//!
//! ```text
//! y = f(x)          x, y of any shape, in the memory order of x
//! dx = dy f'(x)
//! ```
//! Rows of a table, as in [`elementwise`](super::elementwise), which has the kernels, the cache and the passes. Saved: x or y
//! (shared). At a kink the derivative is that of the right side for `at_least`, of the left for `at_most`, 0 for `abs`.

use crate::gradcheck::{Case, backward_pass};
use crate::tape::Var;
use crate::tensor::{Order, Tensor};
use chainrule_kernels::Real;
use chainrule_kernels::elementwise::Function;

use super::elementwise::{Activation, Row, Saved, methods, rows, run_backward, run_forward};
pub use super::elementwise::{Cache, backward};

rows! {
    /// `e^x`.
    exp kinks [];
    f(x) = x.exp();
    df(y in Y) = y;

    /// The natural logarithm.
    log kinks [];
    f(x) = x.ln();
    df(x in X) = T::ONE / x;

    /// The square root.
    sqrt kinks [];
    f(x) = x.sqrt();
    df(y in Y) = T::from_f64(0.5) / y;

    /// `x^2`.
    square kinks [];
    f(x) = x * x;
    df(x in X) = x + x;

    /// `1 / x`.
    reciprocal kinks [];
    f(x) = T::ONE / x;
    df(y in Y) = -(y * y);

    /// `|x|`; the derivative at 0 is 0.
    abs kinks [0.0];
    f(x) = x.abs();
    df(x in X) = if x > T::ZERO { T::ONE } else if x < T::ZERO { -T::ONE } else { T::ZERO };

    /// `-x`.
    neg kinks [];
    f(x) = -x;
    df(_x in X) = -T::ONE;

    /// `x^exponent`. Exponents that are whole numbers up to 64 take any x, others positive ones.
    power(exponent = 3.0) kinks [];
    f(x) = raised(x, exponent.to_f64());
    df(x in X) = exponent * raised(x, exponent.to_f64() - 1.0);

    /// `x + number`.
    add_scalar(number = 1.0) kinks [];
    f(x) = x + number;
    df(_x in X) = { let _ = number; T::ONE };

    /// `x number`.
    mul_scalar(number = 2.0) kinks [];
    f(x) = x * number;
    df(_x in X) = number;

    /// `x / number`.
    div_scalar(number = 3.0) kinks [];
    f(x) = x / number;
    df(_x in X) = T::ONE / number;

    /// The larger of x and a number; the derivative where they are equal is 0.
    at_least(number = 0.0) kinks [0.0];
    f(x) = if x < number { number } else { x };
    df(x in X) = if x > number { T::ONE } else { T::ZERO };

    /// The smaller of x and a number; the derivative where they are equal is 0.
    at_most(number = 0.0) kinks [0.0];
    f(x) = if x > number { number } else { x };
    df(x in X) = if x < number { T::ONE } else { T::ZERO };
}

methods![exp, log, sqrt, square, reciprocal, abs, neg];

/// x to a power: by multiplication for whole numbers, else as the mathematical library of `f64` has it.
#[inline(always)]
fn raised<T: Real>(x: T, exponent: f64) -> T {
    if exponent.abs() > 64.0 || exponent != exponent.trunc() {
        return T::from_f64(libm::pow(x.to_f64(), exponent));
    }
    let (mut left, mut factor, mut y) = (exponent.abs() as u32, x, T::ONE);
    while left > 0 {
        if left & 1 == 1 {
            y *= factor;
        }
        factor *= factor;
        left >>= 1;
    }
    if exponent < 0.0 { T::ONE / y } else { y }
}

impl Var {
    /// [`power`](mod@power): every element to this exponent.
    pub fn pow(&self, exponent: f64) -> Var {
        self.activation(power::ACTIVATION.with(exponent))
    }

    /// Every element, or the nearest number from `low` to `high`; the gradient passes between them.
    pub fn clamp(&self, low: f64, high: f64) -> Var {
        self.activation(at_least::ACTIVATION.with(low)).activation(at_most::ACTIVATION.with(high))
    }
}

impl Tensor {
    /// [`power`](mod@power): every element to this exponent.
    pub fn pow(&self, exponent: f64) -> Tensor {
        self.activation(power::ACTIVATION.with(exponent))
    }

    /// Every element, or the nearest number from `low` to `high`.
    pub fn clamp(&self, low: f64, high: f64) -> Tensor {
        self.activation(at_least::ACTIVATION.with(low)).activation(at_most::ACTIVATION.with(high))
    }
}

/// The cases of the gradient check: every row, where it is defined and away from its kinks.
pub fn checks() -> Vec<Case> {
    let case = |row: Activation, name, shape: &[usize], order: Order| {
        let positive = matches!(row.name(), "log" | "sqrt" | "reciprocal" | "power");
        let usable = move |v: f64| {
            let v = if positive { v.abs() + 0.3 } else { v };
            if v.abs() < 0.02 { v + 0.05 } else { v }
        };
        Case::new(row.name(), name)
            .input_with("x", shape, usable)
            .run(move |[x]| {
                let (y, cache) = row.forward(&x.to_order(order));
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.to_order(order).activation(row))
    };
    let mut cases = Vec::new();
    for row in ALL {
        cases.push(case(*row, "vector", &[19], Order::RowMajor));
        cases.push(case(*row, "pictures", &[2, 3, 2, 5], Order::ChannelsLast));
    }
    for exponent in [2.0, -1.0, 0.5, 2.5] {
        cases.push(case(power::ACTIVATION.with(exponent), "exponent", &[7], Order::RowMajor));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_powers_take_negative_numbers() {
        let x = Tensor::from_f64([3], &[-2.0, 0.0, 3.0]);
        assert_eq!(x.pow(3.0).to_vec(), [-8.0, 0.0, 27.0]);
        assert_eq!(x.pow(0.0).to_vec(), [1.0, 1.0, 1.0]);
        assert_eq!(x.pow(-2.0).to_vec(), [0.25, f64::INFINITY, 1.0 / 9.0]);
        assert!(x.pow(0.5).to_vec()[0].is_nan());
        assert_eq!(x.clamp(-1.0, 2.0).to_vec(), [-1.0, 0.0, 2.0]);
        assert!(Tensor::from_f64([1], &[f64::NAN]).clamp(0.0, 1.0).item().is_nan());
    }
}
