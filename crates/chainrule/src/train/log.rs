//! The metrics of a run as they lie on disk: `metrics.jsonl`, read back. docs/formats.md describes the file.
//!
//! The reader is forgiving, because a run may have been killed in the middle of a line and a later version may write more: what
//! it does not know it passes over, what it cannot read it counts. It is bounded, because a file can hold anything.

use crate::data::files;
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Longer lines are passed over.
const LONGEST_LINE: u64 = 1 << 16;
/// A file is not read further than this, in bytes.
const LARGEST_FILE: u64 = 1 << 30;
/// No more steps than this are read: some 250 MB in memory.
const MOST_STEPS: usize = 1 << 23;

/// A step as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedStep {
    /// Which step, from 1.
    pub step: u64,
    /// The loss of its batch, before the update. NaN if it was not a finite number.
    pub loss: f64,
    /// The learning rate of its update. NaN if the file does not say.
    pub learning_rate: f64,
}

/// A check of the accuracies as the file has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedCheck {
    /// Steps done.
    pub step: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Accuracy on training examples, NaN if the file does not say.
    pub train_accuracy: f64,
    /// Accuracy on validation examples, NaN if the file does not say.
    pub val_accuracy: f64,
}

/// All that a metrics file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// The steps, in rising order.
    pub steps: Vec<LoggedStep>,
    /// The checks, in rising order of their steps.
    pub checks: Vec<LoggedCheck>,
    /// Lines that could not be read, other than a last one without an end.
    pub unreadable: usize,
    /// Whether the last line has no end: the run was stopped while it was written, or is being written.
    pub cut_off: bool,
}

/// A line of the file; a step has a loss, a check an accuracy.
#[derive(Deserialize)]
struct Line {
    step: u64,
    #[serde(default)]
    epoch: u64,
    #[serde(default, deserialize_with = "number")]
    loss: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    lr: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    train_acc: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    val_acc: Option<f64>,
}

/// JSON has no word for NaN and infinity: they are written as null.
fn number<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Option<f64>, D::Error> {
    Ok(Some(Option::<f64>::deserialize(d)?.unwrap_or(f64::NAN)))
}

impl Metrics {
    /// Reads a metrics file. When a step comes again, as after a run was taken up at an earlier checkpoint, what the file said
    /// from there on no longer counts.
    ///
    /// # Errors
    /// If the file is missing, is no regular file, cannot be read, or is too large.
    pub fn read(path: &Path) -> Result<Metrics> {
        let file = files::regular(path, "expected a run's metrics")?;
        let want = || format!("at most {MOST_STEPS} steps and {LARGEST_FILE} bytes are read");
        match Metrics::from_lines(BufReader::new(file.take(LARGEST_FILE + 1))) {
            Ok(Some(metrics)) => Ok(metrics),
            Ok(None) => Err(Error::file(path, "holds more than a run's metrics", want())),
            Err(source) => Err(Error::io("read", path)(source)),
        }
    }

    /// `None` if there is too much of it.
    fn from_lines(mut from: impl BufRead) -> io::Result<Option<Metrics>> {
        let (mut metrics, mut line, mut bytes) = (Metrics::default(), Vec::new(), 0);
        loop {
            line.clear();
            let mut length = (&mut from).take(LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                return Ok(Some(metrics));
            }
            let whole = line.last() == Some(&b'\n');
            let long = !whole && length == LONGEST_LINE;
            if long {
                length += skip_line(&mut from)?;
            }
            bytes += length;
            if bytes > LARGEST_FILE || metrics.steps.len() > MOST_STEPS {
                return Ok(None);
            }
            match (long, serde_json::from_slice::<Line>(&line)) {
                (false, Ok(read)) => metrics.add(&read),
                (false, Err(_)) if !whole => metrics.cut_off = true,
                (false, Err(_)) if line.trim_ascii().is_empty() => {}
                _ => metrics.unreadable += 1,
            }
        }
    }

    fn add(&mut self, line: &Line) {
        if let Some(loss) = line.loss {
            if self.steps.last().is_some_and(|last| last.step >= line.step) {
                self.forget_from(line.step);
            }
            let learning_rate = line.lr.unwrap_or(f64::NAN);
            self.steps.push(LoggedStep { step: line.step, loss, learning_rate });
        } else if line.train_acc.is_some() || line.val_acc.is_some() {
            self.checks.retain(|check| check.step < line.step);
            self.checks.push(LoggedCheck {
                step: line.step,
                epoch: line.epoch,
                train_accuracy: line.train_acc.unwrap_or(f64::NAN),
                val_accuracy: line.val_acc.unwrap_or(f64::NAN),
            });
        }
    }

    /// Forgets this step and what came after it.
    fn forget_from(&mut self, step: u64) {
        let keep = self.steps.partition_point(|s| s.step < step);
        self.steps.truncate(keep);
        self.checks.retain(|check| check.step < step);
    }

    /// The check with the best validation accuracy, the first of several.
    pub fn best(&self) -> Option<LoggedCheck> {
        let known = self.checks.iter().copied().filter(|c| !c.val_accuracy.is_nan());
        known.reduce(|best, c| if c.val_accuracy > best.val_accuracy { c } else { best })
    }
}

/// Passes over the rest of a line; returns its length.
fn skip_line(from: &mut impl BufRead) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let part = from.fill_buf()?;
        let end = part.iter().position(|b| *b == b'\n');
        let used = end.map_or(part.len(), |i| i + 1);
        from.consume(used);
        length += used as u64;
        if end.is_some() || used == 0 || length > LARGEST_FILE {
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Metrics {
        Metrics::from_lines(text.as_bytes()).expect("memory can be read").expect("it is small")
    }

    const TWO: &str = "{\"step\":1,\"epoch\":0,\"loss\":2.5,\"lr\":0.1}\n\
                       {\"step\":1,\"epoch\":0,\"train_acc\":0.1,\"val_acc\":0.2,\"best\":true}\n\
                       {\"step\":2,\"epoch\":0,\"loss\":2.25,\"lr\":0.05}\n\
                       {\"step\":2,\"epoch\":1,\"train_acc\":0.4,\"val_acc\":0.3,\"best\":true}\n";

    #[test]
    fn steps_and_checks_come_back() {
        let m = read(TWO);
        let step = |step, loss, learning_rate| LoggedStep { step, loss, learning_rate };
        assert_eq!(m.steps, [step(1, 2.5, 0.1), step(2, 2.25, 0.05)]);
        assert_eq!(
            (m.checks.len(), m.best().map(|c| (c.epoch, c.val_accuracy))),
            (2, Some((1, 0.3)))
        );
        assert_eq!((m.unreadable, m.cut_off), (0, false));
        assert_eq!(read(""), Metrics::default());
    }

    /// Wherever the file ends, the lines before count, and nothing is called unreadable.
    #[test]
    fn a_file_cut_at_any_byte_is_read_as_far_as_it_goes() {
        for length in 0..TWO.len() {
            let m = read(&TWO[..length]);
            let whole = TWO[..length].matches('\n').count();
            // A line whose last brace is there is whole without its end.
            let seen = m.steps.len() + m.checks.len();
            assert!(
                seen == whole || seen == whole + 1 && TWO.as_bytes()[length] == b'\n',
                "{length}"
            );
            assert_eq!(m.unreadable, 0, "{length}");
            let cut = !TWO[..length].is_empty() && !TWO[..length].ends_with(['\n', '}']);
            assert_eq!(m.cut_off, cut, "{length}");
        }
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_broken_is_counted() {
        let m = read(
            "{\"step\":1,\"loss\":1,\"gradient_norm\":[1,{\"deep\":true}]}\n\
             {\"event\":\"resumed\",\"step\":1}\n\
             not json\n\n\
             {\"step\":-1,\"loss\":1}\n\
             {\"step\":2,\"loss\":\"high\"}\n\
             {\"step\":3,\"loss\":null,\"lr\":1e-3}\n\
             \u{0}\u{1}\n\
             {\"step\":4,\"loss\":1e999}\r\n",
        );
        assert_eq!(m.steps.iter().map(|s| s.step).collect::<Vec<_>>(), [1, 3]);
        assert!(m.steps[1].loss.is_nan() && m.steps[0].learning_rate.is_nan());
        assert_eq!((m.unreadable, m.cut_off), (5, false));
    }

    #[test]
    fn a_step_that_comes_again_replaces_what_came_after_it() {
        let m = read(&format!("{TWO}{{\"step\":2,\"loss\":9}}\n{{\"step\":3,\"loss\":8}}\n"));
        assert_eq!(m.steps.iter().map(|s| s.loss).collect::<Vec<_>>(), [2.5, 9.0, 8.0]);
        assert_eq!(m.checks.len(), 1, "the check after step 2 was of the run before");
    }

    #[test]
    fn a_line_of_any_length_is_passed_over() {
        let long = " ".repeat(3 * LONGEST_LINE as usize);
        for text in [format!("{long}{TWO}"), format!("{long}\n{TWO}"), format!("{TWO}{long}")] {
            let m = read(&text);
            assert_eq!(m.unreadable, 1);
            assert!(m.steps.last().is_some_and(|s| s.step == 2));
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| Metrics::read(path).unwrap_err().to_string();
        assert!(error(dir.path()).contains("is not a regular file"));
        assert!(error(&dir.path().join("none")).starts_with("cannot read"));
    }
}
