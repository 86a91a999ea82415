//! What a person sees while something takes its time: a bar where standard error is a terminal, few plain lines where it is not.

use crate::show;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::time::{Duration, Instant};

/// A count on one line of standard error while something takes its time; nothing where that is no terminal.
pub struct Counter(Option<ProgressBar>);

impl Counter {
    /// Counts these.
    pub fn new(what: &'static str) -> Counter {
        Counter(show::Bar::possible().then(|| {
            let template = format!("{{bar:24.cyan/black.bright}} {{pos}} of {{len}} {what}");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style.progress_chars("━╸─"))
        }))
    }

    /// So many are done.
    pub fn show(&self, done: usize, all: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// How far a fetch is, on one line of standard error; where that is no terminal, a line every few seconds.
pub struct Fetching {
    bar: Option<ProgressBar>,
    said: Instant,
}

/// Between two lines off a terminal.
const QUIET: Duration = Duration::from_secs(5);

impl Fetching {
    /// Before anything has come.
    pub fn new() -> Fetching {
        let bar = show::Bar::possible().then(|| {
            let template = "{bar:20.cyan/black.bright} {decimal_bytes} of {decimal_total_bytes}, {eta} left  {wide_msg}";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style.progress_chars("━╸─"))
        });
        Fetching { bar, said: Instant::now() }
    }

    /// So many bytes of so many have come of a file.
    pub fn progress(&mut self, name: &str, bytes: u64, all: u64, from: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(bytes);
            return bar.set_message(from.to_string());
        }
        if self.said.elapsed() >= QUIET || bytes == all {
            self.said = Instant::now();
            self.note(&format!("{name}: {bytes} of {all} bytes, {from}"));
        }
    }

    /// Something else to say, on a line of its own.
    pub fn note(&self, text: &str) {
        let say = || {
            let _ = writeln!(anstream::stderr(), "{text}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
