//! `chainrule data fetch|check`: data sets that arrive, and what a directory holds before anything is trained on it.

use crate::fetch::{self, Patience, Published, Watcher, amount};
use crate::settings::Usage;
use crate::show;
use crate::wait::{Counter, Fetching};
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::data::pictures::check::{Finding, Findings, check};
use chainrule::data::pictures::{Listing, list};
use chainrule::data::{self, Request, Splits};
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Fetch published data sets, or look at one.
#[derive(Args)]
pub struct DataArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Fetch a published data set, going on where an earlier fetch stopped
    Fetch(FetchArgs),
    /// Count the pictures of a directory by class, size and mode, and name broken files and duplicates
    Check(CheckArgs),
}

#[derive(Args)]
struct FetchArgs {
    /// cifar10, cifar10-python, mnist, fashion-mnist, or a set of --catalogue
    name: String,
    /// The directory to fetch into [default: the set's name]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Ask the folder at this address before the known ones; may be given again
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// A catalogue in place of the built-in one: mirrors, and the files with their sizes and sums
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// End with one line of JSON on standard output, and print nothing else there
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct CheckArgs {
    /// A directory of pictures in folders, or anything else that train's --data takes
    directory: PathBuf,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Fetches or checks.
pub fn run(args: &DataArgs) -> Result<ExitCode> {
    match &args.what {
        What::Fetch(args) => run_fetch(args),
        What::Check(args) => run_check(args),
    }
}

fn run_fetch(args: &FetchArgs) -> Result<ExitCode> {
    let mut set = fetch::find(&args.name, args.catalogue.as_deref())?;
    for url in args.mirror.iter().rev() {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let text = format!("--mirror: {url:?}; it must begin with http:// or https://");
            return Err(Usage(text).into());
        }
        set.mirrors.insert(0, url.clone());
    }
    let to = args.to.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let mut watcher = Shown { bar: Fetching::new(), name: String::new() };
    fetch::fetch(&set, &to, &Patience::default(), &mut watcher)?;
    drop(watcher);
    if args.json {
        let files: Vec<_> = set.files.iter().map(|f| to.join(&f.name)).collect();
        show::line(json!({"set": args.name, "directory": to, "files": files}).to_string());
    } else {
        let good = show::color(AnsiColor::Green);
        show::line(format!("{good}{} is there, every byte as it was published{good:#}", args.name));
        show::line(format!("train on it: chainrule train --data {}", to.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a fetch on standard error.
struct Shown {
    bar: Fetching,
    name: String,
}

impl Watcher for Shown {
    fn progress(&mut self, file: &Published, bytes: u64, mirror: &str, speed: f64) {
        if self.name != file.name {
            self.name.clone_from(&file.name);
        }
        let host = mirror.split("//").last().and_then(|rest| rest.split('/').next());
        let from = format!("{}/s from {}", amount(speed), host.unwrap_or(mirror));
        self.bar.progress(&self.name, bytes, file.bytes, &from);
    }

    fn note(&mut self, text: &str) {
        self.bar.note(text);
    }
}

fn run_check(args: &CheckArgs) -> Result<ExitCode> {
    let progress = Counter::new("pictures looked at");
    let tell = |done: usize, all: usize| progress.show(done, all);
    if data::is_published(&args.directory)? {
        let request = Request { test_all: true, ..Request::default() };
        let splits = data::open(&args.directory, &request)?;
        drop(progress);
        show_published(&splits, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let listing = list(&args.directory)?;
    let findings = check(&listing, &tell);
    drop(progress);
    let broken = findings.files.iter().filter(|f| matches!(f, Finding::Broken(_))).count();
    if args.json {
        show::line(as_json(&listing, &findings).to_string());
    } else {
        show_pictures(&listing, &findings);
    }
    Ok(if broken > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// The names of the three parts.
const PARTS: [&str; 3] = ["train", "val", "test"];

fn show_published(splits: &Splits, as_json: bool) {
    let parts = [&splits.train, &splits.val, &splits.test];
    let [channels, height, width] = *splits.train.shape();
    let counts: Vec<Vec<usize>> = parts.iter().map(|part| part.class_counts()).collect();
    let classes = splits.train.classes();
    if as_json {
        let of = |p: usize| -> serde_json::Map<String, serde_json::Value> {
            classes.iter().cloned().zip(counts[p].iter().map(|n| json!(n))).collect()
        };
        let all = json!({
            "data": splits.name, "shape": splits.train.shape(), "broken": [], "duplicates": [],
            "classes": {"train": of(0), "val": of(1), "test": of(2)},
        });
        return show::line(all.to_string());
    }
    show::line(format!("{}: pictures of {channels} x {height} x {width}", splits.name));
    table(classes, &counts);
}

/// Classes and how many pictures each part has of them.
fn table(classes: &[String], counts: &[Vec<usize>]) {
    let widest = classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).clamp(5, 40);
    show::line(format!("{:<widest$}{:>9}{:>9}{:>9}", "class", PARTS[0], PARTS[1], PARTS[2]));
    for (label, class) in classes.iter().enumerate() {
        let [train, val, test] = [0, 1, 2].map(|part| counts[part][label]);
        show::line(format!("{class:<widest$}{train:>9}{val:>9}{test:>9}"));
    }
    let [train, val, test] = [0, 1, 2].map(|part| counts[part].iter().sum::<usize>());
    show::line(format!("{:<widest$}{train:>9}{val:>9}{test:>9}", "all"));
}

/// For each part how many good pictures each class has.
fn counts(listing: &Listing, findings: &Findings) -> Vec<Vec<usize>> {
    let of = |range: &std::ops::Range<usize>| {
        let mut counts = vec![0; listing.classes.len()];
        for i in range.clone().filter(|i| matches!(findings.files[*i], Finding::Good { .. })) {
            counts[listing.entries[i].label] += 1;
        }
        counts
    };
    listing.parts.iter().map(of).collect()
}

/// How often something occurs, the most frequent first.
fn tally<T: Ord + Clone>(of: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts = BTreeMap::new();
    of.for_each(|x| *counts.entry(x).or_insert(0) += 1);
    let mut all: Vec<(T, usize)> = counts.into_iter().collect();
    all.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    all
}

/// Sizes and modes of the good pictures, and the broken ones with their reasons.
type Sorted<'a> =
    (Vec<((usize, usize), usize)>, Vec<(&'static str, usize)>, Vec<(&'a str, &'a str)>);

fn sorted<'a>(listing: &'a Listing, findings: &'a Findings) -> Sorted<'a> {
    let good = || {
        findings.files.iter().filter_map(|f| match f {
            Finding::Good { size, mode, .. } => Some((*size, *mode)),
            _ => None,
        })
    };
    let broken =
        listing.entries.iter().zip(&findings.files).filter_map(|(entry, file)| match file {
            Finding::Broken(reason) => Some((entry.name.as_str(), reason.as_str())),
            _ => None,
        });
    (tally(good().map(|(size, _)| size)), tally(good().map(|(_, mode)| mode)), broken.collect())
}

fn as_json(listing: &Listing, findings: &Findings) -> serde_json::Value {
    let (sizes, modes, broken) = sorted(listing, findings);
    let counts = counts(listing, findings);
    let name = |i: &usize| listing.entries[*i].name.as_str();
    let part = |p: usize| -> serde_json::Map<String, serde_json::Value> {
        listing.classes.iter().cloned().zip(counts[p].iter().map(|n| json!(n))).collect()
    };
    json!({
        "data": listing.root,
        "files": listing.entries.len(),
        "classes": {"train": part(0), "val": part(1), "test": part(2)},
        "sizes": sizes.iter().map(|((w, h), n)| json!({"width": w, "height": h, "files": n})).collect::<Vec<_>>(),
        "modes": modes.iter().map(|(mode, n)| json!({"mode": mode, "files": n})).collect::<Vec<_>>(),
        "broken": broken.iter().map(|(file, reason)| json!({"file": file, "reason": reason})).collect::<Vec<_>>(),
        "duplicates": findings.duplicates.iter().map(|g| g.iter().map(name).collect::<Vec<_>>()).collect::<Vec<_>>(),
        "leaks": leaks(listing, findings),
    })
}

/// Groups of duplicates that are in more than one part: what is tested was learned.
fn leaks(listing: &Listing, findings: &Findings) -> usize {
    let part = |i: &usize| listing.parts.iter().position(|range| range.contains(i));
    findings.duplicates.iter().filter(|g| g.iter().any(|i| part(i) != part(&g[0]))).count()
}

/// The most lines of a list that are shown; --json has all.
const SHOWN: usize = 20;

fn show_pictures(listing: &Listing, findings: &Findings) {
    let (head, bad) = (show::color(AnsiColor::Cyan), show::color(AnsiColor::Red));
    let (sizes, modes, broken) = sorted(listing, findings);
    let root: &Path = &listing.root;
    show::line(format!("{head}{}{head:#}: {} files", root.display(), listing.entries.len()));
    table(&listing.classes, &counts(listing, findings));
    let rest = |n: usize| match n.saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("  and {more} more (--json has all)"),
    };
    let few = sizes.iter().take(5).map(|((w, h), n)| format!("{w} x {h} ({n})"));
    let more =
        if sizes.len() > 5 { format!(" and {} more", sizes.len() - 5) } else { String::new() };
    show::line(format!("{head}sizes{head:#}  {}{more}", few.collect::<Vec<_>>().join(", ")));
    let modes: Vec<String> = modes.iter().map(|(mode, n)| format!("{mode} ({n})")).collect();
    show::line(format!("{head}modes{head:#}  {}", modes.join(", ")));
    if !findings.duplicates.is_empty() {
        let leaks = leaks(listing, findings);
        let n = findings.duplicates.len();
        show::line(format!(
            "{head}the same picture more than once{head:#}  {n} groups, {leaks} across parts"
        ));
        for group in findings.duplicates.iter().take(SHOWN) {
            let names: Vec<&str> =
                group.iter().map(|i| listing.entries[*i].name.as_str()).collect();
            show::line(format!("  {}", names.join(" = ")));
        }
        if n > SHOWN {
            show::line(rest(n));
        }
    }
    if broken.is_empty() {
        return show::line("no file is broken");
    }
    show::line(format!("{bad}broken{bad:#}  {}", broken.len()));
    for (name, reason) in broken.iter().take(SHOWN) {
        show::line(format!("  {name}: {reason}"));
    }
    if broken.len() > SHOWN {
        show::line(rest(broken.len()));
    }
}
