//! `chainrule weights RUN`: the tensors of a run's model, and files of them for other programs.

use crate::model::rebuild;
use crate::show;
use anstyle::Style;
use anyhow::Result;
use chainrule::models::summary::thousands;
use chainrule::train::save_weights;
use clap::Args;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// List the tensors of a run's model, or write them into a file for PyTorch or NumPy.
#[derive(Args)]
pub struct WeightsArgs {
    /// The directory of a run, such as runs/small-convnet-0001
    run: PathBuf,
    /// Write them into this file instead: NAME.safetensors or NAME.npz
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Prints the list, or writes the file.
pub fn run(args: &WeightsArgs) -> Result<ExitCode> {
    let model = rebuild(&args.run)?.model;
    let params = model.params().iter().map(|p| (p.name.clone(), p.value.clone()));
    let all: Vec<_> = params.chain(model.buffers()).collect();
    if let Some(file) = &args.to {
        save_weights(&*model, HashMap::new(), file)?;
        show::line(format!("{} tensors in {}", all.len(), file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0).clamp(4, 50);
    let dim = Style::new().dimmed();
    show::line(format!("{dim}{:<width$}  {:>9}  shape{dim:#}", "name", "numbers"));
    for (name, t) in &all {
        let (name, numbers) = (show::fitted(name, width), thousands(t.len()));
        show::line(format!("{name}  {numbers:>9}  {:?}", t.shape()));
    }
    Ok(ExitCode::SUCCESS)
}
