//! Cells of the course's notebooks that look at statistics.

use chainrule::ops::batch_norm::{self, BatchNormParams, RunningStats};
use chainrule::ops::elementwise::relu;
use chainrule::ops::layer_norm::{self, LayerNormParams};
use chainrule::ops::{Mode, affine, dropout};
use chainrule::rng::{NumpyRng, Rng};
use chainrule::tensor::{DType, Tensor};
use serde::Deserialize;

use super::layers::tensors;
use super::{array, tensor};
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::{Array, Case};

/// The two-layer network of these cells: relu(x w1) w2.
fn activations(x: &Tensor, w1: &Tensor, w2: &Tensor) -> Tensor {
    let product = |x: &Tensor, w: &Tensor| {
        affine::forward(x, w, &Tensor::zeros([w.shape()[1]], DType::F64)).0
    };
    product(&relu::forward(&product(x, w1)).0, w2)
}

/// Mean and standard deviation (of the whole, not of a sample) of each column.
pub fn of_columns(x: &Tensor) -> (Out, Out) {
    let (n, columns) = (x.shape()[0], x.shape()[1]);
    let (mut means, mut stds) = (Vec::new(), Vec::new());
    for j in 0..columns {
        let column: Vec<f64> = x.to_vec().into_iter().skip(j).step_by(columns).collect();
        let mean = column.iter().sum::<f64>() / n as f64;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        means.push(mean);
        stds.push(variance.sqrt());
    }
    let array = |data: Vec<f64>| Array::new(&[columns], data).into();
    (array(means), array(stds))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    pub gamma: Array,
    pub beta: Array,
}

/// Batch norm in training: the activations before, with scale 1 and shift 0, and with the given ones.
pub fn batchnorm_train(case: &Case) -> Result<Outputs, String> {
    let (args, [x, w1, w2]): (Affine, _) =
        (case.args()?, tensors(&Inputs::of(case)?, ["X", "W1", "W2"])?);
    let a = activations(&x, &w1, &w2);
    let features = a.shape()[1];
    let normalised = |gamma: &Tensor, beta: &Tensor| {
        let mut running = RunningStats::zeros(features, DType::F64);
        let params = BatchNormParams::default();
        let out = batch_norm::forward(&a, gamma, beta, &params, Mode::Train, &mut running).0;
        (out, running)
    };
    let (ones, zeros) =
        (Tensor::ones([features], DType::F64), Tensor::zeros([features], DType::F64));
    let (unit, _) = normalised(&ones, &zeros);
    let (out, running) = normalised(&tensor(&args.gamma), &tensor(&args.beta));
    let (before_mean, before_std) = of_columns(&a);
    let (unit_mean, unit_std) = of_columns(&unit);
    let (affine_mean, affine_std) = of_columns(&out);
    Ok(outputs([
        ("before_mean", before_mean),
        ("before_std", before_std),
        ("unit_mean", unit_mean),
        ("unit_std", unit_std),
        ("affine_mean", affine_mean),
        ("affine_std", affine_std),
        ("running_mean", array(&running.mean)),
        ("running_var", array(&running.var)),
        ("out_affine", array(&out)),
    ]))
}

/// Batch norm in testing, after some batches of training.
pub fn batchnorm_test(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(non_snake_case)]
    struct Args {
        seed: u32,
        N: usize,
        D1: usize,
        D2: usize,
        D3: usize,
        iters: usize,
        momentum: Option<f64>,
        eps: Option<f64>,
    }
    let args: Args = case.args()?;
    let mut rng = NumpyRng::new(args.seed);
    let mut randn = |n: usize, d: usize| Tensor::from_f64([n, d], &rng.randn(n * d));
    let (w1, w2) = (randn(args.D1, args.D2), randn(args.D2, args.D3));
    let defaults = BatchNormParams::default();
    let params = BatchNormParams {
        momentum: args.momentum.unwrap_or(defaults.momentum),
        eps: args.eps.unwrap_or(defaults.eps),
        ..defaults
    };
    let mut running = RunningStats::zeros(args.D3, DType::F64);
    let (gamma, beta) = (Tensor::ones([args.D3], DType::F64), Tensor::zeros([args.D3], DType::F64));
    let mut pass = |mode| {
        let a = activations(&randn(args.N, args.D1), &w1, &w2);
        batch_norm::forward(&a, &gamma, &beta, &params, mode, &mut running).0
    };
    (0..args.iters).for_each(|_| drop(pass(Mode::Train)));
    let out = pass(Mode::Test);
    let (mean, std) = of_columns(&out);
    Ok(outputs([
        ("mean", mean),
        ("std", std),
        ("running_mean", array(&running.mean)),
        ("running_var", array(&running.var)),
        ("out", array(&out)),
    ]))
}

/// Layer norm: the same statistics, of rows.
pub fn layernorm(case: &Case) -> Result<Outputs, String> {
    let (args, [x, w1, w2]): (Affine, _) =
        (case.args()?, tensors(&Inputs::of(case)?, ["X", "W1", "W2"])?);
    let a = activations(&x, &w1, &w2);
    let features = a.shape()[1];
    let (ones, zeros) =
        (Tensor::ones([features], DType::F64), Tensor::zeros([features], DType::F64));
    let params = LayerNormParams::default();
    let unit = layer_norm::forward(&a, &ones, &zeros, &params).0;
    let out = layer_norm::forward(&a, &tensor(&args.gamma), &tensor(&args.beta), &params).0;
    let (before_mean, before_std) = of_columns(&a.transpose());
    let (unit_mean, unit_std) = of_columns(&unit.transpose());
    let (affine_mean, affine_std) = of_columns(&out.transpose());
    Ok(outputs([
        ("before_mean", before_mean),
        ("before_std", before_std),
        ("unit_mean", unit_mean),
        ("unit_std", unit_std),
        ("affine_mean", affine_mean),
        ("affine_std", affine_std),
        ("out_affine", array(&out)),
    ]))
}

/// Means and shares of zeroes of dropout's output. Each row: keep probability; means of the input, of the output in training and
/// in a test; shares of zeroes in training and in a test.
pub fn dropout_stats(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        seed: u32,
        shape: [usize; 2],
        add: f64,
        keep: Vec<f64>,
    }
    let Args { seed, shape, add, keep } = case.args()?;
    let mut rng = NumpyRng::new(seed);
    let values: Vec<f64> = rng.randn(shape[0] * shape[1]).into_iter().map(|v| v + add).collect();
    let (x, mut rng) = (Tensor::from_f64(shape, &values), Rng::Numpy(rng));
    let mut rows = Vec::new();
    for &p in &keep {
        let train = dropout::forward(&x, p, Mode::Train, &mut rng).0;
        let test = dropout::forward(&x, p, Mode::Test, &mut rng).0;
        rows.extend([p, mean(&x, |v| v), mean(&train, |v| v), mean(&test, |v| v)]);
        rows.extend([&train, &test].map(|out| mean(out, |v| f64::from(v == 0.0))));
    }
    Ok(outputs([("rows", Array::new(&[keep.len(), 6], rows).into())]))
}

/// The mean of `f` over all elements, summed row by row so that rounding stays small.
fn mean(x: &Tensor, f: impl Fn(f64) -> f64) -> f64 {
    let rows = x.to_vec();
    let sums = rows.chunks(x.shape()[1]).map(|row| row.iter().map(|&v| f(v)).sum::<f64>());
    sums.sum::<f64>() / x.len() as f64
}
