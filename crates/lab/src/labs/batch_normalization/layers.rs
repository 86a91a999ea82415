//! The layers by themselves: statistics and gradients.

use super::super::found::of_columns;
use super::super::{Context, Found};
use anyhow::Result;
use chainrule::gradcheck::{numerical_gradient_array, rel_error};
use chainrule::ops::batch_norm::{self, BatchNormParams, RunningStats};
use chainrule::ops::elementwise::relu;
use chainrule::ops::layer_norm::{self, LayerNormParams};
use chainrule::ops::{Mode, affine};
use chainrule::tensor::{DType, Tensor};
use std::time::Instant;

fn randn(context: &mut Context<'_>, n: usize, d: usize) -> Tensor {
    Tensor::from_f64([n, d], &context.randn(n * d))
}

fn ones(d: usize) -> Tensor {
    Tensor::ones([d], DType::F64)
}

fn zeros(d: usize) -> Tensor {
    Tensor::zeros([d], DType::F64)
}

/// relu(x w1) w2.
fn two_layers(x: &Tensor, w1: &Tensor, w2: &Tensor) -> Tensor {
    let product = |x: &Tensor, w: &Tensor| affine::forward(x, w, &zeros(w.shape()[1])).0;
    product(&relu::forward(&product(x, w1)).0, w2)
}

pub fn batch_in_training(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let [x, w1, w2] = [(200, 50), (50, 60), (60, 3)].map(|(n, d)| randn(context, n, d));
    let a = two_layers(&x, &w1, &w2);
    // show: normalise
    let normalise = |gamma: &Tensor, beta: &Tensor| {
        let mut running = RunningStats::zeros(3, DType::F64);
        let params = BatchNormParams::default();
        batch_norm::forward(&a, gamma, beta, &params, Mode::Train, &mut running).0
    };
    let unit = normalise(&ones(3), &zeros(3));
    let (gamma, beta) =
        (Tensor::from_f64([3], &[1.0, 2.0, 3.0]), Tensor::from_f64([3], &[11.0, 12.0, 13.0]));
    let scaled = normalise(&gamma, &beta);
    // end
    let before =
        [&[-2.3814598, -13.18038246, 1.91780462][..], &[27.18502186, 34.21455511, 37.68611762]];
    found.statistics("Before batch norm:", of_columns(&a), before);
    let after = [&[0.0, 0.0, 0.0][..], &[0.99999999, 1.0, 1.0]];
    found.statistics("With scale 1 and shift 0:", of_columns(&unit), after);
    let after = [&[11.0, 12.0, 13.0][..], &[0.99999999, 1.99999999, 2.99999999]];
    found.statistics("With scales 1 2 3, shifts 11 12 13:", of_columns(&scaled), after);
    found.text(
        "The deviations are a little below 1 because 0.00001 is added to the variance before its root is taken.",
    );
    Ok(found)
}

pub fn batch_in_testing(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let (w1, w2) = (randn(context, 50, 60), randn(context, 60, 3));
    // show: fifty-batches
    let mut running = RunningStats::zeros(3, DType::F64);
    let mut pass = |mode| {
        let a = two_layers(&randn(context, 200, 50), &w1, &w2);
        let params = BatchNormParams::default();
        batch_norm::forward(&a, &ones(3), &zeros(3), &params, mode, &mut running).0
    };
    for _ in 0..50 {
        pass(Mode::Train);
    }
    let y = pass(Mode::Test);
    // end
    let printed =
        [&[-0.03927354, -0.04349152, -0.10452688][..], &[1.01531428, 1.01238373, 0.97819988]];
    found.statistics("After batch norm in test mode:", of_columns(&y), printed);
    Ok(found)
}

/// The errors of dx, dgamma and dbeta against numerical derivatives of `forward`, beside those printed.
fn gradients(
    found: &mut Found,
    inputs: [&Tensor; 3],
    (analytic, upstream): ([&Tensor; 3], &Tensor),
    forward: impl Fn([&Tensor; 3]) -> Tensor,
    printed: [f64; 3],
) {
    for (i, (name, printed)) in ["dx", "dgamma", "dbeta"].into_iter().zip(printed).enumerate() {
        let f = |probe: &Tensor| {
            let mut inputs = inputs;
            inputs[i] = probe;
            forward(inputs)
        };
        let numerical = numerical_gradient_array(f, inputs[i], upstream, 1e-5);
        let error = rel_error(&numerical, analytic[i]);
        found.check_error(name, error, 1e-7, printed);
    }
}

/// x of mean 12 and deviation 5, a scale, a shift, an upstream gradient: as the notebook draws them.
fn inputs(context: &mut Context<'_>, n: usize, d: usize) -> [Tensor; 4] {
    context.seed(231);
    let x: Vec<f64> = context.randn(n * d).into_iter().map(|v| 5.0 * v + 12.0).collect();
    let x = Tensor::from_f64([n, d], &x);
    let [gamma, beta] = [(); 2].map(|()| Tensor::from_f64([d], &context.randn(d)));
    [x, gamma, beta, randn(context, n, d)]
}

/// A result, and the shortest time in seconds of twenty ways to it.
fn fastest<R>(run: impl Fn() -> R) -> (R, f64) {
    let timed = || {
        let began = Instant::now();
        (run(), began.elapsed().as_secs_f64().max(1e-9))
    };
    (1..20).map(|_| timed()).fold(timed(), |a, b| if b.1 < a.1 { b } else { a })
}

fn in_training([x, gamma, beta]: [&Tensor; 3]) -> (Tensor, batch_norm::Cache) {
    let mut running = RunningStats::zeros(x.shape()[1], DType::F64);
    batch_norm::forward(x, gamma, beta, &Default::default(), Mode::Train, &mut running)
}

pub fn batch_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let [x, gamma, beta, dout] = inputs(context, 4, 5);
    let (_, cache) = in_training([&x, &gamma, &beta]);
    let grads = batch_norm::backward(&dout, &cache);
    let printed = [1.702921289698787e-9, 7.420414216247087e-13, 2.8795057655839487e-12];
    let analytic = [&grads.dx, &grads.dgamma, &grads.dbeta];
    gradients(&mut found, [&x, &gamma, &beta], (analytic, &dout), |on| in_training(on).0, printed);
    let [x, gamma, beta, dout] = inputs(context, 100, 500);
    // show: two-ways
    let (_, cache) = in_training([&x, &gamma, &beta]);
    let (along_the_graph, slow) = fastest(|| batch_norm::backward_graph(&dout, &cache));
    let (by_the_formula, fast) = fastest(|| batch_norm::backward(&dout, &cache));
    // end
    let (a, b) = (&along_the_graph, &by_the_formula);
    for (name, a, b, bound) in [
        ("dx", &a.dx, &b.dx, 1e-10),
        ("dgamma", &a.dgamma, &b.dgamma, 1e-11),
        ("dbeta", &a.dbeta, &b.dbeta, 1e-11),
    ] {
        found.check_below(format!("difference of {name} between the two"), rel_error(a, b), bound);
    }
    let times = slow / fast;
    found.print(format!("speedup: {times:.2}x (printed by the course: 1.68x)"));
    found.text(
        "The times, each the shortest of twenty, are of this machine and cannot be compared with the course's. The errors are rounding, \
         which depends on the order of additions.",
    );
    Ok(found)
}

pub fn layer_statistics(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    context.seed(231);
    let [x, w1, w2] = [(4, 50), (50, 60), (60, 3)].map(|(n, d)| randn(context, n, d));
    // show: layer-norm
    let a = two_layers(&x, &w1, &w2); // (4, 3)
    let normalise = |gamma: f64, beta: f64| {
        let (gamma, beta) =
            (Tensor::full([3], gamma, DType::F64), Tensor::full([3], beta, DType::F64));
        layer_norm::forward(&a, &gamma, &beta, &LayerNormParams::default()).0
    };
    let (unit, scaled) = (normalise(1.0, 0.0), normalise(3.0, 5.0));
    // end
    let rows = |x: &Tensor| of_columns(&x.transpose());
    let before = [
        &[-59.06673243, -47.60782686, -43.31137368, -26.40991744][..],
        &[10.07429373, 28.39478981, 35.28360729, 4.01831507],
    ];
    found.statistics("Before layer norm:", rows(&a), before);
    let after = [&[0.0; 4][..], &[0.99999995, 0.99999999, 1.0, 0.99999969]];
    found.statistics("With scale 1 and shift 0:", rows(&unit), after);
    let after = [&[5.0; 4][..], &[2.99999985, 2.99999998, 2.99999999, 2.99999907]];
    found.statistics("With scale 3 and shift 5:", rows(&scaled), after);
    Ok(found)
}

pub fn layer_gradients(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let [x, gamma, beta, dout] = inputs(context, 4, 5);
    // show: layer-norm-gradients
    let (_, cache) = layer_norm::forward(&x, &gamma, &beta, &LayerNormParams::default());
    let grads = layer_norm::backward(&dout, &cache);
    // end
    let forward = |[x, gamma, beta]: [&Tensor; 3]| {
        layer_norm::forward(x, gamma, beta, &LayerNormParams::default()).0
    };
    let printed = [1.4336160411201157e-9, 4.519489546032799e-12, 2.276445013433725e-12];
    let analytic = [&grads.dx, &grads.dgamma, &grads.dbeta];
    gradients(&mut found, [&x, &gamma, &beta], (analytic, &dout), forward, printed);
    found.question(
        "When does layer norm fail?",
        "When there are very few features: with one, the output is the shift, whatever comes in; with two it is a sign, because the \
         two are as far from their mean. Depth is not what breaks it, that is what it helps with. Strong L2 regularization is no \
         particular trouble either: scaling the weights before a layer norm does not change what comes out, so it acts on them like a \
         larger learning rate, and hurts through the last layer, which has no norm, as in any network.",
    );
    Ok(found)
}
