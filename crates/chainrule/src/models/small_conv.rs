//! A small convolutional network for small pictures.
//!
//! ```text
//! {conv 3x3 - batch norm - relu} x stage - 2x2 max pool, for each stage - affine - softmax (or SVM) loss
//! ```
//! Convolutions with equal numbers of channels make a stage: the channels 32, 64, 64 are a stage of one convolution and one of
//! two. They keep the size of pictures and have no bias, which the norm would take away again. Parameters W1 (F, C, 3, 3), gamma1,
//! beta1, W2, ..., and W, b of the affine top: weights normal with deviation sqrt(2 / inputs) (He et al. 2015), scales 1, shifts
//! and biases 0. The loss adds `0.5 reg sum(W_i^2)`.
//!
//! Pictures are channels-last from the bytes to the affine top, which reads them as they lie: pixel by pixel, each with its
//! channels side by side. So nothing is ever converted, and row `(i w + j) C + c` of the top's W belongs to channel c of pixel
//! (i, j). Source: the shape is that of K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image
//! recognition", 2014.

use super::architecture::{Architecture, ModelConfig, Recipe, Task, Values};
use super::loss::{Loss, add_l2};
use super::summary::Layer;
use super::{Model, Param, Trace, checks, one_hot, place};
use crate::error::{Error, Result};
use crate::ops::Targets;
use crate::ops::batch_norm::{BatchNormParams, RunningStats};
use crate::ops::conv_norm_relu::{self, Norm};
use crate::ops::conv2d::Conv2dParams;
use crate::ops::max_pool2d::MaxPool2dParams;
use crate::ops::{Mode, affine};
use crate::rng::Rng;
use crate::tensor::{DType, Order, Tensor};
use crate::visualize::filters_as_pictures;

/// In the list of architectures, with what does well on the excerpt of CIFAR-10.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "small-convnet",
    about: "3x3 convolutions with batch norm and ReLU, pooled stage by stage",
    defaults: || ModelConfig { channels: Some(vec![32, 64, 64, 128, 128]), ..ModelConfig::NONE },
    small: || ModelConfig { channels: Some(vec![3, 3, 4]), ..ModelConfig::NONE },
    recipe: Recipe::CONVOLUTIONAL,
    checks: checks::small_conv,
    make: |task, values, rng| Ok(Box::new(make(task, values, rng)?)),
};

fn make(task: &Task, values: &Values, rng: &mut Rng) -> Result<SmallConvNet> {
    let [c, h, w] = task.input_shape[..] else {
        let found = format!("small-convnet cannot take inputs of shape {:?}", task.input_shape);
        return Err(Error::value("model", found, "they must be (channels, height, width)"));
    };
    let config = SmallConvConfig {
        input_shape: [c, h, w],
        channels: values.channels.clone(),
        classes: task.classes,
        reg: task.reg,
        loss: task.loss,
        dtype: task.dtype,
    };
    let stages = config.stages();
    if h.min(w) >> stages == 0 {
        let found = format!("{stages} stages halve pictures of {h} x {w} pixels to nothing");
        return Err(Error::value("channels", found, "give fewer different numbers"));
    }
    Ok(SmallConvNet::new(config, rng))
}

/// How a [`SmallConvNet`] is made.
#[derive(Clone, Debug)]
pub struct SmallConvConfig {
    /// Channels, height, width.
    pub input_shape: [usize; 3],
    /// Channels of each convolution; equal ones make a stage.
    pub channels: Vec<usize>,
    /// The number of classes.
    pub classes: usize,
    /// L2 regularization of the weights.
    pub reg: f64,
    /// The loss.
    pub loss: Loss,
    /// What it computes in.
    pub dtype: DType,
}

impl SmallConvConfig {
    /// Whether a stage, and so a pooling, ends with this convolution.
    fn pools(&self, layer: usize) -> bool {
        self.channels.get(layer + 1) != Some(&self.channels[layer])
    }

    fn stages(&self) -> usize {
        (0..self.channels.len()).filter(|layer| self.pools(*layer)).count()
    }
}

/// The network that the documentation of its file describes.
#[derive(Debug)]
pub struct SmallConvNet {
    config: SmallConvConfig,
    /// Three for each convolution, then W and b of the top.
    params: Vec<Param>,
    running: Vec<RunningStats>,
    /// Kept between steps for its allocation only.
    caches: Vec<conv_norm_relu::Cache>,
}

impl SmallConvNet {
    /// A network with initial weights drawn from `rng`: layer by layer, row-major, in `f64`, rounded to the dtype.
    ///
    /// # Panics
    /// If there is no convolution, a size is 0, or the pictures cannot be halved so often.
    #[track_caller]
    pub fn new(config: SmallConvConfig, rng: &mut Rng) -> SmallConvNet {
        let [mut c, h, w] = config.input_shape;
        let sizes = config.channels.iter().chain([&c, &config.classes]);
        assert!(sizes.min() > Some(&0) && !config.channels.is_empty(), "layers need a size");
        let (h, w) = (h >> config.stages(), w >> config.stages());
        assert!(h > 0 && w > 0, "{} stages leave nothing of the pictures", config.stages());
        let (mut params, mut running) = (Vec::new(), Vec::new());
        let mut add =
            |name: String, value: Tensor, decay| params.push(Param { name, value, decay });
        let mut weight = |shape: &[usize], inputs: usize| {
            Tensor::randn(shape, (2.0 / inputs as f64).sqrt(), config.dtype, rng)
        };
        for (i, &filters) in config.channels.iter().enumerate() {
            let number = i + 1;
            add(format!("W{number}"), weight(&[filters, c, 3, 3], 9 * c), true);
            add(format!("gamma{number}"), Tensor::ones([filters], config.dtype), false);
            add(format!("beta{number}"), Tensor::zeros([filters], config.dtype), false);
            running.push(RunningStats::zeros(filters, config.dtype));
            c = filters;
        }
        let (features, number) = (h * w * c, config.channels.len() + 1);
        add(format!("W{number}"), weight(&[features, config.classes], features), true);
        add(format!("b{number}"), Tensor::zeros([config.classes], config.dtype), false);
        SmallConvNet { config, params, running, caches: Vec::new() }
    }

    /// How it was made.
    pub fn config(&self) -> &SmallConvConfig {
        &self.config
    }

    /// Convolution `layer` and what follows it.
    fn conv(
        &self,
        layer: usize,
        x: &Tensor,
        mode: Mode,
        running: &mut RunningStats,
    ) -> (Tensor, conv_norm_relu::Cache) {
        let [w, gamma, beta] = [0, 1, 2].map(|i| &self.params[3 * layer + i].value);
        let norm = Norm::Batch { gamma, beta, params: BatchNormParams::default(), running };
        let pool = self.config.pools(layer).then(MaxPool2dParams::default);
        conv_norm_relu::forward(x, w, None, &Conv2dParams::same(3), norm, pool.as_ref(), mode)
    }

    /// The scores of features (N, C, H, W), read as they lie in memory.
    fn top(&self, features: &Tensor) -> (Tensor, affine::Cache) {
        let top = &self.params[3 * self.config.channels.len()..];
        affine::forward(&features.rows_as_stored(), &top[0].value, &top[1].value)
    }
}

impl Model for SmallConvNet {
    fn name(&self) -> &'static str {
        ARCHITECTURE.name
    }

    fn title(&self) -> String {
        let channels: Vec<String> = self.config.channels.iter().map(usize::to_string).collect();
        format!("Small convnet {}", channels.join("-"))
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
        super::named_buffers(&self.running)
    }

    fn set_buffer(&mut self, name: &str, value: &Tensor) -> bool {
        super::set_named_buffer(&mut self.running, name, value)
    }

    fn first_filters(&self) -> Option<Tensor> {
        Some(filters_as_pictures(&self.params[0].value))
    }

    fn scores(&self, x: &Tensor) -> Tensor {
        let (mut running, mut h) = (self.running.clone(), x.clone());
        for (layer, running) in running.iter_mut().enumerate() {
            h = self.conv(layer, &h, Mode::Test, running).0;
        }
        self.top(&h).0
    }

    fn loss_of(
        &mut self,
        x: &Tensor,
        targets: Targets<'_>,
        _: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64 {
        let mut running = std::mem::take(&mut self.running);
        let mut caches = std::mem::take(&mut self.caches);
        let mut h = x.clone();
        for (layer, running) in running.iter_mut().enumerate() {
            let (y, cache) = self.conv(layer, &h, Mode::Train, running);
            caches.push(cache);
            h = y;
        }
        self.running = running;
        let (scores, top) = self.top(&h);
        let (loss, dscores) = self.config.loss.of(&scores, targets);
        let affine::Grads { dx, dw, db } = affine::backward(&dscores, &top);
        let mut dh = Some(dx.into_pictures(*h.shape()));
        drop((h, top));
        // The gradients arrive from the top down: they are pushed in reverse and turned around at the end.
        grads.clear();
        grads.extend([db, dw]);
        while let (Some(cache), Some(dy)) = (caches.pop(), dh.take()) {
            let needs = [!caches.is_empty(), true, false, true, true];
            let [dx, dw, _, dgamma, dbeta] = conv_norm_relu::backward_for(needs, &dy, &cache);
            grads.extend([dbeta, dgamma, dw].into_iter().flatten());
            dh = dx;
        }
        grads.reverse();
        self.caches = caches;
        add_l2(loss, self.config.reg, &self.params, grads, |_| false)
    }

    fn trace(&self, x: &Tensor, classes: &[usize]) -> Trace {
        let (mut running, mut h, mut caches) = (self.running.clone(), x.clone(), Vec::new());
        for (layer, running) in running.iter_mut().enumerate() {
            let (y, cache) = self.conv(layer, &h, Mode::Test, running);
            caches.push(cache);
            h = y;
        }
        let (scores, top) = self.top(&h);
        let dh = affine::backward(&one_hot(&scores, classes), &top).dx.into_pictures(*h.shape());
        let below = |dy: Tensor, cache: &_| conv_norm_relu::backward(&dy, cache).dx;
        let dx = caches.iter().rev().fold(dh.clone(), below);
        Trace { scores, dx, features: Some([h, dh]) }
    }

    fn first_not_finite(&mut self, x: &Tensor, _: &mut Rng) -> Option<String> {
        let (mut running, mut h) = (self.running.clone(), x.clone());
        let outputs = (0..=running.len()).map(|layer| match running.get_mut(layer) {
            None => self.top(&h).0,
            Some(running) => {
                h = self.conv(layer, &h, Mode::Train, running).0;
                h.clone()
            }
        });
        place::first_not_finite(&self.layers(), outputs)
    }

    fn layers(&self) -> Vec<Layer> {
        let [mut c, mut h, mut w] = self.config.input_shape;
        let mut layers = Vec::new();
        for (i, &filters) in self.config.channels.iter().enumerate() {
            let output = vec![filters, h, w];
            let (numbers, pools) = (filters * h * w, self.config.pools(i));
            layers.push(Layer {
                name: format!("conv 3x3 {c} -> {filters}"),
                output: output.clone(),
                params: 9 * c * filters,
                multiply_adds: 9 * c * numbers,
                // The norm needs what it has normalized.
                kept: numbers,
                // The gradients behind the layer, of the norm's output and input, and of the layer's input.
                working: if pools { numbers / 4 + numbers } else { numbers }
                    + numbers
                    + if i > 0 { c * h * w } else { 0 },
                convolution: Some(Conv2dParams::same(3).shape([1, c, h, w], [filters, 3, 3])),
            });
            let norm = Layer::new("batch norm", &output, 2 * filters, 2 * numbers);
            let kept = if pools { 0 } else { numbers };
            layers.extend([norm, Layer { kept, ..Layer::new("relu", &output, 0, 0) }]);
            if pools {
                (h, w) = (h / 2, w / 2);
                let pooled = filters * h * w;
                // A byte for the place that each window chose.
                let kept = pooled + pooled / self.config.dtype.size();
                layers.push(Layer { kept, ..Layer::new("max pool 2x2", &[filters, h, w], 0, 0) });
            }
            c = filters;
        }
        let (features, classes) = (c * h * w, self.config.classes);
        layers.push(Layer {
            kept: classes,
            working: features,
            ..Layer::new(
                format!("affine {features} -> {classes}"),
                &[classes],
                features * classes + classes,
                features * classes,
            )
        });
        layers
    }
}
