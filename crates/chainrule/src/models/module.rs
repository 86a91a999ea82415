//! Any module as a [`Model`], so that a solver trains it like a network of explicit ops.

use super::architecture::Task;
use super::loss::add_l2;
use super::summary::Layer;
use super::{Loss, Model, Param, Trace, one_hot};
use crate::check;
use crate::error::{Error, Result};
use crate::nn::{Entry, EntryMut, Module, Path, first_not_finite, trace};
use crate::ops::Targets;
use crate::rng::Rng;
use crate::tape::{Leaf, Mode, Tape, Var};
use crate::tensor::{DType, Order, Tensor};
use std::cell::{Ref, RefCell};

/// A module with what a solver wants to know: the shape of its inputs, its classes, its loss.
///
/// The parameters live here while they are trained. Whoever changes them ([`Model::params_mut`]) has the only copy, so that
/// updates happen in place; the next pass hands them back to the module. Frozen parameters are saved like buffers.
pub struct ModuleModel<M> {
    name: &'static str,
    title: String,
    input_shape: Vec<usize>,
    classes: usize,
    loss: Loss,
    reg: f64,
    order: Order,
    params: Vec<Param>,
    ids: Vec<u64>,
    inner: RefCell<Inner<M>>,
    tape: Tape,
    nothing: Tensor,
    layers: Vec<Layer>,
}

struct Inner<M> {
    module: M,
    /// Whether the module's parameters are with the model alone.
    lent: bool,
    path: Path,
}

impl<M: Module> ModuleModel<M> {
    /// A model of a module for inputs of a shape (without the batch axis), with the softmax loss.
    ///
    /// # Panics
    /// If the module does not fit such inputs, or does not give scores (N, classes).
    #[track_caller]
    pub fn new(mut module: M, input_shape: impl Into<Vec<usize>>) -> ModuleModel<M> {
        let input_shape = input_shape.into();
        module.set_names();
        let (mut params, mut ids) = (Vec::new(), Vec::new());
        module.visit(&mut Path::default(), &mut |name, entry| {
            if let Entry::Param(p) = entry
                && !p.frozen
            {
                let (name, value) = (name.to_string(), p.value().clone());
                params.push(Param { name, value, decay: p.decay });
                ids.push(p.id());
            }
        });
        let dtype = params.first().map_or(DType::F32, |p| p.value.dtype());
        let mut batch = vec![1];
        batch.extend_from_slice(&input_shape);
        let rows = trace(&module, Tensor::zeros(&batch[..], dtype));
        let [1, classes] = rows[0].output[..] else {
            let reason = format!("a model gives scores (N, classes), not {:?}", rows[0].output);
            check::fail("model", reason, &[], module.describe())
        };
        let layers = layers(&rows);
        // Who makes rows of pictures at once reads them as they are stored; all others work channels-last.
        let pictures = input_shape.len() == 3 && layers.first().is_none_or(|l| l.output.len() == 3);
        ModuleModel {
            name: "module",
            title: module.describe(),
            input_shape,
            classes,
            loss: Loss::default(),
            reg: 0.0,
            order: if pictures { Order::ChannelsLast } else { Order::RowMajor },
            params,
            ids,
            inner: RefCell::new(Inner { module, lent: false, path: Path::default() }),
            tape: Tape::train(0),
            nothing: Tensor::zeros([0], dtype),
            layers,
        }
    }

    /// With another loss.
    pub fn with_loss(self, loss: Loss) -> ModuleModel<M> {
        ModuleModel { loss, ..self }
    }

    /// With L2 regularization: the loss adds `0.5 reg sum(W^2)` over the parameters that decay.
    pub fn with_reg(self, reg: f64) -> ModuleModel<M> {
        ModuleModel { reg, ..self }
    }

    /// What it is called in headings.
    pub fn titled(self, title: impl Into<String>) -> ModuleModel<M> {
        ModuleModel { title: title.into(), ..self }
    }

    /// The module, with its parameters as they are now.
    pub fn module(&self) -> Ref<'_, M> {
        self.hand_back();
        Ref::map(self.inner.borrow(), |inner| &inner.module)
    }

    /// The module, with its parameters as they are now.
    pub fn into_module(self) -> M {
        self.hand_back();
        self.inner.into_inner().module
    }

    /// Gives the module its parameters, if it does not have them.
    fn hand_back(&self) {
        if self.inner.borrow().lent {
            self.exchange(false);
        }
    }

    /// Takes the parameters' values out of the module (`lend`), or puts them in.
    fn exchange(&self, lend: bool) {
        let mut inner = self.inner.borrow_mut();
        let Inner { module, lent, path } = &mut *inner;
        let mut slot = 0;
        module.visit_mut(path, &mut |_, entry| {
            if let EntryMut::Param(p) = entry
                && !p.frozen
            {
                *p.value_mut() =
                    if lend { self.nothing.clone() } else { self.params[slot].value.clone() };
                slot += 1;
            }
        });
        *lent = lend;
    }
}

/// A module of the list of architectures as a model for a task.
pub(super) fn listed<M: Module + 'static>(
    name: &'static str,
    mut module: M,
    task: &Task,
) -> Box<dyn Model> {
    module.convert(task.dtype);
    let model = ModuleModel::new(module, &task.input_shape[..]);
    Box::new(ModuleModel { name, loss: task.loss, reg: task.reg, ..model })
}

/// The channels of a task's pictures.
///
/// # Errors
/// If its inputs are no pictures.
pub(super) fn channels(name: &str, task: &Task) -> Result<usize> {
    let [channels, _, _] = task.input_shape[..] else {
        let found = format!("{name} cannot take inputs of shape {:?}", task.input_shape);
        return Err(Error::value("model", found, "they must be (channels, height, width)"));
    };
    Ok(channels)
}

/// The rows of a summary: the modules that are not made of others, and are something.
fn layers(rows: &[crate::nn::Traced]) -> Vec<Layer> {
    let size = |row: &crate::nn::Traced| row.output[1..].iter().product::<usize>();
    let depth = |i: usize| rows.get(i).map_or(0, |row| row.depth);
    let leaf = |i: &usize| {
        let made_of_others = depth(i + 1) > depth(*i);
        !made_of_others && !["Sequential", "Identity"].contains(&&rows[*i].what[..])
    };
    let mut input = 0;
    (0..rows.len())
        .filter(leaf)
        .map(|i| {
            let row = &rows[i];
            // A module that ends with this one and has another output ends with an op of its own, as `Concat` does: what is kept
            // is what that made.
            let around = (0..i).rev().scan(row.depth, |inner, j| {
                let around = rows[j].depth < *inner;
                *inner = rows[j].depth.min(*inner);
                Some((j, around))
            });
            let ends_here = around.filter(|(j, around)| *around && depth(i + 1) <= rows[*j].depth);
            let kept = ends_here.map(|(j, _)| size(&rows[j])).fold(size(row), usize::max);
            // The gradients behind and before it.
            let working = kept + std::mem::replace(&mut input, kept);
            let path = row.path.as_ref().map_or_else(String::new, |path| format!("{path}: "));
            let name = format!("{path}{}", row.what);
            Layer {
                kept,
                working,
                convolution: row.convolution,
                ..Layer::new(name, &row.output[1..], row.params, row.multiply_adds)
            }
        })
        .collect()
}

impl<M: Module> Model for ModuleModel<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn dtype(&self) -> DType {
        self.nothing.dtype()
    }

    fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    fn order(&self) -> Order {
        self.order
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn params(&self) -> &[Param] {
        &self.params
    }

    fn params_mut(&mut self) -> &mut [Param] {
        if !self.inner.borrow().lent {
            self.exchange(true);
        }
        &mut self.params
    }

    fn buffers(&self) -> Vec<(String, Tensor)> {
        let mut found = Vec::new();
        self.inner.borrow().module.visit(&mut Path::default(), &mut |name, entry| match entry {
            Entry::Buffer(b) => found.push((name.to_string(), b.get())),
            Entry::Param(p) if p.frozen => found.push((name.to_string(), p.value().clone())),
            Entry::Param(_) | Entry::Place(_) => {}
        });
        found
    }

    fn set_buffer(&mut self, name: &str, value: &Tensor) -> bool {
        if self.params.iter().any(|p| p.name == name) {
            return false;
        }
        self.inner.get_mut().module.set_value(name, &value.to_dtype(self.nothing.dtype()))
    }

    fn first_filters(&self) -> Option<Tensor> {
        let weights = self.params.iter().map(|p| &p.value).find(|v| v.shape().len() >= 2)?;
        let [c @ (1 | 3), h, w] = self.input_shape[..] else { return None };
        let units = weights.shape()[0];
        let pictures = match weights.shape()[..] {
            [_, channels, ..] if weights.shape().len() == 4 && channels == c => weights.clone(),
            [_, inputs] if inputs == c * h * w => weights.reshape([units, c, h, w]),
            _ => return None,
        };
        Some(pictures.permute(&[0, 2, 3, 1]))
    }

    fn scores(&self, x: &Tensor) -> Tensor {
        self.hand_back();
        Tape::eval().constant(x.clone()).apply(&self.inner.borrow().module).value().clone()
    }

    fn trace(&self, x: &Tensor, classes: &[usize]) -> Trace {
        self.hand_back();
        let tape = Tape::train(0);
        tape.set_mode(Mode::Test);
        tape.keep_pictures();
        let scores = tape.leaf(x).apply(&self.inner.borrow().module);
        let pictures = tape.last_pictures();
        pictures.iter().for_each(Var::retain_grad);
        let grads = scores.backward_from(&one_hot(scores.value(), classes));
        let features = pictures.and_then(|p| Some([p.value().clone(), grads.get(&p)?.clone()]));
        Trace { scores: scores.value().clone(), dx: grads[x].clone(), features }
    }

    fn loss_of(
        &mut self,
        x: &Tensor,
        targets: Targets<'_>,
        rng: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64 {
        self.hand_back();
        std::mem::swap(rng, &mut *self.tape.rng());
        let scores = self.tape.constant(x.clone()).apply(&self.inner.get_mut().module);
        let (loss, dscores) = self.loss.of(scores.value(), targets);
        // The gradients of the last step make room for those of this one.
        grads.clear();
        let mut found = scores.backward_from(&dscores);
        std::mem::swap(rng, &mut *self.tape.rng());
        let all = self.ids.iter().zip(&self.params);
        // A parameter that the loss does not depend on has gradient 0.
        grads.extend(all.map(|(id, p)| {
            found.take_leaf(Leaf::Param(*id)).unwrap_or_else(|| p.value.zeros_like())
        }));
        self.tape.reuse(found);
        add_l2(loss, self.reg, &self.params, grads, |_| false)
    }

    fn first_not_finite(&mut self, x: &Tensor, rng: &mut Rng) -> Option<String> {
        self.hand_back();
        let averages = self.buffers();
        // A tape of its own, so that nothing is left on the one that steps use again.
        let tape = Tape::train(0);
        std::mem::swap(rng, &mut *tape.rng());
        let found = first_not_finite(&self.inner.get_mut().module, &tape.constant(x.clone()));
        std::mem::swap(rng, &mut *tape.rng());
        for (name, value) in &averages {
            self.set_buffer(name, value);
        }
        found
    }

    fn place_of(&self, i: usize) -> String {
        let name = &self.params[i].name;
        let path = name.rsplit_once('.').map_or("", |(path, _)| path);
        let of =
            |layer: &&Layer| layer.name.strip_prefix(path).is_some_and(|n| n.starts_with(": "));
        self.layers.iter().find(of).map_or_else(|| path.to_string(), |layer| layer.name.clone())
    }

    fn layers(&self) -> Vec<Layer> {
        self.layers.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Sequential;

    #[test]
    fn what_was_seen_last_is_behind_convolution_relu_and_pooling() {
        let mut rng = Rng::new(0);
        let net = Sequential::on([3, 8, 8], &mut rng).conv2d(4, 3).relu().max_pool2d(2);
        let model = ModuleModel::new(net.flatten().linear(5).build(), [3, 8, 8]);
        let x = Tensor::randn([2, 3, 8, 8], 1.0, DType::F32, &mut rng);
        let trace = model.trace(&x, &[3, 1]);
        let [features, gradient] = trace.features.expect("pictures");
        assert_eq!(trace.scores.to_vec(), model.scores(&x).to_vec());
        // A linear layer on top: its weights are the gradients of its scores.
        let [.., weight, bias] = model.params() else { panic!("four parameters") };
        let rows: Vec<f64> =
            [3, 1].iter().flat_map(|k| weight.value.slice(0, *k..k + 1).to_vec()).collect();
        assert_eq!((&gradient.shape()[..], gradient.to_vec()), (&[2, 4, 4, 4][..], rows));
        let again = features.reshape([2, 64]).matmul(&weight.value.permute(&[1, 0]));
        let largest = |t: &Tensor| t.to_vec().iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(largest(&(&(&again + &bias.value) - &trace.scores)) < 1e-5);
    }

    #[test]
    fn without_pictures_on_the_way_there_are_none() {
        let mut rng = Rng::new(0);
        let net = Sequential::on([3, 4, 4], &mut rng).flatten().linear(6).relu().linear(5).build();
        let model = ModuleModel::new(net, [3, 4, 4]);
        assert!(model.trace(&Tensor::ones([1, 3, 4, 4], DType::F32), &[0]).features.is_none());
    }
}
