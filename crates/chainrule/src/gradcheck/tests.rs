use super::*;
use crate::models::checked_models;
use crate::ops::{OPS, Op};

fn all() -> impl Iterator<Item = Op> {
    OPS.iter().copied().chain(checked_models())
}

#[test]
fn every_op_passes_its_checks() {
    for op in all() {
        for case in (op.checks)() {
            for outcome in check(&case) {
                assert!(outcome.passed(), "{outcome:?}");
            }
        }
    }
}

#[test]
fn every_op_has_its_method_on_the_tape() {
    for op in OPS {
        for case in (op.checks)() {
            assert!(case.has_tape(), "{}, {}: add .tape(...) to the case", case.op, case.name);
        }
    }
}

#[test]
fn a_gradient_that_is_one_percent_wrong_is_seen_in_every_op() {
    for op in all() {
        let mut seen = 0;
        for case in 0..(op.checks)().len() {
            for wrong in 0..(op.checks)()[case].inputs.len() {
                let case = (op.checks)().swap_remove(case);
                let case = case.with_wrong_gradient(wrong, 1.01);
                let outcome = &check_inputs(&case, wrong..wrong + 1)[0];
                // A gradient that is zero in theory (or has no elements) stays zero when it is scaled.
                let zero = outcome.weight < 1e-9;
                assert!(!outcome.passed() || zero, "{outcome:?}");
                seen += usize::from(!zero);
            }
        }
        assert!(seen > 0, "{}: no gradient that could be wrong", op.name);
    }
}

#[test]
fn the_courses_functions() {
    let x = Tensor::from_f64([2, 2], &[1.0, -2.0, 0.5, 3.0]);
    let f = |t: &Tensor| t.to_vec().iter().map(|v| v * v).sum::<f64>();
    let exact = Tensor::from_f64([2, 2], &[2.0, -4.0, 1.0, 6.0]);
    assert!(rel_error(&numerical_gradient(f, &x, 1e-5), &exact) < 1e-9);
    let rows = numeric::sparse_check(f, &x, &exact, 5, 1e-5, 3);
    assert!(rows.len() == 5 && rows.iter().all(|r| r.relative_error < 1e-9));
    let text = rows[0].to_string();
    assert!(text.starts_with("numerical: ") && text.contains(", relative error: "), "{text}");
}
