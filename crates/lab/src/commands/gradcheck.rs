//! `chainrule gradcheck [OP|MODEL|all]`: a table of the largest relative errors.

use crate::settings::{Usage, closest};
use crate::show;
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::gradcheck::{Outcome, check};
use chainrule::models::checked_models;
use chainrule::ops::OPS;
use clap::Args;
use std::process::ExitCode;

/// Check hand-derived gradients against numerical ones.
#[derive(Args)]
pub struct GradcheckArgs {
    /// An op, a model, or all
    #[arg(default_value = "all")]
    what: String,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

/// Checks and prints; the exit code is 1 if a gradient is wrong.
pub fn run(args: &GradcheckArgs) -> Result<ExitCode> {
    let all = OPS.iter().copied().chain(checked_models());
    let chosen: Vec<_> =
        all.clone().filter(|op| args.what == "all" || op.name == args.what).collect();
    if chosen.is_empty() {
        let names = all.map(|op| op.name).chain(["all"]);
        return Err(Usage(format!(
            "gradcheck: unknown op or model {:?}; {}",
            args.what,
            closest(&args.what, names)
        ))
        .into());
    }
    if !args.json {
        show::line(format!(
            "{:<24}{:<16}{:<8}{:>10}{:>10}{:>10}",
            "op", "case", "input", "error", "allowed", "f32"
        ));
    }
    let (mut checked, mut failed) = (0, 0);
    for op in chosen {
        for case in (op.checks)() {
            for outcome in check(&case) {
                checked += 1;
                failed += usize::from(!outcome.passed());
                show::line(if args.json { as_json(&outcome) } else { as_row(&outcome) });
            }
        }
    }
    if !args.json {
        let verdict =
            if failed == 0 { show::color(AnsiColor::Green) } else { show::color(AnsiColor::Red) };
        show::line(format!(
            "{verdict}{} of {checked} gradients are right{verdict:#}",
            checked - failed
        ));
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn as_row(o: &Outcome) -> String {
    let style =
        if o.passed() { show::color(AnsiColor::Green) } else { show::color(AnsiColor::Red) };
    let fault = o.fault.as_ref().map(|f| format!("\n    {f}")).unwrap_or_default();
    format!(
        "{:<24}{:<16}{:<8}{style}{:>10.1e}{style:#}{:>10.0e}{:>10.1e}{fault}",
        o.op, o.case, o.input, o.error, o.tolerance, o.error_f32
    )
}

fn as_json(o: &Outcome) -> String {
    serde_json::json!({
        "op": o.op, "case": o.case, "input": o.input, "error": o.error, "tolerance": o.tolerance,
        "error_f32": o.error_f32, "tolerance_f32": o.tolerance_f32, "passed": o.passed(), "fault": o.fault,
    })
    .to_string()
}
