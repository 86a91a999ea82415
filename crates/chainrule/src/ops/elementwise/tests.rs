use super::*;
use crate::rng::Rng;
use crate::tensor::DType;

/// Values of the formulas as their papers print them, written with the standard library.
fn plain(name: &str, x: f64) -> f64 {
    let logistic = 1.0 / (1.0 + (-x).exp());
    match name {
        "relu" => x.max(0.0),
        "leaky_relu" => x.max(0.01 * x),
        "elu" => x.max(0.0) + (x.min(0.0).exp() - 1.0),
        "selu" => 1.0507009873554805 * (x.max(0.0) + 1.6732632423543772 * (x.min(0.0).exp() - 1.0)),
        "gelu" => x * 0.5 * (1.0 + libm::erf(x / 2f64.sqrt())),
        "gelu_tanh" => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        "silu" => x * logistic,
        "tanh" => x.tanh(),
        "sigmoid" => logistic,
        "softplus" => x.exp().ln_1p(),
        other => panic!("{other} has no plain formula in this test"),
    }
}

#[test]
fn every_row_is_its_formula() {
    let values: Vec<f64> = (-120..=120).map(|i| f64::from(i) / 8.0).collect();
    for activation in ALL {
        let (y, _) = activation.forward(&Tensor::from_f64([values.len()], &values));
        for (x, y) in values.iter().zip(y.to_vec()) {
            let want = plain(activation.name(), *x);
            assert!(
                (y - want).abs() <= 1e-14 * (1.0 + want.abs()),
                "{activation:?}({x}) = {y}, not {want}"
            );
        }
    }
}

#[test]
fn rows_are_found_by_name_and_hold_their_parameters() {
    for activation in ALL {
        let found = Activation::by_name(activation.name()).expect("its own name");
        assert_eq!(format!("{found:?}"), format!("{activation:?}"));
        assert!(!found.doc().is_empty());
    }
    assert!(Activation::by_name("rleu").is_none());
    let steep = leaky_relu::ACTIVATION.with(0.2);
    assert_eq!(steep.parameter(), Some(("slope", 0.2)));
    assert_eq!(steep.forward(&Tensor::from_f64([2], &[-1.0, 2.0])).0.to_vec(), [-0.2, 2.0]);
}

#[test]
#[should_panic(expected = "relu: there is no parameter to set to 0.5")]
fn a_parameter_that_does_not_exist_panics() {
    relu::ACTIVATION.with(0.5);
}

#[test]
#[should_panic(expected = "elu: alpha is -1; it must be 0 or more")]
fn a_negative_parameter_panics() {
    elu::ACTIVATION.with(-1.0);
}

#[test]
#[should_panic(expected = "tanh: the upstream gradient must have the output's shape [3]")]
fn an_upstream_gradient_of_another_shape_panics() {
    let (_, cache) = tanh::forward(&Tensor::zeros([3], DType::F32));
    tanh::backward(&Tensor::zeros([4], DType::F32), &cache);
}

#[test]
fn relu_at_zero_is_flat_and_nan_comes_through() {
    let x = Tensor::new([3], &[0.0f32, -0.0, 1.0]);
    let (_, cache) = relu::forward(&x);
    assert_eq!(relu::backward(&Tensor::ones([3], DType::F32), &cache).to_vec(), [0.0, 0.0, 1.0]);
    for activation in ALL {
        for dtype in [DType::F32, DType::F64] {
            let (y, _) = activation.forward(&Tensor::full([19], f64::NAN, dtype));
            assert!(y.to_vec().iter().all(|y| y.is_nan()), "{activation:?} hides a NaN");
        }
    }
}

#[test]
fn large_numbers_have_finite_slopes() {
    for activation in ALL {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::from_f64([4], &[-1e4, -90.0, 90.0, 1e4]).to_dtype(dtype);
            let (y, cache) = activation.forward(&x);
            let dx = backward(&Tensor::ones([4], dtype), &cache);
            let finite = y.to_vec().iter().chain(&dx.to_vec()).all(|v| v.is_finite());
            assert!(finite, "{activation:?}: {y} {dx}");
        }
    }
}

#[test]
fn the_memory_order_is_kept_and_changes_no_value() {
    let x = Tensor::randn([2, 3, 4, 5], 1.0, DType::F32, &mut Rng::new(1));
    let dy = Tensor::randn([2, 3, 4, 5], 1.0, DType::F32, &mut Rng::new(2));
    let (y, cache) = gelu::forward(&x);
    let (y2, cache2) = gelu::forward(&x.to_order(Order::ChannelsLast));
    let (dx, dx2) = (gelu::backward(&dy, &cache), gelu::backward(&dy, &cache2));
    assert_eq!((y2.order(), dx2.order()), (Order::ChannelsLast, Order::ChannelsLast));
    assert!(y.to_vec() == y2.to_vec() && dx.to_vec() == dx2.to_vec());
}
