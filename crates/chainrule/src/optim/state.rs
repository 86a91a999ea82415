//! What a rule remembers between steps, and how it is saved.

use crate::check;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What a rule remembers: the number of steps, and for each parameter some tensors of its shape.
///
/// The tensors share storage with the rule's own; a step that is taken while a `State` is alive copies them first.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// For each parameter, by its number: names ("velocity", "m", "v", ...) and values. Empty where there was no update yet.
    pub slots: Vec<Vec<(String, Tensor)>>,
}

impl State {
    /// Checks that this state belongs to these parameters.
    ///
    /// # Errors
    /// If there is state for more parameters, or of another shape or type than its parameter.
    pub fn check<'a>(&self, parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<()> {
        let parameters: Vec<&Tensor> = parameters.into_iter().collect();
        if self.slots.len() > parameters.len() {
            return Err(wrong(
                format!("it is of {} parameters", self.slots.len()),
                format!("the model has {}", parameters.len()),
            ));
        }
        for (slot, (tensors, w)) in self.slots.iter().zip(&parameters).enumerate() {
            if let Some((name, t)) = tensors.iter().find(|(_, t)| !alike(t, w)) {
                let found = format!("{name} of parameter {slot} is {}", describe(t));
                return Err(wrong(found, format!("the parameter is {}", describe(w))));
            }
        }
        Ok(())
    }
}

fn wrong(found: String, want: String) -> Error {
    Error::value("optimizer state", found, want)
}

fn alike(a: &Tensor, b: &Tensor) -> bool {
    a.shape() == b.shape() && a.dtype() == b.dtype()
}

fn describe(t: &Tensor) -> String {
    format!("{:?} {}", t.shape(), t.dtype().name())
}

/// The memory of a rule: the same named tensors for each parameter, made when it is first updated.
pub(super) struct Slots {
    rule: &'static str,
    names: &'static [&'static str],
    /// The value that state starts from.
    start: f64,
    step: u64,
    tensors: Vec<Vec<Tensor>>,
}

impl Slots {
    pub fn new(rule: &'static str, names: &'static [&'static str], start: f64) -> Slots {
        Slots { rule, names, start, step: 0, tensors: Vec::new() }
    }

    pub fn begin_step(&mut self) {
        self.step += 1;
    }

    /// The number of the present step, from 1.
    ///
    /// # Panics
    /// Before the first `begin_step`.
    #[track_caller]
    pub fn step(&self) -> f64 {
        assert!(self.step > 0, "{}: begin_step must come before the first update", self.rule);
        self.step as f64
    }

    /// The state of a parameter, in the parameter's memory order, and whether it is new.
    ///
    /// # Panics
    /// If the gradient, or the state that was loaded, does not have the parameter's shape and type.
    #[track_caller]
    pub fn of(&mut self, slot: usize, w: &Tensor, dw: &Tensor) -> (&mut [Tensor], bool) {
        self.step();
        if !alike(w, dw) {
            let operands = [("w", w, ""), ("dw", dw, "")];
            check::fail(self.rule, "w and dw must have one shape and type", &operands, "");
        }
        if self.tensors.len() <= slot {
            self.tensors.resize_with(slot + 1, Vec::new);
        }
        let (tensors, start) = (&mut self.tensors[slot], self.start);
        let new = tensors.is_empty();
        if new {
            let fresh = || Tensor::full(*w.shape(), start, w.dtype()).to_order(w.order());
            tensors.extend(self.names.iter().map(|_| fresh()));
        }
        for (name, t) in self.names.iter().zip(tensors.iter_mut()) {
            if !alike(t, w) {
                let operands = [("w", w, ""), (*name, t, "")];
                check::fail(self.rule, "the state must have w's shape and type", &operands, "");
            }
            if t.order() != w.order() {
                *t = t.to_order(w.order());
            }
        }
        (tensors, new)
    }

    pub fn save(&self) -> State {
        let named = |tensors: &Vec<Tensor>| {
            let names = self.names.iter().map(|name| name.to_string());
            names.zip(tensors.iter().cloned()).collect()
        };
        State { step: self.step, slots: self.tensors.iter().map(named).collect() }
    }

    /// Replaces everything; on an error, nothing.
    pub fn load(&mut self, state: State) -> Result<()> {
        for (slot, tensors) in state.slots.iter().enumerate() {
            let found: Vec<&str> = tensors.iter().map(|(name, _)| &name[..]).collect();
            if !found.is_empty() && found != self.names {
                let want = match self.names {
                    [] => "nothing".to_string(),
                    names => names.join(", "),
                };
                return Err(wrong(
                    format!("parameter {slot} has {}", found.join(", ")),
                    format!("{} with this configuration keeps {want}", self.rule),
                ));
            }
        }
        self.step = state.step;
        let strip = |tensors: Vec<(String, Tensor)>| tensors.into_iter().map(|(_, t)| t).collect();
        self.tensors = state.slots.into_iter().map(strip).collect();
        Ok(())
    }
}
