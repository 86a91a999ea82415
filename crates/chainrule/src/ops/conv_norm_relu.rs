//! A convolution, a norm and a ReLU, and max pooling if wanted.
//!
//! ```text
//! a = conv(x, w) + b    h = norm(a)    r = max(0, h)    y = maxpool(r)
//! x (N, C, H, W)   w (F, C/groups, KH, KW)   b (F) or none   gamma, beta (F)   a, h, r (N, F, H', W')   y (N, F, H'', W'')
//! ```
//! The norm is batch norm, or group norm, of pictures; the ReLU is part of its last pass. Backward goes the same way back; each
//! derivative is that of [`max_pool2d`], [`spatial_batch_norm`] or [`spatial_group_norm`], [`elementwise::relu`] and [`conv2d`]. A
//! bias before batch norm has no effect in training, and gradient 0.
//!
//! Saved: x, w, a (shared), the statistics, and the places that the pooling chose. Cost: that of the parts, one pass over a less
//! in either direction than one after the other. Source: the course's sandwich layers.
//!
//! [`elementwise::relu`]: super::elementwise::relu

use super::Mode;
use super::batch_norm::{BatchNormParams, RunningStats};
use super::conv2d::{self, Conv2dParams};
use super::max_pool2d::{self, MaxPool2dParams};
use super::spatial_group_norm::{self, GroupNormParams};
use super::{batch_norm, spatial_batch_norm};
use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Shape, Tensor};

const OP: &str = "conv_norm_relu";

/// What stands between the convolution and the ReLU.
#[derive(Debug)]
pub enum Norm<'a> {
    /// Batch norm.
    Batch {
        /// (F), the scales.
        gamma: &'a Tensor,
        /// (F), the shifts.
        beta: &'a Tensor,
        /// Its settings.
        params: BatchNormParams,
        /// The running averages, which training updates.
        running: &'a mut RunningStats,
    },
    /// Group norm.
    Group {
        /// (F), the scales.
        gamma: &'a Tensor,
        /// (F), the shifts.
        beta: &'a Tensor,
        /// Its settings.
        params: GroupNormParams,
    },
}

/// What backward needs of forward.
#[derive(Clone, Debug)]
pub struct Cache {
    conv: conv2d::Cache,
    norm: NormCache,
    pool: Option<max_pool2d::Cache>,
    output: (Shape, Tensor),
}

#[derive(Clone, Debug)]
enum NormCache {
    Batch(spatial_batch_norm::Cache),
    Group(spatial_group_norm::Cache),
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// (N, C, H, W), channels-last.
    pub dx: Tensor,
    /// (F, C/groups, KH, KW).
    pub dw: Tensor,
    /// (F); none without a bias.
    pub db: Option<Tensor>,
    /// (F).
    pub dgamma: Tensor,
    /// (F).
    pub dbeta: Tensor,
}

/// The layer's output for x (N, C, H, W), w (F, C/groups, KH, KW) and b (F) if given, channels-last: (N, F, H', W'), or
/// (N, F, H'', W'') with a pooling.
///
/// # Panics
/// If the sizes do not fit, the types differ, or a part refuses its settings.
#[track_caller]
pub fn forward(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    params: &Conv2dParams,
    norm: Norm,
    pool: Option<&MaxPool2dParams>,
    mode: Mode,
) -> (Tensor, Cache) {
    let (a, conv) = conv2d::convolve(OP, [x, w], b, params, false);
    let (r, norm) = match norm {
        Norm::Batch { gamma, beta, params, running } => {
            let (r, cache) =
                spatial_batch_norm::normalise(OP, [&a, gamma, beta], &params, mode, running, true);
            (r, NormCache::Batch(cache))
        }
        Norm::Group { gamma, beta, params } => {
            let (r, cache) = spatial_group_norm::normalise(OP, [&a, gamma, beta], &params, true);
            (r, NormCache::Group(cache))
        }
    };
    let (y, pool) = match pool {
        Some(pool) => {
            let (y, cache) = max_pool2d::pooled(OP, &r, pool);
            (y, Some(cache))
        }
        None => (r, None),
    };
    let output = (*y.shape(), Tensor::dirty([0], y.dtype(), Order::RowMajor));
    (y, Cache { conv, norm, pool, output })
}

/// The gradients, given the upstream gradient dy of the output's shape.
///
/// # Panics
/// If dy does not have the output's shape and type.
#[track_caller]
pub fn backward(dy: &Tensor, cache: &Cache) -> Grads {
    let [Some(dx), Some(dw), db, Some(dgamma), Some(dbeta)] = backward_for([true; 5], dy, cache)
    else {
        unreachable!("all were asked for")
    };
    Grads { dx, dw, db, dgamma, dbeta }
}

/// The gradients of x, w, b, gamma and beta that are needed, that of b if there is one. A first layer does not need that of x.
///
/// # Panics
/// As [`backward`].
#[track_caller]
pub fn backward_for(needs: [bool; 5], dy: &Tensor, cache: &Cache) -> [Option<Tensor>; 5] {
    let (shape, like) = &cache.output;
    check::upstream(OP, dy, shape, like);
    let dr = cache.pool.as_ref().map(|pool| max_pool2d::backward(dy, pool));
    let dr = dr.as_ref().unwrap_or(dy);
    let [x, w, b, gamma, beta] = needs;
    let of_norm = [x || w || b, gamma, beta];
    let [da, dgamma, dbeta] = match &cache.norm {
        NormCache::Batch(norm) => spatial_batch_norm::backward_for(of_norm, dr, norm),
        NormCache::Group(norm) => spatial_group_norm::backward_for(of_norm, dr, norm),
    };
    let Some(da) = da else { return [None, None, None, dgamma, dbeta] };
    let [dx, dw, db] = conv2d::backward_for([x, w, b], &da, &cache.conv);
    [dx, dw, db, dgamma, dbeta]
}

impl Var {
    /// Convolution, batch norm, ReLU and max pooling if wanted, on the tape, in its mode: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn conv_batch_norm_relu(
        &self,
        [w, gamma, beta]: [&dyn OnTape; 3],
        b: Option<&dyn OnTape>,
        (conv, params, pool): (&Conv2dParams, BatchNormParams, Option<&MaxPool2dParams>),
        running: &mut RunningStats,
    ) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w), gamma, beta]);
        let [x, w, bias, gamma, beta] = &on.values;
        let norm = Norm::Batch { gamma, beta, params, running };
        let b = b.is_some().then_some(bias);
        let (y, cache) = forward(x, w, b, conv, norm, pool, on.tape().mode());
        on.record(y, cache, backward_for)
    }

    /// Convolution, group norm, ReLU and max pooling if wanted, on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn conv_group_norm_relu(
        &self,
        [w, gamma, beta]: [&dyn OnTape; 3],
        b: Option<&dyn OnTape>,
        (conv, params, pool): (&Conv2dParams, GroupNormParams, Option<&MaxPool2dParams>),
    ) -> Var {
        // Without a bias w stands in its place, and gets no gradient there.
        let on = Operands::of([self, w, b.unwrap_or(w), gamma, beta]);
        let [x, w, bias, gamma, beta] = &on.values;
        let norm = Norm::Group { gamma, beta, params };
        let b = b.is_some().then_some(bias);
        let (y, cache) = forward(x, w, b, conv, norm, pool, on.tape().mode());
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let pool = Some(MaxPool2dParams::default());
    vec![
        batch_case("batch, train", [2, 3, 3, 4], None, Mode::Train),
        batch_case("batch, test", [2, 3, 3, 4], None, Mode::Test),
        batch_case("batch, pool", [2, 3, 4, 4], pool, Mode::Train),
        group_case("group", [2, 3, 3, 4], None),
        group_case("group, pool", [2, 2, 4, 4], pool),
    ]
}

/// Filters of 3 x 3 in the cases.
const FILTERS: usize = 4;

/// In training the gradient of b is 0, and numbers beside 0 say nothing: there the case has no b.
fn batch_case(
    name: &'static str,
    x: [usize; 4],
    pool: Option<MaxPool2dParams>,
    mode: Mode,
) -> Case {
    let case = Case::new(OP, name).input("x", &x).input("w", &[FILTERS, x[1], 3, 3]);
    let case = if mode == Mode::Test { case.input("b", &[FILTERS]) } else { case };
    case.input("gamma", &[FILTERS])
        .input("beta", &[FILTERS])
        .run_slice(move |inputs| {
            let [x, w, .., gamma, beta] = inputs else { unreachable!("the case has them") };
            let b = (mode == Mode::Test).then(|| &inputs[2]);
            let mut running = batch_norm::some_running_stats(FILTERS, x.dtype());
            let params = BatchNormParams::default();
            let norm = Norm::Batch { gamma, beta, params, running: &mut running };
            let (y, cache) = forward(x, w, b, &Conv2dParams::same(3), norm, pool.as_ref(), mode);
            let has_bias = b.is_some();
            let back = move |needs: &[bool], dy: &Tensor| {
                let mut needs = needs.to_vec();
                if !has_bias {
                    needs.insert(2, false);
                }
                let mut grads =
                    backward_for(std::array::from_fn(|i| needs[i]), dy, &cache).to_vec();
                if !has_bias {
                    grads.remove(2);
                }
                grads
            };
            (y, Box::new(back))
        })
        .tape_slice(move |inputs| {
            let [x, w, .., gamma, beta] = inputs else { unreachable!("the case has them") };
            x.tape().set_mode(mode);
            let b = (mode == Mode::Test).then(|| &inputs[2] as &dyn OnTape);
            let mut running = batch_norm::some_running_stats(FILTERS, x.dtype());
            let settings = (&Conv2dParams::same(3), BatchNormParams::default(), pool.as_ref());
            x.conv_batch_norm_relu([w, gamma, beta], b, settings, &mut running)
        })
}

fn group_case(name: &'static str, x: [usize; 4], pool: Option<MaxPool2dParams>) -> Case {
    let case = Case::new(OP, name).input("x", &x).input("w", &[FILTERS, x[1], 3, 3]);
    let case = case.input("b", &[FILTERS]).input("gamma", &[FILTERS]).input("beta", &[FILTERS]);
    case.run(move |[x, w, b, gamma, beta]| {
        let norm = Norm::Group { gamma, beta, params: GroupNormParams::new(2) };
        let params = Conv2dParams::same(3);
        let (y, cache) = forward(x, w, Some(b), &params, norm, pool.as_ref(), Mode::Train);
        (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
    })
    .tape(move |[x, w, b, gamma, beta]| {
        let settings = (&Conv2dParams::same(3), GroupNormParams::new(2), pool.as_ref());
        x.conv_group_norm_relu([w, gamma, beta], Some(b), settings)
    })
}

#[cfg(test)]
mod tests;
