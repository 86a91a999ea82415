use super::*;
use crate::ops::elementwise::relu;
use crate::tensor::DType;

struct Inputs {
    x: Tensor,
    w: Tensor,
    b: Tensor,
    gamma: Tensor,
    beta: Tensor,
    dy: Tensor,
}

fn inputs([n, d, m]: [usize; 3], dtype: DType) -> Inputs {
    let mut rng = Rng::new(12);
    let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, dtype, &mut rng);
    Inputs {
        x: normal(&[n, d]),
        w: normal(&[d, m]),
        b: normal(&[m]),
        gamma: normal(&[m]),
        beta: normal(&[m]),
        dy: normal(&[n, m]),
    }
}

fn same(a: &Tensor, b: &Tensor) {
    assert_eq!(a.shape(), b.shape());
    assert!(a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| *a == b));
}

#[test]
fn batch_norm_inside_gives_the_bits_of_the_layers_one_after_the_other() {
    for shape in [[5, 4, 3], [50, 60, 100], [1100, 3, 9]] {
        for mode in [Mode::Train, Mode::Test] {
            let Inputs { x, w, b, gamma, beta, dy } = &inputs(shape, DType::F32);
            let params = BatchNormParams::default();
            let [mut running, mut other] =
                [0; 2].map(|_| batch_norm::some_running_stats(shape[2], DType::F32));
            let norm = Norm::Batch { gamma, beta, params, running: &mut running };
            let (y, cache) = forward(x, w, b, norm, None, mode);
            let grads = backward(dy, &cache);

            let (a, first) = affine::forward(x, w, b);
            let (h, second) = batch_norm::forward(&a, gamma, beta, &params, mode, &mut other);
            let (r, third) = relu::forward(&h);
            let normed = batch_norm::backward(&relu::backward(dy, &third), &second);
            let below = affine::backward(&normed.dx, &first);
            same(&y, &r);
            same(&running.mean, &other.mean);
            same(&running.var, &other.var);
            same(&grads.dx, &below.dx);
            same(&grads.dw, &below.dw);
            same(&grads.db, &below.db);
            same(&grads.dgamma.expect("there is a norm"), &normed.dgamma);
            same(&grads.dbeta.expect("there is a norm"), &normed.dbeta);
        }
    }
}

#[test]
fn layer_norm_inside_gives_the_bits_of_the_layers_one_after_the_other() {
    for shape in [[5, 4, 3], [50, 60, 100], [1, 3, 9]] {
        let Inputs { x, w, b, gamma, beta, dy } = &inputs(shape, DType::F32);
        let params = LayerNormParams::default();
        let (y, cache) = forward(x, w, b, Norm::Layer { gamma, beta, params }, None, Mode::Train);
        let grads = backward(dy, &cache);

        let (a, first) = affine::forward(x, w, b);
        let (h, second) = layer_norm::forward(&a, gamma, beta, &params);
        let (r, third) = relu::forward(&h);
        let normed = layer_norm::backward(&relu::backward(dy, &third), &second);
        let below = affine::backward(&normed.dx, &first);
        same(&y, &r);
        same(&grads.dx, &below.dx);
        same(&grads.dw, &below.dw);
        same(&grads.db, &below.db);
        same(&grads.dgamma.expect("there is a norm"), &normed.dgamma);
        same(&grads.dbeta.expect("there is a norm"), &normed.dbeta);
    }
}

#[test]
fn dropout_on_top_gives_the_bits_of_the_layers_one_after_the_other() {
    let Inputs { x, w, b, dy, .. } = &inputs([20, 30, 40], DType::F32);
    for mode in [Mode::Train, Mode::Test] {
        let [mut rng, mut other] = [Rng::new(3), Rng::new(3)];
        let dropout = Some(Dropout { keep: 0.7, rng: &mut rng });
        let (y, cache) = forward(x, w, b, Norm::None, dropout, mode);
        let grads = backward(dy, &cache);
        assert!(grads.dgamma.is_none() && grads.dbeta.is_none());

        let (r, below) = affine_relu::forward(x, w, b);
        let (want, above) = dropout::forward(&r, 0.7, mode, &mut other);
        let apart = affine_relu::backward(&dropout::backward(dy, &above), &below);
        same(&y, &want);
        same(&grads.dx, &apart.dx);
        same(&grads.dw, &apart.dw);
        same(&grads.db, &apart.db);
    }
}

#[test]
fn a_bias_before_batch_norm_has_no_gradient_in_training() {
    let Inputs { x, w, b, gamma, beta, dy } = &inputs([30, 10, 8], DType::F64);
    let mut running = RunningStats::zeros(8, DType::F64);
    let params = BatchNormParams::default();
    let norm = Norm::Batch { gamma, beta, params, running: &mut running };
    let (_, cache) = forward(x, w, b, norm, None, Mode::Train);
    assert!(backward(dy, &cache).db.to_vec().iter().all(|g| g.abs() < 1e-13));
}

/// The gradient checks are only worth something away from ReLU's kink: moving any input by 2e-4 must not reach it.
#[test]
fn the_cases_lie_away_from_the_kink() {
    for case in checks() {
        let value = |name: &str| {
            let found = case.inputs.iter().find(|(n, _)| *n == name).map(|(_, t)| t.clone());
            found.unwrap_or_else(|| Tensor::full([case.inputs[1].1.shape()[1]], 0.5, DType::F64))
        };
        let (a, _) = affine::forward(&value("x"), &value("w"), &value("b"));
        let (gamma, beta) = (value("gamma"), value("beta"));
        let h = if case.name.starts_with("batch") {
            let mode = if case.name.ends_with("test") { Mode::Test } else { Mode::Train };
            let mut running = batch_norm::some_running_stats(a.shape()[1], DType::F64);
            let params = BatchNormParams::default();
            batch_norm::forward(&a, &gamma, &beta, &params, mode, &mut running).0
        } else if case.name.starts_with("layer") {
            layer_norm::forward(&a, &gamma, &beta, &LayerNormParams::default()).0
        } else {
            a
        };
        let nearest = h.to_vec().iter().fold(f64::MAX, |m, v| m.min(v.abs()));
        assert!(nearest > 3e-3, "{}: {nearest}", case.name);
    }
}
