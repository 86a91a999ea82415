use super::*;
use crate::rng::Rng;
use crate::tensor::DType;

fn normal(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    Tensor::randn(shape, 1.0, dtype, &mut Rng::new(seed))
}

fn close(got: &Tensor, want: &Tensor, tolerance: f64) {
    assert_eq!(got.shape(), want.shape());
    let scale = want.to_vec().iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    for (g, w) in got.to_vec().iter().zip(want.to_vec()) {
        assert!((g - w).abs() <= tolerance * scale, "{g} {w}");
    }
}

/// Shapes that are odd in every way.
fn shapes() -> Vec<([usize; 4], [usize; 4], Conv2dParams)> {
    let grouped = |groups, stride| Conv2dParams { groups, ..Conv2dParams::new(stride, 1) };
    let dilated = Conv2dParams { dilation: [3, 2], ..Conv2dParams::new(2, 4) };
    vec![
        ([1, 1, 1, 1], [1, 1, 1, 1], Conv2dParams::default()),
        ([3, 3, 17, 17], [17, 3, 3, 3], Conv2dParams::same(3)),
        ([2, 17, 5, 9], [3, 17, 3, 1], Conv2dParams::new(1, 1)),
        ([2, 3, 32, 32], [32, 3, 7, 7], Conv2dParams::same(7)),
        ([2, 5, 7, 7], [4, 5, 2, 2], Conv2dParams::new(5, 0)),
        ([2, 4, 9, 9], [6, 4, 3, 3], dilated),
        ([2, 6, 8, 8], [9, 2, 3, 3], grouped(3, 1)),
        ([2, 17, 8, 7], [17, 1, 3, 3], grouped(17, 2)),
        ([2, 64, 6, 6], [32, 64, 1, 1], Conv2dParams::default()),
        ([1, 32, 4, 4], [16, 32, 3, 3], Conv2dParams::same(3)),
        ([0, 3, 5, 5], [2, 3, 3, 3], Conv2dParams::same(3)),
    ]
}

#[test]
fn the_fast_convolution_equals_its_naive_twin_in_either_order() {
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-5)] {
        for (x, w, params) in shapes() {
            let (x, w, b) = (normal(&x, 1, dtype), normal(&w, 2, dtype), normal(&w[..1], 3, dtype));
            let (want, twin) = naive::forward(&x, &w, Some(&b), &params);
            let dy = normal(want.shape(), 4, dtype);
            let grads = naive::backward(&dy, &twin);
            for order in [Order::RowMajor, Order::ChannelsLast] {
                let (y, cache) = forward(&x.to_order(order), &w, Some(&b), &params);
                close(&y, &want, tolerance);
                let Grads { dx, dw, db } = backward(&dy.to_order(order), &cache);
                close(&dx, &grads.dx, tolerance);
                close(&dw, &grads.dw, tolerance);
                close(&db.expect("a bias"), grads.db.as_ref().expect("a bias"), tolerance);
                assert_eq!([y.order(), dx.order()], [Order::ChannelsLast; 2]);
                assert_eq!(dw.order(), Order::RowMajor);
            }
        }
    }
}

#[test]
fn without_a_bias_nothing_is_added_and_has_no_gradient() {
    let (x, w) = (normal(&[2, 3, 5, 5], 1, DType::F64), normal(&[4, 3, 3, 3], 2, DType::F64));
    let params = Conv2dParams::new(2, 1);
    let (y, cache) = forward(&x, &w, None, &params);
    let (zero, _) = forward(&x, &w, Some(&Tensor::zeros([4], DType::F64)), &params);
    assert_eq!(y.to_vec(), zero.to_vec());
    assert!(backward(&y, &cache).db.is_none());
}

#[test]
fn filters_may_come_in_either_order() {
    let (x, w) = (normal(&[2, 3, 5, 5], 1, DType::F64), normal(&[4, 3, 3, 3], 2, DType::F64));
    let params = Conv2dParams::same(3);
    let (want, _) = forward(&x, &w, None, &params);
    let (y, cache) = forward(&x, &w.to_order(Order::ChannelsLast), None, &params);
    assert_eq!(y.to_vec(), want.to_vec());
    assert_eq!(backward(&y, &cache).dw.order(), Order::RowMajor);
}

#[test]
#[should_panic(expected = "conv2d: x has 16 channels, w expects 32\n    \
                           x  [2, 16, 5, 5]    N C H W\n    \
                           w  [64, 32, 3, 3]   F C KH KW\n  \
                           in   stride [1, 1], pad [1, 1], dilation [1, 1], groups 1")]
fn channels_that_do_not_fit_panic() {
    let (x, w) =
        (Tensor::zeros([2, 16, 5, 5], DType::F32), Tensor::zeros([64, 32, 3, 3], DType::F32));
    forward(&x, &w, None, &Conv2dParams::same(3));
}

#[test]
#[should_panic(expected = "conv2d: b must have one number for each of 4 filters")]
fn biases_that_do_not_fit_panic() {
    let (x, w) = (Tensor::zeros([2, 3, 5, 5], DType::F32), Tensor::zeros([4, 3, 3, 3], DType::F32));
    forward(&x, &w, Some(&Tensor::zeros([3], DType::F32)), &Conv2dParams::same(3));
}

#[test]
#[should_panic(expected = "conv2d: a filter that spans 7 x 3 does not fit into 5 x 5 with padding")]
fn a_filter_larger_than_the_picture_panics() {
    let (x, w) = (Tensor::zeros([2, 3, 5, 5], DType::F32), Tensor::zeros([4, 3, 7, 3], DType::F32));
    forward(&x, &w, None, &Conv2dParams::default());
}

#[test]
#[should_panic(
    expected = "conv2d: the upstream gradient must have the output's shape [2, 4, 5, 5]"
)]
fn an_upstream_gradient_of_another_shape_panics() {
    let (x, w) = (Tensor::zeros([2, 3, 5, 5], DType::F32), Tensor::zeros([4, 3, 3, 3], DType::F32));
    let (_, cache) = forward(&x, &w, None, &Conv2dParams::same(3));
    backward(&Tensor::zeros([2, 4, 5, 4], DType::F32), &cache);
}
