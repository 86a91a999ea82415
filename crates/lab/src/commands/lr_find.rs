//! `chainrule lr-find`: which learning rate a network likes, seen in one short training that is thrown away.

use super::train::{Ready, ready_to_learn};
use crate::model::begin_with_weights;
use crate::settings::Settings;
use crate::{report, results, show};
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::rng::Rng;
use chainrule::train::{RateRange, Solver, write_atomically};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Find a learning rate: train for a few steps with a growing rate and draw the loss.
#[derive(Args)]
pub struct LrFindArgs {
    #[command(flatten)]
    settings: Settings,
    /// The smallest rate
    #[arg(long, value_name = "", default_value_t = RateRange::default().from)]
    from: f64,
    /// The largest rate
    #[arg(long, value_name = "", default_value_t = RateRange::default().to)]
    to: f64,
    /// Steps from one to the other
    #[arg(long, value_name = "", default_value_t = RateRange::default().steps)]
    steps: usize,
    /// Where the page goes
    #[arg(long, value_name = "FILE", default_value = "lr-find.html")]
    report: PathBuf,
}

/// Tries the rates, says which one to use, and writes the page.
pub fn run(args: LrFindArgs) -> Result<ExitCode> {
    let plan = args.settings.complete(None)?;
    let Ready { splits, about, mut model, rule, options } = Ready::new(&plan)?;
    begin_with_weights(&plan, &mut *model)?;
    let title = format!("{} on the {}", model.title(), splits.name);
    let (train, val) = (ready_to_learn(&plan, &splits, &about)?, about.seen(&splits.val));
    let mut solver = Solver::new(&mut *model, rule, &train, &val, options);
    let range = RateRange { from: args.from, to: args.to, steps: args.steps };
    let curve = solver.find_rate(range, &mut Rng::new(plan.seed))?;
    let page = report::rates::to_html(&title, &results::command_line(), &curve);
    write_atomically(&args.report, page.as_bytes())?;
    if plan.json {
        let line = serde_json::json!({"suggestion": curve.suggestion, "steps": curve.losses.len(), "report": args.report});
        show::line(line.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let Some(rate) = curve.suggestion else {
        let want = "try other rates with --from and --to, or another network";
        anyhow::bail!("the loss falls at none of these rates; {want}");
    };
    let good = show::color(AnsiColor::Green);
    show::line(format!(
        "{good}--lr {rate:.1e}{good:#} is where the loss falls fastest, of {} rates",
        curve.losses.len()
    ));
    show::line(format!("report: {}", args.report.display()));
    Ok(ExitCode::SUCCESS)
}
