//! Values that no training can use, each refused in a sentence.

use super::{Plan, Usage, as_flags, closest};
use anyhow::{Result, anyhow};
use chainrule::data::{Augment, Normalization};
use chainrule::train::Group;
use chainrule::train::checkpoint::Cadence;

impl Plan {
    /// Refuses values that no training can use, each in a sentence.
    pub(super) fn check(&self) -> Result<()> {
        one_of("dtype", &self.dtype, &["f32", "f64"])?;
        one_of("loss", &self.loss, &["softmax", "svm"])?;
        one_of("sampling", &self.sampling, &["shuffled", "with-replacement"])?;
        one_of("on-nan", &self.on_nan, &["stop", "continue"])?;
        as_flags(self.checkpoint_every.parse::<Cadence>().map(drop))?;
        one_of("normalize", &self.normalize, &Normalization::NAMES)?;
        one_of("decay-of", &self.decay_of, &["weights", "all"])?;
        as_flags(Group::rates(&self.rates))?;
        require(
            (0.0..1.0).contains(&self.ema),
            "ema",
            &self.ema.to_string(),
            "it must be at least 0 and below 1",
        )?;
        let mixes = as_flags(Augment::named(&self.augment))?.mixes();
        require(
            !mixes || self.loss == "softmax",
            "augment",
            "mixed pictures are of two classes, and only the softmax loss takes that",
            "leave mixup and cutmix away with --loss svm",
        )?;
        let positive = [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("train-samples", self.train_samples),
            ("print-every", self.print_every),
        ];
        for (key, value) in positive {
            require(value > 0, key, &value.to_string(), "it must be at least 1")?;
        }
        require(self.threads <= 256, "threads", &self.threads.to_string(), "at most 256")?;
        let finite = [
            ("lr", self.lr.unwrap_or(0.0)),
            ("reg", self.reg),
            ("clip-norm", self.clip_norm),
            ("clip-value", self.clip_value),
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

pub(super) fn one_of(key: &str, value: &str, known: &[&str]) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(Usage(format!(
        "--{key}: unknown value {value:?}; {}",
        closest(value, known.iter().copied())
    ))
    .into())
}
