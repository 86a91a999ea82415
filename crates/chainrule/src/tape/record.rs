//! The list of operations, and the walk back over it.

use super::grads::{Found, Grads};
use super::{Leaf, Node};
use crate::check;
use crate::tensor::Tensor;
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The way back of an op, which is gone once. Its box outlives it: the op of the same number in the next recording moves in,
/// if it is of the same kind, as it is from one step of a training to the next.
trait Back: Any {
    /// Writes the gradients of the inputs that are needed, given the upstream gradient. Nothing is left in the box.
    fn run(&mut self, needs: &[bool], dy: &Tensor, found: &mut [Option<Tensor>]);

    /// Leaves nothing in the box.
    fn empty(&mut self);
}

struct Held<F>(Option<F>);

impl<F: FnOnce(&[bool], &Tensor, &mut [Option<Tensor>]) + 'static> Back for Held<F> {
    fn run(&mut self, needs: &[bool], dy: &Tensor, found: &mut [Option<Tensor>]) {
        if let Some(back) = self.0.take() {
            back(needs, dy, found);
        }
    }

    fn empty(&mut self) {
        self.0 = None;
    }
}

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
    Op { inputs: usize, back: Box<dyn Back> },
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
    /// Empty boxes, each at the number of the op whose way back was in it.
    boxes: Vec<Option<Box<dyn Back>>>,
    gradients: Found,
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
            boxes: Vec::new(),
            gradients: Vec::new(),
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

    /// Records an op with these inputs and this way back.
    pub fn push(
        &mut self,
        inputs: impl Iterator<Item = u32>,
        back: impl FnOnce(&[bool], &Tensor, &mut [Option<Tensor>]) + 'static,
    ) -> Node {
        let before = self.inputs.len();
        self.inputs.extend(inputs);
        let (inputs, back) = (self.inputs.len() - before, self.boxed(back));
        self.add(Entry::Op { inputs, back })
    }

    /// The way back of the next op in a box: in the one that this number had before, if it fits.
    fn boxed<F>(&mut self, back: F) -> Box<dyn Back>
    where
        F: FnOnce(&[bool], &Tensor, &mut [Option<Tensor>]) + 'static,
    {
        let old = self.boxes.get_mut(self.entries.len()).and_then(Option::take);
        if let Some(mut old) = old
            && let Some(held) = (&mut *old as &mut dyn Any).downcast_mut::<Held<F>>()
        {
            held.0 = Some(back);
            return old;
        }
        Box::new(Held(Some(back)))
    }

    /// Keeps the empty box of op `index` for the next recording.
    fn keep(&mut self, index: usize, back: Box<dyn Back>) {
        if self.boxes.len() <= index {
            self.boxes.resize_with(index + 1, || None);
        }
        self.boxes[index] = Some(back);
    }

    /// Takes what gradients were in, empty, for those of the next recording.
    pub fn take_back(&mut self, mut leaves: HashMap<Leaf, u32>, mut gradients: Found) {
        leaves.clear();
        gradients.clear();
        if self.leaves.is_empty() {
            self.leaves = leaves;
        }
        self.gradients = gradients;
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
        while let Some(entry) = self.entries.pop() {
            if let Entry::Op { mut back, .. } = entry {
                back.empty();
                self.keep(self.entries.len(), back);
            }
        }
        self.inputs.clear();
        self.leaves.clear();
        self.retained.clear();
        self.recording = next_recording();
    }

    /// Takes the list apart from its end, from `node` on with the upstream gradient dy.
    #[track_caller]
    pub fn backward(&mut self, node: Node, dy: Tensor) -> Grads {
        self.check(node);
        let (leaves, found) =
            (std::mem::take(&mut self.leaves), std::mem::take(&mut self.gradients));
        let mut grads = Grads::new(self.recording, leaves, found);
        self.pending.clear();
        self.pending.resize(self.entries.len(), None);
        self.pending[node.index as usize] = Some(dy);
        while let (Some(entry), Some(dy)) = (self.entries.pop(), self.pending.pop()) {
            let index = self.entries.len();
            match entry {
                Entry::Leaf(_) => grads.extend(index as u32, dy),
                Entry::Op { inputs, mut back } => {
                    let first = self.inputs.len() - inputs;
                    match dy {
                        Some(dy) => {
                            self.pass_on(first, &mut *back, &dy);
                            if self.retained.contains(&(index as u32)) {
                                grads.extend(index as u32, Some(dy));
                            }
                        }
                        // Its result was not used for the value that is differentiated.
                        None => back.empty(),
                    }
                    self.keep(index, back);
                    self.inputs.truncate(first);
                }
            }
        }
        self.clear();
        grads
    }

    /// The gradients of an op's inputs, which are those from `first` on, added to what these have already.
    fn pass_on(&mut self, first: usize, back: &mut dyn Back, dy: &Tensor) {
        let inputs = &self.inputs[first..];
        self.needs.clear();
        self.needs.extend(inputs.iter().map(|i| *i != Input::CONSTANT));
        self.found.clear();
        self.found.resize(inputs.len(), None);
        back.run(&self.needs, dy, &mut self.found);
        for (input, found) in inputs.iter().zip(self.found.drain(..)) {
            let Some(gradient) = found.filter(|_| *input != Input::CONSTANT) else { continue };
            match &mut self.pending[*input as usize] {
                Some(sum) => sum.add_scaled(1.0, &gradient),
                empty => *empty = Some(gradient),
            }
        }
    }
}
