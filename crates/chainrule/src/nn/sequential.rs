//! Layers one after the other, built by a chain of calls that infers their sizes.

use super::{
    Activation, AdaptiveAvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Flatten, LayerNorm,
    Linear, MaxPool2d, Module, Params, Path, trace,
};
use crate::check;
use crate::ops::conv2d::Conv2dParams;
use crate::ops::elementwise::{self, gelu, leaky_relu, sigmoid, silu, tanh};
use crate::rng::Rng;
use crate::tape::Var;
use crate::tensor::{DType, Shape, Tensor};

/// Layers one after the other, named `0`, `1`, ... as in `torch.nn.Sequential`.
#[derive(Params)]
pub struct Sequential {
    #[params(flat)]
    layers: Vec<Box<dyn Module>>,
}

impl Sequential {
    /// Begins a network on inputs of this shape, without the batch axis. Weights are drawn from `rng`, layer by layer.
    ///
    /// ```
    /// use chainrule::{nn::{Params, Sequential}, rng::Rng};
    /// let net = Sequential::on([3, 32, 32], &mut Rng::new(0))
    ///     .conv2d(32, 3).batch_norm().relu().max_pool2d(2).flatten().linear(10)
    ///     .build();
    /// assert_eq!(net.named_params()[0].0, "0.weight");
    /// ```
    pub fn on(shape: impl Into<Shape>, rng: &mut Rng) -> Builder<'_> {
        Builder { layers: Vec::new(), shape: shape.into(), rng }
    }

    /// These layers.
    pub fn of(layers: Vec<Box<dyn Module>>) -> Sequential {
        let mut net = Sequential { layers };
        net.set_names();
        net
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Module>] {
        &self.layers
    }
}

impl Module for Sequential {
    /// A ReLU is applied by the layer before it: the same bits, and one pass less in either direction.
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let mut x = x.clone();
        let mut layers = self.layers.iter().peekable();
        while let Some(layer) = layers.next() {
            let joined = !trace::active() && layers.next_if(|next| next.is_relu()).is_some();
            x = if joined { x.apply_relu(layer.as_ref()) } else { x.apply(layer.as_ref()) };
        }
        x
    }
}

/// The layers print with their numbers, one a line.
impl std::fmt::Debug for Sequential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "Sequential")?;
        for (i, layer) in self.layers.iter().enumerate() {
            writeln!(f, "  {i}: {}", layer.describe())?;
        }
        Ok(())
    }
}

/// A [`Sequential`] in the making, which knows the shape so far.
pub struct Builder<'a> {
    layers: Vec<Box<dyn Module>>,
    shape: Shape,
    rng: &'a mut Rng,
}

impl Builder<'_> {
    /// Adds any layer. What it makes of the shape so far is found by running it on one input of zeroes.
    ///
    /// # Panics
    /// If that shape does not fit the layer.
    #[track_caller]
    pub fn layer(mut self, mut layer: impl Module + 'static) -> Self {
        // A message about it then names its place already.
        let mut place = Path::default();
        place.enter_index(self.layers.len());
        layer.set_names_at(&mut place);
        let mut sizes = vec![1];
        sizes.extend_from_slice(&self.shape);
        let rows = trace(&layer, Tensor::zeros(&sizes[..], DType::F32));
        self.shape = Shape::new(&rows[0].output[1..]);
        self.layers.push(Box::new(layer));
        self
    }

    /// The shape after the layers so far, without the batch axis.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The channels, or features, that the next layer sees.
    #[track_caller]
    fn features(&self, axes: &[usize], what: &str) -> usize {
        if !axes.contains(&self.shape.len()) {
            let reason = format!("{what} does not fit inputs of shape {:?}", self.shape);
            check::fail("sequential", reason, &[], format!("layer {}", self.layers.len()));
        }
        self.shape[0]
    }

    /// A convolution of `filters` filters of `size` x `size`, padded so that odd sizes keep the pictures' size.
    ///
    /// # Panics
    /// If the inputs so far are not pictures.
    #[track_caller]
    pub fn conv2d(self, filters: usize, size: usize) -> Self {
        self.conv2d_with(filters, size, Conv2dParams::same(size))
    }

    /// The same without a bias, as before a batch norm, which has its own.
    ///
    /// # Panics
    /// As [`Builder::conv2d`].
    #[track_caller]
    pub fn conv2d_no_bias(self, filters: usize, size: usize) -> Self {
        let channels = self.features(&[3], "a convolution");
        let layer = Conv2d::new(channels, filters, size, Conv2dParams::same(size), self.rng);
        self.layer(layer.no_bias())
    }

    /// A convolution with settings.
    ///
    /// # Panics
    /// If the inputs so far are not pictures, or the filters do not fit.
    #[track_caller]
    pub fn conv2d_with(self, filters: usize, size: usize, params: Conv2dParams) -> Self {
        let channels = self.features(&[3], "a convolution");
        let layer = Conv2d::new(channels, filters, size, params, self.rng);
        self.layer(layer)
    }

    /// A fully connected layer on features.
    ///
    /// # Panics
    /// If the inputs so far have more than one axis: flatten them first.
    #[track_caller]
    pub fn linear(self, outputs: usize) -> Self {
        let inputs = self.features(&[1], "a linear layer, which needs features (flatten first),");
        let layer = Linear::new(inputs, outputs, self.rng);
        self.layer(layer)
    }

    /// Batch norm, of pictures or of features.
    ///
    /// # Panics
    /// If the inputs so far are neither.
    #[track_caller]
    pub fn batch_norm(self) -> Self {
        match self.features(&[1, 3], "batch norm") {
            features if self.shape.len() == 3 => self.layer(BatchNorm2d::new(features)),
            features => self.layer(BatchNorm1d::new(features)),
        }
    }

    /// Layer norm over all of an input.
    #[track_caller]
    pub fn layer_norm(self) -> Self {
        let layer = LayerNorm::new(&self.shape);
        self.layer(layer)
    }

    /// An activation of the table.
    #[track_caller]
    pub fn activation(self, function: elementwise::Activation) -> Self {
        self.layer(Activation::new(function))
    }

    /// ReLU.
    #[track_caller]
    pub fn relu(self) -> Self {
        self.layer(Activation::relu())
    }

    /// Leaky ReLU with slope 0.01.
    #[track_caller]
    pub fn leaky_relu(self) -> Self {
        self.activation(leaky_relu::ACTIVATION)
    }

    /// GELU.
    #[track_caller]
    pub fn gelu(self) -> Self {
        self.activation(gelu::ACTIVATION)
    }

    /// SiLU.
    #[track_caller]
    pub fn silu(self) -> Self {
        self.activation(silu::ACTIVATION)
    }

    /// Hyperbolic tangent.
    #[track_caller]
    pub fn tanh(self) -> Self {
        self.activation(tanh::ACTIVATION)
    }

    /// Logistic sigmoid.
    #[track_caller]
    pub fn sigmoid(self) -> Self {
        self.activation(sigmoid::ACTIVATION)
    }

    /// Dropout with this probability of dropping.
    ///
    /// # Panics
    /// If it is not one.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        self.layer(Dropout::new(p))
    }

    /// Max pooling by square windows that touch.
    ///
    /// # Panics
    /// If the inputs so far are not pictures, or smaller than a window.
    #[track_caller]
    pub fn max_pool2d(self, size: usize) -> Self {
        self.features(&[3], "max pooling");
        self.layer(MaxPool2d::new(size))
    }

    /// The mean of each channel: pictures to features.
    ///
    /// # Panics
    /// If the inputs so far are not pictures.
    #[track_caller]
    pub fn global_avg_pool(self) -> Self {
        self.features(&[3], "averaging");
        self.layer(AdaptiveAvgPool2d::new([1, 1])).layer(Flatten)
    }

    /// Pictures as features.
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.layer(Flatten)
    }

    /// The network, with its parameters named.
    pub fn build(self) -> Sequential {
        Sequential::of(self.layers)
    }
}
