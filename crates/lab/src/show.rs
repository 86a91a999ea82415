//! What a person sees in a terminal. Lines go through here, so that a closed pipe never ends in a panic.

use anstyle::{AnsiColor, Style};
use chainrule::models::summary::thousands;
use chainrule::train::{CheckEvent, Observer, StepEvent};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Why standard output took no more, the first time.
static REFUSED: OnceLock<std::io::Error> = OnceLock::new();

/// Writes a line to standard output, colours removed where it is not a terminal. A closed pipe is nobody's fault; anything else
/// that keeps a line from being written is remembered for [`refused`].
pub fn line(text: impl AsRef<str>) {
    if let Err(e) = writeln!(anstream::stdout(), "{}", text.as_ref())
        && e.kind() != ErrorKind::BrokenPipe
    {
        let _ = REFUSED.set(e);
    }
}

/// Why standard output did not take everything, as a disk that is full does not.
pub fn refused() -> Option<&'static std::io::Error> {
    REFUSED.get()
}

/// Writes an error as one sentence to standard error. Our errors say their cause themselves; it is not said twice.
pub fn error(error: &anyhow::Error) {
    let red = color(AnsiColor::Red);
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    let _ = writeln!(anstream::stderr(), "{red}error:{red:#} {text}");
}

/// Writes a sentence that should not be missed to standard error.
pub fn warning(text: &str) {
    let yellow = color(AnsiColor::Yellow);
    let _ = writeln!(anstream::stderr(), "{yellow}warning:{yellow:#} {text}");
}

/// Writes a line that is no result to standard error.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A word of a command line, as it can be pasted into a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,+:@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A bold colour of the terminal's own palette.
pub fn color(c: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(c.into()))
}

/// What a line about a training says: loss, accuracy, pictures a second, time left.
struct Progress {
    epochs: usize,
    started: Instant,
    steps: usize,
    pictures: usize,
    loss: f64,
    val: Option<f64>,
}

impl Progress {
    fn new(epochs: usize) -> Progress {
        Progress {
            epochs,
            started: Instant::now(),
            steps: 0,
            pictures: 0,
            loss: f64::NAN,
            val: None,
        }
    }

    fn step(&mut self, e: &StepEvent) {
        self.steps += 1;
        self.pictures += e.examples;
        // A smoothed loss is readable; the raw one jumps with every batch.
        self.loss = if self.loss.is_nan() { e.loss } else { 0.95 * self.loss + 0.05 * e.loss };
    }

    fn text(&self, e: &StepEvent) -> String {
        let elapsed = self.started.elapsed().as_secs_f64().max(1e-9);
        let speed = thousands((self.pictures as f64 / elapsed) as usize);
        let left = elapsed / self.steps.max(1) as f64 * (e.steps - e.step) as f64;
        let val = self.val.map(|v| format!("  val {:.1}%", v * 100.0)).unwrap_or_default();
        let (epoch, epochs, loss) = (e.epoch + 1, self.epochs, self.loss);
        format!(
            "epoch {epoch}/{epochs}  loss {loss:.3}{val}  {speed} img/s  {} left",
            duration(left)
        )
    }
}

/// A live bar on standard error.
pub struct Bar {
    bar: ProgressBar,
    progress: Progress,
}

impl Bar {
    /// Whether a bar can be shown: standard error is a terminal.
    pub fn possible() -> bool {
        std::io::stderr().is_terminal()
    }

    /// A bar for so many steps in so many epochs.
    pub fn new(steps: usize, epochs: usize) -> Bar {
        let bar = ProgressBar::new(steps as u64);
        let template = "{bar:10.cyan/black.bright} {percent:>3}%  {msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        Bar { bar, progress: Progress::new(epochs) }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Bar {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.progress.step(e);
        if e.step.is_multiple_of(8) || e.step == e.steps {
            self.bar.set_position(e.step as u64);
            self.bar.set_message(self.progress.text(e));
        }
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.progress.val = Some(e.val_accuracy);
        Ok(())
    }
}

/// Where nobody watches, as in a file: a plain line every so often, and one at the end.
pub struct Lines<W> {
    out: W,
    pause: Duration,
    last: Instant,
    progress: Progress,
    step: Option<StepEvent>,
}

impl<W: Write> Lines<W> {
    /// Lines to `out` about a training of so many epochs, one a `pause`.
    pub fn new(out: W, epochs: usize, pause: Duration) -> Lines<W> {
        Lines { out, pause, last: Instant::now(), progress: Progress::new(epochs), step: None }
    }

    fn say(&mut self, e: &StepEvent) {
        // A closed pipe is not an error of the training.
        let _ = writeln!(self.out, "step {}/{}  {}", e.step, e.steps, self.progress.text(e));
        let _ = self.out.flush();
        self.last = Instant::now();
    }
}

impl<W: Write> Observer for Lines<W> {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.progress.step(e);
        self.step = Some(*e);
        if self.last.elapsed() >= self.pause && e.step < e.steps {
            self.say(e);
        }
        Ok(())
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.progress.val = Some(e.val_accuracy);
        // The last line knows the last accuracy.
        match self.step {
            Some(step) if step.step == step.steps => self.say(&step),
            _ => {}
        }
        Ok(())
    }
}

/// Text of at most so many columns, with an ellipsis where some is left out, and without what would move a cursor.
pub fn cut(text: &str, columns: usize) -> String {
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    if text.chars().count() <= columns {
        return text.chars().map(safe).collect();
    }
    text.chars().take(columns.saturating_sub(1)).map(safe).chain(['…']).collect()
}

/// Text in a column: cut so that a space is left, and filled up.
pub fn fitted(text: &str, columns: usize) -> String {
    format!("{:<columns$}", cut(text, columns - 1))
}

/// A span of time in four to seven characters: `0.8 s`, `42 s`, `3m 05s`, `2h 07m`.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    match seconds.round() as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{}m {:02}s", s / 60, s % 60),
        s => format!("{}h {:02}m", s / 3600, s / 60 % 60),
    }
}

/// A bar of eighths of a block for a share of 1, filled up to so many columns.
pub fn bar(share: f64, columns: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * 8.0 * columns as f64).round() as usize;
    let last = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    let bar = "█".repeat(eighths / 8) + last;
    format!("{bar:<columns$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_bars_and_columns_have_their_widths() {
        let times = [0.0, 9.94, 9.96, 59.4, 60.0, 3599.9, 7620.0].map(duration);
        assert_eq!(times, ["0.0 s", "9.9 s", "10 s", "59 s", "1m 00s", "1h 00m", "2h 07m"]);
        for share in [0.0, 0.01, 0.5, 0.999, 1.0, 7.0, f64::NAN] {
            assert_eq!(bar(share, 20).chars().count(), 20, "{share}");
        }
        assert_eq!(bar(0.5, 4), "██  ");
        assert_eq!((cut("automobile", 5), fitted("cat", 5)), ("auto…".into(), "cat  ".into()));
        assert_eq!(cut("a\u{1b}[31mb", 20), "a\u{fffd}[31mb");
    }

    #[test]
    fn plain_lines_are_short_and_have_no_control_characters() {
        let mut lines = Lines::new(Vec::new(), 1000, Duration::ZERO);
        let event = |step, loss| StepEvent {
            step,
            steps: 100_000,
            epoch: 998,
            loss,
            learning_rate: 0.1,
            examples: 100_000,
        };
        lines.step(&event(12_345, 1234.5)).expect("memory takes it");
        let check = CheckEvent {
            step: 12_345,
            epoch: 999,
            epochs: 1000,
            train_accuracy: 1.0,
            val_accuracy: 1.0,
            best: true,
        };
        lines.check(&check).expect("memory takes it");
        lines.step(&event(99_999, 2.0)).expect("memory takes it");
        lines.step(&event(100_000, 2.0)).expect("memory takes it");
        assert_eq!(
            String::from_utf8_lossy(&lines.out).lines().count(),
            2,
            "the last waits for its check"
        );
        lines.check(&check).expect("memory takes it");
        let text = String::from_utf8(lines.out).expect("text");
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("step 12345/100000  epoch 999/1000  loss 1234.500  "), "{text}");
        assert!(text.contains("val 100.0%") && text.ends_with(" left\n"), "{text}");
        assert!(!text.contains(['\r', '\u{1b}']));
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    }
}
