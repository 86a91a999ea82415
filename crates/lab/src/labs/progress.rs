//! How far a lab is: a bar with what is done now and what comes next in a terminal, plain lines elsewhere.

use crate::show;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Shows how far a lab is, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    cells: usize,
    /// Which cell is at work, from 1, its title, and since when.
    cell: usize,
    title: String,
    began: Instant,
    /// When the last plain line was written.
    said: Instant,
}

/// Between two plain lines about the same cell.
const PAUSE: Duration = Duration::from_secs(10);
/// The steps of the bar for each cell.
const FINE: f64 = 1000.0;

impl Progress {
    /// For a lab of so many cells.
    pub fn new(cells: usize) -> Progress {
        let bar = show::Bar::possible().then(|| {
            let lines = "{bar:16.cyan/black.bright}  {wide_msg}\n{prefix:.dim}";
            let style = ProgressStyle::with_template(lines)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(cells as u64 * FINE as u64);
            bar.set_style(style.progress_chars("━╸─"));
            bar
        });
        let now = Instant::now();
        Progress { bar, cells, cell: 0, title: String::new(), began: now, said: now }
    }

    /// A cell begins; `next` is the title of the one after it.
    pub fn begin(&mut self, cell: usize, title: &str, next: Option<&str>) {
        (self.cell, self.began, self.said) = (cell, Instant::now(), Instant::now());
        let next = next.map_or("this is the last".to_string(), |next| format!("next: {next}"));
        self.title = title.to_string();
        match &self.bar {
            Some(bar) => bar.set_prefix(show::cut(&format!("{:18}{next}", ""), 79)),
            None => show::note(&format!("[{cell}/{}] {title}; {next}", self.cells)),
        }
        self.say(0.0, "");
    }

    /// Part of the cell is done: `done` of `all`, at present `what`.
    pub fn part(&mut self, what: &str, done: usize, all: usize) {
        let share = done as f64 / all.max(1) as f64;
        self.say(share, what);
        if self.bar.is_none() && self.said.elapsed() >= PAUSE {
            self.said = Instant::now();
            show::note(&format!("    {what}: {done} of {all}"));
        }
    }

    /// The cell is done: how many of its checks hold.
    pub fn end(&mut self, title: &str, passed: usize, checks: usize) {
        let checks =
            if checks == 0 { String::new() } else { format!(", {passed} of {checks} checks hold") };
        let took = show::duration(self.began.elapsed().as_secs_f64());
        let line = format!("[{}/{}] {title}: {took}{checks}", self.cell, self.cells);
        match &self.bar {
            Some(bar) => bar.suspend(|| show::note(&line)),
            None => show::note(&line),
        }
    }

    fn say(&self, share: f64, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(((self.cell as f64 - 1.0 + share) * FINE) as u64);
            let what = if what.is_empty() { String::new() } else { format!(": {what}") };
            bar.set_message(format!("{}/{}  {}{what}", self.cell, self.cells, self.title));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
