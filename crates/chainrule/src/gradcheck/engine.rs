//! The checker's engine.

use super::{Case, OnTape};
use crate::rng::Rng;
use crate::tape::{Tape, Var};
use crate::tensor::{DType, Tensor};

/// Inputs with at most this many elements are checked element by element.
const SMALL: usize = 400;
/// Seeded random directions an input is checked along.
const DIRECTIONS: u64 = 3;
/// The step of the five-point rule: its own error is of the order of `STEP^4`, that of rounding 1e-16 / `STEP`.
const STEP: f64 = 1e-4;

/// What the check of one input of a case found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The op.
    pub op: &'static str,
    /// The case.
    pub case: &'static str,
    /// The input whose gradient this is.
    pub input: &'static str,
    /// The largest relative error against numerical derivatives, in `f64`.
    pub error: f64,
    /// What it must not exceed.
    pub tolerance: f64,
    /// The largest difference between `f32` and `f64`, relative to the largest value of the gradient.
    pub error_f32: f64,
    /// What it must not exceed.
    pub tolerance_f32: f64,
    /// The largest value of this gradient relative to the largest of the case: next to nothing for a gradient that is zero in
    /// theory, such as that of a bias before batch norm.
    pub weight: f64,
    /// What else is wrong: a gradient that depends on which others are asked for, a changed input, a wrong shape.
    pub fault: Option<String>,
}

impl Outcome {
    /// Whether the gradient is right.
    pub fn passed(&self) -> bool {
        // Written so that NaN does not pass.
        self.error <= self.tolerance && self.error_f32 <= self.tolerance_f32 && self.fault.is_none()
    }
}

/// Checks a case: one outcome an input.
pub fn check(case: &Case) -> Vec<Outcome> {
    check_inputs(case, 0..case.inputs.len())
}

/// Checks the gradient of some inputs of a case: one outcome each.
pub fn check_inputs(case: &Case, which: std::ops::Range<usize>) -> Vec<Outcome> {
    let inputs: Vec<Tensor> = case.inputs.iter().map(|(_, t)| t.clone()).collect();
    let before: Vec<Vec<f64>> = inputs.iter().map(Tensor::to_vec).collect();
    let all = vec![true; inputs.len()];
    let (y, back) = (case.run)(&inputs);
    let dy = Tensor::randn(*y.shape(), 1.0, DType::F64, &mut Rng::new(11))
        .to_dtype(DType::F32)
        .to_dtype(DType::F64);
    let grads = back(&all, &dy);

    let narrow: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F32)).collect();
    let (y32, back32) = (case.run)(&narrow);
    let grads32 = back32(&all, &dy.to_dtype(DType::F32));
    let forward_f32 = scaled_difference(&y32.to_vec(), &y.to_vec(), 1e-8);
    // A gradient that is zero in theory is measured against the others of its op.
    let largest =
        grads.iter().flatten().flat_map(Tensor::to_vec).fold(1e-8, |m: f64, v| m.max(v.abs()));

    let on_tape = case.on_tape.as_ref().map(|f| run_on_tape(f, &inputs, &dy));

    which
        .map(|i| {
            let mut outcome = Outcome {
                op: case.op,
                case: case.name,
                input: case.inputs[i].0,
                error: f64::NAN,
                tolerance: case.tolerance,
                error_f32: f64::NAN,
                tolerance_f32: case.tolerance_f32,
                weight: f64::NAN,
                fault: None,
            };
            let (Some(grad), Some(grad32)) = (&grads[i], &grads32[i]) else {
                outcome.fault = Some("no gradient although it was asked for".into());
                return outcome;
            };
            if grad.shape() != inputs[i].shape()
                || grad.dtype() != DType::F64
                || grad32.dtype() != DType::F32
            {
                outcome.fault = Some(format!(
                    "gradient {:?} of input {:?}, or of another type",
                    grad.shape(),
                    inputs[i].shape()
                ));
                return outcome;
            }
            outcome.weight = grad.to_vec().iter().fold(0.0, |m: f64, v| m.max(v.abs())) / largest;
            outcome.error =
                against_numbers(case, &inputs, i, &grad.to_vec(), (&dy, 1e-4 * largest));
            outcome.error_f32 = scaled_difference(&grad32.to_vec(), &grad.to_vec(), 1e-2 * largest)
                .max(forward_f32);
            let mut only = vec![false; inputs.len()];
            only[i] = true;
            let alone = back(&only, &dy);
            if alone.iter().enumerate().any(|(j, g)| g.is_some() != (i == j)) {
                outcome.fault = Some("asked for one gradient, got others".into());
            } else if alone[i].as_ref().map(Tensor::to_vec) != Some(grad.to_vec()) {
                outcome.fault = Some("other bits when it is the only gradient asked for".into());
            } else if inputs[i].to_vec() != before[i] {
                outcome.fault = Some("the op changed its input".into());
            } else if on_tape.as_ref().is_some_and(|found| found != &(y.to_vec(), values(&grads))) {
                outcome.fault = Some("other bits on the tape".into());
            }
            outcome
        })
        .collect()
}

/// The numbers of gradients; none for one that is not there.
fn values(grads: &[Option<Tensor>]) -> Vec<Vec<f64>> {
    grads.iter().map(|g| g.as_ref().map(Tensor::to_vec).unwrap_or_default()).collect()
}

/// The output and the gradients of all inputs as the tape has them.
fn run_on_tape(f: &OnTape, inputs: &[Tensor], dy: &Tensor) -> (Vec<f64>, Vec<Vec<f64>>) {
    let tape = Tape::train(0);
    let leaves: Vec<Var> = inputs.iter().map(|t| tape.leaf(t)).collect();
    let y = f(&leaves);
    let mut grads = y.backward_from(dy);
    let grads: Vec<_> = inputs.iter().map(|t| grads.take(t)).collect();
    (y.value().to_vec(), values(&grads))
}

/// The largest difference relative to the largest value, or to `floor`; NaN if anything is not finite.
fn scaled_difference(a: &[f64], b: &[f64], floor: f64) -> f64 {
    let scale = b.iter().fold(floor, |m: f64, v| m.max(v.abs()));
    a.iter().zip(b).fold(0.0, |m: f64, (a, b)| {
        if (a - b).is_finite() { m.max((a - b).abs() / scale) } else { f64::NAN }
    })
}

/// The largest relative error of a gradient against numerical derivatives.
fn against_numbers(
    case: &Case,
    inputs: &[Tensor],
    i: usize,
    grad: &[f64],
    (dy, floor): (&Tensor, f64),
) -> f64 {
    let n = grad.len();
    let weights = dy.to_vec();
    let value = |at: &[f64], h: f64| {
        let mut probe = inputs.to_vec();
        let moved: Vec<f64> = inputs[i].to_vec().iter().zip(at).map(|(v, d)| v + h * d).collect();
        probe[i] = Tensor::from_f64(*inputs[i].shape(), &moved);
        (case.run)(&probe).0.to_vec()
    };
    // The derivative of sum(y * dy) along `at`; differences are taken before the sum, which keeps their digits.
    let slope = |at: &[f64]| {
        let [a, b, c, d] = [2.0, 1.0, -1.0, -2.0].map(|k| value(at, k * STEP));
        let terms = (0..weights.len())
            .map(|j| weights[j] * ((8.0 * (b[j] - c[j]) - (a[j] - d[j])) / (12.0 * STEP)));
        terms.sum::<f64>()
    };
    let mut pairs = Vec::new();
    if n <= SMALL {
        for j in 0..n {
            let mut at = vec![0.0; n];
            at[j] = 1.0;
            pairs.push((grad[j], slope(&at)));
        }
    }
    for direction in 0..DIRECTIONS {
        let mut at = vec![0.0; n];
        Rng::new(100 + direction).fill_normal(1.0 / (n.max(1) as f64).sqrt(), &mut at);
        pairs.push((grad.iter().zip(&at).map(|(g, d)| g * d).sum(), slope(&at)));
    }
    // An error is relative to its own pair, but a pair of tiny numbers is measured against the largest.
    let floor = pairs.iter().fold(floor.max(1e-6), |m: f64, (_, n)| m.max(n.abs() * 1e-3));
    pairs.iter().fold(0.0, |worst: f64, (a, n)| {
        let error = (a - n).abs() / (a.abs() + n.abs()).max(floor);
        if error.is_nan() { f64::NAN } else { worst.max(error) }
    })
}
