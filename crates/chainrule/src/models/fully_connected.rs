//! A fully connected network of any depth.
//!
//! ```text
//! {affine - [batch or layer norm] - relu - [dropout]} x hidden layers - affine - softmax (or SVM) loss
//! ```
//! Parameters W1, b1, [gamma1, beta1], W2, ...: W_i (in, out) normal, biases and shifts 0, scales 1. The loss adds
//! `0.5 reg sum(W_i^2)`. The defaults are the course's.

mod config;

pub(super) use config::ARCHITECTURE;
pub use config::{FullyConnectedConfig, Norm};

use super::loss::add_l2;
use super::summary::Layer;
use super::{Model, Param, Trace, one_hot, place};
use crate::ops::Targets;
use crate::ops::affine_norm_relu::{self as hidden, Dropout, Norm as LayerNorm};
use crate::ops::batch_norm::{BatchNormParams, RunningStats};
use crate::ops::{Mode, affine};
use crate::rng::Rng;
use crate::tensor::{DType, Tensor};
use crate::visualize::rows_as_pictures;

/// Where a hidden layer's parameters are among the network's.
#[derive(Clone, Copy, Debug)]
struct Place {
    w: usize,
    /// Of gamma; beta follows.
    gamma: Option<usize>,
}

/// The network that the documentation of its file describes: hidden layers of affine, norm, ReLU and dropout, and an affine top.
#[derive(Debug)]
pub struct FullyConnectedNet {
    config: FullyConnectedConfig,
    params: Vec<Param>,
    places: Vec<Place>,
    running: Vec<RunningStats>,
    /// Caches of the hidden layers, kept between steps for its allocation only.
    caches: Vec<hidden::Cache>,
}

impl FullyConnectedNet {
    /// A network with initial weights drawn from `rng`: layer by layer, row-major, in `f64`, rounded to the dtype.
    ///
    /// # Panics
    /// If a width or the number of classes is 0, or `dropout_keep` is not in (0, 1].
    #[track_caller]
    pub fn new(config: FullyConnectedConfig, rng: &mut Rng) -> FullyConnectedNet {
        assert!(config.hidden.iter().all(|w| *w > 0) && config.classes > 0, "layers need a width");
        assert!(
            config.dropout_keep > 0.0 && config.dropout_keep <= 1.0,
            "dropout keeps a share in (0, 1]"
        );
        let (mut params, mut places, mut running) = (Vec::new(), Vec::new(), Vec::new());
        let inputs: usize = config.input_shape.iter().product();
        let widths = config.hidden.iter().chain([&config.classes]);
        let mut before = inputs;
        for (i, &width) in widths.enumerate() {
            let number = i + 1;
            let mut add = |kind: &str, value: Tensor| {
                params.push(Param { name: format!("{kind}{number}"), value, decay: kind == "W" });
                params.len() - 1
            };
            let std = config.weight_scale.unwrap_or((2.0 / before as f64).sqrt());
            let w = add("W", Tensor::randn([before, width], std, config.dtype, rng));
            add("b", Tensor::zeros([width], config.dtype));
            let normed = config.norm != Norm::None && i < config.hidden.len();
            let gamma = normed.then(|| add("gamma", Tensor::ones([width], config.dtype)));
            if normed {
                add("beta", Tensor::zeros([width], config.dtype));
                running.push(RunningStats::zeros(width, config.dtype));
            }
            places.push(Place { w, gamma });
            before = width;
        }
        if config.norm != Norm::Batch {
            running.clear();
        }
        FullyConnectedNet { config, params, places, running, caches: Vec::new() }
    }

    /// How it was made.
    pub fn config(&self) -> &FullyConnectedConfig {
        &self.config
    }

    fn value(&self, i: usize) -> &Tensor {
        &self.params[i].value
    }

    /// The scores of test mode, as the course computes them: dropout layers with a seed of their own start the generator over.
    ///
    /// # Panics
    /// If x is not a batch of inputs of the network's type.
    #[track_caller]
    pub fn scores_with(&self, x: &Tensor, rng: &mut Rng) -> Tensor {
        let mut running = self.running.clone();
        let mut h = x.clone();
        for layer in 0..self.config.hidden.len() {
            h = self.hidden_forward(layer, &h, Mode::Test, &mut running, rng).0;
        }
        self.top(&h).0
    }

    fn top(&self, h: &Tensor) -> (Tensor, affine::Cache) {
        let place = self.places[self.config.hidden.len()];
        affine::forward(h, self.value(place.w), self.value(place.w + 1))
    }

    fn hidden_forward(
        &self,
        layer: usize,
        x: &Tensor,
        mode: Mode,
        running: &mut [RunningStats],
        rng: &mut Rng,
    ) -> (Tensor, hidden::Cache) {
        let Place { w, gamma } = self.places[layer];
        let scale = gamma.map(|g| (self.value(g), self.value(g + 1)));
        let norm = match (self.config.norm, scale) {
            (Norm::Batch, Some((gamma, beta))) => LayerNorm::Batch {
                gamma,
                beta,
                params: BatchNormParams::default(),
                running: &mut running[layer],
            },
            (Norm::Layer, Some((gamma, beta))) => {
                LayerNorm::Layer { gamma, beta, params: Default::default() }
            }
            _ => LayerNorm::None,
        };
        let dropout = (self.config.dropout_keep < 1.0).then(|| {
            if let Some(seed) = self.config.dropout_seed {
                rng.seed_dropout(seed);
            }
            Dropout { keep: self.config.dropout_keep, rng }
        });
        hidden::forward(x, self.value(w), self.value(w + 1), norm, dropout, mode)
    }
}

impl Model for FullyConnectedNet {
    fn name(&self) -> &'static str {
        "fully-connected"
    }

    fn title(&self) -> String {
        let widths: Vec<String> = self.config.hidden.iter().map(usize::to_string).collect();
        format!("Fully connected {}", widths.join("-"))
    }

    fn dtype(&self) -> DType {
        self.config.dtype
    }

    fn input_shape(&self) -> &[usize] {
        &self.config.input_shape
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
        let [c, h, w] = *self.config.input_shape.as_slice() else { return None };
        let weights = self.value(0).transpose();
        Some(rows_as_pictures(&weights, weights.shape()[0], [c, h, w]))
    }

    fn scores(&self, x: &Tensor) -> Tensor {
        self.scores_with(x, &mut Rng::new(0))
    }

    fn loss_of(
        &mut self,
        x: &Tensor,
        targets: Targets<'_>,
        rng: &mut Rng,
        grads: &mut Vec<Tensor>,
    ) -> f64 {
        let mut running = std::mem::take(&mut self.running);
        let mut caches = std::mem::take(&mut self.caches);
        let mut h = x.clone();
        for layer in 0..self.config.hidden.len() {
            let (y, cache) = self.hidden_forward(layer, &h, Mode::Train, &mut running, rng);
            caches.push(cache);
            h = y;
        }
        self.running = running;
        let (scores, top) = self.top(&h);
        let (loss, dscores) = self.config.loss.of(&scores, targets);
        // The gradients arrive from the top down: they are pushed in reverse and turned around at the end.
        grads.clear();
        let [mut dh, dw, db] =
            affine::backward_for([caches.last().is_some(), true, true], &dscores, &top);
        grads.extend([db, dw].into_iter().flatten());
        while let (Some(cache), Some(dy)) = (caches.pop(), dh.take()) {
            let [dx, dw, db, dgamma, dbeta] =
                hidden::backward_for([!caches.is_empty(), true, true, true, true], &dy, &cache);
            grads.extend([dbeta, dgamma, db, dw].into_iter().flatten());
            dh = dx;
        }
        grads.reverse();
        self.caches = caches;
        add_l2(loss, self.config.reg, &self.params, grads, |_| false)
    }

    fn trace(&self, x: &Tensor, classes: &[usize]) -> Trace {
        let mut running = self.running.clone();
        let (mut h, mut caches, mut rng) = (x.clone(), Vec::new(), Rng::new(0));
        for layer in 0..self.config.hidden.len() {
            let (y, cache) = self.hidden_forward(layer, &h, Mode::Test, &mut running, &mut rng);
            caches.push(cache);
            h = y;
        }
        let (scores, top) = self.top(&h);
        let [dx, ..] = affine::backward_for([true, false, false], &one_hot(&scores, classes), &top);
        let below = |dy: Option<Tensor>, cache: &hidden::Cache| {
            let [dx, ..] = hidden::backward_for([true, false, false, false, false], &dy?, cache);
            dx
        };
        let dx = caches.iter().rev().fold(dx, below).unwrap_or_else(|| x.zeros_like());
        Trace { scores, dx, features: None }
    }

    fn first_not_finite(&mut self, x: &Tensor, rng: &mut Rng) -> Option<String> {
        let (mut running, mut h) = (self.running.clone(), x.clone());
        let outputs = (0..=self.config.hidden.len()).map(|layer| {
            if layer == self.config.hidden.len() {
                return self.top(&h).0;
            }
            h = self.hidden_forward(layer, &h, Mode::Train, &mut running, rng).0;
            h.clone()
        });
        place::first_not_finite(&self.layers(), outputs)
    }

    fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut before: usize = self.config.input_shape.iter().product();
        let widths = self.config.hidden.iter().chain([&self.config.classes]);
        for (i, &width) in widths.enumerate() {
            let mut add = |name: String, params: usize, multiply_adds: usize, kept: usize| {
                layers.push(Layer {
                    name,
                    output: vec![width],
                    params,
                    multiply_adds,
                    kept,
                    working: 0,
                    convolution: None,
                });
            };
            add(
                format!("affine {before} -> {width}"),
                before * width + width,
                before * width,
                width,
            );
            if i < self.config.hidden.len() {
                match self.config.norm {
                    Norm::Batch => add("batch norm".into(), 2 * width, 2 * width, width),
                    Norm::Layer => add("layer norm".into(), 2 * width, 2 * width, width),
                    Norm::None => {}
                }
                add("relu".into(), 0, 0, 0);
                if self.config.dropout_keep < 1.0 {
                    add(format!("dropout, keeps {}", self.config.dropout_keep), 0, 0, width);
                }
            }
            before = width;
        }
        layers
    }
}
