//! Ops on the tape at small tensors of round numbers, beside what PyTorch gives for the same expression: `golden/README.md` has the
//! larger reference cases. dy counts up from 1.

use chainrule::ops::sum::Over;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Tensor};

fn tensor(shape: &[usize], values: &[f64]) -> Tensor {
    Tensor::from_f64(shape, values)
}

/// Runs an expression of leaves, with dy = 1, 2, 3, ..., and compares its shape, its value and the gradients.
#[track_caller]
fn same<const N: usize>(
    expression: &str,
    leaves: [&Tensor; N],
    run: impl Fn([Var; N]) -> Var,
    (shape, values): (&[usize], &[f64]),
    gradients: [&[f64]; N],
) {
    let tape = Tape::train(0);
    let y = run(leaves.map(|t| tape.leaf(t)));
    assert_eq!((&y.shape()[..], y.value().to_vec()), (shape, values.to_vec()), "{expression}");
    let dy: Vec<f64> = (1..=y.value().len()).map(|i| i as f64).collect();
    let grads = y.backward_from(&tensor(shape, &dy));
    for (i, (leaf, want)) in leaves.into_iter().zip(gradients).enumerate() {
        let found = grads.get(leaf).map(Tensor::to_vec);
        assert_eq!(found.as_deref(), Some(want), "{expression}: gradient {i}");
    }
}

#[test]
fn shapes_and_places() {
    let x = &tensor(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (a, b) = (&tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), &tensor(&[2, 2], &[5.0, 6.0, 7.0, 8.0]));
    same(
        "pad(x, (2, 1), value=-1)",
        [x],
        |[x]| x.pad(1, [2, 1], -1.0),
        (&[2, 6], &[-1.0, -1.0, 1.0, 2.0, 3.0, -1.0, -1.0, -1.0, 4.0, 5.0, 6.0, -1.0]),
        [&[3.0, 4.0, 5.0, 9.0, 10.0, 11.0]],
    );
    same(
        "pad(x, (0, 0, 1, 0), value=7)",
        [x],
        |[x]| x.pad(0, [1, 0], 7.0),
        (&[3, 3], &[7.0, 7.0, 7.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        [&[4.0, 5.0, 6.0, 7.0, 8.0, 9.0]],
    );
    same("x[:, 1:1]", [x], |[x]| x.slice(1, 1..1), (&[2, 0], &[]), [&[0.0; 6]]);
    same(
        "stack([a, b, a], 1)",
        [a, b],
        |[a, b]| Var::stack(&[a.clone(), b, a], 1),
        (&[2, 3, 2], &[1.0, 2.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 7.0, 8.0, 3.0, 4.0]),
        [&[6.0, 8.0, 18.0, 20.0], &[3.0, 4.0, 9.0, 10.0]],
    );
    same(
        "stack([a, b], 2)",
        [a, b],
        |parts| Var::stack(&parts, 2),
        (&[2, 2, 2], &[1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]),
        [&[1.0, 3.0, 5.0, 7.0], &[2.0, 4.0, 6.0, 8.0]],
    );
    same(
        "cat([a, b, a], 0)",
        [a, b],
        |[a, b]| Var::concat(&[a.clone(), b, a], 0),
        (&[6, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0]),
        [&[10.0, 12.0, 14.0, 16.0], &[5.0, 6.0, 7.0, 8.0]],
    );
    same(
        "x.gather(1, [[2, 2], [0, 1]])",
        [x],
        |[x]| x.gather(1, &[2, 2, 0, 1]),
        (&[2, 2], &[3.0, 3.0, 4.0, 5.0]),
        [&[0.0, 0.0, 3.0, 3.0, 4.0, 0.0]],
    );
    same(
        "x.gather(0, [[1, 0, 1], [1, 1, 1], [0, 0, 0]])",
        [x],
        |[x]| x.gather(0, &[1, 0, 1, 1, 1, 1, 0, 0, 0]),
        (&[3, 3], &[4.0, 2.0, 6.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0]),
        [&[7.0, 10.0, 9.0, 5.0, 5.0, 9.0]],
    );
    same(
        "x.index_select(1, [2, 0, 2])",
        [x],
        |[x]| x.select(1, &[2, 0, 2]),
        (&[2, 3], &[3.0, 1.0, 3.0, 6.0, 4.0, 6.0]),
        [&[2.0, 0.0, 4.0, 5.0, 0.0, 10.0]],
    );
    same(
        "p.permute(2, 0, 1)",
        [&tensor(&[1, 3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])],
        |[p]| p.permute(&[2, 0, 1]),
        (&[2, 1, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
        [&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]],
    );
}

#[test]
fn choices_ties_and_bounds() {
    let mask = tensor(&[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    let a = &tensor(&[2, 2], &[1.0, f64::INFINITY, 3.0, 4.0]);
    let (b, row) = (&tensor(&[2, 2], &[5.0, 6.0, 7.0, 8.0]), &tensor(&[2], &[10.0, 20.0]));
    same(
        "where(mask, a, b)",
        [a, b],
        |[a, b]| a.choose(&mask, &b),
        (&[2, 2], &[1.0, 6.0, 7.0, 4.0]),
        [&[1.0, 0.0, 0.0, 4.0], &[0.0, 2.0, 3.0, 0.0]],
    );
    same(
        "where(mask, a, row)",
        [a, row],
        |[a, row]| a.choose(&mask, &row),
        (&[2, 2], &[1.0, 20.0, 10.0, 4.0]),
        [&[1.0, 0.0, 0.0, 4.0], &[3.0, 2.0]],
    );
    let ties = tensor(&[2, 4], &[3.0, 7.0, 7.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    let largest = |[t]: [Var; 1]| t.max_over(1).0;
    let first: &[f64] = &[0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0];
    same("t.max(1).values", [&ties], largest, (&[2], &[7.0, 2.0]), [first]);
    assert_eq!(ties.argmax(1), [1, 0]);
    let lost = tensor(&[1, 4], &[1.0, 5.0, f64::NAN, 7.0]);
    assert!(lost.argmax(1) == [2] && lost.min_over(1).1 == [2], "NaN is the extremum");
    let z = &tensor(&[5], &[-1.0, 0.0, 1.0, 2.0, 3.0]);
    same(
        "z.clamp(0, 2)",
        [z],
        |[z]| z.clamp(0.0, 2.0),
        (&[5], &[0.0, 0.0, 1.0, 2.0, 2.0]),
        [&[0.0, 0.0, 3.0, 0.0, 0.0]],
    );
    same(
        "z.abs()",
        [z],
        |[z]| z.abs(),
        (&[5], &[1.0, 0.0, 1.0, 2.0, 3.0]),
        [&[-1.0, 0.0, 3.0, 4.0, 5.0]],
    );
    // The derivative of the root at 0 is infinite, and does not come through what is flat there.
    let flat = &tensor(&[3], &[-1.0, 0.0, 4.0]);
    let root: (&[usize], &[f64]) = (&[3], &[0.0, 0.0, 2.0]);
    same("z.relu().sqrt()", [flat], |[z]| z.relu().sqrt(), root, [&[0.0, 0.0, 0.75]]);
    let clamped = |[z]: [Var; 1]| z.clamp(0.0, 9.0).sqrt();
    same("z.clamp(0, 9).sqrt()", [flat], clamped, root, [&[0.0, 0.0, 0.75]]);
}

#[test]
fn what_is_repeated_is_summed_on_the_way_back() {
    let x = &tensor(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let (w, s) = (&tensor(&[3], &[1.0, 2.0, 4.0]), &tensor(&[], &[2.0]));
    same(
        "(x * w + s) / w",
        [x, w, s],
        |[x, w, s]| (x * &w + s) / w,
        (&[2, 3], &[3.0, 3.0, 3.5, 6.0, 6.0, 6.5]),
        [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[-10.0, -3.5, -1.125], &[10.75]],
    );
    let over = Over { axes: &[0], keep: true };
    same(
        "(x - x.mean(0, keepdim=True)) * 2",
        [x],
        |[x]| (&x - x.mean_over(over)) * 2.0,
        (&[2, 3], &[-3.0, -3.0, -3.0, 3.0, 3.0, 3.0]),
        [&[-3.0, -3.0, -3.0, 3.0, 3.0, 3.0]],
    );
    let far = tensor(&[1, 3], &[1000.0, 0.0, -1000.0]);
    assert_eq!(far.log_softmax().to_vec(), [0.0, -1000.0, -2000.0]);
    assert_eq!(far.softmax().to_vec(), [1.0, 0.0, 0.0]);
    assert_eq!(x.dtype(), DType::F64);
}
