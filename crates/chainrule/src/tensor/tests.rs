use super::*;

#[test]
fn both_orders_show_the_same_tensor() {
    let values: Vec<f64> = (0..2 * 3 * 4 * 5).map(f64::from).collect();
    let rows = Tensor::from_f64([2, 3, 4, 5], &values);
    let last = rows.to_order(Order::ChannelsLast);
    assert_eq!(last.order(), Order::ChannelsLast);
    assert_eq!(last.data::<f64>()[..3], [0.0, 20.0, 40.0], "a pixel's channels lie side by side");
    for index in [[0, 0, 0, 0], [1, 2, 3, 4], [0, 1, 2, 3]] {
        assert_eq!(rows.at(&index), last.at(&index));
    }
    assert_eq!(last.to_vec(), values);
    assert_eq!(last.to_order(Order::RowMajor).data::<f64>(), &values[..]);
    assert_eq!(last.reshape([6, 20]).to_vec(), values);
}

#[test]
fn clones_share_until_written() {
    let mut a = Tensor::new([3], &[1.0f32, 2.0, 3.0]);
    let b = a.clone();
    assert_eq!(a.data::<f32>().as_ptr(), b.data::<f32>().as_ptr());
    a.data_mut::<f32>()[0] = 7.0;
    assert_eq!((a.to_vec(), b.to_vec()), (vec![7.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]));
}

#[test]
fn printing_shortens_long_axes() {
    let t = Tensor::new([2, 2], &[1.0f32, 2.0, 3.0, 4.5]);
    assert_eq!(format!("{t:.1}"), "[[1.0, 2.0],\n [3.0, 4.5]]");
    let long = Tensor::from_f64([10], &[0.0; 10]);
    assert_eq!(format!("{long:.0}"), "[0, 0, 0, ..., 0, 0, 0]");
    assert_eq!(format!("{:.0}", Tensor::scalar(3.0, DType::F64)), "3");
}

#[test]
fn wrong_shapes_are_refused_at_the_callers_line() {
    for f in [
        (|| drop(Tensor::new([2, 2], &[1.0f32]))) as fn(),
        || drop(Tensor::zeros([4], DType::F32).reshape([3])),
        || assert!(Tensor::zeros([4], DType::F32).data::<f64>().is_empty()),
        || drop(Tensor::zeros([1, 1, 1, 1, 1, 1, 1], DType::F32)),
        || assert_eq!(Tensor::zeros([2, 2], DType::F32).at(&[0, 2]), 0.0),
    ] {
        assert!(std::panic::catch_unwind(f).is_err());
    }
}
