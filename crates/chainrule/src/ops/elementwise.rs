//! Activations: functions of one element, as rows of one table.
//!
//! ```text
//! y = f(x)          x, y of any shape, in the memory order of x
//! dx = dy f'(x), and 0 where f' is 0, whatever dy
//! ```
//! A row holds the function, its derivative in terms of x or of y, its kinks and its source; kernels, explicit passes, names and
//! gradient checks follow from it. Saved: x or y (shared, not copied), whichever the row's derivative is written in. Cost: one
//! pass over two buffers forward, over three backward.
//!
//! At a kink the derivative is that from the left: ReLU's is 0 at 0.

mod rows;

use crate::gradcheck::{Case, backward_pass};
use crate::tape::Var;
use crate::tensor::{Order, Tensor};
use chainrule_kernels::Real;
use chainrule_kernels::elementwise::Function;
pub use rows::{Activation, Cache, Saved, backward};
pub(super) use rows::{Row, methods, rows, run_backward, run_forward};

/// The constant `v` of the element type.
#[inline(always)]
fn c<T: Real>(v: f64) -> T {
    T::from_f64(v)
}

/// SELU's scale and alpha, as its authors print them.
const SELU: [f64; 2] = [1.050_700_987_355_480_5, 1.673_263_242_354_377_2];
/// sqrt(2 / pi).
const SQRT_2_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

rows! {
    /// ReLU: `max(0, x)`. V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    relu kinks [0.0];
    // In this order of operands NaN comes through.
    f(x) = T::ZERO.max(x);
    df(y in Y) = if y > T::ZERO { T::ONE } else { T::ZERO };

    /// Leaky ReLU: x above 0, else `slope x`. A. Maas et al., "Rectifier nonlinearities improve neural network acoustic models",
    /// ICML 2013.
    leaky_relu(slope = 0.01) kinks [0.0];
    f(x) = if x > T::ZERO { x } else { slope * x };
    df(y in Y) = if y > T::ZERO { T::ONE } else { slope };

    /// ELU: x above 0, else `alpha (e^x - 1)`. D. Clevert et al., "Fast and accurate deep network learning by exponential linear
    /// units", ICLR 2016.
    elu(alpha = 1.0) kinks [0.0];
    f(x) = if x > T::ZERO { x } else { alpha * x.exp_m1() };
    df(y in Y) = if y > T::ZERO { T::ONE } else { y + alpha };

    /// SELU: `scale x` above 0, else `scale alpha (e^x - 1)`, with the numbers that keep mean 0 and variance 1. G. Klambauer et
    /// al., "Self-normalizing neural networks", NeurIPS 2017.
    selu kinks [0.0];
    f(x) = if x > T::ZERO { c::<T>(SELU[0]) * x } else { c::<T>(SELU[0] * SELU[1]) * x.exp_m1() };
    df(y in Y) = if y > T::ZERO { c(SELU[0]) } else { y + c(SELU[0] * SELU[1]) };

    /// GELU: `x P(x)`, P the normal distribution function `(1 + erf(x / sqrt 2)) / 2`. D. Hendrycks, K. Gimpel, "Gaussian error
    /// linear units", 2016.
    gelu kinks [];
    f(x) = x * (half(x * c(std::f64::consts::FRAC_1_SQRT_2)));
    df(x in X) = {
        let density = c::<T>(0.5 * SQRT_2_PI) * (x * x * c(-0.5)).exp();
        x.mul_add(density, half(x * c(std::f64::consts::FRAC_1_SQRT_2)))
    };

    /// GELU with a hyperbolic tangent in place of the error function: `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`. From
    /// the same paper as `gelu`.
    gelu_tanh kinks [];
    f(x) = x * c(0.5) * (T::ONE + gelu_inner(x).tanh());
    df(x in X) = {
        let t = gelu_inner(x).tanh();
        let inner = c::<T>(SQRT_2_PI) * (x * x).mul_add(c(3.0 * 0.044_715), T::ONE);
        c::<T>(0.5) * (T::ONE + t) * (x * (T::ONE - t)).mul_add(inner, T::ONE)
    };

    /// SiLU, or swish: `x / (1 + e^-x)`. S. Elfwing et al., "Sigmoid-weighted linear units for neural network function
    /// approximation in reinforcement learning", Neural Networks 107, 2018.
    silu kinks [];
    f(x) = x * logistic(x);
    df(x in X) = {
        let s = logistic(x);
        s * (x * (T::ONE - s) + T::ONE)
    };

    /// Hyperbolic tangent.
    tanh kinks [];
    f(x) = x.tanh();
    df(y in Y) = (T::ONE - y) * (T::ONE + y);

    /// Logistic sigmoid: `1 / (1 + e^-x)`.
    sigmoid kinks [];
    f(x) = logistic(x);
    df(y in Y) = y * (T::ONE - y);

    /// Softplus: `ln(1 + e^x)`. C. Dugas et al., "Incorporating second-order functional knowledge for better option pricing",
    /// NIPS 2000.
    softplus kinks [];
    f(x) = {
        // ln(1 + e) = e ln(u) / (u - 1) with u = 1 + e rounded: exact to rounding where e is small (W. Kahan).
        let e = (-x.abs()).exp();
        let u = T::ONE + e;
        let tail = if u == T::ONE { e } else { e * u.ln() / (u - T::ONE) };
        if x > T::ZERO { x + tail } else { tail }
    };
    df(y in Y) = -(-y).exp_m1();
}

methods![relu, leaky_relu, elu, selu, gelu, gelu_tanh, silu, tanh, sigmoid, softplus];

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn logistic<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

/// `(1 + erf(x)) / 2`.
#[inline(always)]
fn half<T: Real>(x: T) -> T {
    c::<T>(0.5) * (T::ONE + x.erf())
}

/// What `gelu_tanh` takes the hyperbolic tangent of.
#[inline(always)]
fn gelu_inner<T: Real>(x: T) -> T {
    c::<T>(SQRT_2_PI) * x * (x * x).mul_add(c(0.044_715), T::ONE)
}

/// The cases of the gradient check: every row of the table, away from its kinks.
pub fn checks() -> Vec<Case> {
    let case = |activation: Activation, name, shape: &[usize], spread: f64, order: Order| {
        let off_kinks = move |v: f64| {
            let near = |v: f64| activation.kinks().iter().find(|k| (v - **k).abs() < 0.01);
            near(v * spread).map_or(v * spread, |k| k + 0.02)
        };
        Case::new(activation.name(), name)
            .input_with("x", shape, off_kinks)
            .run(move |[x]| {
                let (y, cache) = activation.forward(&x.to_order(order));
                (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
            })
            .tape(move |[x]| x.to_order(order).activation(activation))
    };
    ALL.iter()
        .flat_map(|a| {
            let other =
                a.parameter().map(|_| case(a.with(0.3), "parameter", &[7], 1.0, Order::RowMajor));
            [
                case(*a, "vector", &[17], 1.0, Order::RowMajor),
                case(*a, "tails", &[3, 20], 4.0, Order::RowMajor),
                case(*a, "pictures", &[2, 3, 4, 5], 1.0, Order::ChannelsLast),
            ]
            .into_iter()
            .chain(other)
        })
        .collect()
}

#[cfg(test)]
mod tests;
