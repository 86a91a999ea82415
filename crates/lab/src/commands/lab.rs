//! `chainrule lab NAME`: small experiments, each a page to look at.

use crate::labs::LABS;
use crate::settings::{Usage, closest};
use crate::show;
use anyhow::Result;
use chainrule::Error;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run a small experiment and look at its page.
#[derive(Args)]
pub struct LabArgs {
    /// The experiment, or list
    #[arg(default_value = "list")]
    name: String,
    /// Where its page goes; without it labs/NAME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs it, prints what it found, and says where the page is.
pub fn run(args: &LabArgs) -> Result<ExitCode> {
    if args.name == "list" {
        for lab in LABS {
            show::line(format!("{:<20}{}", lab.name, lab.about));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(lab) = LABS.iter().find(|lab| lab.name == args.name) else {
        let close = closest(&args.name, LABS.iter().map(|lab| lab.name).chain(["list"]));
        return Err(Usage(format!("lab: unknown experiment {:?}; {close}", args.name)).into());
    };
    let directory = args.out.clone().unwrap_or_else(|| Path::new("labs").join(lab.name));
    std::fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let found = (lab.run)()?;
    let path = directory.join("index.html");
    chainrule::train::write_atomically(&path, found.page.as_bytes())?;
    found.lines.iter().for_each(show::line);
    show::line(format!("page: {}", path.display()));
    Ok(ExitCode::SUCCESS)
}
