//! `chainrule` alone: what it is, what this CPU offers, some commands to try.

use crate::{machine, show};
use anstyle::AnsiColor;
use anyhow::Result;
use std::process::ExitCode;

const TRY: [(&str, &str); 7] = [
    ("chainrule train", "train on 4,000 real pictures, open the report"),
    ("chainrule train --model fully-connected --hidden 100", "something simpler"),
    ("chainrule runs", "what was trained, the best first"),
    ("chainrule eval runs/small-convnet-0001", "precision, recall, confusion matrix of a run"),
    ("chainrule gradcheck all", "every gradient against numerical ones"),
    ("chainrule summary --batch 256", "layers, parameters, memory"),
    ("chainrule lab list", "small experiments to look at"),
];

/// Prints the page.
pub fn run() -> Result<ExitCode> {
    let (head, dim) = (show::color(AnsiColor::Cyan), anstyle::Style::new().dimmed());
    show::line(format!("{head}chainrule{head:#}: neural networks you can see through\n"));
    for (name, value) in machine::facts() {
        show::line(format!("  {dim}{name:<20}{dim:#} {value}"));
    }
    show::line("\nTry:");
    for (command, what) in TRY {
        show::line(format!("  {command}\n      {dim}{what}{dim:#}"));
    }
    show::line("\n`chainrule help COMMAND` tells all of a command's options.");
    Ok(ExitCode::SUCCESS)
}
