//! `chainrule summary`: a model's layers, output shapes, parameters, multiply-adds, memory at a batch size.

use crate::model;
use crate::settings::Settings;
use crate::show;
use anyhow::Result;
use chainrule::models::{count_params, summary};
use chainrule::optim;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a model's layers, output shapes, parameters, multiply-adds and memory.
#[derive(Args)]
pub struct SummaryArgs {
    #[command(flatten)]
    settings: Settings,
    /// A configuration file, such as the config.toml of a run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the summary.
pub fn run(args: SummaryArgs) -> Result<ExitCode> {
    let plan = args.settings.complete(args.config.as_deref())?;
    let model = model::build(&plan, &[3, 32, 32], 10)?;
    let states = optim::states(optim::make(&plan.optim, &plan.optim_config())?);
    if plan.json {
        let m = summary::memory(&*model, plan.batch, states);
        let layers: Vec<_> = model.layers()
            .into_iter()
            .map(|l| serde_json::json!({"name": l.name, "output": l.output, "params": l.params, "multiply_adds": l.multiply_adds}))
            .collect();
        let all = serde_json::json!({"layers": layers, "params": count_params(&*model), "batch": plan.batch, "memory_bytes": m.total()});
        show::line(all.to_string());
    } else {
        show::line(summary::table(&*model, plan.batch, states).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
