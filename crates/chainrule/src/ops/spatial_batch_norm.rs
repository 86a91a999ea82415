//! Spatial batch normalization: batch norm of pictures, every channel over the batch and all of its pixels.
//!
//! ```text
//! xhat = (x - mean[c]) / sqrt(var[c] + eps)    y = gamma[c] xhat + beta[c]    x, y (N, C, H, W)   gamma, beta, mean, var (C)
//! dbeta = sum dy    dgamma = sum dy xhat    dx = gamma / sqrt(var + eps) (dy - dbeta / M - xhat dgamma / M)
//! ```
//! Sums are over N, H and W, and M = N H W. It *is* [`batch_norm`]: channels-last pictures are a matrix (N H W, C), whose
//! columns that op normalises. Settings, running averages and modes are its own too.
//!
//! Keeps the memory order; a row-major batch is converted on its way in and back on its way out. Saved: x (channels-last, shared
//! if it came so), the mean and `1 / sqrt(var + eps)`. Cost: that of batch norm. Source: Ioffe and Szegedy, "Batch
//! Normalization" (2015), section 3.2. [`backward_graph`] walks the computation graph, and [`naive`] is
//! explicit loops, to be compared with.

pub mod naive;

use super::Mode;
use super::batch_norm::{self, BatchNormParams, RunningStats};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Shape, Tensor};

pub use batch_norm::Grads;

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    matrix: batch_norm::Cache,
    shape: Shape,
    order: Order,
}

/// Normalises the channels of x (N, C, H, W) and applies gamma (C) and beta (C). Training updates `running`; testing only reads
/// it.
///
/// # Panics
/// If the sizes do not fit, the types differ, or a batch to train on has no pixel.
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &BatchNormParams,
    mode: Mode,
    running: &mut RunningStats,
) -> (Tensor, Cache) {
    normalise("spatial_batch_norm", [x, gamma, beta], params, mode, running, false)
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
    let operands = [("x", x, "N C H W"), ("gamma", gamma, "C"), ("beta", beta, "C")];
    let [n, c, h, w] = x.shape()[..] else {
        check::fail(op, "x must have four axes", &operands, "");
    };
    let averages = [("the running mean", &running.mean), ("the running variance", &running.var)];
    let own = [("gamma", gamma), ("beta", beta)].into_iter().chain(averages);
    if let Some((name, t)) = own.into_iter().find(|(_, t)| t.shape()[..] != [c]) {
        let reason = format!("x has {c} channels, {name} is {:?}", t.shape());
        check::fail(op, reason, &operands, "");
    }
    if mode == Mode::Train && n * h * w == 0 {
        check::fail(op, "a batch without pixels has no statistics to train with", &operands, "");
    }
    let pixels = x.to_order(Order::ChannelsLast).pixels();
    let (y, matrix) =
        batch_norm::normalise(op, [&pixels, gamma, beta], params, mode, running, relu);
    let (shape, order) = (*x.shape(), x.order());
    (y.into_pictures(shape).to_order(order), Cache { matrix, shape, order })
}

/// The gradients, given the upstream gradient dy (N, C, H, W). dx is in the memory order of x.
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
    let [dx, dgamma, dbeta] = batch_norm::backward_for(needs, &cache.pixels(dy), &cache.matrix);
    [dx.map(|dx| cache.pictures(dx)), dgamma, dbeta]
}

/// The gradients of training along the computation graph: [`batch_norm::backward_graph`] on the pixels.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_graph(dy: &Tensor, cache: &Cache) -> Grads {
    let Grads { dx, dgamma, dbeta } = batch_norm::backward_graph(&cache.pixels(dy), &cache.matrix);
    Grads { dx: cache.pictures(dx), dgamma, dbeta }
}

impl Cache {
    /// The upstream gradient as a matrix of pixels.
    #[track_caller]
    fn pixels(&self, dy: &Tensor) -> Tensor {
        check::upstream("spatial_batch_norm", dy, &self.shape, self.matrix.gamma());
        dy.to_order(Order::ChannelsLast).pixels()
    }

    /// A matrix of pixels as pictures in the memory order of x.
    fn pictures(&self, pixels: Tensor) -> Tensor {
        pixels.into_pictures(self.shape).to_order(self.order)
    }
}

impl Var {
    /// Batch norm of pictures on the tape, in its mode: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn spatial_batch_norm(
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

    /// Batch norm of pictures with a ReLU in its last pass, on the tape: the bits of one after the other.
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn spatial_batch_norm_relu(
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
            normalise("spatial_batch_norm_relu", [x, gamma, beta], params, mode, running, true);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: [usize; 4], mode: Mode, order: Order| {
        let c = shape[1];
        let case = Case::new("spatial_batch_norm", name).input("x", &shape);
        case.input("gamma", &[c])
            .input("beta", &[c])
            .run(move |[x, gamma, beta]| {
                // Made anew for every call: an update must not be felt by the next one.
                let mut running = batch_norm::some_running_stats(c, x.dtype());
                let params = BatchNormParams::default();
                let x = x.to_order(order);
                let (y, cache) = forward(&x, gamma, beta, &params, mode, &mut running);
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, gamma, beta]| {
                x.tape().set_mode(mode);
                let mut running = batch_norm::some_running_stats(c, x.dtype());
                let params = BatchNormParams::default();
                x.to_order(order).spatial_batch_norm(gamma, beta, &params, &mut running)
            })
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    vec![
        case("train", [2, 3, 4, 5], Mode::Train, rows),
        case("channels last", [2, 3, 4, 5], Mode::Train, last),
        case("17 channels", [3, 17, 2, 1], Mode::Train, last),
        case("tall", [9, 2, 12, 11], Mode::Train, last),
        case("test", [2, 3, 4, 5], Mode::Test, rows),
        case("test, one", [1, 1, 1, 1], Mode::Test, last),
    ]
}

#[cfg(test)]
mod tests;
