//! The settings of a training: every key of a configuration file is a flag, and every flag a key.
//!
//! [`Settings`] is both at once: clap reads it from the command line and serde from a file. Flags win over the file, the file
//! over the defaults. [`Settings::complete`] turns what was said into a [`Plan`], where nothing is optional any more.

use anyhow::{Result, anyhow};
use chainrule::Error;
use chainrule::optim::{OptimConfig, Rule, ScheduleConfig, schedule};
use clap::{Args, Command};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

macro_rules! settings {
    (
        $($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)*)])? $name:ident: $t:ty = $default:expr;)*
        open:
        $($(#[doc = $open_doc:literal])+ $(#[arg($($open_arg:tt)*)])? $open:ident: $open_t:ty;)*
    ) => {
        /// What a user said; `None` where nothing was said.
        #[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Settings {
            $($(#[doc = $doc])+ #[arg(long, value_name = "", allow_negative_numbers = true, $($($arg)*)?)] pub $name: Option<$t>,)*
            $($(#[doc = $open_doc])+ #[arg(long, value_name = "", allow_negative_numbers = true, $($($open_arg)*)?)] pub $open: Option<$open_t>,)*
        }

        /// Settings with nothing left open but what the chosen update rule and schedule do not take.
        #[derive(Clone, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct Plan {
            $($(#[doc = $doc])+ pub $name: $t,)*
            $($(#[doc = $open_doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $open: Option<$open_t>,)*
        }

        impl Settings {
            /// These settings, and where they are silent those of `other`.
            fn or(self, other: Settings) -> Settings {
                Settings { $($name: self.$name.or(other.$name),)* $($open: self.$open.or(other.$open),)* }
            }

            fn with_defaults(self) -> Plan {
                Plan { $($name: self.$name.unwrap_or($default),)* $($open: self.$open,)* }
            }
        }
    };
}

settings! {
    /// The architecture: fully-connected
    model: String = "fully-connected".into();
    /// Widths of the hidden layers, as in 200,150
    #[arg(value_parser = widths)]
    hidden: Widths = Widths(vec![512, 256]);
    /// Normalization after each hidden layer: none, batch, layer
    norm: String = "batch".into();
    /// Probability that dropout keeps a unit; 1 for no dropout
    dropout_keep: f64 = 0.6;
    /// Standard deviation of the initial weights; 0 for sqrt(2 / inputs) in each layer (He et al. 2015)
    weight_scale: f64 = 0.0;
    /// L2 regularization: adds 0.5 reg |W|^2 to the loss
    reg: f64 = 0.0;
    /// What the network computes in: f32, f64
    dtype: String = "f32".into();
    /// The loss: softmax, svm
    loss: String = "softmax".into();
    /// Share of the target spread evenly over all classes (softmax)
    label_smoothing: f64 = 0.0;
    /// The update rule: sgd, momentum, rmsprop, adagrad, adam, adamw
    optim: String = "adamw".into();
    /// How the learning rate changes: constant, step, multistep, exponential, cosine, one-cycle
    schedule: String = "one-cycle".into();
    /// Passes over the training pictures
    epochs: usize = 30;
    /// Pictures a step
    batch: usize = 100;
    /// Training pictures that each accuracy check samples
    train_samples: usize = 1000;
    /// How a step's pictures are chosen: shuffled, with-replacement (the course's)
    sampling: String = "shuffled".into();
    /// Whether the best state includes running averages (the course forgot them)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    best_includes_buffers: bool = true;
    /// The seed of everything random
    seed: u64 = 0;
    /// Threads; results do not depend on it. 0 for all processors
    threads: usize = 0;
    /// A directory with CIFAR-10's binary files; without it the embedded excerpt
    data: PathBuf = PathBuf::new();
    /// Use only the first so many training pictures; 0 for all
    num_train: usize = 0;
    /// Test on all 10,000 test pictures of --data instead of the first 1,000
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    test_all: bool = false;
    /// The run directory; without it runs/NAME-NNNN
    out: PathBuf = PathBuf::new();
    /// Print the course's lines instead of a progress bar
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    verbose: bool = false;
    /// Steps between two printed losses
    print_every: usize = 10;
    /// End with one line of JSON on standard output, and print nothing else there
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    json: bool = false;

    open:
    /// The learning rate before the schedule [default: the rule's]
    lr: f64;
    /// Momentum (sgd, momentum)
    momentum: f64;
    /// Nesterov's momentum (sgd)
    #[arg(num_args = 0..=1, default_missing_value = "true")]
    nesterov: bool;
    /// What the gradient loses before it enters the velocity (sgd)
    dampening: f64;
    /// Decay of the average of gradients (adam, adamw)
    beta1: f64;
    /// Decay of the average of squared gradients (adam, adamw)
    beta2: f64;
    /// Added to the root in the denominator (adam, adamw, rmsprop, adagrad)
    eps: f64;
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

/// A list of whole numbers, written as `200,150`. In a file also as an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Widths(pub Vec<usize>);

impl<'de> Deserialize<'de> for Widths {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<usize>),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::List(list) => Ok(Widths(list)),
            Form::Text(text) => widths(&text).map_err(serde::de::Error::custom),
        }
    }
}

fn widths(text: &str) -> std::result::Result<Widths, String> {
    let parse = |part: &str| {
        part.trim().parse::<usize>().map_err(|_| format!("{part:?} is not a whole number"))
    };
    if text.trim().is_empty() {
        return Ok(Widths(Vec::new()));
    }
    text.split(',').map(parse).collect::<std::result::Result<_, _>>().map(Widths)
}

impl Settings {
    /// These settings, completed by a configuration file and by the defaults, and checked.
    pub fn complete(self, file: Option<&Path>) -> Result<Plan> {
        let said = match file {
            Some(path) => self.or(read(path)?),
            None => self,
        };
        let mut plan = said.with_defaults();
        plan.check()?;
        plan.settle_rule()?;
        plan.settle_schedule()?;
        Ok(plan)
    }
}

impl Plan {
    /// The keys of the update rule.
    pub fn optim_config(&self) -> OptimConfig {
        OptimConfig {
            momentum: self.momentum,
            nesterov: self.nesterov,
            dampening: self.dampening,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
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

    /// Fills in the rule's defaults, so that the written configuration says what was used.
    fn settle_rule(&mut self) -> Result<()> {
        let rule = Rule::named(&self.optim)?;
        let c = rule.effective(&self.optim_config())?;
        self.optim = rule.name.to_string();
        self.lr.get_or_insert(rule.learning_rate);
        (self.momentum, self.nesterov, self.dampening) = (c.momentum, c.nesterov, c.dampening);
        (self.beta1, self.beta2, self.eps, self.amsgrad) = (c.beta1, c.beta2, c.eps, c.amsgrad);
        (self.decay_rate, self.centered, self.weight_decay) =
            (c.decay_rate, c.centered, c.weight_decay);
        (self.lr_decay, self.initial_accumulator) = (c.lr_decay, c.initial_accumulator);
        Ok(())
    }

    /// As [`Plan::settle_rule`], for the schedule.
    fn settle_schedule(&mut self) -> Result<()> {
        let kind = schedule::Kind::named(&self.schedule)?;
        let c = kind.effective(&self.schedule_config())?;
        self.schedule = kind.name.to_string();
        (self.every, self.gamma, self.min_lr) = (c.every, c.gamma, c.min_lr);
        self.milestones = c.milestones.map(Widths);
        (self.warmup_epochs, self.pct_start) = (c.warmup_epochs, c.pct_start);
        (self.div_factor, self.final_div_factor) = (c.div_factor, c.final_div_factor);
        Ok(())
    }
}

/// The keys there are, from the flags themselves.
fn keys() -> Vec<String> {
    let command = Settings::augment_args(Command::new("keys"));
    command.get_arguments().filter_map(|a| a.get_long().map(str::to_string)).collect()
}

fn read(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let reason = |e: &toml::de::Error| e.message().to_string();
    let table: toml::Table = toml::from_str(&text).map_err(|e| {
        Error::file(path, format!("not TOML: {}", reason(&e)), "expected lines such as epochs = 20")
    })?;
    let known = keys();
    if let Some(key) = table.keys().find(|k| !known.contains(k)) {
        let close = closest(key, known.iter().map(String::as_str));
        return Err(Usage(format!("{}: unknown key {key:?}; {close}", path.display())).into());
    }
    for (key, value) in &table {
        // One key at a time, so that the message can name it.
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        if let Err(e) = Settings::deserialize(alone) {
            return Err(
                Usage(format!("{}: {key} = {value}: {}", path.display(), reason(&e))).into()
            );
        }
    }
    Settings::deserialize(table)
        .map_err(|e| Usage(format!("{}: {}", path.display(), reason(&e))).into())
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

impl Plan {
    /// Refuses values that no training can use, each in a sentence.
    fn check(&self) -> Result<()> {
        one_of("model", &self.model, &["fully-connected"])?;
        one_of("norm", &self.norm, &["none", "batch", "layer"])?;
        one_of("dtype", &self.dtype, &["f32", "f64"])?;
        one_of("loss", &self.loss, &["softmax", "svm"])?;
        one_of("sampling", &self.sampling, &["shuffled", "with-replacement"])?;
        let positive = [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("train-samples", self.train_samples),
            ("print-every", self.print_every),
        ];
        for (key, value) in positive {
            require(value > 0, key, &value.to_string(), "it must be at least 1")?;
        }
        for width in &self.hidden.0 {
            require(
                (1..=65536).contains(width),
                "hidden",
                &width.to_string(),
                "widths go from 1 to 65536",
            )?;
        }
        require(self.threads <= 256, "threads", &self.threads.to_string(), "at most 256")?;
        let finite = [
            ("lr", self.lr.unwrap_or(0.0)),
            ("reg", self.reg),
            ("weight-scale", self.weight_scale),
        ];
        for (key, value) in finite {
            require(
                value.is_finite() && value >= 0.0,
                key,
                &value.to_string(),
                "it must be a number, 0 or more",
            )?;
        }
        require(
            self.dropout_keep > 0.0 && self.dropout_keep <= 1.0,
            "dropout-keep",
            &self.dropout_keep.to_string(),
            "it must be above 0 and at most 1",
        )?;
        require(
            (0.0..1.0).contains(&self.label_smoothing),
            "label-smoothing",
            &self.label_smoothing.to_string(),
            "it must be at least 0 and below 1",
        )?;
        let spread = self.label_smoothing == 0.0 || self.loss == "softmax";
        require(
            spread,
            "label-smoothing",
            "only the softmax loss has it",
            "say --label-smoothing 0 with --loss svm",
        )
    }
}

fn require(ok: bool, key: &str, found: &str, want: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(anyhow!(Usage(format!("--{key}: {found}; {want}")))) }
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(Usage(format!(
        "--{key}: unknown value {value:?}; {}",
        closest(value, known.iter().copied())
    ))
    .into())
}
