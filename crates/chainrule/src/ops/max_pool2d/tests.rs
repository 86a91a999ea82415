use super::*;
use crate::rng::Rng;

#[test]
fn the_fast_pooling_equals_its_naive_twin_in_either_order() {
    let padded = MaxPool2dParams { pad: [1, 1], ..MaxPool2dParams::new(3, 2) };
    for dtype in [DType::F32, DType::F64] {
        for (shape, params) in [
            ([5, 3, 32, 32], MaxPool2dParams::default()),
            ([2, 17, 7, 9], padded),
            ([1, 1, 1, 1], MaxPool2dParams::new(1, 3)),
            ([2, 40, 5, 5], MaxPool2dParams::new(2, 4)),
            ([0, 3, 4, 4], MaxPool2dParams::default()),
            ([2, 0, 4, 4], MaxPool2dParams::default()),
        ] {
            let x = Tensor::randn(shape, 1.0, dtype, &mut Rng::new(1));
            let (want, twin) = naive::forward(&x, &params);
            let dy = Tensor::randn(*want.shape(), 1.0, dtype, &mut Rng::new(2));
            let grad = naive::backward(&dy, &twin);
            for order in [Order::RowMajor, Order::ChannelsLast] {
                let (y, cache) = forward(&x.to_order(order), &params);
                let dx = backward(&dy, &cache);
                assert_eq!((y.order(), dx.order()), (order, order));
                assert_eq!((y.to_vec(), dx.to_vec()), (want.to_vec(), grad.to_vec()));
            }
        }
    }
}

#[test]
fn the_first_of_equal_numbers_is_chosen() {
    let x = Tensor::from_f64([1, 1, 2, 4], &[3.0, 3.0, 1.0, 2.0, 3.0, 0.0, 2.0, 2.0]);
    for order in [Order::RowMajor, Order::ChannelsLast] {
        let (y, cache) = forward(&x.to_order(order), &MaxPool2dParams::default());
        let dx = backward(&Tensor::from_f64([1, 1, 1, 2], &[5.0, 7.0]), &cache);
        assert_eq!(y.to_vec(), [3.0, 2.0]);
        assert_eq!(dx.to_vec(), [5.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn the_padding_is_never_the_largest() {
    let x = Tensor::full([1, 2, 3, 3], f64::NEG_INFINITY, DType::F32);
    let params = MaxPool2dParams { pad: [1, 1], ..MaxPool2dParams::new(3, 2) };
    let (y, cache) = forward(&x, &params);
    assert!(y.to_vec().iter().all(|v| *v == f64::NEG_INFINITY));
    let total: f64 =
        backward(&Tensor::ones([1, 2, 2, 2], DType::F32), &cache).to_vec().iter().sum();
    assert_eq!(total, 8.0, "every window has chosen a place inside of the picture");
}

#[test]
#[should_panic(expected = "max_pool2d: a window does not fit into the padded picture\n    \
                           x  [1, 2, 3, 3]   N C H W\n  \
                           in   kernel [4, 4], stride [1, 1], pad [0, 0]")]
fn windows_that_do_not_fit_panic() {
    forward(&Tensor::zeros([1, 2, 3, 3], DType::F32), &MaxPool2dParams::new(4, 1));
}

#[test]
#[should_panic(expected = "max_pool2d: the padding must be at most half of a window")]
fn too_much_padding_panics() {
    let params = MaxPool2dParams { pad: [2, 0], ..MaxPool2dParams::new(3, 1) };
    forward(&Tensor::zeros([1, 2, 3, 3], DType::F32), &params);
}

#[test]
#[should_panic(expected = "max_pool2d: x must have four axes")]
fn other_than_pictures_panic() {
    forward(&Tensor::zeros([2, 3, 3], DType::F32), &MaxPool2dParams::default());
}
