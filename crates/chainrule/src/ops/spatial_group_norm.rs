//! Spatial group normalization: each group of neighbouring channels of each picture gets mean 0 and variance 1 over its pixels.
//!
//! ```text
//! xhat = (x - mean[n,g]) / sqrt(var[n,g] + eps)    y = gamma[c] xhat + beta[c]    x, y (N, C, H, W)   gamma, beta (C)
//! dbeta = sum over N, H, W of dy    dgamma = sum over N, H, W of dy xhat
//! dx = (t - mean(t) - xhat mean(t xhat)) / sqrt(var + eps)    t = gamma dy, means over a group's C/G channels and all pixels
//! ```
//! The variance is biased. Nothing depends on the other pictures or on the mode. One group is layer norm of pictures, as many as
//! channels instance norm. gamma and beta may be (1, C, 1, 1) too, as the course has them; their gradients are then so as well.
//!
//! Keeps the memory order; a row-major batch is converted on its way in and back on its way out. Saved: x (channels-last, shared
//! if it came so), each group's mean and `1 / sqrt(var + eps)`. Cost: three passes over each picture forward, two over x and dy
//! backward. [`naive`] does the same in explicit loops. Source: Y. Wu, K. He, "Group Normalization", ECCV 2018.

pub mod naive;

use crate::check;
use crate::gradcheck::{Case, backward_pass};
use crate::tape::{OnTape, Operands, Var};
use crate::tensor::{Order, Tensor, float};
use chainrule_kernels::Real;
use chainrule_kernels::norm::{self, Affine, Downstream, GroupShape, Upstream};

/// The settings of group norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormParams {
    /// The number of groups, which divides the number of channels.
    pub groups: usize,
    /// Added to the variance, so that a constant group does not divide by 0.
    pub eps: f64,
}

impl GroupNormParams {
    /// So many groups, and the usual eps of 1e-5.
    pub fn new(groups: usize) -> Self {
        GroupNormParams { groups, eps: 1e-5 }
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
    shape: GroupShape,
    relu: bool,
    order: Order,
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct Grads {
    /// (N, C, H, W).
    pub dx: Tensor,
    /// Shape of gamma.
    pub dgamma: Tensor,
    /// Shape of beta.
    pub dbeta: Tensor,
}

/// Normalises the groups of x (N, C, H, W) and applies gamma and beta, (C) or (1, C, 1, 1).
///
/// # Panics
/// If the sizes do not fit, the types differ, or the groups do not divide the channels.
#[track_caller]
pub fn forward(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    params: &GroupNormParams,
) -> (Tensor, Cache) {
    normalise("spatial_group_norm", [x, gamma, beta], params, false)
}

/// The forward pass of this op and of the sandwiches that hold it, with a ReLU inside the last pass if wanted.
#[track_caller]
pub(super) fn normalise(
    op: &str,
    [x, gamma, beta]: [&Tensor; 3],
    params: &GroupNormParams,
    relu: bool,
) -> (Tensor, Cache) {
    let shape = sizes(op, [x, gamma, beta], params);
    let order = x.order();
    let x = x.to_order(Order::ChannelsLast);
    let mut y = x.dirty_like();
    let [mut mean, mut rstd] =
        [(); 2].map(|()| Tensor::dirty([shape.pictures, shape.groups], x.dtype(), Order::RowMajor));
    float!(x.dtype(), T => {
        let after = Affine { gamma: gamma.data::<T>(), beta: beta.data(), relu };
        let stats = [mean.data_mut(), rstd.data_mut()];
        norm::group_norm(shape, x.data(), after, T::from_f64(params.eps), stats, y.data_mut());
    });
    let (gamma, beta) = (gamma.clone(), beta.clone());
    (y.to_order(order), Cache { x, gamma, beta, mean, rstd, shape, relu, order })
}

/// The sizes of a group norm of these operands, if they fit.
#[track_caller]
fn sizes(op: &str, [x, gamma, beta]: [&Tensor; 3], params: &GroupNormParams) -> GroupShape {
    let operands = [("x", x, "N C H W"), ("gamma", gamma, "C"), ("beta", beta, "C")];
    let settings = format_args!("groups {}", params.groups);
    let [pictures, channels, h, w] = x.shape()[..] else {
        check::fail(op, "x must have four axes", &operands, settings);
    };
    for (name, t) in [("gamma", gamma), ("beta", beta)] {
        if t.shape()[..] != [channels] && t.shape()[..] != [1, channels, 1, 1] {
            let reason = format!("x has {channels} channels, {name} is {:?}", t.shape());
            check::fail(op, reason, &operands, settings);
        }
    }
    check::same_dtype(op, &operands);
    if params.groups == 0 || !channels.is_multiple_of(params.groups) {
        let reason = format!("{channels} channels do not fall into {} groups", params.groups);
        check::fail(op, reason, &operands, settings);
    }
    GroupShape { pictures, pixels: h * w, channels, groups: params.groups }
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
    let Cache { x, gamma, beta, mean, rstd, shape, relu, order } = cache;
    check::upstream("spatial_group_norm", dy, x.shape(), x);
    let dy = dy.to_order(Order::ChannelsLast);
    let mut dx = needs[0].then(|| x.dirty_like());
    let [mut dgamma, mut dbeta] = [gamma.dirty_like(), beta.dirty_like()];
    float!(dy.dtype(), T => {
        let up = Upstream { x: x.data::<T>(), dy: dy.data(), mean: mean.data(), rstd: rstd.data() };
        let after = Affine { gamma: gamma.data(), beta: beta.data(), relu: *relu };
        let dx = dx.as_mut().map(Tensor::data_mut);
        let to = Downstream { dx, dgamma: dgamma.data_mut(), dbeta: dbeta.data_mut() };
        norm::group_norm_backward(*shape, up, after, to);
    });
    [dx.map(|dx| dx.to_order(*order)), needs[1].then_some(dgamma), needs[2].then_some(dbeta)]
}

impl Var {
    /// Group norm of pictures on the tape: see [`forward`].
    ///
    /// # Panics
    /// As [`forward`].
    #[track_caller]
    pub fn spatial_group_norm(
        &self,
        gamma: &dyn OnTape,
        beta: &dyn OnTape,
        params: &GroupNormParams,
    ) -> Var {
        let on = Operands::of([self, gamma, beta]);
        let [x, gamma, beta] = &on.values;
        let (y, cache) = forward(x, gamma, beta, params);
        on.record(y, cache, backward_for)
    }
}

/// The cases of the gradient check.
pub fn checks() -> Vec<Case> {
    let case = |name, shape: [usize; 4], per_channel: &[usize], groups: usize, order: Order| {
        let case = Case::new("spatial_group_norm", name).input("x", &shape);
        case.input("gamma", per_channel)
            .input("beta", per_channel)
            .run(move |[x, gamma, beta]| {
                let x = x.to_order(order);
                let (y, cache) = forward(&x, gamma, beta, &GroupNormParams::new(groups));
                (y, backward_pass(move |needs, dy| backward_for(needs, dy, &cache)))
            })
            .tape(move |[x, gamma, beta]| {
                x.to_order(order).spatial_group_norm(gamma, beta, &GroupNormParams::new(groups))
            })
    };
    let (rows, last) = (Order::RowMajor, Order::ChannelsLast);
    vec![
        case("two groups", [2, 6, 3, 4], &[1, 6, 1, 1], 2, rows),
        case("channels last", [2, 6, 3, 4], &[6], 3, last),
        case("one group", [2, 4, 3, 3], &[4], 1, last),
        case("instances", [2, 4, 3, 3], &[4], 4, last),
        case("17 channels", [1, 17, 3, 2], &[17], 1, last),
        case("one", [1, 1, 1, 1], &[1], 1, rows),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::rel_error;
    use crate::rng::Rng;
    use crate::tensor::DType;

    #[test]
    fn groups_come_out_with_mean_0_and_deviation_1_in_either_order() {
        let x = Tensor::randn([2, 6, 5, 4], 4.0, DType::F64, &mut Rng::new(1));
        let dy = Tensor::randn([2, 6, 5, 4], 1.0, DType::F64, &mut Rng::new(2));
        let (ones, zeros) = (Tensor::ones([6], DType::F64), Tensor::zeros([6], DType::F64));
        let mut results = Vec::new();
        for order in [Order::RowMajor, Order::ChannelsLast] {
            let params = GroupNormParams::new(3);
            let (y, cache) = forward(&x.to_order(order), &ones, &zeros, &params);
            for group in y.to_vec().chunks(2 * 5 * 4) {
                let mean = group.iter().sum::<f64>() / 40.0;
                let var = group.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 40.0;
                assert!(mean.abs() < 1e-12 && (var - 1.0).abs() < 1e-5, "{mean} {var}");
            }
            let Grads { dx, dgamma, dbeta } = backward(&dy, &cache);
            assert_eq!((y.order(), dx.order()), (order, order));
            results.push([y, dx, dgamma, dbeta].map(|t| t.to_vec()));
        }
        assert_eq!(results[0], results[1]);
    }

    #[test]
    fn the_fast_one_equals_its_naive_twin() {
        let x = Tensor::randn([3, 6, 5, 4], 4.0, DType::F64, &mut Rng::new(1));
        let dy = Tensor::randn([3, 6, 5, 4], 1.0, DType::F64, &mut Rng::new(2));
        let [gamma, beta] =
            [3, 4].map(|seed| Tensor::randn([6], 1.0, DType::F64, &mut Rng::new(seed)));
        for (groups, order) in
            [(1, Order::RowMajor), (3, Order::ChannelsLast), (6, Order::RowMajor)]
        {
            let params = GroupNormParams::new(groups);
            let (y, cache) = forward(&x.to_order(order), &gamma, &beta, &params);
            let (want, twin) = naive::forward(&x, &gamma, &beta, &params);
            assert!(rel_error(&y, &want) < 1e-9, "{groups}");
            let (fast, slow) = (backward(&dy, &cache), naive::backward(&dy, &twin));
            for (a, b) in [(fast.dx, slow.dx), (fast.dgamma, slow.dgamma), (fast.dbeta, slow.dbeta)]
            {
                assert!(rel_error(&a, &b) < 1e-8, "{groups}");
            }
        }
    }

    #[test]
    fn an_empty_batch_gives_an_empty_result_and_zero_gradients() {
        let ones = Tensor::ones([4], DType::F32);
        let x = Tensor::zeros([0, 4, 3, 3], DType::F32);
        let (y, cache) = forward(&x, &ones, &ones, &GroupNormParams::new(2));
        let Grads { dx, dgamma, dbeta } = backward(&y, &cache);
        assert!(y.is_empty() && dx.is_empty());
        assert_eq!((dgamma.to_vec(), dbeta.to_vec()), (vec![0.0; 4], vec![0.0; 4]));
    }

    #[test]
    #[should_panic(expected = "spatial_group_norm: 6 channels do not fall into 4 groups")]
    fn groups_that_do_not_divide_panic() {
        let ones = Tensor::ones([6], DType::F32);
        forward(&Tensor::zeros([2, 6, 3, 3], DType::F32), &ones, &ones, &GroupNormParams::new(4));
    }

    #[test]
    #[should_panic(expected = "spatial_group_norm: x has 6 channels, beta is [5]\n    \
                               x      [2, 6, 3, 3]   N C H W\n    \
                               gamma  [6]            C\n    \
                               beta   [5]            C\n  \
                               in   groups 2")]
    fn shifts_that_do_not_fit_panic() {
        let (gamma, beta) = (Tensor::ones([6], DType::F32), Tensor::ones([5], DType::F32));
        forward(&Tensor::zeros([2, 6, 3, 3], DType::F32), &gamma, &beta, &GroupNormParams::new(2));
    }
}
