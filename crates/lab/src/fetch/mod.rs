//! Fetches published data sets: from several mirrors, going on where it stopped, and believing nothing but the sums it knows.
//!
//! A mirror that is too slow or silent is left for the next one; when all have been tried, the fastest is taken to the end. What
//! has come stays in `NAME.part`, so that neither a lost connection nor a full disk nor an impatient user costs it. The size and
//! the sums are part of the program, so that it does not matter who a mirror belongs to or what lies between.

mod catalogue;
mod http;
mod part;
#[cfg(test)]
mod tests;

pub use catalogue::{Published, Set, find};
pub use http::Patience;

use anyhow::{Result, anyhow};
use chainrule::Error;
use http::{End, Http};
use part::Part;
use std::path::{Path, PathBuf};

/// What a fetch tells those who watch it.
pub trait Watcher {
    /// So many bytes of this file are there, coming from this mirror at so many a second.
    fn progress(&mut self, file: &Published, bytes: u64, mirror: &str, speed: f64);
    /// Something a person may want to know.
    fn note(&mut self, text: &str);
}

/// A mirror, and what became of it.
struct Mirror {
    url: String,
    /// The speed it was measured at, bytes a second.
    speed: Option<f64>,
    /// Why it is not asked again.
    fault: Option<String>,
    /// How often it failed.
    failures: usize,
}

/// Fetches the files of a set that are not there yet into a directory.
///
/// # Errors
/// If no mirror has a file, each with its reason; if a file that is there is another; if the disk is full.
pub fn fetch(set: &Set, to: &Path, patience: &Patience, watcher: &mut dyn Watcher) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io("create", to))?;
    let http = Http::new(patience)?;
    let mut mirrors: Vec<Mirror> = set
        .mirrors
        .iter()
        .map(|url| Mirror { url: url.clone(), speed: None, fault: None, failures: 0 })
        .collect();
    for file in &set.files {
        let path = to.join(&file.name);
        if part::is_complete(&path, file)? {
            watcher.note(&format!("{} is there already", path.display()));
            continue;
        }
        one(file, &path, &mut mirrors, &http, watcher)?;
    }
    Ok(())
}

/// Fetches one file.
fn one(
    file: &Published,
    path: &Path,
    mirrors: &mut [Mirror],
    http: &Http,
    watcher: &mut dyn Watcher,
) -> Result<()> {
    let partial: PathBuf = path.with_file_name(format!("{}.part", file.name));
    let mut part = Part::open(partial, file.bytes)?;
    if part.size > 0 {
        watcher.note(&format!("{} goes on at {} bytes", file.name, part.size));
    }
    for mirror in mirrors.iter_mut() {
        (mirror.fault, mirror.failures) = (None, 0);
    }
    let mut last = 0;
    while part.size < file.bytes || !part.is(file) {
        if part.size >= file.bytes {
            // Somebody sent other bytes: the last one is suspected, and all are asked again for.
            part.clear()?;
            let fault = "sent a file with another sum".to_string();
            watcher.note(&format!("{}: {fault}; all over again", mirrors[last].url));
            mirrors[last].fault = Some(fault);
        }
        let Some(next) = best(mirrors) else {
            return Err(failed(file, &part, mirrors));
        };
        last = next;
        let others = mirrors.iter().filter(|m| m.fault.is_none()).count() > 1;
        let fastest_of_all = mirrors[next].speed.is_some() || !others;
        let end = http.read(&mirrors[next].url, file, &mut part, !fastest_of_all, watcher)?;
        let mirror = &mut mirrors[next];
        match end {
            End::Complete(speed) => mirror.speed = Some(speed),
            End::Slow(speed) => {
                mirror.speed = Some(speed);
                watcher.note(&format!("{} is slow ({}/s)", mirror.url, amount(speed)));
            }
            End::Fault { text, final_ } => {
                watcher.note(&format!("{}: {text}", mirror.url));
                mirror.failures += 1;
                if final_ || mirror.failures >= http.patience.tries {
                    mirror.fault = Some(text);
                } else if best(mirrors) == Some(next) {
                    std::thread::sleep(http.patience.pause);
                }
            }
        }
    }
    part.finish(path)
}

/// The mirror to ask next: one that was not tried yet, in their order; else the fastest, and of equals the one that failed least.
fn best(mirrors: &[Mirror]) -> Option<usize> {
    let usable = || mirrors.iter().enumerate().filter(|(_, m)| m.fault.is_none());
    let untried = usable().find(|(_, m)| m.speed.is_none() && m.failures == 0);
    let rank = |m: &Mirror| (m.speed.unwrap_or(0.0) / (1 + m.failures) as f64, m.failures);
    let fastest = usable().max_by(|(_, a), (_, b)| {
        let ((a, fails_a), (b, fails_b)) = (rank(a), rank(b));
        a.total_cmp(&b).then(fails_b.cmp(&fails_a))
    });
    untried.or(fastest).map(|(i, _)| i)
}

fn failed(file: &Published, part: &Part, mirrors: &[Mirror]) -> anyhow::Error {
    let reasons: Vec<String> = mirrors
        .iter()
        .map(|m| format!("{}: {}", m.url, m.fault.as_deref().unwrap_or("not tried")))
        .collect();
    let kept = match part.size {
        0 => String::new(),
        n => format!("; {n} bytes are kept, the same command goes on"),
    };
    anyhow!("no mirror gave {}: {}{kept}", file.name, reasons.join("; "))
}

/// Bytes as a person reads them.
pub fn amount(bytes: f64) -> String {
    match bytes {
        b if b < 1e4 => format!("{b:.0} B"),
        b if b < 1e7 => format!("{:.0} kB", b / 1e3),
        b => format!("{:.1} MB", b / 1e6),
    }
}
