//! Batch and layer normalization, with PyTorch's conventions.

use super::{Buffer, Module, Param, Params, init, misfit, same_type};
use crate::check;
use crate::ops::batch_norm::{BatchNormParams, RunningStats};
use crate::ops::layer_norm::LayerNormParams;
use crate::ops::spatial_group_norm::GroupNormParams;
use crate::tape::{Mode, Var};
use crate::tensor::{DType, Tensor};

/// Scales, shifts and running averages of a batch norm.
///
/// In training a batch is normalised by its own mean and biased variance, and the averages take in its mean and *unbiased*
/// variance: `running = (1 - momentum) running + momentum batch`. In a test the averages take their place.
#[derive(Clone, Debug, Params)]
struct Batch {
    weight: Param,
    bias: Param,
    running_mean: Buffer,
    running_var: Buffer,
    num_batches_tracked: Buffer,
}

impl Batch {
    fn new(features: usize) -> Batch {
        Batch {
            weight: Param::new(init::constant([features], 1.0)),
            bias: Param::new(init::constant([features], 0.0)),
            running_mean: Buffer::new(init::constant([features], 0.0)),
            running_var: Buffer::new(init::constant([features], 1.0)),
            num_batches_tracked: Buffer::new(Tensor::scalar(0.0, DType::F32)),
        }
    }

    /// Normalises pictures or features, perhaps with a ReLU, with the running averages taken out, so that they are updated in
    /// place.
    #[track_caller]
    fn forward(&self, x: &Var, settings: &Settings, [pictures, relu]: [bool; 2]) -> Var {
        let Settings { eps, momentum } = *settings;
        let params = BatchNormParams { eps, momentum: 1.0 - momentum, unbiased: true };
        let empty = || Tensor::zeros([0], DType::F32);
        let (mean, var) = (self.running_mean.swap(empty()), self.running_var.swap(empty()));
        let mut running = RunningStats { mean, var };
        let norm = match [pictures, relu] {
            [true, false] => Var::spatial_batch_norm,
            [true, true] => Var::spatial_batch_norm_relu,
            [false, false] => Var::batch_norm,
            [false, true] => Var::batch_norm_relu,
        };
        let y = norm(x, &self.weight, &self.bias, &params, &mut running);
        self.running_mean.set(running.mean);
        self.running_var.set(running.var);
        if x.tape().mode() == Mode::Train {
            self.num_batches_tracked.set(self.num_batches_tracked.get() + 1.0);
        }
        y
    }

    fn features(&self) -> usize {
        self.weight.value().len()
    }
}

/// The settings of a batch norm.
#[derive(Clone, Copy, Debug)]
struct Settings {
    eps: f64,
    /// The weight of the new batch in the running averages, PyTorch's convention.
    momentum: f64,
}

const USUAL: Settings = Settings { eps: 1e-5, momentum: 0.1 };

macro_rules! batch_norm {
    ($(#[doc = $doc:literal])+ $name:ident, $axes:literal, $pictures:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Params)]
        pub struct $name {
            #[params(flat)]
            batch: Batch,
            #[params(skip)]
            settings: Settings,
        }

        impl $name {
            /// For so many features, with scales 1, shifts 0, eps 1e-5 and momentum 0.1.
            pub fn new(features: usize) -> $name {
                $name { batch: Batch::new(features), settings: USUAL }
            }

            /// With another eps, and another weight of the new batch in the running averages.
            pub fn with(self, eps: f64, momentum: f64) -> $name {
                $name { settings: Settings { eps, momentum }, ..self }
            }

            /// The scales, (C).
            pub fn weight(&self) -> &Param {
                &self.batch.weight
            }

            /// The shifts, (C).
            pub fn bias(&self) -> &Param {
                &self.batch.bias
            }

            /// Panics if x does not fit.
            #[track_caller]
            fn check(&self, x: &Var) {
                let axes = if $pictures { 4 } else { 2 };
                let features = self.batch.features();
                if x.shape().len() != axes || x.shape()[1] != features {
                    let reason = format!("x must have {axes} axes and {features} features");
                    misfit("batch_norm", reason, (x, $axes), self);
                }
                same_type("batch_norm", (x, $axes), self.weight(), self);
            }
        }

        impl Module for $name {
            #[track_caller]
            fn forward(&self, x: &Var) -> Var {
                self.check(x);
                self.batch.forward(x, &self.settings, [$pictures, false])
            }

            #[track_caller]
            fn forward_relu(&self, x: &Var) -> Var {
                self.check(x);
                self.batch.forward(x, &self.settings, [$pictures, true])
            }

            fn describe(&self) -> String {
                format!(concat!(stringify!($name), "({})"), self.batch.features())
            }

            fn multiply_adds(&self, x: &[usize], _y: &[usize]) -> usize {
                x.iter().product()
            }
        }
    };
}

batch_norm! {
    /// Batch normalization of features (N, C). `torch.nn.BatchNorm1d`.
    BatchNorm1d, "N C", false
}
batch_norm! {
    /// Batch normalization of pictures (N, C, H, W), channel by channel. `torch.nn.BatchNorm2d`.
    BatchNorm2d, "N C H W", true
}

/// Layer normalization over the last axes, those of its weights. `torch.nn.LayerNorm`.
#[derive(Clone, Debug, Params)]
pub struct LayerNorm {
    /// The scales, of the shape that is normalised over.
    pub weight: Param,
    /// The shifts.
    pub bias: Param,
    /// Added to the variance.
    #[params(skip)]
    pub eps: f64,
}

impl LayerNorm {
    /// Over axes of these sizes, with scales 1, shifts 0 and eps 1e-5.
    pub fn new(shape: &[usize]) -> LayerNorm {
        let [weight, bias] = [1.0, 0.0].map(|v| Param::new(init::constant(shape, v)));
        let mut norm = LayerNorm { weight, bias, eps: 1e-5 };
        (norm.weight.decay, norm.bias.decay) = (false, false);
        norm
    }
}

impl Module for LayerNorm {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let shape = self.weight.value().shape();
        if x.shape().len() <= shape.len() || !x.shape().ends_with(shape) {
            let reason = format!("the last axes of x must be {shape:?}, and one before them");
            misfit("layer_norm", reason, (x, ""), self);
        }
        same_type("layer_norm", (x, ""), &self.weight, self);
        let d = shape.elements();
        let rows = x.reshape(&[x.value().len() / d.max(1), d]);
        let [weight, bias] = [&self.weight, &self.bias].map(|p| x.tape().leaf(p).reshape(&[d]));
        let y = rows.layer_norm(&weight, &bias, &LayerNormParams { eps: self.eps });
        y.reshape(x.shape())
    }

    fn describe(&self) -> String {
        format!("LayerNorm({:?})", self.weight.value().shape())
    }

    fn multiply_adds(&self, x: &[usize], _y: &[usize]) -> usize {
        x.iter().product()
    }
}

/// Group normalization of pictures: every group of channels of every picture by itself. `torch.nn.GroupNorm`.
#[derive(Clone, Debug, Params)]
pub struct GroupNorm {
    /// The scales, (C).
    pub weight: Param,
    /// The shifts, (C).
    pub bias: Param,
    /// Groups and eps.
    #[params(skip)]
    pub params: GroupNormParams,
}

impl GroupNorm {
    /// So many groups of so many channels in all, with scales 1, shifts 0 and eps 1e-5.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> GroupNorm {
        if groups == 0 || !channels.is_multiple_of(groups) {
            let reason = format!("{groups} groups must divide {channels} channels");
            check::fail("group_norm", reason, &[], "");
        }
        let [weight, bias] = [1.0, 0.0].map(|v| Param::new(init::constant([channels], v)));
        GroupNorm { weight, bias, params: GroupNormParams::new(groups) }
    }
}

impl Module for GroupNorm {
    #[track_caller]
    fn forward(&self, x: &Var) -> Var {
        let channels = self.weight.value().len();
        if x.shape().len() != 4 || x.shape()[1] != channels {
            let reason = format!("x must be pictures of {channels} channels");
            misfit("group_norm", reason, (x, "N C H W"), self);
        }
        same_type("group_norm", (x, "N C H W"), &self.weight, self);
        x.spatial_group_norm(&self.weight, &self.bias, &self.params)
    }

    fn describe(&self) -> String {
        format!("GroupNorm({} of {})", self.params.groups, self.weight.value().len())
    }

    fn multiply_adds(&self, x: &[usize], _y: &[usize]) -> usize {
        x.iter().product()
    }
}
