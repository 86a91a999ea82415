//! `chainrule summary`: a model's layers, output shapes, parameters, multiply-adds, memory at a batch size.

use crate::model;
use crate::settings::{Plan, Settings};
use crate::show;
use anyhow::Result;
use chainrule::models::{count_params, summary};
use chainrule::optim;
use chainrule::tensor::{DType, Tensor};
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

/// How many numbers the plan's update rule remembers of each parameter: a step on one number tells.
fn states(plan: &Plan) -> Result<usize> {
    let mut rule = optim::make(&plan.optim, &plan.optim_config())?;
    let mut w = Tensor::ones([1], DType::F64);
    rule.begin_step();
    rule.update(0, &mut w, &Tensor::ones([1], DType::F64), 0.1, true);
    Ok(rule.state().slots.first().map_or(0, Vec::len))
}

/// Prints the summary.
pub fn run(args: SummaryArgs) -> Result<ExitCode> {
    let plan = args.settings.complete(args.config.as_deref())?;
    let model = model::build(&plan, &[3, 32, 32], 10)?;
    let states = states(&plan)?;
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
