//! `metrics.jsonl`: a line a step and a line a check, as they come.

use chainrule::Error;
use chainrule::data::files;
use chainrule::train::{CheckEvent, StepEvent, write_atomically};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Every line is shorter, in bytes.
const LONGEST_LINE: u64 = 1024;

/// The file that is being written. What it refuses does not stop the training: it is written again at the end.
pub(super) struct Metrics {
    path: PathBuf,
    out: Option<BufWriter<File>>,
    /// Whether a line is missing.
    broken: bool,
    problem: Option<Error>,
}

impl Metrics {
    /// A new file in a run directory.
    pub fn create(directory: &Path) -> chainrule::Result<Metrics> {
        let mut metrics = Metrics::none_yet(directory);
        let file = File::create(&metrics.path).map_err(Error::io("create", &metrics.path))?;
        metrics.out = Some(BufWriter::new(file));
        Ok(metrics)
    }

    /// The file of a run that [`Metrics::go_on`] will open.
    pub fn none_yet(directory: &Path) -> Metrics {
        Metrics { path: directory.join("metrics.jsonl"), out: None, broken: false, problem: None }
    }

    /// A step's line; the first goes to the system at once, so that who follows the file sees the training begin.
    pub fn step(&mut self, e: &StepEvent) {
        self.write(&step_line(e));
        if e.step == 1 {
            self.flush();
        }
    }

    /// A check's line; what is buffered goes to the system.
    pub fn check(&mut self, e: &CheckEvent) {
        self.write(&check_line(e));
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(Err(e)) = self.out.as_mut().map(|out| out.flush()) {
            self.fail(e);
        }
    }

    fn write(&mut self, line: &Value) {
        let written = match &mut self.out {
            Some(out) if !self.broken => writeln!(out, "{line}"),
            _ => return,
        };
        if let Err(e) = written {
            // A buffer that is full took only a part of the line, or nothing.
            self.broken = true;
            self.fail(e);
        }
    }

    fn fail(&mut self, e: std::io::Error) {
        self.problem.get_or_insert(Error::io("write", &self.path)(e));
    }

    /// What went wrong since it was asked last.
    pub fn problem(&mut self) -> Option<Error> {
        self.problem.take()
    }

    /// Writes what is missing.
    pub fn complete(
        &mut self,
        steps: &[StepEvent],
        checks: &[CheckEvent],
    ) -> chainrule::Result<()> {
        if let Some(out) = &mut self.out
            && !self.broken
            && out.flush().is_ok()
        {
            return Ok(());
        }
        self.rewrite(std::iter::empty(), steps, checks)
    }

    /// Goes on after these steps and checks: lines of the file that belong to them stay, the others go, missing ones are made.
    pub fn go_on(&mut self, steps: &[StepEvent], checks: &[CheckEvent]) -> chainrule::Result<()> {
        // What lies behind as many lines as there should be is not used.
        let most = LONGEST_LINE * (steps.len() + checks.len()) as u64;
        let mut old = Vec::new();
        if let Ok(file) = files::regular(&self.path, "expected a run's metrics") {
            // What was read before an error is as good as before.
            let _ = file.take(most).read_to_end(&mut old);
        }
        let old = String::from_utf8_lossy(&old);
        self.rewrite(old.lines(), steps, checks)
    }

    fn rewrite<'a>(
        &mut self,
        mut old: impl Iterator<Item = &'a str>,
        steps: &[StepEvent],
        checks: &[CheckEvent],
    ) -> chainrule::Result<()> {
        let mut text = String::new();
        let mut checks = checks.iter().peekable();
        let mut whole = true;
        for step in steps {
            let check = checks.next_if(|c| c.step == step.step).map(check_line);
            for line in std::iter::once(step_line(step)).chain(check) {
                // From the first line on that is not what it should be, none is used.
                let kept = old.next().filter(|old| whole && same_place(old, &line));
                whole = kept.is_some();
                match kept {
                    Some(old) => text.push_str(old),
                    None => text.push_str(&line.to_string()),
                }
                text.push('\n');
            }
        }
        write_atomically(&self.path, text.as_bytes())?;
        let append = File::options().append(true).open(&self.path);
        self.out = Some(BufWriter::new(append.map_err(Error::io("open", &self.path))?));
        self.broken = false;
        Ok(())
    }
}

/// Whether a line of the file is of the step, or of the check, that should stand there.
fn same_place(old: &str, wanted: &Value) -> bool {
    serde_json::from_str::<Value>(old).is_ok_and(|old| {
        let both_or_none = |key| old.get(key).is_some() == wanted.get(key).is_some();
        old.get("step") == wanted.get("step") && both_or_none("loss") && both_or_none("val_acc")
    })
}

fn step_line(e: &StepEvent) -> Value {
    json!({"step": e.step, "epoch": e.epoch, "loss": e.loss, "lr": e.learning_rate})
}

fn check_line(e: &CheckEvent) -> Value {
    let CheckEvent { step, epoch, train_accuracy, val_accuracy, best, .. } = e;
    json!({"step": step, "epoch": epoch, "train_acc": train_accuracy, "val_acc": val_accuracy, "best": best})
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn steps(n: usize) -> Vec<StepEvent> {
        let step = |i: usize| StepEvent {
            step: i,
            steps: 9,
            epoch: (i - 1) / 3,
            loss: 1.0 / i as f64,
            learning_rate: 0.1,
            examples: 5,
        };
        (1..=n).map(step).collect()
    }

    fn checks(of: &[usize]) -> Vec<CheckEvent> {
        let check = |step: &usize| CheckEvent {
            step: *step,
            epoch: step / 3,
            epochs: 3,
            train_accuracy: 0.5,
            val_accuracy: 0.4,
            best: *step == 1,
        };
        of.iter().map(check).collect()
    }

    /// What a file holds after a training of `n` steps.
    fn whole(n: usize, checked: &[usize]) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let mut metrics = Metrics::create(dir.path()).expect("room");
        let checks = checks(checked);
        for step in steps(n) {
            metrics.step(&step);
            checks.iter().filter(|c| c.step == step.step).for_each(|c| metrics.check(c));
        }
        metrics.complete(&[], &[]).expect("room");
        fs::read_to_string(dir.path().join("metrics.jsonl")).expect("the file")
    }

    #[test]
    fn going_on_leaves_no_hole_and_no_duplicate_whatever_was_there() {
        let (five, nine) = (whole(5, &[1, 3]), whole(9, &[1, 3, 6, 9]));
        let garbage = "\u{0}\n{\"step\":1}\n[[[[";
        let hole = nine.replacen("{\"step\":2", "{\"step\":7", 1);
        let mut extra = five.clone();
        extra.insert_str(1, "\"note\":1,");
        let torn = (0..nine.len()).step_by(41).map(|n| (nine[..n].to_string(), five.clone()));
        let others =
            [(garbage.to_string(), five.clone()), (hole, five.clone()), (extra.clone(), extra)];
        for (old, wanted) in torn.chain(others) {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join("metrics.jsonl"), &old).expect("room");
            let mut metrics = Metrics::none_yet(dir.path());
            metrics.go_on(&steps(5), &checks(&[1, 3])).expect("room");
            steps(9)[5..].iter().for_each(|s| metrics.step(s));
            metrics.complete(&[], &[]).expect("room");
            let text = fs::read_to_string(dir.path().join("metrics.jsonl")).expect("the file");
            assert!(text.starts_with(&wanted), "{old:?}: {text}");
            assert_eq!(text.lines().count(), 5 + 2 + 4, "{old:?}: {text}");
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_still_a_line() {
        let step = StepEvent { loss: f64::NAN, ..steps(1)[0] };
        assert_eq!(
            step_line(&step).to_string(),
            "{\"step\":1,\"epoch\":0,\"loss\":null,\"lr\":0.1}"
        );
    }

    /// Not a test of anything: `cargo test --release -p chainrule-lab what_metrics_cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "a timing for a quiet machine"]
    fn what_metrics_cost_a_step() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut metrics = Metrics::create(dir.path()).expect("room");
        let steps = steps(100_000);
        let started = std::time::Instant::now();
        steps.iter().for_each(|s| metrics.step(s));
        let micros = started.elapsed().as_secs_f64() * 1e6 / steps.len() as f64;
        println!("{micros:.2} microseconds a step");
    }
}
