//! `chainrule report RUN`: makes the report of a run again from what lies in its directory.

use crate::model::rebuild;
use crate::stored::Stored;
use crate::{pictures, results, show};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Make the report of a run again, also of one that is still training or was stopped.
#[derive(Args)]
pub struct ReportArgs {
    /// The directory of a run, such as runs/small-convnet-0001
    run: PathBuf,
    /// Where its pictures are now, if they have moved
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Writes `report.html` and says where it is.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let stored = Stored::open(&args.run)?;
    // A run that has not come far enough has no weights yet: its report shows the curves.
    if args.run.join("best.safetensors").exists() {
        let trained = rebuild(&args.run)?;
        let splits = pictures::fitting(&trained, args.data.as_deref())?;
        results::write_report(&stored, Some((&trained, &splits)))?;
    } else {
        results::write_report(&stored, None)?;
    }
    show::line(format!("report: {}", args.run.join("report.html").display()));
    Ok(ExitCode::SUCCESS)
}
