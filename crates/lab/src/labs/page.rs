//! A lab as one HTML document, and the index of all labs.

use super::engine::{Done, Settings};
use super::found::{Check, Found, Picture, Piece, Table};
use super::{LABS, Lab, engine, source};
use crate::report::html::{card, escape, headline, masthead, page};
use crate::report::picture::figure;
use crate::show;
use anyhow::Result;
use image::ExtendedColorType;
use std::fmt::Write as _;

/// The page of a lab: what it found, cell by cell.
pub fn lab(lab: &Lab, done: &[Done], settings: &Settings) -> Result<String> {
    let (mut sections, mut contents) = (String::new(), String::from("<ol class=\"contents\">\n"));
    for (i, Done { cell, found, .. }) in done.iter().enumerate() {
        let _ =
            writeln!(contents, "<li><a href=\"#{}\">{}</a></li>", cell.name, escape(cell.title));
        let mut body = format!("<a id=\"{}\"></a>\n", cell.name);
        cell.prose.iter().for_each(|text| body += &paragraph(text));
        body += &code(lab, cell.code);
        body += &pieces(found, cell.name)?;
        sections += &card("wide cell", &format!("{}. {}", i + 1, cell.title), "", &body);
    }
    contents += "</ol>\n";
    let contents =
        if done.len() > 1 { card("wide", "Contents", "", &contents) } else { String::new() };
    let over = format!("Lab: {}", escape(lab.name));
    let mut figures = figures(done, settings);
    if done.len() < lab.cells.len() {
        let so_far = format!("{} of {}", done.len(), lab.cells.len());
        figures.insert(0, ("parts that are done".to_string(), so_far));
    }
    let header = masthead(&over, lab.title) + &headline(&figures);
    Ok(page(lab.title, &header, &(contents + &sections)))
}

/// The figures at the top: checks, time, data.
fn figures(done: &[Done], settings: &Settings) -> Vec<(String, String)> {
    let (held, all) = checks(done);
    let seconds: f64 = done.iter().map(|d| d.seconds).sum();
    let data = settings.data.as_ref().map_or("excerpt".into(), |path| path.display().to_string());
    let mut figures = vec![("time".to_string(), show::duration(seconds))];
    if all > 0 {
        figures.insert(0, ("checks that hold".to_string(), format!("{held} of {all}")));
    }
    figures.push(("pictures".to_string(), data));
    if settings.quick {
        figures.push(("long experiments".to_string(), "shortened".to_string()));
    }
    figures
}

/// How many checks hold, and how many there are.
pub fn checks(done: &[Done]) -> (usize, usize) {
    let all: Vec<&Check> = done.iter().flat_map(|d| d.found.checks()).collect();
    (all.iter().filter(|check| check.passed).count(), all.len())
}

/// A paragraph; words between backticks are code.
fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", spans(text))
}

fn spans(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let span = |(i, part): (usize, &str)| match i % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    parts.map(span).collect()
}

/// The parts of the lab's source that a cell shows, folded up when they are long.
fn code(lab: &Lab, names: &[&str]) -> String {
    let parts: Vec<String> =
        names.iter().filter_map(|name| source::part(lab.sources, name)).collect();
    if parts.is_empty() {
        return String::new();
    }
    let code = parts.join("\n\n");
    let open = if code.lines().count() <= 30 { " open" } else { "" };
    format!(
        "<details{open}><summary>The code that ran</summary><pre><code>{}</code></pre></details>\n",
        escape(&code)
    )
}

/// What a cell found. Charts that follow one another stand beside each other, checks become one list.
fn pieces(found: &Found, cell: &str) -> Result<String> {
    let mut html = String::new();
    let mut rest = found.pieces.as_slice();
    while let Some(first) = rest.first() {
        let alike =
            |piece: &&Piece| std::mem::discriminant(*piece) == std::mem::discriminant(first);
        let (run, after) = rest.split_at(rest.iter().take_while(alike).count());
        let number = found.pieces.len() - rest.len();
        let each: Vec<String> = run
            .iter()
            .enumerate()
            .map(|(i, piece)| one(piece, &format!("{cell}-{}", number + i)))
            .collect::<Result<_>>()?;
        let each = each.concat();
        html += &match first {
            Piece::Plot(_) => format!("<div class=\"charts tall\">\n{each}</div>\n"),
            Piece::Check(_) => format!("<ul class=\"checks\">\n{each}</ul>\n"),
            _ => each,
        };
        rest = after;
    }
    Ok(html)
}

fn one(piece: &Piece, id: &str) -> Result<String> {
    Ok(match piece {
        Piece::Text(text) => paragraph(text),
        Piece::Printed(lines) => printed(lines),
        Piece::Plot(plot) => {
            format!("<div><h3>{}</h3>\n{}</div>\n", escape(&plot.title), plot.to_html(id))
        }
        Piece::Table(of) => table(of),
        Piece::Pictures(all) => {
            let all: String = all.iter().map(picture).collect::<Result<_>>()?;
            format!("<div class=\"pictures\">\n{all}</div>\n")
        }
        Piece::Check(of) => check(of),
        Piece::Question(question, answer) => {
            let (question, answer) = (paragraph(question), paragraph(answer));
            format!("<div class=\"question\">\n{question}{answer}</div>\n")
        }
    })
}

/// Lines as a program prints them, folded up when they are many.
fn printed(lines: &[String]) -> String {
    let text = format!("<pre class=\"printed\">{}</pre>", escape(lines.join("\n").trim_end()));
    match lines.len() {
        ..=20 => text + "\n",
        n => format!("<details><summary>What it printed, {n} lines</summary>{text}</details>\n"),
    }
}

fn check(Check { what, value, wanted, passed }: &Check) -> String {
    let (class, mark, said) = if *passed {
        ("passed", "\u{2713}", "")
    } else {
        ("failed", "\u{2717}", "Does not hold: ")
    };
    format!(
        "<li><span class=\"{class}\" aria-hidden=\"true\">{mark}</span><span>{said}{}: <b>{}</b> \
         <small>({})</small></span></li>\n",
        spans(what),
        escape(value),
        escape(wanted)
    )
}

fn table(Table { title, head, rows }: &Table) -> String {
    let mut html = String::from("<div class=\"table\">\n");
    if !title.is_empty() {
        let _ = writeln!(html, "<h3>{}</h3>", escape(title));
    }
    html += "<div class=\"scroll\"><table class=\"runs\"><thead><tr>";
    head.iter().for_each(|h| _ = write!(html, "<th scope=\"col\">{}</th>", escape(h)));
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let mut cells = row.iter();
        let first = cells.next().map_or(String::new(), |c| escape(c));
        let _ = write!(html, "<tr><th scope=\"row\">{first}</th>");
        cells.for_each(|c| _ = write!(html, "<td>{}</td>", escape(c)));
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n</div>\n"
}

/// The kind of a picture's pixels.
pub fn color(picture: &Picture) -> ExtendedColorType {
    let gray = picture.pixels.len() == picture.size.iter().map(|n| *n as usize).product::<usize>();
    if gray { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 }
}

fn picture(of: &Picture) -> Result<String> {
    let html = figure(&of.pixels, of.size, color(of), &of.title, &of.text)?;
    // Small pictures are enlarged pixel by pixel.
    let crisp = of.size[0] < 150;
    Ok(if crisp { format!("<div class=\"crisp\">{html}</div>\n") } else { html })
}

/// The index of all labs: what there is, and how those went that are finished.
pub fn index(settings: &Settings, extension: &str) -> String {
    let mut sections = String::new();
    for lab in LABS {
        let done = engine::finished(lab, settings);
        let body = if done.len() == lab.cells.len() {
            let (held, all) = checks(&done);
            let held = match all {
                0 => String::new(),
                _ => format!(" {held} of {all} checks hold."),
            };
            let parts = match lab.cells.len() {
                1 => "1 part".to_string(),
                n => format!("{n} parts"),
            };
            format!(
                "<p class=\"cell\"><a href=\"{0}.{extension}\">{0}</a>: {parts}.{held}</p>\n",
                lab.name
            )
        } else {
            format!(
                "<p class=\"cell\">{} of {} parts are done: <code>chainrule lab {}</code></p>\n",
                done.len(),
                lab.cells.len(),
                lab.name
            )
        };
        sections += &card("half", lab.title, lab.about, &body);
    }
    page("Labs", &masthead("chainrule", "Labs"), &sections)
}
