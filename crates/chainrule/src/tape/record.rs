//! The list of operations, and the walk back over it.

use super::grads::Grads;
use super::{Leaf, Node};
use crate::check;
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes the gradients of the inputs that are needed, given the upstream gradient.
pub(super) type Back = Box<dyn FnOnce(&[bool], &Tensor, &mut [Option<Tensor>])>;

/// The inputs of an op as numbers of nodes.
pub(super) struct Input;

impl Input {
    /// An input that needs no gradient.
    pub const CONSTANT: u32 = u32::MAX;
}

enum Entry {
    /// A tensor from outside. It is kept so that its storage is not given to another tensor, which would be taken for it.
    Leaf(#[allow(dead_code)] Tensor),
    /// An op with the number of its inputs, which are the last ones of the record when it is taken off.
    Op { inputs: usize, back: Back },
}

/// Recordings are numbered over all tapes, so that a value of one is never taken for a value of another.
static RECORDINGS: AtomicU64 = AtomicU64::new(0);

fn next_recording() -> u64 {
    RECORDINGS.fetch_add(1, Ordering::Relaxed)
}

/// A recording in progress. What it allocates is used again by the next one.
pub(super) struct Record {
    recording: u64,
    entries: Vec<Entry>,
    inputs: Vec<u32>,
    leaves: HashMap<Leaf, u32>,
    retained: Vec<u32>,
    pending: Vec<Option<Tensor>>,
    needs: Vec<bool>,
    found: Vec<Option<Tensor>>,
}

impl Record {
    pub fn new() -> Record {
        Record {
            recording: next_recording(),
            entries: Vec::new(),
            inputs: Vec::new(),
            leaves: HashMap::new(),
            retained: Vec::new(),
            pending: Vec::new(),
            needs: Vec::new(),
            found: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn add(&mut self, entry: Entry) -> Node {
        let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 nodes");
        self.entries.push(entry);
        Node { recording: self.recording, index }
    }

    /// The node of a leaf: the same one each time.
    pub fn leaf(&mut self, leaf: Leaf, value: &Tensor) -> Node {
        if let Some(index) = self.leaves.get(&leaf) {
            return Node { recording: self.recording, index: *index };
        }
        let node = self.add(Entry::Leaf(value.clone()));
        self.leaves.insert(leaf, node.index);
        node
    }

    pub fn push(&mut self, inputs: &[u32], back: Back) -> Node {
        self.inputs.extend_from_slice(inputs);
        self.add(Entry::Op { inputs: inputs.len(), back })
    }

    /// Panics if the recording that the node belongs to has ended.
    #[track_caller]
    pub fn check(&self, node: Node) {
        if node.recording != self.recording {
            let reason = "this value is of a recording that has ended: backward takes the tape apart. Compute it anew, or \
                          use its value with tape.constant(v.value().clone())";
            check::fail("tape", reason, &[], "");
        }
    }

    #[track_caller]
    pub fn retain(&mut self, node: Node) {
        self.check(node);
        self.retained.push(node.index);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.inputs.clear();
        self.leaves.clear();
        self.retained.clear();
        self.recording = next_recording();
    }

    /// Takes the list apart from its end, from `node` on with the upstream gradient dy.
    #[track_caller]
    pub fn backward(&mut self, node: Node, dy: Tensor) -> Grads {
        self.check(node);
        let mut grads = Grads::new(self.recording, std::mem::take(&mut self.leaves));
        self.pending.clear();
        self.pending.resize(self.entries.len(), None);
        self.pending[node.index as usize] = Some(dy);
        while let (Some(entry), Some(dy)) = (self.entries.pop(), self.pending.pop()) {
            let index = self.entries.len() as u32;
            let inputs = match entry {
                Entry::Leaf(_) => {
                    if let Some(dy) = dy {
                        grads.insert(index, dy);
                    }
                    continue;
                }
                Entry::Op { inputs, back } => {
                    let first = self.inputs.len() - inputs;
                    if let Some(dy) = dy {
                        if self.retained.contains(&index) {
                            grads.insert(index, dy.clone());
                        }
                        self.pass_on(first, back, &dy);
                    }
                    first
                }
            };
            self.inputs.truncate(inputs);
        }
        self.clear();
        grads
    }

    /// The gradients of an op's inputs, which are those from `first` on, added to what these have already.
    fn pass_on(&mut self, first: usize, back: Back, dy: &Tensor) {
        let inputs = &self.inputs[first..];
        self.needs.clear();
        self.needs.extend(inputs.iter().map(|i| *i != Input::CONSTANT));
        self.found.clear();
        self.found.resize(inputs.len(), None);
        back(&self.needs, dy, &mut self.found);
        for (input, found) in inputs.iter().zip(self.found.drain(..)) {
            let Some(gradient) = found.filter(|_| *input != Input::CONSTANT) else { continue };
            match &mut self.pending[*input as usize] {
                Some(sum) => sum.add_scaled(1.0, &gradient),
                empty => *empty = Some(gradient),
            }
        }
    }
}
