//! Variance and standard deviation over all or some axes, with n - 1 as PyTorch and statisticians have it, or n.
//!
//! ```text
//! v = sum of (x - mean)^2 / (n - c)        dx = dv 2 (x - mean) / (n - c)          c: 1, or 0 for the biased variance
//! s = sqrt(v)                              dx = ds (x - mean) / ((n - c) s)
//! ```
//! n is the number of elements that go into one result. Saved: x - mean, and s. Cost: four passes forward, two backward.

use super::sum::Over;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{Operands, Var};
use crate::tensor::{Order, Shape, Tensor};

/// What to compute.
#[derive(Clone, Copy, Debug)]
pub struct VarianceParams {
    /// What is subtracted from n: 1, or 0 for the biased variance.
    pub correction: usize,
    /// Whether to take the square root: the standard deviation.
    pub root: bool,
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    centred: Tensor,
    /// The standard deviation, if that was asked for, with the axes kept.
    std: Option<Tensor>,
    degrees: f64,
    kept: Shape,
    y: Shape,
}

/// The variance or standard deviation.
///
/// # Panics
/// If an axis is not one of x, or named twice, or there are not more numbers than `correction`.
#[track_caller]
pub fn forward(x: &Tensor, over: Over, params: VarianceParams) -> (Tensor, Cache) {
    let op = if params.root { "std" } else { "var" };
    let flags = over.flags(op, x);
    let sums = x.sum_axes(flags);
    let n = x.len() / sums.len().max(1);
    if n <= params.correction {
        let reason = format!("{n} numbers have no variance with n - {}", params.correction);
        check::fail(op, reason, &[("x", x, "")], "");
    }
    let centred = x - &sums / n as f64;
    let degrees = (n - params.correction) as f64;
    let mut y = centred.square().sum_axes(flags) / degrees;
    if params.root {
        y = y.sqrt();
    }
    let (kept, shape) = (*y.shape(), over.shape(x.shape(), flags));
    let cache = Cache { centred, std: params.root.then(|| y.clone()), degrees, kept, y: shape };
    (y.reshape(shape), cache)
}

/// The gradient of x, given the upstream gradient dy of y's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Tensor {
    let Cache { centred, std, degrees, kept, y } = cache;
    check::upstream("variance", dy, y, centred);
    let dy = dy.reshape(*kept);
    match std {
        Some(std) => centred * (dy / (std * *degrees)),
        None => centred * (dy * (2.0 / degrees)),
    }
}

impl Var {
    /// The variance (n - 1) over some axes: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn var(&self, over: Over) -> Var {
        self.variance(over, VarianceParams { correction: 1, root: false })
    }

    /// The standard deviation (n - 1) over some axes: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn std(&self, over: Over) -> Var {
        self.variance(over, VarianceParams { correction: 1, root: true })
    }

    /// Any of them: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn variance(&self, over: Over, params: VarianceParams) -> Var {
        let on = Operands::of([self]);
        let (y, cache) = forward(&on.values[0], over, params);
        on.record(y, cache, |_, dy, cache| [Some(backward(dy, cache))])
    }
}

impl Tensor {
    /// The variance (n - 1) over some axes.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn var(&self, over: Over) -> Tensor {
        forward(self, over, VarianceParams { correction: 1, root: false }).0
    }

    /// The standard deviation (n - 1) over some axes.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn std(&self, over: Over) -> Tensor {
        forward(self, over, VarianceParams { correction: 1, root: true }).0
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case =
        |name, shape: &[usize], axes: &'static [usize], params: VarianceParams, order: Order| {
            let over = Over { axes, keep: false };
            Case::new("variance", name)
                .input("x", shape)
                .run(move |[x]| {
                    let x = if x.shape().len() == 4 { x.to_order(order) } else { x.clone() };
                    let (y, cache) = forward(&x, over, params);
                    (y, backward_pass(move |[_], dy| [Some(backward(dy, &cache))]))
                })
                .tape(move |[x]| {
                    let x = if x.shape().len() == 4 { x.to_order(order) } else { x.clone() };
                    x.variance(over, params)
                })
        };
    let of = |correction, root| VarianceParams { correction, root };
    vec![
        case("var of all", &[3, 4], &[], of(1, false), Order::RowMajor),
        case("std of all", &[3, 4], &[], of(1, true), Order::RowMajor),
        case("biased columns", &[6, 5], &[0], of(0, false), Order::RowMajor),
        case("std of rows", &[4, 9], &[1], of(1, true), Order::RowMajor),
        case("channels", &[2, 3, 4, 5], &[0, 2, 3], of(1, true), Order::ChannelsLast),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn the_definition() {
        let x = Tensor::from_f64([2, 3], &[1.0, 2.0, 6.0, 0.0, 0.0, 3.0]);
        assert_eq!(x.var(Over { axes: &[1], keep: false }).to_vec(), [7.0, 3.0]);
        assert_eq!(x.std(Over { axes: &[1], keep: true }).shape()[..], [2, 1]);
        assert!((x.std(Over::ALL).item() - (26.0f64 / 5.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    #[should_panic(expected = "var: 1 numbers have no variance with n - 1")]
    fn one_number_has_no_variance() {
        Tensor::zeros([1], DType::F32).var(Over::ALL);
    }
}
