use super::*;
use crate::rng::Rng;

fn normal(shape: &[usize], std: f64, seed: u64, dtype: DType) -> Tensor {
    Tensor::randn(shape, std, dtype, &mut Rng::new(seed))
}

fn close(a: &Tensor, b: &Tensor, tolerance: f64) {
    let (a, b) = (a.to_vec(), b.to_vec());
    let scale = b.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
    let worst = a.iter().zip(&b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
    assert!(worst <= tolerance * scale, "{worst} of {scale}");
}

#[test]
fn columns_come_out_with_the_given_mean_and_deviation() {
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-7)] {
        let x = normal(&[200, 3], 30.0, 1, dtype);
        let gamma = Tensor::from_f64([3], &[1.0, 2.0, 3.0]).to_dtype(dtype);
        let beta = Tensor::from_f64([3], &[11.0, 12.0, 13.0]).to_dtype(dtype);
        let mut running = RunningStats::zeros(3, dtype);
        let params = BatchNormParams::default();
        let (y, _) = forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
        let y = y.to_vec();
        for j in 0..3 {
            let column = || y.iter().skip(j).step_by(3);
            let mean = column().sum::<f64>() / 200.0;
            let var = column().map(|v| (v - mean).powi(2)).sum::<f64>() / 200.0;
            assert!((mean - 11.0 - j as f64).abs() < tolerance, "{mean}");
            assert!((var.sqrt() - 1.0 - j as f64).abs() < tolerance, "{var}");
        }
    }
}

#[test]
fn running_averages_of_a_constant_batch_follow_the_closed_form() {
    let x = normal(&[50, 4], 2.0, 2, DType::F64);
    let [gamma, beta] = [Tensor::ones([4], DType::F64), Tensor::zeros([4], DType::F64)];
    let values = x.to_vec();
    let mean = |j: usize| values.iter().skip(j).step_by(4).sum::<f64>() / 50.0;
    let square = |j: usize| {
        values.iter().skip(j).step_by(4).map(|v| (v - mean(j)).powi(2)).sum::<f64>() / 50.0
    };
    for (momentum, unbiased, factor) in
        [(0.9, false, 1.0), (0.9, true, 50.0 / 49.0), (0.0, false, 1.0), (1.0, false, 1.0)]
    {
        let params = BatchNormParams { momentum, unbiased, ..BatchNormParams::default() };
        let mut running = RunningStats::zeros(4, DType::F64);
        let mut unit = RunningStats::unit(4, DType::F64);
        for k in 1..=50 {
            forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
            forward(&x, &gamma, &beta, &params, Mode::Train, &mut unit);
            let past = f64::powi(momentum, k);
            for j in 0..4 {
                let mean = (1.0 - past) * mean(j);
                let var = (1.0 - past) * square(j) * factor;
                assert!((running.mean.at(&[j]) - mean).abs() < 1e-13);
                assert!((running.var.at(&[j]) - var).abs() < 1e-13);
                assert!((unit.var.at(&[j]) - var - past).abs() < 1e-13);
            }
        }
    }
    assert!((1.0 - f64::powi(0.9, 50) - 0.9948).abs() < 1e-4);
}

#[test]
fn test_mode_reads_the_averages_and_leaves_them_alone() {
    let x = normal(&[7, 3], 1.0, 3, DType::F64);
    let (gamma, beta) = (normal(&[3], 1.0, 4, DType::F64), normal(&[3], 1.0, 5, DType::F64));
    let mut running = some_running_stats(3, DType::F64);
    let before = running.clone();
    let params = BatchNormParams::default();
    let (y, _) = forward(&x, &gamma, &beta, &params, Mode::Test, &mut running);
    for i in 0..7 {
        for j in 0..3 {
            let [x, mean, var] = [x.at(&[i, j]), running.mean.at(&[j]), running.var.at(&[j])];
            let want = gamma.at(&[j]) * (x - mean) / (var + 1e-5).sqrt() + beta.at(&[j]);
            assert!((y.at(&[i, j]) - want).abs() < 1e-14);
        }
    }
    assert_eq!(running.mean.to_vec(), before.mean.to_vec());
    assert_eq!(running.var.to_vec(), before.var.to_vec());
}

#[test]
fn both_backward_passes_agree() {
    let params = BatchNormParams::default();
    for (n, d) in [(4, 5), (100, 500), (1100, 7), (2, 1)] {
        let x = normal(&[n, d], 5.0, 6, DType::F64);
        let (gamma, beta) = (normal(&[d], 1.0, 7, DType::F64), normal(&[d], 1.0, 8, DType::F64));
        let dy = normal(&[n, d], 1.0, 9, DType::F64);
        for mode in [Mode::Train, Mode::Test] {
            let mut running = some_running_stats(d, DType::F64);
            let (_, cache) = forward(&x, &gamma, &beta, &params, mode, &mut running);
            let (short, graph) = (backward(&dy, &cache), backward_graph(&dy, &cache));
            close(&short.dx, &graph.dx, if n == 2 { 1e-6 } else { 1e-12 });
            close(&short.dgamma, &graph.dgamma, 1e-12);
            close(&short.dbeta, &graph.dbeta, 1e-12);
        }
    }
}

#[test]
fn one_row_passes_no_gradient_to_x() {
    let x = normal(&[1, 3], 1.0, 1, DType::F32);
    let (gamma, beta) = (Tensor::ones([3], DType::F32), Tensor::full([3], 2.0, DType::F32));
    let mut running = RunningStats::zeros(3, DType::F32);
    let params = BatchNormParams::default();
    let (y, cache) = forward(&x, &gamma, &beta, &params, Mode::Train, &mut running);
    assert_eq!(y.to_vec(), [2.0; 3]);
    let grads = backward(&x, &cache);
    assert_eq!((grads.dx.to_vec(), grads.dgamma.to_vec()), (vec![0.0; 3], vec![0.0; 3]));
    assert_eq!(grads.dbeta.to_vec(), x.to_vec());
}

#[test]
fn averages_may_be_kept_in_more_digits_than_x() {
    let x = normal(&[20, 2], 1.0, 1, DType::F32);
    let [gamma, beta] = [Tensor::ones([2], DType::F32), Tensor::zeros([2], DType::F32)];
    let params = BatchNormParams::default();
    let (mut wide, mut narrow) =
        (RunningStats::zeros(2, DType::F64), RunningStats::zeros(2, DType::F32));
    for running in [&mut wide, &mut narrow] {
        forward(&x, &gamma, &beta, &params, Mode::Train, running);
    }
    assert_eq!(wide.mean.to_dtype(DType::F32).to_vec(), narrow.mean.to_vec());
    assert_eq!(wide.var.to_dtype(DType::F32).to_vec(), narrow.var.to_vec());
}

#[test]
#[should_panic(expected = "batch_norm: a batch without rows has no statistics to train with")]
fn no_rows_cannot_be_trained_on() {
    let [gamma, beta] = [Tensor::ones([2], DType::F32), Tensor::zeros([2], DType::F32)];
    let mut running = RunningStats::zeros(2, DType::F32);
    let x = Tensor::zeros([0, 2], DType::F32);
    forward(&x, &gamma, &beta, &BatchNormParams::default(), Mode::Train, &mut running);
}

#[test]
#[should_panic(expected = "the running averages have others")]
fn averages_of_another_size_are_refused() {
    let [gamma, beta] = [Tensor::ones([2], DType::F32), Tensor::zeros([2], DType::F32)];
    let mut running = RunningStats::zeros(3, DType::F32);
    let x = Tensor::zeros([4, 2], DType::F32);
    forward(&x, &gamma, &beta, &BatchNormParams::default(), Mode::Test, &mut running);
}
