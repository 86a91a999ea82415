//! What a person sees in a terminal. Lines go through here, so that a closed pipe never ends in a panic.

use anstyle::{AnsiColor, Style};
use chainrule::train::{CheckEvent, Observer, StepEvent};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Writes a line to standard output, colours removed where it is not a terminal. A closed pipe is nobody's fault.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stdout(), "{}", text.as_ref());
}

/// Writes an error as one sentence to standard error.
pub fn error(error: &anyhow::Error) {
    let red = color(AnsiColor::Red);
    let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {error:#}");
}

/// A bold colour of the terminal's own palette.
pub fn color(c: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(c.into()))
}

/// A live bar on standard error: loss, accuracy, pictures a second, time left.
pub struct Bar {
    bar: ProgressBar,
    started: Instant,
    pictures: usize,
    loss: f64,
    val: Option<f64>,
}

impl Bar {
    /// Whether a bar can be shown: standard error is a terminal.
    pub fn possible() -> bool {
        std::io::stderr().is_terminal()
    }

    /// A bar for so many steps.
    pub fn new(steps: usize) -> Bar {
        let bar = ProgressBar::new(steps as u64);
        let template = "{bar:24.cyan/black.bright} {percent:>3}%  {msg}  {eta} left";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        Bar { bar, started: Instant::now(), pictures: 0, loss: f64::NAN, val: None }
    }

    fn message(&self) -> String {
        let speed = self.pictures as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let val = self.val.map(|v| format!("  val {:.1}%", v * 100.0)).unwrap_or_default();
        format!("loss {:.3}{val}  {speed:.0} img/s", self.loss)
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Bar {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.pictures += e.examples;
        // A smoothed loss is readable; the raw one jumps with every batch.
        self.loss = if self.loss.is_nan() { e.loss } else { 0.95 * self.loss + 0.05 * e.loss };
        if e.step.is_multiple_of(8) || e.step == e.steps {
            self.bar.set_position(e.step as u64);
            self.bar.set_message(self.message());
        }
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.val = Some(e.val_accuracy);
        Ok(())
    }
}
