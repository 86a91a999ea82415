//! The pictures that a plan names, and how a run remembers what it needs of them.

use crate::model::Trained;
use crate::settings::Plan;
use crate::wait::Counter;
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::{self, Dataset, Normalization, Pictures, Request, Splits, files};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The pictures a plan names.
///
/// # Errors
/// If they cannot be read, or are fewer than the plan wants.
pub fn load(plan: &Plan) -> Result<Splits> {
    chosen(read(plan)?, plan)
}

/// All pictures where the plan says they are.
///
/// # Errors
/// If they cannot be read.
pub fn read(plan: &Plan) -> Result<Splits> {
    if plan.data.as_os_str().is_empty() {
        refuse_without_data(plan)?;
        Ok(data::embedded()?)
    } else {
        let progress = Counter::new("pictures decoded");
        let request = Request {
            test_all: plan.test_all,
            size: plan.size,
            val_fraction: plan.val_fraction,
            seed: plan.seed,
            skip_bad: plan.skip_bad,
            progress: &|done, all| progress.show(done, all),
        };
        Ok(data::open(&plan.data, &request)?)
    }
}

/// Of these, the pictures that the plan trains on.
///
/// # Errors
/// If they are fewer than the plan wants.
pub fn chosen(mut splits: Splits, plan: &Plan) -> Result<Splits> {
    let n = splits.train.len();
    if plan.num_train > n {
        return Err(Error::value(
            "--num-train",
            plan.num_train.to_string(),
            format!("there are {n} training pictures"),
        )
        .into());
    }
    if plan.num_train > 0 {
        splits.train = splits.train.slice(0..plan.num_train);
    }
    if plan.batch > splits.train.len() && plan.sampling == "shuffled" {
        let n = splits.train.len();
        return Err(Error::value(
            "--batch",
            plan.batch.to_string(),
            format!("there are only {n} training pictures"),
        )
        .into());
    }
    Ok(splits)
}

/// Refuses what only data of one's own can be asked.
fn refuse_without_data(plan: &Plan) -> Result<()> {
    let said = [
        ("--test-all", plan.test_all),
        ("--size", plan.size.is_some()),
        ("--val-fraction", plan.val_fraction.is_some()),
        ("--skip-bad", plan.skip_bad),
    ];
    match said.iter().find(|(_, said)| *said) {
        None => Ok(()),
        Some((key, _)) => {
            let found =
                "the embedded excerpt has 6,000 pictures of 32 x 32, 1,000 of them for the test";
            Err(Error::value(*key, found, "it goes with --data DIR").into())
        }
    }
}

/// The pictures of a run, or those at `data`, once it is certain that its model can be shown them.
///
/// # Errors
/// If they cannot be read, or have another shape or other classes than those the run was trained on.
pub fn fitting(trained: &Trained, data: Option<&Path>) -> Result<Splits> {
    let mut plan = trained.plan.clone();
    if let Some(data) = data {
        // All that there is, whatever the run was trained on.
        (plan.data, plan.num_train, plan.batch) = (data.to_path_buf(), 0, 1);
    }
    let splits = load(&plan)?;
    require_fit(trained, &splits)?;
    Ok(splits)
}

/// That the model of a run can be shown these pictures.
///
/// # Errors
/// If they have another shape or other classes than those the run was trained on.
pub fn require_fit(trained: &Trained, splits: &Splits) -> Result<()> {
    let (shape, classes) = (splits.train.shape(), splits.train.classes());
    let refuse = |found: String, want: String| Err(Error::value(&splits.name, found, want).into());
    let About { shape: want_shape, classes: want_classes, .. } = &trained.about;
    if shape != want_shape {
        let text = |[c, h, w]: &[usize; 3]| format!("{c} x {h} x {w}");
        return refuse(
            format!("pictures of {}", text(shape)),
            format!("the run was trained on pictures of {}", text(want_shape)),
        );
    }
    if classes != want_classes {
        let some = |names: &[String]| match names.len() {
            0..=10 => names.join(", "),
            n => format!("{} and {} more", names[..9].join(", "), n - 9),
        };
        return refuse(
            format!("the classes {}", some(classes)),
            format!("the run was trained on {}", some(want_classes)),
        );
    }
    Ok(())
}

/// What one must know of a run's pictures to show its model others: written beside the weights as `data.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What to call the data beside a figure.
    pub name: String,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The names of the classes, in the order of the scores.
    pub classes: Vec<String>,
    /// How bytes become the model's numbers, with the means of the training pictures.
    pub normalization: Normalization,
}

const FILE: &str = "data.json";
/// The most bytes of it: a mean picture of 1024 x 1024 takes half.
const MOST: u64 = 128 << 20;

impl About {
    /// Of these pictures, under the plan's normalization.
    ///
    /// # Errors
    /// If there is no such normalization.
    pub fn new(plan: &Plan, splits: &Splits) -> Result<About> {
        Ok(About {
            name: splits.name.clone(),
            shape: *splits.train.shape(),
            classes: splits.train.classes().to_vec(),
            normalization: Normalization::of(&plan.normalize, &splits.train)?,
        })
    }

    /// Pictures as the model sees them.
    pub fn seen(&self, data: &Dataset) -> Pictures {
        Pictures::new(data.clone(), self.normalization.clone())
    }

    /// Writes it into a run directory.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn write(&self, run: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context("data.json cannot be written as JSON")?;
        Ok(chainrule::train::write_atomically(&run.join(FILE), text.as_bytes())?)
    }

    /// Reads it from a run directory.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn read(run: &Path) -> Result<About> {
        let path = run.join(FILE);
        let want = "expected what `chainrule train` writes beside the weights";
        let text = files::text(&path, MOST, want)?;
        let damaged = |found: String| Error::file(&path, found, want);
        let about: About = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if !about.normalization.fits(&about.shape) || about.classes.is_empty() {
            return Err(damaged("its parts do not fit together".to_string()).into());
        }
        Ok(about)
    }
}
