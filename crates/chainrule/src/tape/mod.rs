//! The tape: it records operations as they happen and walks them backwards.
//!
//! ```
//! use chainrule::tape::Tape;
//! use chainrule::tensor::{DType, Tensor};
//!
//! let (w, b) = (Tensor::ones([3, 2], DType::F32), Tensor::zeros([2], DType::F32));
//! let tape = Tape::train(0);
//! let x = tape.constant(Tensor::ones([5, 3], DType::F32));
//! let loss = x.affine(&w, &b).cross_entropy(&[0, 1, 1, 0, 1]);
//! let grads = loss.backward();
//! assert_eq!(grads[&w].shape()[..], [3, 2]);
//! ```
//! A [`Var`] is a [`Tensor`] on a tape. Its methods are the ops: each runs an op's `forward` and keeps its cache for the op's
//! `backward_for`. There is no other derivative. Plain tensors that meet a `Var` in an op are leaves, which get a gradient;
//! [`Tape::constant`] is for those that need none. Mode and randomness live on the tape.
//!
//! The tape is a list. [`Var::backward`] takes it apart from its end, so neither does a long chain overflow the stack, nor does
//! anything outlive its last use. Only first derivatives exist: gradients are plain tensors. A tape that is used for step after
//! step keeps the memory of its list, so that a step in the steady state of a training allocates nothing.

mod grads;
mod operand;
mod record;

pub use grads::Grads;
pub use operand::OnTape;
pub(crate) use operand::{Leaf, Operand, Operands, record_many};

use crate::check;
use crate::rng::Rng;
use crate::tensor::{DType, Shape, Tensor};
use record::Record;
use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

/// Whether a net is being trained or used. Layers that behave differently take it: dropout and batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Units are dropped, batches are normalised by their own statistics.
    Train,
    /// Nothing is random, and running averages stand in for a batch's statistics.
    Test,
}

/// What records operations. See the [module](self). A clone is the same tape.
#[derive(Clone)]
pub struct Tape {
    inner: Rc<Inner>,
}

struct Inner {
    mode: Cell<Mode>,
    recording: bool,
    rng: RefCell<Rng>,
    record: RefCell<Record>,
    /// The last pictures that an op made, on a tape that keeps them.
    pictures: RefCell<Option<Pictures>>,
}

/// The last value of four axes and more than one pixel that was recorded, if there was one.
type Pictures = Option<(Tensor, Node)>;

impl Tape {
    /// A tape for training; dropout draws from the keyed streams of `seed`.
    pub fn train(seed: u64) -> Tape {
        Tape::with(Mode::Train, true, Rng::new(seed))
    }

    /// A tape that records nothing: ops run in test mode and keep nothing, and there is no way back.
    pub fn eval() -> Tape {
        Tape::with(Mode::Test, false, Rng::new(0))
    }

    /// A tape for training that draws from `rng`; swap it with [`Tape::rng`] to have it back.
    pub fn with_rng(rng: Rng) -> Tape {
        Tape::with(Mode::Train, true, rng)
    }

    fn with(mode: Mode, recording: bool, rng: Rng) -> Tape {
        let record = RefCell::new(Record::new());
        let (mode, rng, pictures) = (Cell::new(mode), RefCell::new(rng), RefCell::new(None));
        let inner = Inner { mode, recording, rng, record, pictures };
        Tape { inner: Rc::new(inner) }
    }

    /// Moves the randomness to a step of the training, as [`Rng::at`] does: draws depend on (seed, epoch, step) alone.
    #[track_caller]
    pub fn at(&self, epoch: u64, step: u64) {
        self.inner.rng.borrow_mut().at(epoch, step);
    }

    /// Whether ops run as in training or as in a test.
    pub fn mode(&self) -> Mode {
        self.inner.mode.get()
    }

    /// Changes the mode: a tape that records may run ops as in a test, say to train a head on frozen layers.
    pub fn set_mode(&self, mode: Mode) {
        self.inner.mode.set(mode);
    }

    /// Whether operations are recorded.
    pub fn is_recording(&self) -> bool {
        self.inner.recording
    }

    /// The tape's randomness. Hold it no longer than a draw takes.
    pub fn rng(&self) -> RefMut<'_, Rng> {
        self.inner.rng.borrow_mut()
    }

    /// A tensor that needs no gradient, such as a batch of pictures.
    pub fn constant(&self, value: Tensor) -> Var {
        Var { value, tape: self.clone(), node: None }
    }

    /// A tensor or parameter as a `Var`, to call methods on. It is the same leaf wherever it is used.
    #[track_caller]
    pub fn leaf(&self, of: &dyn OnTape) -> Var {
        match of.operand() {
            Operand::Var(v) => v.clone(),
            Operand::Leaf(leaf, value) => self.leaf_of(leaf, value),
            Operand::Constant(value) => self.constant(value.clone()),
        }
    }

    fn leaf_of(&self, leaf: Leaf, value: &Tensor) -> Var {
        let node = self.inner.recording.then(|| self.inner.record.borrow_mut().leaf(leaf, value));
        Var { value: value.clone(), tape: self.clone(), node }
    }

    /// How many operations and leaves are recorded now.
    pub fn len(&self) -> usize {
        self.inner.record.borrow().len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what is recorded, say after a loss that is not to be differentiated.
    pub fn clear(&self) {
        self.inner.record.borrow_mut().clear();
    }

    /// Takes gradients that are not needed any more: the next recording's go where they were, so that nothing is allocated. A
    /// loop that does without is right too.
    pub fn reuse(&self, grads: Grads) {
        let (leaves, found) = grads.into_containers();
        self.inner.record.borrow_mut().take_back(leaves, found);
    }

    /// Keeps the last pictures that an op makes from now on.
    pub(crate) fn keep_pictures(&self) {
        *self.inner.pictures.borrow_mut() = Some(None);
    }

    /// The last pictures (N, C, H, W) of more than one pixel that an op made of what needs gradients, since
    /// [`Tape::keep_pictures`].
    pub(crate) fn last_pictures(&self) -> Option<Var> {
        let (value, node) = self.inner.pictures.borrow().clone()??;
        Some(Var { value, tape: self.clone(), node: Some(node) })
    }

    fn is(&self, other: &Tape) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tape ({:?} mode, {} nodes)", self.mode(), self.len())
    }
}

/// Where a `Var` is on its tape: which node, of which recording. `backward` and `clear` end a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    recording: u64,
    index: u32,
}

/// A tensor on a tape. Cheap to clone.
#[derive(Clone)]
pub struct Var {
    value: Tensor,
    tape: Tape,
    /// `None` for what needs no gradient.
    node: Option<Node>,
}

impl Var {
    /// The value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The tape it is on.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.value.dtype()
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> f64 {
        self.value.item()
    }

    /// The same value as a constant: nothing that is computed from it reaches what it was computed from.
    pub fn detach(&self) -> Var {
        self.tape.constant(self.value.clone())
    }

    /// Whether a gradient flows through it.
    pub fn needs_grad(&self) -> bool {
        self.node.is_some()
    }

    /// Asks for the gradient of this value, which otherwise is dropped when it has been passed on: `grads[&h]`.
    ///
    /// # Panics
    /// If it is a constant, or its recording has ended.
    #[track_caller]
    pub fn retain_grad(&self) {
        let Some(node) = self.node else {
            check::fail("retain_grad", "a constant has no gradient", &[("x", &self.value, "")], "");
        };
        self.tape.inner.record.borrow_mut().retain(node);
    }

    /// The gradients of this scalar with respect to all leaves it was computed from. Ends the recording.
    ///
    /// # Panics
    /// If it is not a scalar, does not depend on a leaf, or its recording has ended.
    #[track_caller]
    pub fn backward(&self) -> Grads {
        if self.value.len() != 1 {
            let reason = "only a single number has gradients; sum or average it, or pass the upstream gradient to backward_from";
            check::fail("backward", reason, &[("y", &self.value, "")], "");
        }
        self.backward_from(&Tensor::ones(*self.shape(), self.dtype()))
    }

    /// The gradients of `sum(y dy)`, where y is this value and dy the upstream gradient, of its shape and type.
    ///
    /// # Panics
    /// If dy has another shape or type, this is a constant, or its recording has ended.
    #[track_caller]
    pub fn backward_from(&self, dy: &Tensor) -> Grads {
        check::upstream("backward", dy, self.shape(), &self.value);
        let Some(node) = self.node else {
            let reason = if self.tape.is_recording() {
                "it was computed from constants alone, so there is nothing to differentiate by"
            } else {
                "an eval tape records nothing; use Tape::train"
            };
            check::fail("backward", reason, &[("y", &self.value, "")], "");
        };
        self.tape.inner.record.borrow_mut().backward(node, dy.clone())
    }
}

impl std::fmt::Debug for Var {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Var {:?}", self.value)
    }
}

#[cfg(test)]
mod tests;
