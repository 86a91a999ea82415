//! Batch normalization: every feature gets mean 0 and variance 1 over the batch, then a scale and a shift that are learned.
//!
//! ```text
//! xhat = (x - mean) / sqrt(var + eps)    y = gamma xhat + beta    x, y (N, D)   gamma, beta, mean, var (D)
//! dbeta = sum dy    dgamma = sum dy xhat    dx = gamma / sqrt(var + eps) (dy - dbeta / N - xhat dgamma / N)
//! ```
//! In training, mean and var (biased: divided by N) are the batch's own, and running averages of both are kept:
//! `running = momentum running + (1 - momentum) batch`. In testing the running averages take their place; they are constants,
//! so dx is `gamma dy / sqrt(var + eps)`.
//!
//! Saved: x (shared), the mean and `1 / sqrt(var + eps)`; xhat is computed again. Cost: three passes over x forward, two over
//! x and dy backward. Source: Ioffe and Szegedy, "Batch Normalization" (2015). [`backward_graph`] walks the computation graph
//! instead and is there to be compared with.

use super::Mode;
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{DType, Float, Order, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::norm::{self, Affine, Downstream, Stats, Upstream};

/// The settings of batch norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormParams {
    /// Added to the variance, so that a constant feature does not divide by 0.
    pub eps: f64,
    /// The weight of the past in the running averages: 0 forgets it, 1 never learns. (PyTorch's `momentum` is 1 minus this.)
    pub momentum: f64,
    /// Whether the running variance averages the unbiased variance, divided by N - 1, as PyTorch has it. The batch itself is
    /// always normalised by the biased one.
    pub unbiased: bool,
}

impl Default for BatchNormParams {
    fn default() -> Self {
        BatchNormParams { eps: 1e-5, momentum: 0.9, unbiased: false }
    }
}

/// The running averages of a layer's batches, which its owner keeps. The averages are updated in `f64` and rounded once, to
/// the type they are stored in, which may differ from the type of x.
#[derive(Clone, Debug)]
pub struct RunningStats {
    /// (D), of the means.
    pub mean: Tensor,
    /// (D), of the variances.
    pub var: Tensor,
}

impl RunningStats {
    /// Both 0, as the course begins: after k batches the averages are `1 - momentum^k` of their values.
    pub fn zeros(features: usize, dtype: DType) -> RunningStats {
        RunningStats {
            mean: Tensor::zeros([features], dtype),
            var: Tensor::zeros([features], dtype),
        }
    }

    /// Mean 0 and variance 1, as PyTorch begins.
    pub fn unit(features: usize, dtype: DType) -> RunningStats {
        RunningStats {
            mean: Tensor::zeros([features], dtype),
            var: Tensor::ones([features], dtype),
        }
    }

    /// Averages a batch of `n` rows in.
    fn update<T: Float>(&mut self, mean: &[T], var: &[T], n: usize, params: &BatchNormParams) {
        let factor = if params.unbiased { n as f64 / (n.max(2) - 1) as f64 } else { 1.0 };
        let momentum = params.momentum;
        for (average, batch, factor) in [(&mut self.mean, mean, 1.0), (&mut self.var, var, factor)]
        {
            float!(average.dtype(), S => {
                for (average, batch) in average.data_mut::<S>().iter_mut().zip(batch) {
                    let batch = batch.to_f64() * factor;
                    *average = S::from_f64(momentum * average.to_f64() + (1.0 - momentum) * batch);
                }
            });
        }
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
    mode: Mode,
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

/// Normalises x (N, D) and applies gamma (D) and beta (D). Training updates `running`; testing only reads it.
///
/// # Panics
/// If the sizes do not fit, the types differ, or a batch to train on has no row.
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &BatchNormParams,
    mode: Mode,
    running: &mut RunningStats,
) -> (Tensor, Cache) {
    normalise("batch_norm", [x, gamma, beta], params, mode, running, false)
}

/// The forward pass of this op and of the sandwiches that hold it, with a ReLU inside the last pass if wanted.
#[track_caller]
pub(super) fn normalise(
    op: &str,
    [x, gamma, beta]: [&Tensor; 3],
    params: &BatchNormParams,
    mode: Mode,
    running: &mut RunningStats,
    relu: bool,
) -> (Tensor, Cache) {
    check_inputs(op, [x, gamma, beta], mode, running);
    let (n, d) = x.rows();
    let [mut y, mut mean, mut rstd] = [x.dirty_like(), gamma.dirty_like(), gamma.dirty_like()];
    float!(x.dtype(), T => {
        let after = Affine { gamma: gamma.data::<T>(), beta: beta.data(), relu };
        if mode == Mode::Train {
            let mut var = Tensor::dirty([d], x.dtype(), Order::RowMajor);
            let stats = Stats { mean: mean.data_mut(), var: var.data_mut(), rstd: rstd.data_mut() };
            norm::batch_norm(x.data(), after, T::from_f64(params.eps), stats, y.data_mut());
            running.update::<T>(mean.data(), var.data(), n, params);
        } else {
            read_running(running, params.eps, mean.data_mut::<T>(), rstd.data_mut());
            norm::normalise(x.data(), mean.data(), rstd.data(), after, y.data_mut());
        }
    });
    let (x, gamma, beta) = (x.clone(), gamma.clone(), beta.clone());
    (y, Cache { x, gamma, beta, mean, rstd, mode, relu })
}

/// The statistics of test mode: the averages as they are, the square root taken in `f64`.
fn read_running<T: Float>(running: &RunningStats, eps: f64, mean: &mut [T], rstd: &mut [T]) {
    float!(running.mean.dtype(), S => {
        let from = running.mean.data::<S>();
        mean.iter_mut().zip(from).for_each(|(m, r)| *m = T::from_f64(r.to_f64()));
    });
    float!(running.var.dtype(), S => {
        let from = running.var.data::<S>();
        rstd.iter_mut().zip(from).for_each(|(s, r)| *s = T::from_f64(1.0 / (r.to_f64() + eps).sqrt()));
    });
}

#[track_caller]
fn check_inputs(op: &str, [x, gamma, beta]: [&Tensor; 3], mode: Mode, running: &RunningStats) {
    let operands = [("x", x, "N D"), ("gamma", gamma, "D"), ("beta", beta, "D")];
    let [n, d] = x.shape()[..] else {
        check::fail(op, "x must have two axes", &operands, "");
    };
    for (name, t) in [("gamma", gamma), ("beta", beta)] {
        if t.shape()[..] != [d] {
            let reason = format!("x has {d} features, {name} is {:?}", t.shape());
            check::fail(op, reason, &operands, "");
        }
    }
    check::same_dtype(op, &operands);
    if running.mean.shape()[..] != [d] || running.var.shape()[..] != [d] {
        let operands = [
            ("x", x, "N D"),
            ("running mean", &running.mean, "D"),
            ("running var", &running.var, "D"),
        ];
        let reason = format!("x has {d} features, the running averages have others");
        check::fail(op, reason, &operands, "");
    }
    if n == 0 && mode == Mode::Train {
        check::fail(op, "a batch without rows has no statistics to train with", &operands, "");
    }
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
    check::upstream("batch_norm", dy, cache.x.shape(), &cache.x);
    let mut dx = needs[0].then(|| cache.x.dirty_like());
    let [mut dgamma, mut dbeta] = [cache.gamma.dirty_like(), cache.beta.dirty_like()];
    float!(dy.dtype(), T => {
        let to = Downstream {
            dx: dx.as_mut().map(Tensor::data_mut),
            dgamma: dgamma.data_mut(),
            dbeta: dbeta.data_mut(),
        };
        let train = cache.mode == Mode::Train;
        norm::batch_norm_backward(cache.upstream::<T>(dy), cache.affine(), train, to);
    });
    [dx, needs[1].then_some(dgamma), needs[2].then_some(dbeta)]
}

impl Cache {
    /// A tensor of the layer's type.
    pub(super) fn gamma(&self) -> &Tensor {
        &self.gamma
    }

    fn upstream<'a, T: Float>(&'a self, dy: &'a Tensor) -> Upstream<'a, T> {
        let (mean, rstd) = (self.mean.data(), self.rstd.data());
        Upstream { x: self.x.data(), dy: dy.data(), mean, rstd }
    }

    fn affine<T: Float>(&self) -> Affine<'_, T> {
        Affine { gamma: self.gamma.data(), beta: self.beta.data(), relu: self.relu }
    }
}

/// The gradients of training once more, one node of the computation graph after the other:
///
/// ```text
/// s = sqrt(var + eps)   xc = x - mean   g = dy gamma
/// ds = -sum(g xc) / s^2   dvar = ds / (2 s)   dxc = g / s + 2 xc dvar / N   dmu = -sum dxc   dx = dxc + dmu / N
/// ```
/// They equal those of [`backward`] but for rounding, and take longer. In test mode the statistics are no nodes of the graph,
/// and both are the same.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_graph(dy: &Tensor, cache: &Cache) -> Grads {
    if cache.mode == Mode::Test || cache.x.is_empty() {
        return backward(dy, cache);
    }
    check::upstream("batch_norm", dy, cache.x.shape(), &cache.x);
    let Cache { x, gamma, beta, .. } = cache;
    let [mut dx, mut dgamma, mut dbeta] = [x.dirty_like(), gamma.dirty_like(), beta.dirty_like()];
    float!(dy.dtype(), T => {
        let to = Downstream {
            dx: Some(dx.data_mut()),
            dgamma: dgamma.data_mut(),
            dbeta: dbeta.data_mut(),
        };
        norm::batch_norm_backward_graph(cache.upstream::<T>(dy), cache.affine(), to);
    });
    Grads { dx, dgamma, dbeta }
}

/// Running averages as some training would have left them, for checks of test mode.
pub(super) fn some_running_stats(features: usize, dtype: DType) -> RunningStats {
    let values = |from: f64| (0..features).map(|j| from + (j % 5) as f64 / 4.0).collect::<Vec<_>>();
    let tensor = |from| Tensor::from_f64([features], &values(from)).to_dtype(dtype);
    RunningStats { mean: tensor(-0.5), var: tensor(0.5) }
}

impl Var {
    /// Batch norm on the tape, in its mode: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn batch_norm(
        &self,
        gamma: &dyn OnTape,
        beta: &dyn OnTape,
        params: &BatchNormParams,
        running: &mut RunningStats,
    ) -> Var {
        let on = Operands::of([self, gamma, beta]);
        let [x, gamma, beta] = &on.values;
        let (y, cache) = forward(x, gamma, beta, params, on.tape().mode(), running);
        on.record(y, cache, backward_for)
    }

    /// Batch norm with a ReLU in its last pass, on the tape: the bits of one after the other.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn batch_norm_relu(
        &self,
        gamma: &dyn OnTape,
        beta: &dyn OnTape,
        params: &BatchNormParams,
        running: &mut RunningStats,
    ) -> Var {
        let on = Operands::of([self, gamma, beta]);
        let [x, gamma, beta] = &on.values;
        let mode = on.tape().mode();
        let (y, cache) =
            normalise("batch_norm_relu", [x, gamma, beta], params, mode, running, true);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, n: usize, d: usize, mode: Mode, eps: f64| {
        let case = Case::new("batch_norm", name).input("x", &[n, d]);
        case.input("gamma", &[d])
            .input("beta", &[d])
            .run(move |[x, gamma, beta]| {
                // Made anew for every call: an update must not be felt by the next one.
                let mut running = some_running_stats(d, x.dtype());
                let params = BatchNormParams { eps, ..BatchNormParams::default() };
                let (y, cache) = forward(x, gamma, beta, &params, mode, &mut running);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, gamma, beta]| {
                x.tape().set_mode(mode);
                let mut running = some_running_stats(d, x.dtype());
                let params = BatchNormParams { eps, ..BatchNormParams::default() };
                x.batch_norm(gamma, beta, &params, &mut running)
            })
    };
    vec![
        case("train", 6, 5, Mode::Train, 1e-5),
        case("train, large eps", 7, 3, Mode::Train, 0.5),
        case("train, one feature", 9, 1, Mode::Train, 1e-5),
        case("train, one row", 1, 4, Mode::Train, 1e-5),
        case("train, tall", 300, 20, Mode::Train, 1e-5),
        case("test", 6, 5, Mode::Test, 1e-5),
        case("test, one", 1, 1, Mode::Test, 1e-5),
    ]
}

#[cfg(test)]
mod tests;
