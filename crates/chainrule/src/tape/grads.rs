//! What `backward` returns.

use super::{Leaf, Node, OnTape, Operand};
use crate::check;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::ops::Index;

/// Gradients by the numbers of their nodes, the largest first. Those that were taken out are missing.
pub(super) type Found = Vec<(u32, Option<Tensor>)>;

/// Gradients: of every leaf that was reached, and of what [`retain_grad`](super::Var::retain_grad) asked for.
///
/// `grads[&w]` is the gradient of `w`. A plain tensor is recognised by the variable that holds it, which must be the one that
/// was used on the tape, neither moved nor replaced since.
pub struct Grads {
    recording: u64,
    leaves: HashMap<Leaf, u32>,
    found: Found,
}

impl Grads {
    /// Without a gradient, in containers that are empty or hold the leaves alone.
    pub(super) fn new(recording: u64, leaves: HashMap<Leaf, u32>, found: Found) -> Grads {
        Grads { recording, leaves, found }
    }

    /// Adds the gradient of a node, if there is one. Nodes come with falling numbers.
    pub(super) fn extend(&mut self, node: u32, gradient: Option<Tensor>) {
        if gradient.is_some() {
            self.found.push((node, gradient));
        }
    }

    fn node(&self, of: &dyn OnTape) -> Option<u32> {
        match of.operand() {
            Operand::Var(v) => match v.node {
                Some(Node { recording, index }) if recording == self.recording => Some(index),
                _ => None,
            },
            Operand::Leaf(leaf, _) => self.leaves.get(&leaf).copied(),
            Operand::Constant(_) => None,
        }
    }

    /// Where the gradient of a node is.
    fn place(&self, node: u32) -> Option<usize> {
        self.found.binary_search_by(|(other, _)| node.cmp(other)).ok()
    }

    /// The gradient of a leaf or a retained value; `None` if it was not used, or did not reach the loss.
    pub fn get(&self, of: &dyn OnTape) -> Option<&Tensor> {
        self.found[self.place(self.node(of)?)?].1.as_ref()
    }

    /// Takes the gradient out.
    pub fn take(&mut self, of: &dyn OnTape) -> Option<Tensor> {
        let place = self.place(self.node(of)?)?;
        self.found[place].1.take()
    }

    /// Takes the gradient of a leaf out.
    pub(crate) fn take_leaf(&mut self, leaf: Leaf) -> Option<Tensor> {
        let place = self.place(*self.leaves.get(&leaf)?)?;
        self.found[place].1.take()
    }

    /// What the gradients were in, for those of another recording.
    pub(super) fn into_containers(self) -> (HashMap<Leaf, u32>, Found) {
        (self.leaves, self.found)
    }

    /// How many gradients there are.
    pub fn len(&self) -> usize {
        self.found.iter().filter(|(_, gradient)| gradient.is_some()).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: OnTape> Index<&T> for Grads {
    type Output = Tensor;

    /// # Panics
    /// If there is no gradient of it.
    #[track_caller]
    fn index(&self, of: &T) -> &Tensor {
        let Some(gradient) = self.get(of) else {
            let value = match of.operand() {
                Operand::Var(v) => &v.value,
                Operand::Leaf(_, value) | Operand::Constant(value) => value,
            };
            let reason = "there is no gradient of it: it is a constant, did not reach the loss, is a value inside without \
                          retain_grad(), or a tensor that was moved or changed since it was used";
            check::fail("grads", reason, &[("of", value, "")], "")
        };
        gradient
    }
}

impl std::fmt::Debug for Grads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Grads of {} tensors", self.len())
    }
}
