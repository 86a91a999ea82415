//! `chainrule lab NAME`: experiments, each a page to look at.

use crate::labs::engine::{self, Done, Settings};
use crate::labs::{LABS, Lab, markdown, page};
use crate::settings::{Usage, closest};
use crate::show;
use anyhow::Result;
use chainrule::train::write_atomically;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Run experiments and look at their pages.
#[derive(Args)]
pub struct LabArgs {
    /// The experiment, all, or list
    #[arg(default_value = "list")]
    name: String,
    /// CIFAR-10, or pictures of its kind; without it the embedded excerpt
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where pages and finished parts go
    #[arg(long, value_name = "DIR", default_value = "labs")]
    out: PathBuf,
    /// Shorten the long experiments
    #[arg(long)]
    quick: bool,
    /// Do finished parts again
    #[arg(long)]
    again: bool,
    /// What the pages are written in
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
}

/// What a page is written in.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// One document that needs nothing else
    Html,
    /// Text, with pictures beside it
    Md,
}

/// Runs one or all, says where the pages are, and which checks do not hold; exit code 1 if there is one.
pub fn run(args: &LabArgs) -> Result<ExitCode> {
    if args.name == "list" {
        for lab in LABS {
            show::line(format!("{:<24}{}", lab.name, lab.about));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<&'static Lab> = LABS
        .iter()
        .copied()
        .filter(|lab| ["all", lab.name].contains(&args.name.as_str()))
        .collect();
    if chosen.is_empty() {
        let close = closest(&args.name, LABS.iter().map(|lab| lab.name).chain(["all", "list"]));
        return Err(Usage(format!("lab: unknown experiment {:?}; {close}", args.name)).into());
    }
    let LabArgs { data, out, quick, again, .. } = args;
    let settings = Settings { data: data.clone(), quick: *quick, again: *again, out: out.clone() };
    let mut all_hold = true;
    for lab in chosen {
        show::note(&format!("{}: {}", lab.name, lab.about));
        let (taken, n) = (engine::finished(lab, &settings).len(), lab.cells.len());
        if taken > 0 {
            show::note(&format!(
                "{taken} of {n} parts were finished before; --again does them anew"
            ));
        }
        let mut write = |done: &[Done]| write_page(lab, done, &settings, args.format).map(drop);
        let done = engine::run(lab, &settings, &mut write)?;
        let page = write_page(lab, &done, &settings, args.format)?;
        show::line(format!("page: {}", page.display()));
        all_hold &= tell(&done);
    }
    let settings = Settings { again: false, ..settings };
    let index = match args.format {
        Format::Html => ("index.html", page::index(&settings, "html")),
        Format::Md => ("index.md", markdown::index(&settings)),
    };
    write_atomically(&settings.out.join(index.0), index.1.as_bytes())?;
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the page of what is done of a lab; returns where it is.
fn write_page(lab: &Lab, done: &[Done], settings: &Settings, format: Format) -> Result<PathBuf> {
    let (extension, text) = match format {
        Format::Html => ("html", page::lab(lab, done, settings)?),
        Format::Md => {
            let (text, files) = markdown::lab(lab, done)?;
            for (name, bytes) in files {
                write_atomically(&settings.out.join(name), &bytes)?;
            }
            ("md", text)
        }
    };
    let path = settings.out.join(format!("{}.{extension}", lab.name));
    write_atomically(&path, text.as_bytes())?;
    Ok(path)
}

/// Says how many checks hold, and which do not; whether all do.
fn tell(done: &[Done]) -> bool {
    let (held, all) = page::checks(done);
    show::line(format!("{held} of {all} checks hold"));
    for Done { cell, found, .. } in done {
        for check in found.checks().filter(|check| !check.passed) {
            show::line(format!(
                "  does not hold: {}: {}: {} ({})",
                cell.name, check.what, check.value, check.wanted
            ));
        }
    }
    held == all
}
