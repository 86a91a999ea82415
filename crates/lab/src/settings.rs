//! The settings of a training: every key of a configuration file is a flag, and every flag a key.
//!
//! [`Settings`] is both at once: clap reads it from the command line and serde from a file. Flags win over the file, the file
//! over the defaults: those of the model's recipe first. [`Settings::complete`] turns what was said into a [`Plan`], where nothing is optional any more.

mod check;
mod file;
mod help;
mod resume;
mod settle;
mod widths;

use anyhow::Result;
use chainrule::Error;
use chainrule::models::{ARCHITECTURES, Architecture, Init, Loss, ModelConfig, Norm, Recipe, Task};
use chainrule::optim::{OptimConfig, ScheduleConfig};
use chainrule::tensor::DType;
use clap::Args;
pub use file::keys;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use widths::{Widths, widths};

macro_rules! settings {
    (
        $($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)*)])? $name:ident: $t:ty = $default:expr;)*
        recipe:
        $($(#[doc = $r_doc:literal])+ $(#[arg($($r_arg:tt)*)])? $r:ident: $r_t:ty;)*
        open:
        $($(#[doc = $open_doc:literal])+ $(#[arg($($open_arg:tt)*)])? $open:ident: $open_t:ty;)*
    ) => {
        /// What a user said; `None` where nothing was said.
        #[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Settings {
            $($(#[doc = $doc])+ #[arg(long, help = help::with_default(&[$($doc),+], &{ let v: $t = $default; v }), value_name = <$t as help::Value>::NAME, allow_negative_numbers = true, $($($arg)*)?)] pub $name: Option<$t>,)*
            $($(#[doc = $r_doc])+ #[arg(long, value_name = <$r_t as help::Value>::NAME, allow_negative_numbers = true, $($($r_arg)*)?)] pub $r: Option<$r_t>,)*
            $($(#[doc = $open_doc])+ #[arg(long, value_name = <$open_t as help::Value>::NAME, allow_negative_numbers = true, $($($open_arg)*)?)] pub $open: Option<$open_t>,)*
        }

        /// Settings with nothing left open but what the chosen model, update rule and schedule do not take.
        #[derive(Clone, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Plan {
            $($(#[doc = $doc])+ pub $name: $t,)*
            $($(#[doc = $r_doc])+ pub $r: $r_t,)*
            $($(#[doc = $open_doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $open: Option<$open_t>,)*
        }

        impl Settings {
            /// These settings, and where they are silent those of `other`.
            fn or(self, other: Settings) -> Settings {
                Settings { $($name: self.$name.or(other.$name),)* $($r: self.$r.or(other.$r),)* $($open: self.$open.or(other.$open),)* }
            }

            fn with_defaults(self, recipe: &Recipe) -> Plan {
                Plan {
                    $($name: self.$name.unwrap_or($default),)*
                    $($r: self.$r.unwrap_or_else(|| recipe.$r.into()),)*
                    $($open: self.$open,)*
                }
            }
        }
    };
}

settings! {
    /// The architecture: small-convnet, three-layer-convnet, fully-connected, resnet-ce, resnet-18, densenet, mobilenet, vgg,
    /// course-fc, course-convnet
    model: String = ARCHITECTURES[0].name.into();
    /// L2 regularization: adds 0.5 reg |W|^2 to the loss
    reg: f64 = 0.0;
    /// What the network computes in: f32, f64
    dtype: String = "f32".into();
    /// The loss: softmax, svm
    loss: String = "softmax".into();
    /// Training pictures that each accuracy check samples
    train_samples: usize = 1000;
    /// How a step's pictures are chosen: shuffled, with-replacement (the course's)
    sampling: String = "shuffled".into();
    /// Whether the best state includes running averages (the course forgot them)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    best_includes_buffers: bool = true;
    /// Stop after so many epochs in a row without a better validation accuracy; 0 to train to the end
    patience: usize = 0;
    /// Shrink the gradients of a step so that their norm together is at most this; 0 for not at all
    clip_norm: f64 = 0.0;
    /// Pull each number of a gradient into [-value, value]; 0 for not at all
    clip_value: f64 = 0.0;
    /// Measure and keep a running average of the weights with this decay, such as 0.999, instead of the weights; 0 for none
    ema: f64 = 0.0;
    /// Factors of the learning rate by the beginning of a parameter's name, as in fc=10,conv1=0.1
    rates: String = String::new();
    /// What a loss or gradient that is not a finite number does: stop (before the weights are touched), continue
    on_nan: String = "stop".into();
    /// When checkpoints are written: auto (epochs, some distance apart, and every minute), epoch, end, steps (500), seconds (30s)
    checkpoint_every: String = "auto".into();
    /// The seed of everything random
    seed: u64 = 0;
    /// Threads; results do not depend on it. 0 for all processors
    threads: usize = 0;
    /// Begin with the weights of this file (.safetensors or .npz, as `chainrule weights` writes them) instead of random ones
    weights: PathBuf = PathBuf::new();
    /// A directory with CIFAR-10, MNIST or pictures in folders, or an archive of CIFAR-10; without it the embedded excerpt
    data: PathBuf = PathBuf::new();
    /// Leave pictures out that cannot be read, instead of refusing them all (pictures in folders)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    skip_bad: bool = false;
    /// Use only the first so many training pictures; 0 for all
    num_train: usize = 0;
    /// Test on all 10,000 test pictures of CIFAR-10 or MNIST instead of the first 1,000
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    test_all: bool = false;
    /// The run directory; without it runs/NAME-NNNN
    out: PathBuf = PathBuf::new();
    /// Print the course's lines instead of a progress bar or plain lines
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    verbose: bool = false;
    /// Print nothing but errors
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    quiet: bool = false;
    /// Write event files for TensorBoard into the run directory
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    tensorboard: bool = false;
    /// Steps between two printed losses of --verbose
    print_every: usize = 10;
    /// End with one line of JSON on standard output, and print nothing else there
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    json: bool = false;

    recipe:
    /// Passes over the training pictures [default: the model's]
    epochs: usize;
    /// Pictures a step [default: the model's]
    batch: usize;
    /// The update rule: sgd, momentum, rmsprop, adagrad, adam, adamw, lion, muon [default: the model's]
    optim: String;
    /// How the learning rate changes: constant, step, multistep, exponential, cosine, one-cycle [default: the model's]
    schedule: String;
    /// What weight decay pulls at: weights (not biases, scales and shifts), all [default: the model's]
    decay_of: String;
    /// Share of the target spread evenly over all classes (softmax) [default: the model's]
    label_smoothing: f64;
    /// How bytes become numbers: mean-image (less the mean of each pixel), channels (less the mean of each channel, over its
    /// standard deviation), cifar10 (the same with the usual constants), to-tensor (over 255) [default: the model's]
    normalize: String;
    /// How training pictures change from epoch to epoch: none, or some of flip, crop (by up to 4 pixels), cutout (of 8 x 8
    /// pixels), erase (with probability 0.5), jitter (colours, by 0.4), mixup, cutmix (softmax), as in flip,crop:2,mixup:0.2,
    /// amounts behind colons [default: the model's]
    augment: String;

    open:
    /// Pixels a side that pictures are brought to: the shorter side is resized, the middle is kept (pictures in folders) [default: 32]
    size: usize;
    /// Share of each class that validates where no folder does (pictures in folders) [default: 0.1]
    val_fraction: f64;
    /// Widths of the hidden layers, as in 200,150 (fully-connected; one for three-layer-convnet and course-fc)
    #[arg(value_parser = widths)]
    hidden: Widths;
    /// Normalization after each hidden layer: none, batch, layer (fully-connected)
    norm: String;
    /// Probability that dropout keeps a unit; 1 for no dropout (fully-connected, resnet-ce, mobilenet, vgg)
    dropout_keep: f64;
    /// Channels of each convolution (small-convnet, vgg, course-convnet) or block of them (resnet-ce, resnet-18, mobilenet), as in
    /// 32,64,64; equal ones make a stage
    #[arg(value_parser = widths)]
    channels: Widths;
    /// Layers of each dense block, as in 6,6,6 (densenet)
    #[arg(value_parser = widths)]
    layers: Widths;
    /// Channels that each layer of a dense block adds (densenet)
    growth: usize;
    /// How initial weights are drawn: kaiming, zero-bias (kaiming, with biases 0), uniform (PyTorch's) (course-fc, course-convnet)
    init: String;
    /// Filters of the convolution (three-layer-convnet)
    filters: usize;
    /// Height and width of the filters (three-layer-convnet)
    filter_size: usize;
    /// Standard deviation of the initial weights; 0 for sqrt(2 / inputs) in each layer (fully-connected, three-layer-convnet)
    weight_scale: f64;
    /// The learning rate before the schedule [default: the model's, or the rule's if you choose the rule or the schedule]
    lr: f64;
    /// Momentum (sgd, momentum, muon)
    momentum: f64;
    /// Nesterov's momentum (sgd, muon)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    nesterov: bool;
    /// What the gradient loses before it enters the velocity (sgd)
    dampening: f64;
    /// Decay of the average of gradients (adam, adamw, lion, muon)
    beta1: f64;
    /// Decay of the average of squared gradients (adam, adamw, muon); of the moment that is kept (lion)
    beta2: f64;
    /// Added to the root in the denominator (adam, adamw, rmsprop, adagrad)
    eps: f64;
    /// The learning rate of biases, scales and shifts as a part of the matrices' (muon)
    vector_rate: f64;
    /// Decay of the average of squared gradients (rmsprop)
    decay_rate: f64;
    /// Divide by the standard deviation instead of the root mean square (rmsprop)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    centered: bool;
    /// Divide by the largest average of squares so far (adam, adamw)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    amsgrad: bool;
    /// Weight decay of the update rule, on weights only
    weight_decay: f64;
    /// How fast the rule itself lowers its rate (adagrad)
    lr_decay: f64;
    /// What the sum of squares starts from (adagrad)
    initial_accumulator: f64;
    /// Epochs between two drops of the rate (step)
    every: usize;
    /// Epochs at which the rate drops, as in 10,20 (multistep)
    #[arg(value_parser = widths)]
    milestones: Widths;
    /// What the rate is multiplied by (step, multistep, exponential: the course's lr_decay)
    gamma: f64;
    /// The rate at the end (cosine)
    min_lr: f64;
    /// Epochs of linear warm-up
    warmup_epochs: f64;
    /// The part of the steps in which the rate rises (one-cycle)
    pct_start: f64;
    /// The largest rate over the first (one-cycle)
    div_factor: f64;
    /// The first rate over the last (one-cycle)
    final_div_factor: f64;
}

fn norm_named(name: &str) -> Result<Norm> {
    check::one_of("norm", name, &Norm::ALL.map(Norm::name))?;
    Ok(Norm::ALL.into_iter().find(|n| n.name() == name).unwrap_or_default())
}

fn init_named(name: &str) -> Result<Init> {
    check::one_of("init", name, &Init::ALL.map(Init::name))?;
    Ok(Init::ALL.into_iter().find(|i| i.name() == name).unwrap_or_default())
}

/// An error of the library about a key, about the flag that a user knows.
pub fn as_flags<T>(result: chainrule::Result<T>) -> Result<T> {
    let flags = |text: String| text.replace('_', "-");
    result.map_err(|e| match e {
        Error::Value { key, found, want } => {
            Error::Value { key: format!("--{}", flags(key)), found, want: flags(want) }.into()
        }
        other => other.into(),
    })
}

impl Settings {
    /// The settings in a table that was read from the file at `path`.
    ///
    /// # Errors
    /// The first key that is unknown, or whose value is of another kind.
    pub fn from_table(table: toml::Table, path: &Path) -> Result<Settings> {
        file::from_table(table, path)
    }

    /// These settings, completed by a configuration file and by the defaults, and checked.
    pub fn complete(self, file: Option<&Path>) -> Result<Plan> {
        let said = match file {
            Some(path) => self.or(file::read(path)?),
            None => self,
        };
        let name = said.model.as_deref().unwrap_or(ARCHITECTURES[0].name);
        let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
        check::one_of("model", name, &names)?;
        let recipe = &Architecture::named(name)?.recipe;
        // A rate belongs to its rule and schedule: who chooses one of them gets the rule's own, not the recipe's.
        let whole = said.optim.as_deref().is_none_or(|o| o == recipe.optim)
            && said.schedule.as_deref().is_none_or(|s| s == recipe.schedule);
        // Only the softmax loss has smoothed labels.
        let svm = said.loss.as_deref() == Some("svm") && said.label_smoothing.is_none();
        let mut plan = said.with_defaults(recipe);
        if svm {
            plan.label_smoothing = 0.0;
        }
        if whole {
            plan.lr.get_or_insert(recipe.lr);
            plan.weight_decay.get_or_insert(recipe.weight_decay);
        }
        plan.check()?;
        plan.settle_model()?;
        plan.settle_rule()?;
        plan.settle_schedule()?;
        Ok(plan)
    }
}

impl Plan {
    /// The architecture.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn architecture(&self) -> Result<&'static Architecture> {
        Ok(Architecture::named(&self.model)?)
    }

    /// The keys of the model.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn model_config(&self) -> Result<ModelConfig> {
        Ok(ModelConfig {
            hidden: self.hidden.clone().map(|w| w.0),
            norm: self.norm.as_deref().map(norm_named).transpose()?,
            dropout_keep: self.dropout_keep,
            channels: self.channels.clone().map(|w| w.0),
            layers: self.layers.clone().map(|w| w.0),
            growth: self.growth,
            init: self.init.as_deref().map(init_named).transpose()?,
            filters: self.filters,
            filter_size: self.filter_size,
            weight_scale: self.weight_scale,
        })
    }

    /// What the model is told of its task, for pictures of this shape and so many classes.
    pub fn task(&self, input_shape: &[usize], classes: usize) -> Task {
        Task {
            input_shape: input_shape.to_vec(),
            classes,
            loss: match self.loss.as_str() {
                "svm" => Loss::Svm,
                _ => Loss::Softmax { label_smoothing: self.label_smoothing },
            },
            reg: self.reg,
            dtype: if self.dtype == "f64" { DType::F64 } else { DType::F32 },
        }
    }

    /// The keys of the update rule.
    pub fn optim_config(&self) -> OptimConfig {
        OptimConfig {
            momentum: self.momentum,
            nesterov: self.nesterov,
            dampening: self.dampening,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            vector_rate: self.vector_rate,
            decay_rate: self.decay_rate,
            centered: self.centered,
            amsgrad: self.amsgrad,
            weight_decay: self.weight_decay,
            lr_decay: self.lr_decay,
            initial_accumulator: self.initial_accumulator,
        }
    }

    /// The keys of the schedule.
    pub fn schedule_config(&self) -> ScheduleConfig {
        ScheduleConfig {
            every: self.every,
            milestones: self.milestones.clone().map(|m| m.0),
            gamma: self.gamma,
            min_lr: self.min_lr,
            warmup_epochs: self.warmup_epochs,
            pct_start: self.pct_start,
            div_factor: self.div_factor,
            final_div_factor: self.final_div_factor,
        }
    }
}

/// `did you mean "x"?`, or all there is.
pub fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|k| (strsim::osa_distance(word, k), k)).min();
    match near {
        Some((distance, k)) if distance <= 2.max(word.len() / 3) => format!("did you mean {k:?}?"),
        _ => format!("expected one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A mistake in how the program was called: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
