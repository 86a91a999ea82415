//! What an op on the tape takes: variables, tensors and parameters alike.

use super::record::Input;
use super::{Node, Tape, Var};
use crate::check;
use crate::tensor::{Tensor, float};

/// An operand of an op on the tape: a [`Var`], a [`Tensor`], which is a leaf, or a module's parameter.
///
/// Ops take it as `&dyn OnTape`, so that an op is compiled once and not once for every combination of operands.
pub trait OnTape {
    /// What it is.
    #[doc(hidden)]
    fn operand(&self) -> Operand<'_>;
}

/// The kinds of operands.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    Var(&'a Var),
    Leaf(Leaf, &'a Tensor),
    /// A parameter that is frozen.
    Constant(&'a Tensor),
}

/// How a leaf is recognised when it is used again, and when its gradient is looked up.
///
/// A plain tensor is recognised by its variable and its storage: two clones that share storage are two leaves, and a variable
/// of a loop that holds another tensor each time is another leaf each time. A parameter has a number.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    Tensor { variable: usize, storage: usize },
    Param(u64),
}

impl OnTape for Var {
    fn operand(&self) -> Operand<'_> {
        Operand::Var(self)
    }
}

impl OnTape for Tensor {
    fn operand(&self) -> Operand<'_> {
        let storage = float!(self.dtype(), T => self.data::<T>().as_ptr().addr());
        Operand::Leaf(Leaf::Tensor { variable: std::ptr::from_ref(self).addr(), storage }, self)
    }
}

/// The operands of one op: their values, and where they are on which tape.
pub(crate) struct Operands<const N: usize> {
    pub values: [Tensor; N],
    nodes: [Option<Node>; N],
    tape: Tape,
}

/// The tape of the operands, which must all be on one. There must be a variable among them.
#[track_caller]
fn tape_of<'a>(operands: impl Iterator<Item = Operand<'a>>) -> &'a Tape {
    let mut found: Option<&Var> = None;
    for operand in operands {
        if let Operand::Var(v) = operand {
            match found {
                Some(first) if !first.tape.is(&v.tape) => {
                    let pair = [("a", &first.value, ""), ("b", &v.value, "")];
                    check::fail("tape", "two operands are on different tapes", &pair, "");
                }
                _ => found = Some(v),
            }
        }
    }
    let Some(found) = found else { unreachable!("an op on the tape is a method of a variable") };
    &found.tape
}

impl<const N: usize> Operands<N> {
    /// Puts the operands on the tape of the variables among them.
    ///
    /// # Panics
    /// If two are on different tapes, or the recording of one has ended.
    #[track_caller]
    pub fn of(operands: [&dyn OnTape; N]) -> Operands<N> {
        let operands = operands.map(|o| o.operand());
        let tape = tape_of(operands.iter().copied()).clone();
        let vars = operands.map(|operand| match operand {
            Operand::Var(v) => v.clone(),
            Operand::Leaf(leaf, value) => tape.leaf_of(leaf, value),
            Operand::Constant(value) => tape.constant(value.clone()),
        });
        for var in &vars {
            if let Some(node) = var.node {
                tape.inner.record.borrow().check(node);
            }
        }
        let nodes = [0; N].map({
            let mut i = 0;
            let vars = &vars;
            move |_| {
                i += 1;
                vars[i - 1].node
            }
        });
        Operands { values: vars.map(|v| v.value), nodes, tape }
    }

    /// The tape they are on.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Records the op that made y of them. Its way back is `backward_for`, with the cache that its forward pass left.
    pub fn record<C: 'static>(
        self,
        y: Tensor,
        cache: C,
        backward_for: impl Fn([bool; N], &Tensor, &C) -> [Option<Tensor>; N] + 'static,
    ) -> Var {
        record(self.tape, self.nodes.into_iter(), y, move |needs, dy, grads| {
            let found = backward_for(std::array::from_fn(|i| needs[i]), dy, &cache);
            grads.iter_mut().zip(found).for_each(|(to, g)| *to = g);
        })
    }
}

/// Records an op with any number of operands, all variables. `backward` writes the gradients that are needed.
#[track_caller]
pub(crate) fn record_many(
    operands: &[Var],
    y: Tensor,
    backward: impl FnOnce(&[bool], &Tensor, &mut [Option<Tensor>]) + 'static,
) -> Var {
    let tape = tape_of(operands.iter().map(Operand::Var)).clone();
    let nodes = operands.iter().map(|v| v.node);
    for node in nodes.clone().flatten() {
        tape.inner.record.borrow().check(node);
    }
    record(tape, nodes, y, backward)
}

/// Records an op whose inputs are these nodes, unless none of them needs a gradient.
fn record(
    tape: Tape,
    inputs: impl Iterator<Item = Option<Node>> + Clone,
    y: Tensor,
    backward: impl FnOnce(&[bool], &Tensor, &mut [Option<Tensor>]) + 'static,
) -> Var {
    let node = inputs.clone().any(|i| i.is_some()).then(|| {
        let inputs = inputs.map(|n| n.map_or(Input::CONSTANT, |n| n.index));
        tape.inner.record.borrow_mut().push(inputs, backward)
    });
    if let (Some(node), &[_, _, h, w]) = (node, &y.shape()[..])
        && let Some(pictures) = &mut *tape.inner.pictures.borrow_mut()
        && h * w > 1
    {
        *pictures = Some((y.clone(), node));
    }
    Var { value: y, tape, node }
}
