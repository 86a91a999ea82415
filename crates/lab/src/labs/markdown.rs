//! A lab as Markdown: charts become tables of some of their points, pictures become files beside it.

use super::engine::{Done, Settings};
use super::found::{Check, Found, Piece, Table};
use super::page::{checks, color};
use super::{LABS, Lab, engine, source};
use crate::report::picture::png;
use anyhow::Result;
use std::fmt::Write as _;

/// A picture beside the text: its name, and its bytes as a PNG file.
pub type File = (String, Vec<u8>);

/// A lab as text, and its pictures.
pub fn lab(lab: &Lab, done: &[Done]) -> Result<(String, Vec<File>)> {
    let (held, all) = checks(done);
    let mut text = format!("# {}\n\n{} of {} checks hold.\n", lab.title, held, all);
    let mut files = Vec::new();
    for (i, Done { cell, found, .. }) in done.iter().enumerate() {
        let _ = writeln!(text, "\n## {}. {}", i + 1, cell.title);
        cell.prose.iter().for_each(|p| _ = writeln!(text, "\n{p}"));
        for code in cell.code.iter().filter_map(|name| source::part(lab.sources, name)) {
            let _ = writeln!(text, "\n```rust\n{code}\n```");
        }
        pieces(found, &mut text, &mut files, lab.name)?;
    }
    Ok((text, files))
}

fn pieces(found: &Found, text: &mut String, files: &mut Vec<File>, lab: &str) -> Result<()> {
    let mut after_check = false;
    for piece in &found.pieces {
        let is_check = matches!(piece, Piece::Check(_));
        if !(is_check && after_check) {
            text.push('\n');
        }
        after_check = is_check;
        match piece {
            Piece::Text(paragraph) => _ = writeln!(text, "{paragraph}"),
            Piece::Printed(lines) => {
                _ = writeln!(text, "```text\n{}\n```", lines.join("\n").trim_end())
            }
            Piece::Plot(plot) => *text += &plot.to_markdown(),
            Piece::Table(of) => *text += &table(of),
            Piece::Check(Check { what, value, wanted, passed }) => {
                let mark = if *passed { "x" } else { " " };
                let _ = writeln!(text, "- [{mark}] {what}: **{value}** ({wanted})");
            }
            Piece::Question(question, answer) => {
                let _ = writeln!(text, "> **{question}**\n>\n> {answer}");
            }
            Piece::Pictures(all) => {
                for picture in all {
                    let name = format!("{lab}-{}.png", files.len() + 1);
                    let [width, height] = picture.size;
                    files
                        .push((name.clone(), png(&picture.pixels, width, height, color(picture))?));
                    let _ =
                        writeln!(text, "![{0}]({name}) **{0}** {1}", picture.title, picture.text);
                }
            }
        }
    }
    Ok(())
}

fn table(Table { title, head, rows }: &Table) -> String {
    let line = |cells: &[String]| {
        format!(
            "| {} |\n",
            cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")
        )
    };
    let mut text = if title.is_empty() { String::new() } else { format!("**{title}**\n\n") };
    text += &line(head);
    text += &format!("|{}\n", "---|".repeat(head.len()));
    rows.iter().for_each(|row| text += &line(row));
    text
}

/// The index of all labs.
pub fn index(settings: &Settings) -> String {
    let mut text = String::from("# Labs\n\n");
    for lab in LABS {
        let (done, all) = (engine::finished(lab, settings), lab.cells.len());
        let (held, checks) = checks(&done);
        let _ = match done.len() == all {
            true => writeln!(
                text,
                "- [{0}]({0}.md): {1}; {held} of {checks} checks hold",
                lab.name, lab.about
            ),
            false => writeln!(
                text,
                "- {}: {}; {} of {all} parts are done",
                lab.name,
                lab.about,
                done.len()
            ),
        };
    }
    text
}
