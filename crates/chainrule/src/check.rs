//! The one format of panics: what is wrong, the operands with their axes, the parameters.
//!
//! ```text
//! affine: x has 20 features, w expects 30
//!     x  [2, 20]   N D
//!     w  [30, 4]   D M
//! ```
//! Wrong code panics here, at the caller's line (`#[track_caller]`); a wrong world returns [`crate::Error`].

use crate::tensor::Tensor;
use std::fmt::Write;

/// A tensor in a message: its name, itself, its axis letters.
pub type Operand<'a> = (&'a str, &'a Tensor, &'a str);

/// Panics with the message of this module. `parameters` is what else matters, such as settings, or nothing (`""`).
#[track_caller]
#[cold]
pub fn fail(
    op: &str,
    reason: impl AsRef<str>,
    operands: &[Operand],
    parameters: impl std::fmt::Display,
) -> ! {
    let mut text = format!("{op}: {}", reason.as_ref());
    let name_width = operands.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let shapes: Vec<String> = operands.iter().map(|(_, t, _)| format!("{:?}", t.shape())).collect();
    let shape_width = shapes.iter().map(String::len).max().unwrap_or(0);
    for ((name, t, axes), shape) in operands.iter().zip(&shapes) {
        let _ = write!(text, "\n    {name:name_width$}  {shape:shape_width$}   {axes}");
        if operands.iter().any(|(_, other, _)| other.dtype() != t.dtype()) {
            let _ = write!(text, "   {}", t.dtype().name());
        }
    }
    let parameters = parameters.to_string();
    if !parameters.is_empty() {
        let _ = write!(text, "\n  in   {parameters}");
    }
    panic!("{text}")
}

/// Panics unless all operands have the same element type.
#[track_caller]
pub fn same_dtype(op: &str, operands: &[Operand]) {
    if operands.iter().any(|(_, t, _)| t.dtype() != operands[0].1.dtype()) {
        fail(op, "the operands must hold the same type", operands, "");
    }
}

/// Panics unless the upstream gradient has the shape and type of the output.
#[track_caller]
pub fn upstream(op: &str, dy: &Tensor, shape: &[usize], like: &Tensor) {
    if dy.shape()[..] != *shape {
        fail(
            op,
            format!("the upstream gradient must have the output's shape {shape:?}"),
            &[("dy", dy, "")],
            "",
        );
    }
    same_dtype(op, &[("dy", dy, ""), ("cache", like, "")]);
}

/// Panics unless there is one label a row of `scores` (N, C), each below C.
#[track_caller]
pub fn labels(op: &str, scores: &Tensor, labels: &[usize]) {
    if scores.shape().len() != 2 {
        fail(op, "scores must have two axes", &[("scores", scores, "N C")], "");
    }
    let (n, classes) = scores.rows();
    if labels.len() != n {
        fail(
            op,
            format!("{n} rows of scores, {} labels", labels.len()),
            &[("scores", scores, "N C")],
            "",
        );
    }
    if let Some((i, y)) = labels.iter().enumerate().find(|(_, y)| **y >= classes) {
        fail(
            op,
            format!("label {y} of row {i} is not below {classes}"),
            &[("scores", scores, "N C")],
            "",
        );
    }
}
