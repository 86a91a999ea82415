//! Layer normalization: every example gets mean 0 and variance 1 over its features, then a scale and a shift a feature.
//!
//! ```text
//! xhat = (x - mean) / sqrt(var + eps)    y = gamma xhat + beta    x, y (N, D)   mean, var (N)   gamma, beta (D)
//! dbeta = sum over N of dy    dgamma = sum over N of dy xhat
//! dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + eps)    g = gamma dy, means over D
//! ```
//! The variance is biased (divided by D). Nothing depends on the other examples or on the mode.
//!
//! Saved: x (shared), each row's mean and `1 / sqrt(var + eps)`. Cost: three passes over each row forward, three backward, all
//! but the first in the cache. Source: Ba, Kiros and Hinton, "Layer Normalization" (2016).

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::norm::{self, Affine, Downstream, Upstream};

/// The settings of layer norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormParams {
    /// Added to the variance, so that a constant row does not divide by 0.
    pub eps: f64,
}

impl Default for LayerNormParams {
    fn default() -> Self {
        LayerNormParams { eps: 1e-5 }
    }
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    rstd: Tensor,
    relu: bool,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// (N, D).
    pub dx: Tensor,
    /// (D).
    pub dgamma: Tensor,
    /// (D).
    pub dbeta: Tensor,
}

/// Normalises the rows of x (N, D) and applies gamma (D) and beta (D).
///
/// # Panics
/// If the sizes do not fit, or the types differ.
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &LayerNormParams,
) -> (Tensor, Cache) {
    normalise("layer_norm", [x, gamma, beta], params, false)
}

/// The forward pass of this op and of the sandwiches that hold it, with a ReLU inside the last pass if wanted.
#[track_caller]
pub(super) fn normalise(
    op: &str,
    [x, gamma, beta]: [&Tensor; 3],
    params: &LayerNormParams,
    relu: bool,
) -> (Tensor, Cache) {
    let operands = [("x", x, "N D"), ("gamma", gamma, "D"), ("beta", beta, "D")];
    let [n, d] = x.shape()[..] else {
        check::fail(op, "x must have two axes", &operands, "");
    };
    for (name, t) in [("gamma", gamma), ("beta", beta)] {
        if t.shape()[..] != [d] {
            check::fail(
                op,
                format!("x has {d} features, {name} is {:?}", t.shape()),
                &operands,
                "",
            );
        }
    }
    check::same_dtype(op, &operands);
    let [mut mean, mut rstd] = [(); 2].map(|()| Tensor::dirty([n], x.dtype(), Order::RowMajor));
    let mut y = x.dirty_like();
    float!(x.dtype(), T => {
        let after = Affine { gamma: gamma.data::<T>(), beta: beta.data(), relu };
        let eps = T::from_f64(params.eps);
        norm::layer_norm(x.data(), after, eps, mean.data_mut(), rstd.data_mut(), y.data_mut());
    });
    let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
    (y, Cache { x, gamma, beta, mean, rstd, relu })
}

/// The gradients, given the upstream gradient dy (N, D).
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dgamma), Some(dbeta)] = backward_for([true; 3], dy, cache) else {
        unreachable!("all were asked for")
    };
    Grads { dx, dgamma, dbeta }
}

/// The gradients of x, gamma and beta that are needed.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 3], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 3] {
    let Cache { x, gamma, beta, mean, rstd, relu } = cache;
    check::upstream("layer_norm", dy, x.shape(), x);
    let mut dx = needs[0].then(|| x.dirty_like());
    let [mut dgamma, mut dbeta] = [gamma.dirty_like(), beta.dirty_like()];
    float!(dy.dtype(), T => {
        let up = Upstream { x: x.data::<T>(), dy: dy.data(), mean: mean.data(), rstd: rstd.data() };
        let after = Affine { gamma: gamma.data(), beta: beta.data(), relu: *relu };
        let dx = dx.as_mut().map(Tensor::data_mut);
        let to = Downstream { dx, dgamma: dgamma.data_mut(), dbeta: dbeta.data_mut() };
        norm::layer_norm_backward(up, after, to);
    });
    [dx, needs[1].then_some(dgamma), needs[2].then_some(dbeta)]
}

impl Var {
    /// `gamma xhat + beta` on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn layer_norm(
        &self,
        gamma: &dyn OnTape,
        beta: &dyn OnTape,
        params: &LayerNormParams,
    ) -> Var {
        let on = Operands::of([self, gamma, beta]);
        let [x, gamma, beta] = &on.values;
        let (y, cache) = forward(x, gamma, beta, params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, n: usize, d: usize, eps: f64| {
        let case = Case::new("layer_norm", name).input("x", &[n, d]);
        case.input("gamma", &[d])
            .input("beta", &[d])
            .run(move |[x, gamma, beta]| {
                let (y, cache) = forward(x, gamma, beta, &LayerNormParams { eps });
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, gamma, beta]| x.layer_norm(gamma, beta, &LayerNormParams { eps }))
    };
    vec![
        case("matrix", 4, 6, 1e-5),
        case("large eps", 3, 5, 0.5),
        case("one row", 1, 7, 1e-5),
        case("one feature", 5, 1, 1e-5),
        case("many rows", 70, 9, 1e-5),
        case("wide", 3, 300, 1e-5),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn rows_come_out_with_the_given_mean_and_deviation() {
        let mut rng = Rng::new(3);
        let x = Tensor::randn([4, 60], 12.0, DType::F64, &mut rng);
        let (gamma, beta) =
            (Tensor::full([60], 3.0, DType::F64), Tensor::full([60], 5.0, DType::F64));
        let (y, _) = forward(&x, &gamma, &beta, &LayerNormParams::default());
        for row in y.to_vec().chunks(60) {
            let mean = row.iter().sum::<f64>() / 60.0;
            let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 60.0;
            assert!((mean - 5.0).abs() < 1e-12 && (var.sqrt() - 3.0).abs() < 1e-5, "{mean} {var}");
        }
    }

    #[test]
    fn an_empty_batch_gives_an_empty_result_and_zero_gradients() {
        let x = Tensor::zeros([0, 3], DType::F32);
        let ones = Tensor::ones([3], DType::F32);
        let (y, cache) = forward(&x, &ones, &ones, &LayerNormParams::default());
        let Grads { dx, dgamma, dbeta } = backward(&y, &cache);
        assert!(y.is_empty() && dx.is_empty());
        assert_eq!((dgamma.to_vec(), dbeta.to_vec()), (vec![0.0; 3], vec![0.0; 3]));
    }

    #[test]
    #[should_panic(expected = "layer_norm: x has 4 features, beta is [3]")]
    fn a_shift_of_another_size_is_refused() {
        let x = Tensor::zeros([2, 4], DType::F32);
        let (gamma, beta) = (Tensor::ones([4], DType::F32), Tensor::ones([3], DType::F32));
        forward(&x, &gamma, &beta, &LayerNormParams::default());
    }
}
