//! What a model consists of: layers, output shapes, parameters, multiply-adds, memory.

use super::{Model, count_params};
use crate::tensor::float;
use chainrule_kernels::buffer::block_bytes;
use chainrule_kernels::conv::{self, ConvShape};

/// One layer of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it is, with its parameters: `affine 3072 -> 200`.
    pub name: String,
    /// The shape of its output for one input.
    pub output: Vec<usize>,
    /// Learned numbers.
    pub params: usize,
    /// Multiply-adds of the forward pass for one input.
    pub multiply_adds: usize,
    /// Numbers that the forward pass keeps for backward, for one input.
    pub kept: usize,
    /// Numbers that a step holds beside them while it is at this layer, for one input.
    pub working: usize,
    /// The convolution that it is, if it is one, of one input: its passes take memory for themselves.
    pub convolution: Option<ConvShape>,
}

impl Layer {
    /// A layer that keeps nothing.
    pub fn new(
        name: impl Into<String>,
        output: &[usize],
        params: usize,
        multiply_adds: usize,
    ) -> Layer {
        let (name, output) = (name.into(), output.to_vec());
        Layer { name, output, params, multiply_adds, kept: 0, working: 0, convolution: None }
    }
}

/// Bytes that a training step needs at a batch size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The parameters.
    pub params: usize,
    /// Their gradients.
    pub grads: usize,
    /// What the update rule remembers of them.
    pub optimizer: usize,
    /// The batch, what forward keeps for backward, and what the layer that needs most of it works with.
    pub activations: usize,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> usize {
        self.params + self.grads + self.optimizer + self.activations
    }
}

/// The memory of a training step in the steady state with this batch size, under an update rule that keeps `states` numbers a
/// parameter: what buffers take of the pool, which rounds sizes up.
pub fn memory(model: &dyn Model, batch: usize, states: usize) -> Memory {
    let block =
        |numbers: usize| if numbers == 0 { 0 } else { block_bytes(numbers * model.dtype().size()) };
    let params = model.params().iter().map(|p| block(p.value.len())).sum();
    let layers = model.layers();
    let input: usize = model.input_shape().iter().product();
    let own = |shape: ConvShape| {
        let shape = ConvShape { n: batch, ..shape };
        float!(model.dtype(), T => conv::working_memory::<T>(&shape))
    };
    // Backward goes from the top down and lets go of what each layer has kept.
    let (mut kept, mut most) = (0, 0);
    for layer in &layers {
        kept += block(layer.kept * batch);
        most = most.max(kept + block(layer.working * batch) + layer.convolution.map_or(0, own));
    }
    Memory {
        params,
        grads: params,
        optimizer: params * states,
        activations: block(input * batch) + most,
    }
}

/// A number with its thousands set apart: `1,234,567`.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number of bytes as people read it: `2.4 MiB`.
pub fn bytes(n: usize) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// Columns of a layer's name in the table, with a blank behind it.
const NAME: usize = 33;

/// A name in at most so many columns.
fn cut(name: &str, room: usize) -> String {
    if name.chars().count() <= room {
        return name.to_string();
    }
    name.chars().take(room - 1).chain(['\u{2026}']).collect()
}

/// The summary of a model as a table of at most 80 columns.
pub fn table(model: &dyn Model, batch: usize, states: usize) -> String {
    let mut out =
        format!("{:<34}{:>16}{:>13}{:>15}\n", "layer", "output", "parameters", "multiply-adds");
    let layers = model.layers();
    for layer in &layers {
        let sizes: Vec<String> = layer.output.iter().map(usize::to_string).collect();
        let output = format!("(N, {})", sizes.join(", "));
        let (params, adds) = (thousands(layer.params), thousands(layer.multiply_adds));
        out += &format!("{:<34}{output:>16}{params:>13}{adds:>15}\n", cut(&layer.name, NAME));
    }
    let adds = layers.iter().map(|l| l.multiply_adds).sum();
    out += &format!(
        "{:<34}{:>16}{:>13}{:>15}\n",
        "total",
        "",
        thousands(count_params(model)),
        thousands(adds)
    );
    let m = memory(model, batch, states);
    out += &format!(
        "\ntraining step, batch {batch}, {}: {}\n  = parameters {} + gradients {} + optimizer {}\n  + batch and activations {}\n",
        model.dtype().name(),
        bytes(m.total()),
        bytes(m.params),
        bytes(m.grads),
        bytes(m.optimizer),
        bytes(m.activations),
    );
    out
}
