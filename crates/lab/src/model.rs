//! From settings to a model, new or as a run left it.

use crate::pictures::About;
use crate::settings::{Plan, Settings, as_flags};
use anyhow::Result;
use chainrule::models::Model;
use chainrule::rng::Rng;
use chainrule::train::load_weights;
use std::path::Path;

/// The model a plan describes, for pictures of this shape and so many classes, with its initial weights.
///
/// # Errors
/// If the architecture cannot take such pictures.
pub fn build(plan: &Plan, shape: &[usize], classes: usize) -> Result<Box<dyn Model>> {
    let task = plan.task(shape, classes);
    as_flags(plan.architecture()?.make(&task, &plan.model_config()?, &mut Rng::new(plan.seed)))
}

/// Gives a new model the weights that its plan begins with, if it names a file of them.
///
/// # Errors
/// If the file cannot be read, or is of another model.
pub fn begin_with_weights(plan: &Plan, model: &mut dyn Model) -> Result<()> {
    if !plan.weights.as_os_str().is_empty() {
        load_weights(model, &plan.weights)?;
    }
    Ok(())
}

/// A model as a run left it, with all that is needed to use it.
pub struct Trained {
    /// The settings of the run.
    pub plan: Plan,
    /// What it knows of its pictures.
    pub about: About,
    /// The model, with the weights of its best epoch.
    pub model: Box<dyn Model>,
}

/// The model of a run directory: `config.toml`, `data.json` and `best.safetensors`.
///
/// # Errors
/// If one of the files is missing or damaged, or they do not belong together.
pub fn rebuild(run: &Path) -> Result<Trained> {
    let plan = Settings::default().complete(Some(&run.join("config.toml")))?;
    let about = About::read(run)?;
    let mut model = build(&plan, &about.shape, about.classes.len())?;
    load_weights(&mut *model, &run.join("best.safetensors"))?;
    Ok(Trained { plan, about, model })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Run;
    use chainrule::data::embedded;
    use chainrule::train::save_weights;
    use std::collections::HashMap;

    #[test]
    fn every_architecture_comes_back_from_its_run() {
        let splits = embedded().expect("the embedded pictures");
        for architecture in chainrule::models::ARCHITECTURES {
            let out = tempfile::tempdir().expect("a scratch directory").path().join("run");
            let said = Settings {
                model: Some(architecture.name.into()),
                seed: Some(3),
                out: Some(out.clone()),
                ..Settings::default()
            };
            let plan = said.complete(None).expect("the recipe is sound");
            let about = About::new(&plan, &splits).expect("a known normalization");
            let model = build(&plan, &about.shape, 10).expect("a model for CIFAR-10");
            let run = Run::create(&plan).expect("an empty directory");
            about.write(&run.directory).expect("room on the disk");
            save_weights(&*model, HashMap::new(), &out.join("best.safetensors")).expect("room");
            let back = rebuild(&out).expect("a whole run");
            assert_eq!(back.about, about);
            let x = about.seen(&splits.val);
            let all = [0, 1, 2];
            let scores = |m: &dyn Model| {
                let x = chainrule::train::Examples::batch(&x, &all, m.dtype(), m.order());
                m.scores(&x).to_vec()
            };
            assert_eq!(scores(&*back.model), scores(&*model), "{}", architecture.name);
        }
    }
}
