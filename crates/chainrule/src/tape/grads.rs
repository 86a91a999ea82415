//! What `backward` returns.

use super::{Leaf, Node, OnTape, Operand};
use crate::check;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::ops::Index;

/// Gradients: of every leaf that was reached, and of what [`retain_grad`](super::Var::retain_grad) asked for.
///
/// `grads[&w]` is the gradient of `w`. A plain tensor is recognised by the variable that holds it, which must be the one that
/// was used on the tape, neither moved nor replaced since.
pub struct Grads {
    recording: u64,
    leaves: HashMap<Leaf, u32>,
    by_node: HashMap<u32, Tensor>,
}

impl Grads {
    pub(super) fn new(recording: u64, leaves: HashMap<Leaf, u32>) -> Grads {
        Grads { recording, leaves, by_node: HashMap::new() }
    }

    pub(super) fn insert(&mut self, node: u32, gradient: Tensor) {
        self.by_node.insert(node, gradient);
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

    /// The gradient of a leaf or a retained value; `None` if it was not used, or did not reach the loss.
    pub fn get(&self, of: &dyn OnTape) -> Option<&Tensor> {
        self.by_node.get(&self.node(of)?)
    }

    /// Takes the gradient out.
    pub fn take(&mut self, of: &dyn OnTape) -> Option<Tensor> {
        let node = self.node(of)?;
        self.by_node.remove(&node)
    }

    /// Takes the gradient of a leaf out.
    pub(crate) fn take_leaf(&mut self, leaf: Leaf) -> Option<Tensor> {
        self.by_node.remove(self.leaves.get(&leaf)?)
    }

    /// How many gradients there are.
    pub fn len(&self) -> usize {
        self.by_node.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
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
