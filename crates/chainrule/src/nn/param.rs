//! Parameters and buffers, and how they are found and named.

use crate::tape::{Leaf, OnTape, Operand};
use crate::tensor::{DType, Tensor};
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A learned tensor of a module. On the tape it is a leaf; `grads[&net.fc.weight]` is its gradient.
#[derive(Debug)]
pub struct Param {
    value: Tensor,
    id: u64,
    name: String,
    /// Whether weight decay applies: at first to weights, which have two axes or more, and not to biases, scales and shifts.
    pub decay: bool,
    /// Whether it stays as it is: it then is a constant on the tape.
    pub frozen: bool,
}

fn next_id() -> u64 {
    static IDS: AtomicU64 = AtomicU64::new(0);
    IDS.fetch_add(1, Ordering::Relaxed)
}

impl Param {
    /// A parameter with this initial value.
    pub fn new(value: Tensor) -> Param {
        let decay = value.shape().len() >= 2;
        Param { value, id: next_id(), name: String::new(), decay, frozen: false }
    }

    /// The value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The value for writing, say `add_scaled`. Its shape must stay as it is.
    pub fn value_mut(&mut self) -> &mut Tensor {
        &mut self.value
    }

    /// Its path within the network, such as `layer1.conv.weight`, once the network has been named (see [`Params::set_names`]).
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

/// The clone is another parameter, with the same value.
impl Clone for Param {
    fn clone(&self) -> Param {
        let Param { value, name, decay, frozen, .. } = self;
        let (value, name) = (value.clone(), name.clone());
        Param { value, id: next_id(), name, decay: *decay, frozen: *frozen }
    }
}

impl OnTape for Param {
    fn operand(&self) -> Operand<'_> {
        if self.frozen {
            Operand::Constant(&self.value)
        } else {
            Operand::Leaf(Leaf::Param(self.id), &self.value)
        }
    }
}

/// What a module remembers but does not learn, such as a running average. The forward pass may change it.
#[derive(Clone, Debug)]
pub struct Buffer {
    value: RefCell<Tensor>,
}

impl Buffer {
    /// A buffer with this initial value.
    pub fn new(value: Tensor) -> Buffer {
        Buffer { value: RefCell::new(value) }
    }

    /// The value now.
    pub fn get(&self) -> Tensor {
        self.value.borrow().clone()
    }

    /// Another value.
    pub fn set(&self, value: Tensor) {
        *self.value.borrow_mut() = value;
    }

    /// Takes the value out, so that it can be changed in place, and leaves `instead`.
    pub(super) fn swap(&self, instead: Tensor) -> Tensor {
        self.value.replace(instead)
    }
}

/// Where a visit is within a network: `layer1.conv`.
#[derive(Debug, Default)]
pub struct Path(String);

impl Path {
    /// Goes into a field; returns what [`Path::leave`] needs.
    pub fn enter(&mut self, field: &str) -> usize {
        let outside = self.0.len();
        if outside > 0 {
            self.0.push('.');
        }
        self.0.push_str(field);
        outside
    }

    /// Goes into an element of a list.
    pub(super) fn enter_index(&mut self, index: usize) -> usize {
        let outside = self.0.len();
        let dot = if outside > 0 { "." } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{dot}{index}");
        outside
    }

    /// Goes back out.
    pub fn leave(&mut self, outside: usize) {
        self.0.truncate(outside);
    }
}

/// The path of a layer that has no parameter to keep it, so that messages name where the layer is. It is a field that adds no
/// name: `#[params(flat)] place: Place`.
#[derive(Clone, Debug, Default)]
pub struct Place(String);

/// What a visit finds.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A parameter.
    Param(&'a Param),
    /// A buffer.
    Buffer(&'a Buffer),
    /// A layer that keeps its place.
    Place(&'a Place),
}

/// What a visit finds, for writing.
#[derive(Debug)]
pub enum EntryMut<'a> {
    /// A parameter.
    Param(&'a mut Param),
    /// A buffer.
    Buffer(&'a mut Buffer),
    /// A layer that keeps its place.
    Place(&'a mut Place),
}

/// What has parameters and buffers. `#[derive(Params)]` names them by the fields of a struct, nested structs, `Vec`s and
/// `Option`s included, in the order of declaration.
pub trait Params {
    /// Calls `f` with the path of each parameter and buffer.
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>));

    /// As [`Params::visit`], for writing.
    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>));

    /// The parameters by name, in order. The tensors share storage with the module.
    fn named_params(&self) -> Vec<(String, Tensor)> {
        let mut found = Vec::new();
        self.visit(&mut Path::default(), &mut |name, entry| {
            if let Entry::Param(p) = entry {
                found.push((name.to_string(), p.value.clone()));
            }
        });
        found
    }

    /// The buffers by name, in order.
    fn named_buffers(&self) -> Vec<(String, Tensor)> {
        let mut found = Vec::new();
        self.visit(&mut Path::default(), &mut |name, entry| {
            if let Entry::Buffer(b) = entry {
                found.push((name.to_string(), b.get()));
            }
        });
        found
    }

    /// The number of learned numbers, frozen ones included.
    fn num_params(&self) -> usize {
        let mut n = 0;
        self.visit(&mut Path::default(), &mut |_, entry| {
            if let Entry::Param(p) = entry {
                n += p.value.len();
            }
        });
        n
    }

    /// Replaces the parameter or buffer of this name; `false` if there is none of this name and shape.
    fn set_value(&mut self, name: &str, value: &Tensor) -> bool {
        let mut done = false;
        self.visit_mut(&mut Path::default(), &mut |found, entry| {
            if found == name {
                match entry {
                    EntryMut::Param(p) if p.value.shape() == value.shape() => {
                        (p.value, done) = (value.clone(), true);
                    }
                    EntryMut::Buffer(b) if b.get().shape() == value.shape() => {
                        b.set(value.clone());
                        done = true;
                    }
                    _ => {}
                }
            }
        });
        done
    }

    /// Tells every parameter its path, and every layer that has none but keeps its [`Place`]; messages then name it.
    fn set_names(&mut self) {
        self.set_names_at(&mut Path::default());
    }

    /// The same for a part of a network that is at this path.
    fn set_names_at(&mut self, at: &mut Path) {
        self.visit_mut(at, &mut |name, entry| match entry {
            EntryMut::Param(Param { name: kept, .. }) | EntryMut::Place(Place(kept)) => {
                name.clone_into(kept);
            }
            EntryMut::Buffer(_) => {}
        });
    }

    /// Where it is within the network, if that has been named: what its first parameter or place says.
    fn path(&self) -> Option<String> {
        let mut first: Option<String> = None;
        self.visit(&mut Path::default(), &mut |own, entry| {
            if let (Entry::Param(Param { name, .. }) | Entry::Place(Place(name)), None) =
                (entry, &first)
            {
                let owner = name.strip_suffix(own).map(|owner| owner.trim_end_matches('.'));
                first = Some(owner.unwrap_or("").to_string());
            }
        });
        first.filter(|path| !path.is_empty())
    }

    /// Freezes the parameters whose path `which` picks, and thaws the others.
    fn freeze(&mut self, which: &dyn Fn(&str) -> bool) {
        self.visit_mut(&mut Path::default(), &mut |name, entry| {
            if let EntryMut::Param(p) = entry {
                p.frozen = which(name);
            }
        });
    }

    /// Weight decay for the parameters whose path `which` picks, and no others.
    fn set_decay(&mut self, which: &dyn Fn(&str) -> bool) {
        self.visit_mut(&mut Path::default(), &mut |name, entry| {
            if let EntryMut::Param(p) = entry {
                p.decay = which(name);
            }
        });
    }

    /// Converts every parameter and buffer to another type.
    fn convert(&mut self, dtype: DType) {
        self.visit_mut(&mut Path::default(), &mut |_, entry| match entry {
            EntryMut::Param(p) => p.value = p.value.to_dtype(dtype),
            EntryMut::Buffer(b) => b.set(b.get().to_dtype(dtype)),
            EntryMut::Place(_) => {}
        });
    }
}

impl Params for Param {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        f(&at.0, Entry::Param(self));
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        f(&at.0, EntryMut::Param(self));
    }
}

impl Params for Buffer {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        f(&at.0, Entry::Buffer(self));
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        f(&at.0, EntryMut::Buffer(self));
    }
}

impl Params for Place {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        f(&at.0, Entry::Place(self));
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        f(&at.0, EntryMut::Place(self));
    }
}

impl<T: Params> Params for Vec<T> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        for (i, element) in self.iter().enumerate() {
            let outside = at.enter_index(i);
            element.visit(at, f);
            at.leave(outside);
        }
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        for (i, element) in self.iter_mut().enumerate() {
            let outside = at.enter_index(i);
            element.visit_mut(at, f);
            at.leave(outside);
        }
    }
}

impl<T: Params> Params for Option<T> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        self.iter().for_each(|inside| inside.visit(at, f));
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        self.iter_mut().for_each(|inside| inside.visit_mut(at, f));
    }
}

impl<T: Params + ?Sized> Params for Box<T> {
    fn visit(&self, at: &mut Path, f: &mut dyn FnMut(&str, Entry<'_>)) {
        (**self).visit(at, f);
    }

    fn visit_mut(&mut self, at: &mut Path, f: &mut dyn FnMut(&str, EntryMut<'_>)) {
        (**self).visit_mut(at, f);
    }
}
