use super::*;
use crate::ops::elementwise::relu;
use crate::rng::Rng;
use crate::tensor::DType;

struct Inputs {
    x: Tensor,
    w: Tensor,
    b: Tensor,
    gamma: Tensor,
    beta: Tensor,
}

fn inputs() -> Inputs {
    let mut rng = Rng::new(12);
    let mut normal = |shape: &[usize]| Tensor::randn(shape, 1.0, DType::F32, &mut rng);
    Inputs {
        x: normal(&[3, 3, 8, 6]),
        w: normal(&[6, 3, 3, 3]),
        b: normal(&[6]),
        gamma: normal(&[6]),
        beta: normal(&[6]),
    }
}

fn same(a: &Tensor, b: &Tensor) {
    assert_eq!((a.shape(), a.to_vec()), (b.shape(), b.to_vec()));
}

/// ReLU and pooling one after the other, and their way back.
fn above(h: &Tensor, pool: Option<&MaxPool2dParams>) -> (Tensor, impl Fn(&Tensor) -> Tensor) {
    let (r, cut) = relu::forward(h);
    let pooled = pool.map(|pool| max_pool2d::forward(&r, pool));
    let y = pooled.as_ref().map_or(r, |(y, _)| y.clone());
    let back = move |dy: &Tensor| {
        let dr = pooled.as_ref().map_or(dy.clone(), |(_, cache)| max_pool2d::backward(dy, cache));
        relu::backward(&dr, &cut)
    };
    (y, back)
}

#[test]
fn the_same_bits_as_the_layers_one_after_the_other() {
    let Inputs { x, w, b, gamma, beta } = &inputs();
    let params = Conv2dParams::new(1, 1);
    let normal = |y: &Tensor| Tensor::randn(*y.shape(), 1.0, DType::F32, &mut Rng::new(3));
    for pool in [None, Some(&MaxPool2dParams::default())] {
        for mode in [Mode::Train, Mode::Test] {
            let [mut running, mut other] =
                [0; 2].map(|_| batch_norm::some_running_stats(6, DType::F32));
            let settings = BatchNormParams::default();
            let norm = Norm::Batch { gamma, beta, params: settings, running: &mut running };
            let (y, cache) = forward(x, w, Some(b), &params, norm, pool, mode);
            let dy = normal(&y);
            let grads = backward(&dy, &cache);

            let (a, first) = conv2d::forward(x, w, Some(b), &params);
            let (h, second) =
                spatial_batch_norm::forward(&a, gamma, beta, &settings, mode, &mut other);
            let (want, back) = above(&h, pool);
            let normed = spatial_batch_norm::backward(&back(&dy), &second);
            let below = conv2d::backward(&normed.dx, &first);
            same(&y, &want);
            same(&running.mean, &other.mean);
            same(&running.var, &other.var);
            same(&grads.dx, &below.dx);
            same(&grads.dw, &below.dw);
            same(&grads.db.expect("a bias"), &below.db.expect("a bias"));
            same(&grads.dgamma, &normed.dgamma);
            same(&grads.dbeta, &normed.dbeta);
        }
        let settings = GroupNormParams::new(3);
        let norm = Norm::Group { gamma, beta, params: settings };
        let (y, cache) = forward(x, w, None, &params, norm, pool, Mode::Train);
        let dy = normal(&y);
        let grads = backward(&dy, &cache);

        let (a, first) = conv2d::forward(x, w, None, &params);
        let (h, second) = spatial_group_norm::forward(&a, gamma, beta, &settings);
        let (want, back) = above(&h, pool);
        let normed = spatial_group_norm::backward(&back(&dy), &second);
        let below = conv2d::backward(&normed.dx, &first);
        same(&y, &want);
        same(&grads.dx, &below.dx);
        same(&grads.dw, &below.dw);
        assert!(grads.db.is_none());
        same(&grads.dgamma, &normed.dgamma);
        same(&grads.dbeta, &normed.dbeta);
    }
}

#[test]
#[should_panic(
    expected = "conv_norm_relu: the upstream gradient must have the output's shape [3, 6, 4, 3]"
)]
fn an_upstream_gradient_of_another_shape_panics() {
    let Inputs { x, w, gamma, beta, .. } = &inputs();
    let norm = Norm::Group { gamma, beta, params: GroupNormParams::new(2) };
    let pool = MaxPool2dParams::default();
    let (_, cache) = forward(x, w, None, &Conv2dParams::same(3), norm, Some(&pool), Mode::Train);
    backward(&Tensor::zeros([3, 6, 8, 6], DType::F32), &cache);
}

/// The gradient checks are only worth something away from ReLU's kink and the pooling's ties.
#[test]
fn the_cases_lie_away_from_kinks_and_ties() {
    for case in checks() {
        let value = |name: &str| case.inputs.iter().find(|(n, _)| *n == name).map(|(_, t)| t);
        let [Some(x), Some(w), Some(gamma), Some(beta)] = ["x", "w", "gamma", "beta"].map(value)
        else {
            panic!("a case has them")
        };
        let (a, _) = conv2d::forward(x, w, value("b"), &Conv2dParams::same(3));
        let h = if case.name.starts_with("batch") {
            let mode = if case.name.ends_with("test") { Mode::Test } else { Mode::Train };
            let mut running = batch_norm::some_running_stats(FILTERS, DType::F64);
            let params = BatchNormParams::default();
            spatial_batch_norm::forward(&a, gamma, beta, &params, mode, &mut running).0
        } else {
            spatial_group_norm::forward(&a, gamma, beta, &GroupNormParams::new(2)).0
        };
        let nearest = h.to_vec().iter().fold(f64::MAX, |m, v| m.min(v.abs()));
        assert!(nearest > 2e-3, "{}: {nearest} from the kink", case.name);
        let [n, c, height, width] = h.shape()[..] else { panic!("four axes") };
        for window in 0..if case.name.ends_with("pool") { n * c * height * width / 4 } else { 0 } {
            let (plane, k) = (window / (height * width / 4), window % (height * width / 4));
            let (i, j) = (k / (width / 2) * 2, k % (width / 2) * 2);
            let at = |k: usize| h.at(&[plane / c, plane % c, i + k / 2, j + k % 2]);
            let mut values = [0, 1, 2, 3].map(at);
            values.sort_by(f64::total_cmp);
            let tie = values[3] > 0.0 && values[3] - values[2] < 2e-3;
            assert!(!tie, "{}: a tie of {values:?}", case.name);
        }
    }
}
