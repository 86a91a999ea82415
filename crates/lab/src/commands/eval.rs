//! `chainrule eval RUN`: how good the model of a run is, overall and class by class.

use crate::model::{Trained, rebuild};
use crate::stored::Stored;
use crate::{gather, pictures, show};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use chainrule::data::{Dataset, Splits, Viewed};
use chainrule::train::metrics::{mean_shares, score_rows, softmax, surprise};
use chainrule::train::{ClassScore, Evaluation, Examples};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure the model of a run, or of several together: loss, accuracy, precision, recall and F1 of each class, confusion matrix.
#[derive(Args)]
pub struct EvalArgs {
    /// The directory of a run, such as runs/small-convnet-0001; of several, the mean of their probabilities is measured
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Show each picture in ten ways, moved and mirrored, and take the mean of the probabilities
    #[arg(long)]
    tta: bool,
    /// Which pictures
    #[arg(long, default_value = "test")]
    split: Split,
    /// Other pictures than those the run was trained on, in any form that `train --data` takes
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
}

/// A part of a data set.
#[derive(Clone, Copy, ValueEnum)]
pub enum Split {
    /// For learning
    Train,
    /// For choosing
    Val,
    /// For the last word
    Test,
}

impl Split {
    fn of(self, splits: &Splits) -> (&'static str, &Dataset) {
        match self {
            Split::Train => ("training", &splits.train),
            Split::Val => ("validation", &splits.val),
            Split::Test => ("test", &splits.test),
        }
    }
}

/// Above this many classes a matrix does not fit a terminal.
const MOST_COLUMNS: usize = 12;

/// Evaluates and prints.
pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    let names = args.runs.iter().map(|run| Ok(Stored::open(run)?.name()));
    let names = names.collect::<Result<Vec<String>>>()?;
    let all = args.runs.iter().map(|run| rebuild(run)).collect::<Result<Vec<Trained>>>()?;
    let splits = pictures::fitting(&all[0], args.data.as_deref())?;
    all[1..].iter().try_for_each(|trained| pictures::require_fit(trained, &splits))?;
    let (split, data) = args.split.of(&splits);
    if data.is_empty() {
        let data = &splits.name;
        let want = "choose another part with --split";
        return Err(chainrule::Error::value(
            "--split",
            format!("{data} has no {split} pictures"),
            want,
        )
        .into());
    }
    let Measured { each, together } = measure(args, &all, data);
    let classes = &all[0].about.classes;
    if args.json {
        show::line(as_json(args, split, classes, &each, &together));
        return Ok(ExitCode::SUCCESS);
    }
    let n = chainrule::models::summary::thousands(data.len());
    let whose = names.join(" + ");
    show::line(format!("{whose} on {n} {split} pictures ({})", splits.name));
    if args.tta {
        show::line("each picture is seen in ten ways, moved and mirrored");
    }
    if all.len() > 1 {
        for (name, top1) in names.iter().zip(&each) {
            show::line(format!("  {} alone {:>5.1}%", show::fitted(name, 40), top1 * 100.0));
        }
    }
    table(classes, &together);
    Ok(ExitCode::SUCCESS)
}

/// What was found.
struct Measured {
    /// The accuracy of each run alone.
    each: Vec<f64>,
    /// What all of them say together.
    together: Evaluation,
}

fn measure(args: &EvalArgs, all: &[Trained], data: &Dataset) -> Measured {
    if let ([trained], false) = (all, args.tta) {
        let loss = gather::example_loss(trained);
        let together = Evaluation::of(&*trained.model, &trained.about.seen(data), loss);
        return Measured { each: vec![together.top(1)], together };
    }
    let labels = all[0].about.seen(data);
    let judged = |shares: &[Vec<f64>]| Evaluation::of_rows(shares, &labels, surprise);
    let opinions: Vec<_> = all.iter().map(|trained| shares(trained, data, args.tta)).collect();
    let each = opinions.iter().map(|shares| judged(shares).top(1)).collect();
    Measured { each, together: judged(&mean_shares(&opinions)) }
}

/// The probabilities that a model gives the classes of each picture, the mean of ten views of it if `tta`.
fn shares(trained: &Trained, data: &Dataset, tta: bool) -> Vec<Vec<f64>> {
    let pictures = trained.about.seen(data);
    let indices: Vec<usize> = (0..data.len()).collect();
    let of = |seen: &dyn Examples| {
        let rows = score_rows(&*trained.model, seen, &indices);
        rows.iter().map(|row| softmax(row)).collect::<Vec<_>>()
    };
    if !tta {
        return of(&pictures);
    }
    mean_shares(&Viewed::ten(&pictures).each_ref().map(|seen| of(seen)))
}

fn as_json(
    args: &EvalArgs,
    split: &str,
    names: &[String],
    each: &[f64],
    all: &Evaluation,
) -> String {
    let confusion = all.confusion();
    let scores = confusion.scores();
    let score = |c: &ClassScore| json!({"precision": c.precision, "recall": c.recall, "f1": c.f1, "pictures": c.support});
    let classes = names.iter().zip(&scores.classes).map(|(name, c)| {
        let mut class = json!({ "class": name });
        if let (Some(class), Some(score)) = (class.as_object_mut(), score(c).as_object_mut()) {
            class.append(score);
        }
        class
    });
    let runs = args.runs.iter().zip(each).map(|(run, top1)| json!({"run": run, "top1": top1}));
    json!({
        "run": args.runs[0], "runs": runs.collect::<Vec<_>>(), "tta": args.tta,
        "split": split, "pictures": all.verdicts.len(), "loss": all.loss(),
        "top1": all.top(1), "top5": all.top(5), "classes": classes.collect::<Vec<_>>(),
        "macro_average": score(&scores.macro_average), "weighted_average": score(&scores.weighted_average),
        "confusion": confusion.counts,
    })
    .to_string()
}

fn table(names: &[String], all: &Evaluation) {
    let good = show::color(AnsiColor::Green);
    let dim = Style::new().dimmed();
    let top5 =
        if all.classes > 5 { format!(", top 5 {:.1}%", all.top(5) * 100.0) } else { String::new() };
    show::line(format!(
        "{good}accuracy {:.1}%{good:#}{top5}, loss {:.4}\n",
        all.top(1) * 100.0,
        all.loss()
    ));
    let confusion = all.confusion();
    let scores = confusion.scores();
    show::line(format!(
        "{dim}{:<20}{:>11}{:>9}{:>9}{:>10}{dim:#}",
        "class", "precision", "recall", "F1", "pictures"
    ));
    let row = |name: &str, c: &ClassScore| {
        show::line(format!(
            "{}{:>11.3}{:>9.3}{:>9.3}{:>10}",
            show::fitted(name, 20),
            c.precision,
            c.recall,
            c.f1,
            chainrule::models::summary::thousands(c.support as usize)
        ));
    };
    names.iter().zip(&scores.classes).for_each(|(name, c)| row(name, c));
    row("mean of classes", &scores.macro_average);
    row("weighted mean", &scores.weighted_average);
    if names.len() <= MOST_COLUMNS {
        matrix(names, &confusion.counts);
    } else {
        mistakes(names, &confusion.counts);
    }
}

/// The confusion matrix in at most 80 columns.
fn matrix(names: &[String], counts: &[Vec<u64>]) {
    let dim = Style::new().dimmed();
    let most = counts.iter().flatten().max().map_or(1, |n| n.to_string().len());
    let width = (64 / names.len().max(1)).clamp(most + 1, 9);
    let heads: String =
        names.iter().map(|n| format!("{:>width$}", show::cut(n, width - 1))).collect();
    show::line(format!("\n{dim}{:<14}{heads}{dim:#}", "true \u{2193} as \u{2192}"));
    for (i, (name, row)) in names.iter().zip(counts).enumerate() {
        let mut line = show::fitted(name, 14);
        for (j, n) in row.iter().enumerate() {
            let style = match (i == j, *n == 0) {
                (true, _) => show::color(AnsiColor::Green),
                (_, true) => dim,
                _ => Style::new(),
            };
            line += &format!("{style}{n:>width$}{style:#}");
        }
        show::line(line);
    }
}

/// The most frequent mistakes, where a matrix would be too wide.
fn mistakes(names: &[String], counts: &[Vec<u64>]) {
    let cells = counts.iter().enumerate().flat_map(|(i, row)| {
        row.iter()
            .enumerate()
            .filter(move |(j, n)| i != *j && **n > 0)
            .map(move |(j, n)| (*n, i, j))
    });
    let mut cells: Vec<_> = cells.collect();
    cells.sort_by_key(|(n, i, j)| (std::cmp::Reverse(*n), *i, *j));
    show::line("\nmost frequent mistakes");
    for (n, i, j) in cells.into_iter().take(10) {
        show::line(format!("{n:>6}  {} taken for {}", names[i], names[j]));
    }
}
