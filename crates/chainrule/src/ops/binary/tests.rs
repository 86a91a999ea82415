use super::*;
use crate::tape::Tape;
use crate::tensor::DType;

#[test]
fn shapes_are_broadcast_from_the_last_axis() {
    let a = Tensor::from_f64([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (row, column) =
        (Tensor::from_f64([3], &[10.0, 20.0, 30.0]), Tensor::from_f64([2, 1], &[1.0, -1.0]));
    assert_eq!((&a + &row).to_vec(), [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
    assert_eq!((&a * &column).to_vec(), [1.0, 2.0, 3.0, -4.0, -5.0, -6.0]);
    assert_eq!((&row - &column).shape()[..], [2, 3]);
    assert_eq!((1.0 - &row / 10.0).to_vec(), [0.0, -1.0, -2.0]);
    assert_eq!((6.0 / (&row / 10.0) + 0.5).to_vec(), [6.5, 3.5, 2.5]);
    assert_eq!(a.gt(&Tensor::scalar(3.0, DType::F64)).to_vec(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(a.le(&a).sum().item(), 6.0);
    assert_eq!(a.equals(&row.reshape([1, 3])).sum().item(), 0.0);
}

#[test]
fn an_operand_used_twice_gets_the_sum_of_its_gradients() {
    let w = Tensor::from_f64([2], &[3.0, -2.0]);
    let tape = Tape::train(0);
    let x = tape.leaf(&w);
    let y = (&x * &x + &x * &w - &w).sum();
    assert_eq!(y.backward()[&w].to_vec(), [11.0, -9.0]);
}

#[test]
#[should_panic(
    expected = "mul: sizes 3 and 4 do not go together; aligned at the last axis, sizes must be equal or one of \
                           them 1\n    a  [2, 3]   \n    b  [4]      "
)]
fn shapes_that_do_not_go_together_panic() {
    let _ = Tensor::zeros([2, 3], DType::F32) * Tensor::zeros([4], DType::F32);
}
