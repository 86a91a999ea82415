//! Cells of the course's notebooks that look at statistics of pictures.

use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{Mode, spatial_batch_norm};
use chainrule::rng::NumpyRng;
use chainrule::tensor::{DType, Order, Tensor};
use serde::Deserialize;

use super::cells::{Affine, of_columns};
use super::layers::tensors;
use super::{array, tensor};
use crate::compare::{Out, Outputs, outputs};
use crate::draws::Inputs;
use crate::format::Case;

/// Mean and standard deviation of each channel.
fn of_channels(x: &Tensor) -> (Out, Out) {
    let (c, pictures) = (x.shape()[1], x.to_order(Order::RowMajor));
    let plane: usize = x.shape()[2..].iter().product();
    let (values, mut rows) = (pictures.to_vec(), Vec::new());
    for (n, i) in (0..x.shape()[0]).flat_map(|n| (0..plane).map(move |i| (n, i))) {
        rows.extend((0..c).map(|c_| values[(n * c + c_) * plane + i]));
    }
    of_columns(&Tensor::from_f64([rows.len() / c, c], &rows))
}

/// Batch norm in training: the channels before, with scale 1 and shift 0, and with the given ones; the running averages are
/// updated by both.
pub fn spatial_batchnorm(case: &Case) -> Result<Outputs, String> {
    let (Affine { gamma, beta }, [x]) = (case.args()?, tensors(&Inputs::of(case)?, ["x"])?);
    let (gamma, beta) = (tensor(&gamma), tensor(&beta));
    let mut running = RunningStats::zeros(gamma.len(), DType::F64);
    let mut normalised = |gamma: &Tensor, beta: &Tensor| {
        let params = BatchNormParams::default();
        let x = x.to_order(Order::ChannelsLast);
        spatial_batch_norm::forward(&x, gamma, beta, &params, Mode::Train, &mut running).0
    };
    let (ones, zeros) = (Tensor::ones(*gamma.shape(), DType::F64), gamma.zeros_like());
    let unit = normalised(&ones, &zeros);
    let out = normalised(&gamma, &beta);
    let (before_mean, before_std) = of_channels(&x);
    let (affine_mean, affine_std) = of_channels(&out);
    Ok(outputs([
        ("before_mean", before_mean),
        ("before_std", before_std),
        ("unit_std", of_channels(&unit).1),
        ("affine_mean", affine_mean),
        ("affine_std", affine_std),
        ("running_mean", array(&running.mean)),
        ("running_var", array(&running.var)),
    ]))
}

/// Batch norm in testing, after some batches of training.
pub fn spatial_batchnorm_test(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        seed: u32,
        shape: [usize; 4],
        mul: f64,
        add: f64,
        iters: usize,
    }
    let Args { seed, shape, mul, add, iters } = case.args()?;
    let (mut rng, c) = (NumpyRng::new(seed), shape[1]);
    let mut running = RunningStats::zeros(c, DType::F64);
    let (gamma, beta) = (Tensor::ones([c], DType::F64), Tensor::zeros([c], DType::F64));
    let mut pass = |mode| {
        let values = rng.randn(shape.iter().product()).into_iter().map(|v| mul * v + add);
        let x = Tensor::from_f64(shape, &values.collect::<Vec<_>>());
        let params = BatchNormParams::default();
        spatial_batch_norm::forward(&x, &gamma, &beta, &params, mode, &mut running).0
    };
    (0..iters).for_each(|_| drop(pass(Mode::Train)));
    let (mean, std) = of_channels(&pass(Mode::Test));
    Ok(outputs([
        ("mean", mean),
        ("std", std),
        ("running_mean", array(&running.mean)),
        ("running_var", array(&running.var)),
    ]))
}

/// Group norm: the same statistics, of the groups of each picture.
pub fn groupnorm(case: &Case) -> Result<Outputs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Args {
        #[serde(rename = "G")]
        groups: usize,
    }
    let (Args { groups }, [x]) = (case.args()?, tensors(&Inputs::of(case)?, ["x"])?);
    let c = x.shape()[1];
    let (gamma, beta) =
        (Tensor::ones([1, c, 1, 1], DType::F64), Tensor::zeros([1, c, 1, 1], DType::F64));
    let (out, _) = spatial_group_norm::forward(&x, &gamma, &beta, &GroupNormParams::new(groups));
    let of_groups = |t: &Tensor| {
        let rows = x.shape()[0] * groups;
        of_columns(&t.reshape([rows, t.len() / rows]).transpose())
    };
    let ((before_mean, before_std), (_, after_std)) = (of_groups(&x), of_groups(&out));
    Ok(outputs([
        ("before_mean", before_mean),
        ("before_std", before_std),
        ("after_std", after_std),
    ]))
}
