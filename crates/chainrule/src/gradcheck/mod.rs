//! Checking gradients: every op against numerical derivatives.
//!
//! A [`Case`] is an op with inputs. [`check`] runs it in `f64` and compares the hand-derived gradient with numerical ones: every
//! element of a small input, and seeded random directions. The same case then runs in `f32` and must agree with `f64`, must give
//! the same bits when only one gradient is asked for, and must leave its inputs alone. Nothing is retried: a case whose inputs
//! lie on a kink is a wrong case. [`numeric`] has the course's three functions for use by hand.

mod engine;
pub mod numeric;

pub use engine::{Outcome, check, check_inputs};
pub use numeric::{numerical_gradient, numerical_gradient_array, rel_error};

use crate::rng::Rng;
use crate::tape::Var;
use crate::tensor::{DType, Shape, Tensor};

/// Gradients of the inputs that are asked for, given the upstream gradient.
pub type Backward = Box<dyn Fn(&[bool], &Tensor) -> Vec<Option<Tensor>>>;
/// Runs an op: its output, and the way back.
pub type Run = Box<dyn Fn(&[Tensor]) -> (Tensor, Backward)>;
/// Runs the op on the tape.
pub type OnTape = Box<dyn Fn(&[Var]) -> Var>;

/// An op with inputs, ready to be checked.
pub struct Case {
    /// The op's name.
    pub op: &'static str,
    /// What is special about the inputs.
    pub name: &'static str,
    /// The inputs' names and values, in `f64`.
    pub inputs: Vec<(&'static str, Tensor)>,
    /// The largest relative error allowed between the gradient and the numerical one.
    pub tolerance: f64,
    /// The largest difference allowed between `f32` and `f64`, relative to the largest value.
    pub tolerance_f32: f64,
    run: Run,
    on_tape: Option<OnTape>,
    rng: Rng,
}

impl Case {
    /// A case without inputs yet.
    pub fn new(op: &'static str, name: &'static str) -> Case {
        let seed = op
            .bytes()
            .chain(name.bytes())
            .fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let run: Run = Box::new(|_| panic!("a case needs .run(...)"));
        Case {
            op,
            name,
            inputs: Vec::new(),
            tolerance: 1e-7,
            tolerance_f32: 2e-5,
            run,
            on_tape: None,
            rng: Rng::new(seed),
        }
    }

    /// Adds an input with standard normal values.
    pub fn input(self, name: &'static str, shape: &[usize]) -> Case {
        self.input_with(name, shape, |v| v)
    }

    /// Adds an input whose standard normal values are passed through `map`, say to keep away from kinks.
    pub fn input_with(
        mut self,
        name: &'static str,
        shape: &[usize],
        map: impl Fn(f64) -> f64,
    ) -> Case {
        let mut values = vec![0.0; Shape::new(shape).elements()];
        self.rng.fill_normal(1.0, &mut values);
        // Values that f32 holds exactly, so that both precisions see the same inputs.
        values.iter_mut().for_each(|v| *v = f64::from(map(*v) as f32));
        self.inputs.push((name, Tensor::from_f64(shape, &values)));
        self
    }

    /// Adds an input with given values.
    pub fn input_values(mut self, name: &'static str, values: Tensor) -> Case {
        self.inputs.push((name, values.to_dtype(DType::F64)));
        self
    }

    /// Sets the tolerance of the numerical check (by default 1e-7).
    pub fn tolerance(mut self, tolerance: f64) -> Case {
        self.tolerance = tolerance;
        self
    }

    /// Sets the tolerance between `f32` and `f64` (by default 2e-5).
    pub fn tolerance_f32(mut self, tolerance: f64) -> Case {
        self.tolerance_f32 = tolerance;
        self
    }

    /// Sets what is run: forward on the inputs, returning the output and the way back (see [`backward_pass`]).
    pub fn run<const N: usize>(
        self,
        f: impl Fn([&Tensor; N]) -> (Tensor, Backward) + 'static,
    ) -> Case {
        assert_eq!(self.inputs.len(), N, "{}: the inputs of a case", self.op);
        self.run_slice(move |inputs| f(std::array::from_fn(|i| &inputs[i])))
    }

    /// As [`Case::run`], for any number of inputs.
    pub fn run_slice(mut self, f: impl Fn(&[Tensor]) -> (Tensor, Backward) + 'static) -> Case {
        self.run = Box::new(f);
        self
    }

    /// Sets the same on the tape, which must give the same bits.
    pub fn tape<const N: usize>(self, f: impl Fn([&Var; N]) -> Var + 'static) -> Case {
        assert_eq!(self.inputs.len(), N, "{}: the inputs of a case", self.op);
        self.tape_slice(move |inputs| f(std::array::from_fn(|i| &inputs[i])))
    }

    /// As [`Case::tape`], for any number of inputs.
    pub fn tape_slice(mut self, f: impl Fn(&[Var]) -> Var + 'static) -> Case {
        self.on_tape = Some(Box::new(f));
        self
    }

    /// Whether the case says how the op runs on the tape.
    pub fn has_tape(&self) -> bool {
        self.on_tape.is_some()
    }

    /// The same case with the gradient of input `i` multiplied by `factor`: a wrong gradient, which a check must see.
    pub fn with_wrong_gradient(mut self, i: usize, factor: f64) -> Case {
        let run = self.run;
        self.run = Box::new(move |inputs| {
            let (y, back) = run(inputs);
            let wrong = move |needs: &[bool], dy: &Tensor| {
                let mut grads = back(needs, dy);
                grads[i] = grads[i].take().map(|g| {
                    let values: Vec<f64> = g.to_vec().iter().map(|v| v * factor).collect();
                    Tensor::from_f64(&g.shape()[..], &values).to_dtype(g.dtype())
                });
                grads
            };
            (y, Box::new(wrong) as Backward)
        });
        self
    }
}

/// Makes a [`Backward`] of an op's `backward_for`.
pub fn backward_pass<const N: usize>(
    f: impl Fn([bool; N], &Tensor) -> [Option<Tensor>; N] + 'static,
) -> Backward {
    Box::new(move |needs, dy| f(std::array::from_fn(|i| needs[i]), dy).into())
}

#[cfg(test)]
mod tests;
