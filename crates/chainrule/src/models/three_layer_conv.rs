//! The course's convolutional network.
//!
//! ```text
//! conv (stride 1, size kept) - relu - 2x2 max pool - affine - relu - affine - softmax (or SVM) loss
//! ```
//! Parameters W1 (F, C, K, K), b1, W2 (F H/2 W/2, hidden), b2, W3 (hidden, classes), b3: weights normal, drawn in this order;
//! biases 0. The loss adds `0.5 reg sum(W_i^2)`. The defaults are the course's.
//!
//! Pictures stay channels-last up to the pooling. The first affine layer reads them channel by channel, as W2 is laid out, so
//! that the pooled pictures change their order once on the way up and their gradient once on the way down.

use super::architecture::{Architecture, ModelConfig, Recipe, Task, Values};
use super::loss::{Loss, add_l2};
use super::summary::Layer;
use super::{Model, Param, Trace, checks, one_hot, place};
use crate::error::{Error, Result};
use crate::ops::Targets;
use crate::ops::conv2d::Conv2dParams;
use crate::ops::max_pool2d::MaxPool2dParams;
use crate::ops::{affine, affine_relu, conv_relu_pool};
use crate::rng::Rng;
use crate::tensor::{DType, Order, Tensor};
use crate::visualize::filters_as_pictures;

/// In the list of architectures, with the course's training of it.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "three-layer-convnet",
    about: "the course's: one convolution, two affine layers",
    defaults: || ModelConfig {
        hidden: Some(vec![500]),
        weight_scale: Some(1e-3),
        filters: Some(32),
        filter_size: Some(7),
        ..ModelConfig::NONE
    },
    small: || ModelConfig {
        hidden: Some(vec![7]),
        filters: Some(3),
        filter_size: Some(3),
        weight_scale: Some(0.0),
        ..ModelConfig::NONE
    },
    recipe: Recipe {
        epochs: 10,
        batch: 50,
        optim: "adam",
        schedule: "constant",
        lr: 1e-3,
        weight_decay: 0.0,
        decay_of: "weights",
        label_smoothing: 0.0,
        normalize: "mean-image",
        augment: "none",
    },
    checks: checks::three_layer_conv,
    make: |task, values, rng| Ok(Box::new(make(task, values, rng)?)),
};

fn make(task: &Task, values: &Values, rng: &mut Rng) -> Result<ThreeLayerConvNet> {
    let [c, h, w] = task.input_shape[..] else {
        let found =
            format!("three-layer-convnet cannot take inputs of shape {:?}", task.input_shape);
        return Err(Error::value("model", found, "they must be (channels, height, width)"));
    };
    let &[hidden] = &values.hidden[..] else {
        let found =
            format!("three-layer-convnet has one hidden layer, not {}", values.hidden.len());
        return Err(Error::value("hidden", found, "give one width"));
    };
    if h % 2 + w % 2 > 0 {
        let found = format!("three-layer-convnet halves pictures, and these have {h} x {w} pixels");
        return Err(Error::value("model", found, "height and width must be even"));
    }
    let config = ThreeLayerConvConfig {
        input_shape: [c, h, w],
        filters: values.filters,
        filter_size: values.filter_size,
        hidden,
        classes: task.classes,
        weight_scale: (values.weight_scale > 0.0).then_some(values.weight_scale),
        reg: task.reg,
        loss: task.loss,
        dtype: task.dtype,
        weights: task.dtype,
    };
    Ok(ThreeLayerConvNet::new(config, rng))
}

/// How a [`ThreeLayerConvNet`] is made. The defaults are the course's.
#[derive(Clone, Debug)]
pub struct ThreeLayerConvConfig {
    /// Channels, height, width. Height and width are even.
    pub input_shape: [usize; 3],
    /// Filters of the convolution.
    pub filters: usize,
    /// Their height and width, an odd number.
    pub filter_size: usize,
    /// Width of the hidden affine layer.
    pub hidden: usize,
    /// The number of classes.
    pub classes: usize,
    /// Standard deviation of the initial weights; `None` for sqrt(2 / inputs) in each layer (He et al. 2015).
    pub weight_scale: Option<f64>,
    /// L2 regularization of the weights.
    pub reg: f64,
    /// The loss.
    pub loss: Loss,
    /// What it computes in.
    pub dtype: DType,
    /// What initial weights are rounded to. The course's network draws `f32` weights, does not cast its pictures, and so
    /// computes in `f64` from rounded weights.
    pub weights: DType,
}

impl Default for ThreeLayerConvConfig {
    fn default() -> Self {
        ThreeLayerConvConfig {
            input_shape: [3, 32, 32],
            filters: 32,
            filter_size: 7,
            hidden: 100,
            classes: 10,
            weight_scale: Some(1e-3),
            reg: 0.0,
            loss: Loss::default(),
            dtype: DType::F32,
            weights: DType::F32,
        }
    }
}

/// The place of W2, nearly all of the net's weights, among the parameters.
const W2: usize = 2;

/// The network that the documentation of its file describes.
#[derive(Debug)]
pub struct ThreeLayerConvNet {
    config: ThreeLayerConvConfig,
    params: [Param; 6],
}

/// What the forward pass keeps for backward.
struct Caches {
    conv: conv_relu_pool::Cache,
    pooled: Tensor,
    hidden: affine_relu::Cache,
    h: Tensor,
    top: affine::Cache,
}

impl ThreeLayerConvNet {
    /// A network with initial weights drawn from `rng`, row-major, in `f64`, and rounded.
    ///
    /// # Panics
    /// If a size is 0, the filter size is even, or the pictures cannot be halved.
    #[track_caller]
    pub fn new(config: ThreeLayerConvConfig, rng: &mut Rng) -> ThreeLayerConvNet {
        let ThreeLayerConvConfig {
            input_shape: [c, h, w],
            filters,
            filter_size,
            hidden,
            classes,
            ..
        } = config;
        assert!([c, h, w, filters, hidden, classes].iter().all(|n| *n > 0), "layers need a size");
        assert!(filter_size % 2 == 1, "a filter of odd size keeps the size of pictures");
        assert!(h % 2 == 0 && w % 2 == 0, "pictures of {h} x {w} pixels cannot be halved");
        let mut weight = |name: &str, shape: &[usize], inputs: usize| {
            let std = config.weight_scale.unwrap_or((2.0 / inputs as f64).sqrt());
            let value = Tensor::randn(shape, std, config.weights, rng).to_dtype(config.dtype);
            Param { name: name.into(), value, decay: true }
        };
        let patch = c * filter_size * filter_size;
        let w1 = weight("W1", &[filters, c, filter_size, filter_size], patch);
        let pooled = filters * h * w / 4;
        let w2 = weight("W2", &[pooled, hidden], pooled);
        let w3 = weight("W3", &[hidden, classes], hidden);
        let bias = |name: &str, n: usize| Param {
            name: name.into(),
            value: Tensor::zeros([n], config.dtype),
            decay: false,
        };
        let params = [w1, bias("b1", filters), w2, bias("b2", hidden), w3, bias("b3", classes)];
        ThreeLayerConvNet { config, params }
    }

    /// How it was made.
    pub fn config(&self) -> &ThreeLayerConvConfig {
        &self.config
    }

    /// Changes the L2 regularization from now on.
    pub fn set_reg(&mut self, reg: f64) {
        self.config.reg = reg;
    }

    fn forward(&self, x: &Tensor) -> (Tensor, Caches) {
        let [w1, b1, w2, b2, w3, b3] = self.params.each_ref().map(|p| &p.value);
        let same = Conv2dParams::same(self.config.filter_size);
        let (pooled, conv) =
            conv_relu_pool::forward(x, w1, Some(b1), &same, &MaxPool2dParams::default());
        let (h, hidden) = affine_relu::forward(&pooled, w2, b2);
        let (scores, top) = affine::forward(&h, w3, b3);
        (scores, Caches { conv, pooled, hidden, h, top })
    }
}

impl Model for ThreeLayerConvNet {
    fn name(&self) -> &'static str {
        ARCHITECTURE.name
    }

    fn title(&self) -> String {
        let ThreeLayerConvConfig { filters, filter_size, hidden, .. } = self.config;
        format!(
            "Three-layer convnet, {filters} filters of {filter_size} x {filter_size}, {hidden} hidden"
        )
    }

    fn dtype(&self) -> DType {
        self.config.dtype
    }

    fn input_shape(&self) -> &[usize] {
        &self.config.input_shape
    }

    fn order(&self) -> Order {
        Order::ChannelsLast
    }

    fn classes(&self) -> usize {
        self.config.classes
    }

    fn params(&self) -> &[Param] {
        &self.params
    }

    fn params_mut(&mut self) -> &mut [Param] {
        &mut self.params
    }

    fn buffers(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn set_buffer(&mut self, _: &str, _: &Tensor) -> bool {
        false
    }

    fn first_filters(&self) -> Option<Tensor> {
        Some(filters_as_pictures(&self.params[0].value))
    }

    fn scores(&self, x: &Tensor) -> Tensor {
        self.forward(x).0
    }

    fn loss_of(
        &mut self,
        x: &Tensor,
        targets: Targets<'_>,
        _: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64 {
        let (scores, caches) = self.forward(x);
        let (loss, dscores) = self.config.loss.of(&scores, targets);
        // The gradients of the last step make room for those of this one.
        grads.clear();
        // What a layer has kept is let go of when its gradients are there, for the convolution needs most room of all.
        let Caches { conv, pooled, hidden, h, top } = caches;
        let affine::Grads { dx, dw: dw3, db: db3 } = affine::backward(&dscores, &top);
        drop((h, top));
        let reg = self.config.reg;
        let [dx, dw2, db2] = affine_relu::backward_l2([true; 3], &dx, &hidden, reg);
        drop((pooled, hidden));
        let dx = dx.unwrap_or_else(|| unreachable!("it was asked for"));
        let [_, dw1, db1] = conv_relu_pool::backward_for([false, true, true], &dx, &conv);
        grads.extend([dw1, db1, dw2, db2, Some(dw3), Some(db3)].into_iter().flatten());
        add_l2(loss, reg, &self.params, grads, |i| i == W2)
    }

    fn first_not_finite(&mut self, x: &Tensor, _: &mut Rng) -> Option<String> {
        let (scores, caches) = self.forward(x);
        let outputs = [caches.pooled, caches.h, scores];
        place::first_not_finite(&self.layers(), outputs.into_iter())
    }

    fn layers(&self) -> Vec<Layer> {
        let ThreeLayerConvConfig {
            input_shape: [c, h, w],
            filters,
            filter_size: k,
            hidden,
            classes,
            ..
        } = self.config;
        let (patch, pooled) = (c * k * k, filters * h * w / 4);
        let same = Conv2dParams::same(k);
        let affine = |inputs: usize, width: usize| Layer {
            kept: width,
            ..Layer::new(
                format!("affine {inputs} -> {width}"),
                &[width],
                inputs * width + width,
                inputs * width,
            )
        };
        vec![
            Layer {
                // The output, for the ReLU, and a byte for each place that was chosen.
                kept: pooled + pooled / self.config.dtype.size(),
                // The picture before pooling, or its gradient; that of the output in both orders and behind the ReLU.
                working: filters * h * w + 3 * pooled,
                convolution: Some(same.shape([1, c, h, w], [filters, k, k])),
                ..Layer::new(
                    format!("conv {k}x{k} {c} -> {filters}"),
                    &[filters, h, w],
                    patch * filters + filters,
                    patch * filters * h * w,
                )
            },
            Layer::new("relu", &[filters, h, w], 0, 0),
            Layer {
                // In the affine layer's order.
                kept: pooled,
                ..Layer::new("max pool 2x2", &[filters, h / 2, w / 2], 0, 0)
            },
            affine(pooled, hidden),
            Layer::new("relu", &[hidden], 0, 0),
            affine(hidden, classes),
        ]
    }

    fn trace(&self, x: &Tensor, classes: &[usize]) -> Trace {
        let (scores, caches) = self.forward(x);
        let dh = affine::backward(&one_hot(&scores, classes), &caches.top).dx;
        let dpooled = affine_relu::backward(&dh, &caches.hidden).dx;
        let dx = conv_relu_pool::backward(&dpooled, &caches.conv).dx;
        Trace { scores, dx, features: Some([caches.pooled, dpooled]) }
    }
}
