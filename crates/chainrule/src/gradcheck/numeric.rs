//! Numerical gradients by centred differences, as the course uses them.

use crate::tensor::Tensor;

/// The gradient of a scalar function: `(f(x + h) - f(x - h)) / 2h` for each element of `x` (`f64`), which is changed in place and
/// restored. The usual `h` is 1e-5. Returns a tensor of x's shape.
///
/// # Panics
/// If `x` is not `f64`.
#[track_caller]
pub fn numerical_gradient(mut f: impl FnMut(&Tensor) -> f64, x: &Tensor, h: f64) -> Tensor {
    differences(x, |probe| f(probe), |plus, minus| (plus - minus) / (2.0 * h), h)
}

/// The gradient of `sum(f(x) * df)` for a function with a tensor as its result and an upstream gradient `df`:
/// `sum((f(x + h) - f(x - h)) * df) / 2h` for each element of `x`. Returns a tensor of x's shape.
///
/// # Panics
/// If `x` is not `f64`, or f's result and `df` differ in shape.
#[track_caller]
pub fn numerical_gradient_array(
    mut f: impl FnMut(&Tensor) -> Tensor,
    x: &Tensor,
    df: &Tensor,
    h: f64,
) -> Tensor {
    let weights = df.to_vec();
    let combine = |plus: Tensor, minus: Tensor| {
        assert_eq!(plus.shape(), df.shape(), "the upstream gradient has the result's shape");
        let (plus, minus) = (plus.to_vec(), minus.to_vec());
        plus.iter().zip(&minus).zip(&weights).map(|((p, m), w)| (p - m) * w).sum::<f64>()
            / (2.0 * h)
    };
    differences(x, |probe| f(probe), combine, h)
}

#[track_caller]
fn differences<R>(
    x: &Tensor,
    mut f: impl FnMut(&Tensor) -> R,
    mut combine: impl FnMut(R, R) -> f64,
    h: f64,
) -> Tensor {
    let mut probe = x.clone();
    let mut gradient = x.zeros_like();
    for i in 0..x.len() {
        let old = x.data::<f64>()[i];
        probe.data_mut::<f64>()[i] = old + h;
        let plus = f(&probe);
        probe.data_mut::<f64>()[i] = old - h;
        let minus = f(&probe);
        probe.data_mut::<f64>()[i] = old;
        gradient.data_mut::<f64>()[i] = combine(plus, minus);
    }
    gradient
}

/// The largest relative error: `max |x - y| / max(1e-8, |x| + |y|)`. 0 for empty tensors.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn rel_error(x: &Tensor, y: &Tensor) -> f64 {
    assert_eq!(x.shape(), y.shape(), "rel_error compares tensors of one shape");
    let pairs = x.to_vec().into_iter().zip(y.to_vec());
    pairs.map(|(x, y)| (x - y).abs() / (x.abs() + y.abs()).max(1e-8)).fold(0.0, f64::max)
}

/// One position of [`sparse_check`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseRow {
    /// The flat row-major index.
    pub index: usize,
    /// The numerical derivative.
    pub numerical: f64,
    /// The derivative under test.
    pub analytic: f64,
    /// `|n - a| / (|n| + |a|)`.
    pub relative_error: f64,
}

impl std::fmt::Display for SparseRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SparseRow { numerical, analytic, relative_error, .. } = self;
        write!(
            f,
            "numerical: {numerical:.6} analytic: {analytic:.6}, relative error: {relative_error:e}"
        )
    }
}

/// Compares a gradient at `checks` seeded random positions of `x`, for functions too large to check in full.
///
/// # Panics
/// If `x` is not `f64` or empty, or `gradient` has another shape.
#[track_caller]
pub fn sparse_check(
    mut f: impl FnMut(&Tensor) -> f64,
    x: &Tensor,
    gradient: &Tensor,
    checks: usize,
    h: f64,
    seed: u64,
) -> Vec<SparseRow> {
    assert_eq!(x.shape(), gradient.shape(), "the gradient has x's shape");
    let mut rng = crate::rng::Rng::new(seed);
    let mut positions = Vec::new();
    rng.choice(x.len(), checks, &mut positions);
    let analytic = gradient.to_vec();
    let mut probe = x.clone();
    positions
        .into_iter()
        .map(|index| {
            let old = x.data::<f64>()[index];
            probe.data_mut::<f64>()[index] = old + h;
            let plus = f(&probe);
            probe.data_mut::<f64>()[index] = old - h;
            let minus = f(&probe);
            probe.data_mut::<f64>()[index] = old;
            let (n, a) = ((plus - minus) / (2.0 * h), analytic[index]);
            let relative_error = (n - a).abs() / (n.abs() + a.abs()).max(f64::MIN_POSITIVE);
            SparseRow { index, numerical: n, analytic: a, relative_error }
        })
        .collect()
}
