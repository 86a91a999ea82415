use super::*;
use crate::gradcheck::rel_error;
use crate::rng::Rng;
use crate::tensor::DType;

fn normal(shape: &[usize], seed: u64) -> Tensor {
    Tensor::randn(shape, 1.0, DType::F64, &mut Rng::new(seed))
}

/// Mean and deviation of channel c, by hand.
fn of_channel(x: &Tensor, c: usize) -> (f64, f64) {
    let [_, channels, h, w] = x.shape()[..] else { panic!("four axes") };
    let planes = x.to_vec();
    let own: Vec<f64> = planes.chunks(h * w).skip(c).step_by(channels).flatten().copied().collect();
    let mean = own.iter().sum::<f64>() / own.len() as f64;
    (mean, (own.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / own.len() as f64).sqrt())
}

#[test]
fn channels_come_out_with_the_given_mean_and_deviation_in_either_order() {
    let x = normal(&[3, 4, 5, 6], 1);
    let (gamma, beta) = (Tensor::full([4], 3.0, DType::F64), Tensor::full([4], 5.0, DType::F64));
    let params = BatchNormParams::default();
    let mut results = Vec::new();
    for order in [Order::RowMajor, Order::ChannelsLast] {
        let mut running = RunningStats::zeros(4, DType::F64);
        let x = x.to_order(order);
        let (y, cache) = forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
        let Grads { dx, dgamma, dbeta } = backward(&normal(&[3, 4, 5, 6], 2), &cache);
        assert_eq!((y.order(), dx.order()), (order, order));
        for c in 0..4 {
            let (mean, deviation) = of_channel(&y, c);
            assert!((mean - 5.0).abs() < 1e-12 && (deviation - 3.0).abs() < 1e-4);
            let (mean, deviation) = of_channel(&x, c);
            assert!((running.mean.at(&[c]) - 0.1 * mean).abs() < 1e-14);
            assert!((running.var.at(&[c]) - 0.1 * deviation * deviation).abs() < 1e-14);
        }
        results.push([y, dx, dgamma, dbeta, running.mean, running.var].map(|t| t.to_vec()));
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn both_backward_passes_agree() {
    let (gamma, beta) = (normal(&[7], 3), normal(&[7], 4));
    for shape in [[2, 7, 3, 4], [6, 7, 16, 16]] {
        let (x, dy) = (normal(&shape, 5), normal(&shape, 6));
        for (mode, order) in [(Mode::Train, Order::ChannelsLast), (Mode::Test, Order::RowMajor)] {
            let mut running = batch_norm::some_running_stats(7, DType::F64);
            let params = BatchNormParams::default();
            let x = x.to_order(order);
            let (_, cache) = forward(&x, &gamma, &beta, &params, mode, &mut running);
            let (short, graph) = (backward(&dy, &cache), backward_graph(&dy, &cache));
            assert_eq!(graph.dx.order(), order);
            for (a, b) in
                [(short.dx, graph.dx), (short.dgamma, graph.dgamma), (short.dbeta, graph.dbeta)]
            {
                let scale = b.to_vec().iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                let pairs = a.to_vec().into_iter().zip(b.to_vec());
                assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-12 * scale));
            }
        }
    }
}

#[test]
#[should_panic(expected = "spatial_batch_norm: x has 3 channels, gamma is [4]\n    \
                           x      [2, 3, 5, 5]   N C H W\n    \
                           gamma  [4]            C\n    \
                           beta   [3]            C")]
fn scales_that_do_not_fit_panic() {
    let mut running = RunningStats::zeros(3, DType::F32);
    let (x, params) = (Tensor::zeros([2, 3, 5, 5], DType::F32), BatchNormParams::default());
    let (gamma, beta) = (Tensor::ones([4], DType::F32), Tensor::ones([3], DType::F32));
    forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
}

#[test]
#[should_panic(expected = "spatial_batch_norm: x has 3 channels, the running mean is [2]")]
fn averages_that_do_not_fit_panic() {
    let mut running = RunningStats::zeros(2, DType::F32);
    let (x, params) = (Tensor::zeros([2, 3, 5, 5], DType::F32), BatchNormParams::default());
    let [gamma, beta] = [Tensor::ones([3], DType::F32), Tensor::ones([3], DType::F32)];
    forward(&x, &gamma, &beta, &params, Mode::Test, &mut running);
}

#[test]
#[should_panic(expected = "a batch without pixels has no statistics to train with")]
fn an_empty_batch_cannot_be_trained_on() {
    let mut running = RunningStats::zeros(3, DType::F32);
    let (x, params) = (Tensor::zeros([0, 3, 5, 5], DType::F32), BatchNormParams::default());
    let [gamma, beta] = [Tensor::ones([3], DType::F32), Tensor::ones([3], DType::F32)];
    forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
}

#[test]
fn the_fast_one_equals_its_naive_twin() {
    let (x, dy) = (normal(&[3, 4, 5, 6], 1), normal(&[3, 4, 5, 6], 2));
    let (gamma, beta) = (normal(&[4], 3), normal(&[4], 4));
    let params = BatchNormParams::default();
    let (want, twin) = naive::forward(&x, &gamma, &beta, &params);
    let slow = naive::backward(&dy, &twin);
    for order in [Order::RowMajor, Order::ChannelsLast] {
        let mut running = RunningStats::zeros(4, DType::F64);
        let x = x.to_order(order);
        let (y, cache) = forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
        assert!(rel_error(&y, &want) < 1e-9);
        let fast = backward(&dy, &cache);
        for (a, b) in [(fast.dx, &slow.dx), (fast.dgamma, &slow.dgamma), (fast.dbeta, &slow.dbeta)]
        {
            assert!(rel_error(&a, b) < 1e-8);
        }
    }
}
