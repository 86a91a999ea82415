//! Normalization of pictures.

use super::super::found::of_columns;
use super::super::{Context, Found};
use super::layers::randn;
use anyhow::Result;
use chainrule::ops::batch_norm::{BatchNormParams, RunningStats};
use chainrule::ops::spatial_group_norm::{self, GroupNormParams};
use chainrule::ops::{Mode, spatial_batch_norm};
use chainrule::tensor::{DType, Tensor};

/// Normals of this shape, stretched and shifted.
fn pictures(context: &mut Context<'_>, shape: [usize; 4], scale: f64, shift: f64) -> Tensor {
    let values = context.randn(shape.iter().product());
    Tensor::from_f64(shape, &values.into_iter().map(|v| scale * v + shift).collect::<Vec<_>>())
}

/// Mean and standard deviation of each channel.
fn of_channels(x: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let [n, c, h, w] = x.shape()[..] else { unreachable!("pictures have four axes") };
    let (values, plane) = (x.to_vec(), h * w);
    let places = (0..n).flat_map(|n| (0..plane).map(move |i| (n, i)));
    let rows: Vec<f64> = places
        .flat_map(|(n, i)| (0..c).map(move |c_| (n * c + c_) * plane + i))
        .map(|at| values[at])
        .collect();
    of_columns(&Tensor::from_f64([n * plane, c], &rows))
}

pub fn batch_in_training(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = pictures(context, [2, 3, 4, 5], 4.0, 10.0);
    // show: spatial-batch-norm
    let mut running = RunningStats::zeros(3, DType::F64);
    let mut normalise = |gamma: &[f64], beta: &[f64]| {
        let (gamma, beta) = (Tensor::from_f64([3], gamma), Tensor::from_f64([3], beta));
        let params = BatchNormParams::default();
        spatial_batch_norm::forward(&x, &gamma, &beta, &params, Mode::Train, &mut running).0
    };
    let unit = normalise(&[1.0, 1.0, 1.0], &[0.0, 0.0, 0.0]);
    let scaled = normalise(&[3.0, 4.0, 5.0], &[6.0, 7.0, 8.0]);
    // end
    let before = [&[9.33463814, 8.90909116, 9.11056338][..], &[3.61447857, 3.19347686, 3.5168142]];
    found.statistics("Before spatial batch norm:", of_channels(&x), before);
    let after = [&[0.0; 3][..], &[0.99999962, 0.99999951, 0.9999996]];
    found.statistics("With scale 1 and shift 0:", of_channels(&unit), after);
    let after = [&[6.0, 7.0, 8.0][..], &[2.99999885, 3.99999804, 4.99999798]];
    found.statistics("With scales 3 4 5, shifts 6 7 8:", of_channels(&scaled), after);
    Ok(found)
}

pub fn batch_in_testing(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let (gamma, beta) = (Tensor::ones([4], DType::F64), Tensor::zeros([4], DType::F64));
    // show: fifty-batches
    let mut running = RunningStats::zeros(4, DType::F64);
    let mut pass = |mode| {
        let x = pictures(context, [10, 4, 11, 12], 2.3, 13.0);
        let params = BatchNormParams::default();
        spatial_batch_norm::forward(&x, &gamma, &beta, &params, mode, &mut running).0
    };
    for _ in 0..50 {
        pass(Mode::Train);
    }
    let y = pass(Mode::Test);
    // end
    let printed = [
        &[-0.08034406, 0.07562881, 0.05716371, 0.04378383][..],
        &[0.96718744, 1.0299714, 1.02887624, 1.00585577],
    ];
    found.statistics("After spatial batch norm in test mode:", of_channels(&y), printed);
    Ok(found)
}

pub fn batch_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = pictures(context, [2, 3, 4, 5], 5.0, 12.0);
    let (gamma, beta) = (randn(context, [3]), randn(context, [3]));
    let dout = randn(context, [2, 3, 4, 5]);
    // show: spatial-gradients
    let forward = |x: &Tensor, gamma: &Tensor, beta: &Tensor| {
        let (params, mut running) =
            (BatchNormParams::default(), RunningStats::zeros(3, DType::F64));
        spatial_batch_norm::forward(x, gamma, beta, &params, Mode::Train, &mut running)
    };
    let grads = spatial_batch_norm::backward(&dout, &forward(&x, &gamma, &beta).1);
    // end
    let of = (&x, &grads.dx, &dout);
    found.gradient("dx", of, |x| forward(x, &gamma, &beta).0, 2.786648193872555e-7);
    let of = (&gamma, &grads.dgamma, &dout);
    found.gradient("dgamma", of, |gamma| forward(&x, gamma, &beta).0, 7.0974817113608705e-12);
    let of = (&beta, &grads.dbeta, &dout);
    found.gradient("dbeta", of, |beta| forward(&x, &gamma, beta).0, 3.275608725278405e-12);
    Ok(found)
}

pub fn group_statistics(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = pictures(context, [2, 6, 4, 5], 4.0, 10.0);
    let (gamma, beta) =
        (Tensor::ones([1, 6, 1, 1], DType::F64), Tensor::zeros([1, 6, 1, 1], DType::F64));
    // show: group-norm
    let params = GroupNormParams::new(2);
    let (y, _) = spatial_group_norm::forward(&x, &gamma, &beta, &params);
    // end
    // Two groups of each of two pictures.
    let of_groups =
        |t: &Tensor| of_columns(&Tensor::from_f64([4, t.len() / 4], &t.to_vec()).transpose());
    let before = [
        &[9.72505327, 8.51114185, 8.9147544, 9.43448077][..],
        &[3.67070958, 3.09892597, 4.27043622, 3.97521327],
    ];
    found.statistics("Before group norm:", of_groups(&x), before);
    let after = [&[0.0; 4][..], &[0.99999963, 0.99999948, 0.99999973, 0.99999968]];
    found.statistics("After group norm:", of_groups(&y), after);
    Ok(found)
}

pub fn group_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let x = pictures(context, [2, 6, 4, 5], 5.0, 12.0);
    let (gamma, beta) = (randn(context, [1, 6, 1, 1]), randn(context, [1, 6, 1, 1]));
    let dout = randn(context, [2, 6, 4, 5]);
    // show: group-gradients
    let params = GroupNormParams::new(2);
    let forward = |x: &Tensor, gamma: &Tensor, beta: &Tensor| {
        spatial_group_norm::forward(x, gamma, beta, &params)
    };
    let grads = spatial_group_norm::backward(&dout, &forward(&x, &gamma, &beta).1);
    // end
    let of = (&x, &grads.dx, &dout);
    found.gradient("dx", of, |x| forward(x, &gamma, &beta).0, 7.413109404620405e-8);
    let of = (&gamma, &grads.dgamma, &dout);
    found.gradient("dgamma", of, |gamma| forward(&x, gamma, &beta).0, 9.468195772749234e-12);
    let of = (&beta, &grads.dbeta, &dout);
    found.gradient("dbeta", of, |beta| forward(&x, &gamma, beta).0, 3.354494437653335e-12);
    Ok(found)
}
