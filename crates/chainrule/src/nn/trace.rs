//! What happens in a forward pass, module by module: for summaries.

use super::Module;
use crate::tape::{Tape, Var};
use crate::tensor::{Shape, Tensor};
use chainrule_kernels::conv::ConvShape;
use std::cell::RefCell;

/// A module that was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// What it is.
    pub what: String,
    /// Its path within the network, if that has been named and it has parameters.
    pub path: Option<String>,
    /// How many modules it was applied within.
    pub depth: usize,
    /// The shape of its output.
    pub output: Shape,
    /// Its parameters, those of the modules within it included.
    pub params: usize,
    /// Multiply-adds of its own for one example.
    pub multiply_adds: usize,
    /// The convolution that it is, if it is one, of one example.
    pub convolution: Option<ConvShape>,
}

/// A trace in progress: what was applied, in the order of the beginnings, and how deep we are.
#[derive(Default)]
struct Trace {
    rows: Vec<Option<Traced>>,
    depth: usize,
    /// The first that was done and had an output with a number that is not finite.
    not_finite: Option<String>,
}

thread_local! {
    static TRACE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// Whether a trace is in progress: modules are then applied one by one.
pub(super) fn active() -> bool {
    TRACE.with_borrow(Option::is_some)
}

/// A module whose forward pass is being traced.
pub(super) struct Entered {
    row: usize,
    depth: usize,
    x: Shape,
}

/// Begins a row, if a trace is in progress.
pub(super) fn enter(x: &Var) -> Option<Entered> {
    TRACE.with_borrow_mut(|trace| {
        let trace = trace.as_mut()?;
        trace.rows.push(None);
        trace.depth += 1;
        Some(Entered { row: trace.rows.len() - 1, depth: trace.depth - 1, x: *x.shape() })
    })
}

impl Entered {
    /// Completes the row. `own` gives the multiply-adds and the convolution for the shape of x.
    pub fn leave(
        &mut self,
        what: String,
        path: Option<String>,
        params: usize,
        y: &Tensor,
        own: impl FnOnce(&Shape) -> (usize, Option<ConvShape>),
    ) {
        let (output, (multiply_adds, convolution)) = (*y.shape(), own(&self.x));
        let place = path.as_ref().map_or_else(|| what.clone(), |path| format!("{path}: {what}"));
        let row =
            Traced { what, path, depth: self.depth, output, params, multiply_adds, convolution };
        TRACE.with_borrow_mut(|trace| {
            if let Some(trace) = trace {
                trace.depth = self.depth;
                if trace.not_finite.is_none() && !y.is_finite() {
                    trace.not_finite = Some(place);
                }
                trace.rows[self.row] = Some(row);
            }
        });
    }
}

/// Runs a module in test mode on x and tells what was applied, in order; the module itself is the first row, at depth 0.
///
/// # Panics
/// As the module's forward pass.
#[track_caller]
pub fn trace(module: &dyn Module, x: Tensor) -> Vec<Traced> {
    TRACE.set(Some(Trace::default()));
    Tape::eval().constant(x).apply(module);
    let trace = TRACE.take().unwrap_or_default();
    trace.rows.into_iter().flatten().collect()
}

/// Runs a module on x and tells which was the first, of those that it is made of, whose output was not all finite numbers:
/// `stage1.0.conv1: Conv2d(...)`.
///
/// # Panics
/// As the module's forward pass.
#[track_caller]
pub(crate) fn first_not_finite(module: &dyn Module, x: &Var) -> Option<String> {
    TRACE.set(Some(Trace::default()));
    x.apply(module);
    TRACE.take().unwrap_or_default().not_finite
}
