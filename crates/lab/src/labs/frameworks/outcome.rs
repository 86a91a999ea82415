//! What the training of ResNetCE came to, beside the course's.

use super::super::Found;
use super::super::course::{self, last, over};
use crate::report::plot::{Plot, Values};
use anyhow::Result;
use chainrule::train::History;

/// A training, and how it did on test pictures.
pub struct Outcome {
    /// Whether it was made shorter.
    pub quick: bool,
    /// Losses and accuracies.
    pub history: History,
    /// Steps in an epoch.
    pub an_epoch: usize,
    /// The accuracy on test pictures.
    pub test: f64,
    /// How many of them were looked at.
    pub tested: usize,
}

/// Steps in an epoch of the course's.
const AN_EPOCH: usize = 766;

/// A check that the course printed: steps of all epochs, loss, validation accuracy.
#[derive(Clone, Copy)]
struct Row {
    step: f64,
    loss: f64,
    val: f64,
}

fn printed() -> Result<Vec<Row>> {
    let printed = course::printed_run("PT[22] ResNetCE AdamW 10 epochs")?;
    // The printed steps count from 0 in each epoch.
    let mut epoch = 0;
    let row = |(i, row): (usize, &(f64, f64, f64))| {
        epoch += usize::from(i > 0 && row.0 == 0.0);
        Row { step: (epoch * AN_EPOCH) as f64 + row.0, loss: row.1, val: row.2 / 1000.0 }
    };
    Ok(printed.rows.iter().enumerate().map(row).collect())
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

impl Outcome {
    /// All of it.
    pub fn told(&self) -> Result<Found> {
        let (mut found, rows) = (Found::default(), printed()?);
        self.print(&mut found);
        self.plot(&mut found, &rows);
        self.check(&mut found);
        self.compare(&mut found, &rows);
        self.describe(&mut found, &rows);
        Ok(found)
    }

    /// The step after which accuracies were measured for the `i`th time: the first, then the last of each epoch.
    fn step(&self, i: usize) -> usize {
        if i == 0 { 0 } else { i * self.an_epoch - 1 }
    }

    fn print(&self, found: &mut Found) {
        let History { loss, train_accuracy, val_accuracy, .. } = &self.history;
        for (i, (train, val)) in train_accuracy.iter().zip(val_accuracy).enumerate() {
            let t = self.step(i);
            found.print(format!("Iteration {t}, loss = {:.4}", loss[t]));
            let [train, val] = [train, val].map(|v| 100.0 * v);
            found.print(format!(
                "Accuracy on training set: {train:.2}, on validation set: {val:.2}"
            ));
        }
        let (right, percent) = ((self.test * self.tested as f64).round(), 100.0 * self.test);
        found.print("Checking accuracy on test set");
        found.print(format!("Got {right} / {} correct ({percent:.2})", self.tested));
        found.print("Printed by the course: Got 8402 / 10000 correct (84.02)");
    }

    fn plot(&self, found: &mut Found, rows: &[Row]) {
        let History { loss, val_accuracy, .. } = &self.history;
        // A short training stands beside the first epoch that was printed, not beside all ten.
        let end = loss.len().max(AN_EPOCH) as f64;
        let shown = rows.iter().filter(|row| row.step < end);
        found.plot(
            Plot::new("Training loss", "iteration", Values::Numbers)
                .line("ours", over(0.0, loss))
                .dots("printed by the course", shown.clone().map(|row| (row.step, row.loss))),
        );
        let ours = val_accuracy.iter().enumerate().map(|(i, v)| (self.step(i) as f64, *v));
        found.plot(
            Plot::new("Validation accuracy", "iteration", Values::Shares)
                .line("ours", ours)
                .dots("printed by the course", shown.map(|row| (row.step, row.val))),
        );
    }

    fn check(&self, found: &mut Found) {
        let (loss, ln10) = (&self.history.loss, 10f64.ln());
        found.check(
            "first loss (printed by the course: 2.2967)",
            format!("{:.4}", loss[0]),
            format!("{ln10:.4}, that of ten equal classes, within 0.1"),
            (loss[0] - ln10).abs() < 0.1,
        );
        let n = loss.len();
        let tail = &loss[n.saturating_sub(10)..];
        let end = tail.iter().sum::<f64>() / tail.len() as f64;
        found.check("mean of the last ten losses", format!("{end:.3}"), "below 2", end < 2.0);
        if self.quick {
            found.text(format!(
                "After {n} steps the loss shows that something is learned. An accuracy is measured with the running averages of twenty \
                 batch norms, which follow weights that still change fast: it lags behind. Without `--quick` there are ten epochs.",
            ));
            return;
        }
        // On all pictures, what the course asks for within ten epochs.
        let (best, bar) = (self.history.best_val_accuracy, if n < 5000 { 0.4 } else { 0.7 });
        let wanted = format!("above {}", percent(bar));
        found.check("best validation accuracy", percent(best), wanted, best > bar);
        let near = (self.test - best).abs() < 0.08;
        let wanted = format!("within 8 points of {}", percent(best));
        found.check("test accuracy", percent(self.test), wanted, near);
    }

    fn compare(&self, found: &mut Found, rows: &[Row]) {
        // Each epoch printed eight.
        let rows = rows.iter().skip(7).step_by(8).enumerate().map(|(e, printed)| {
            let ours = self.history.val_accuracy.get(e + 1);
            let ours = ours.map_or(String::new(), |v| percent(*v));
            [(e + 1).to_string(), percent(printed.val), ours]
        });
        let head = ["epoch", "printed by the course", "ours"];
        found.table("Validation accuracy after each epoch", head, rows);
        let steps = self.history.loss.len();
        let share = 100.0 * steps as f64 / (10 * AN_EPOCH) as f64;
        found.text(format!(
            "The course seeded nothing and trained on a GPU, so that no digit can be the same: its 7,660 steps and ours, {steps} or \
             {share:.1}% of as many, begin with other weights and see other batches. What can be compared is where the curves lie. A last \
             batch that is not full is left out here, and kept there (40 pictures an epoch).",
        ));
    }

    /// The notebook's last question.
    fn describe(&self, found: &mut Found, rows: &[Row]) {
        let end = rows.last().map_or(f64::NAN, |row| row.val);
        let peak = rows.iter().map(|row| row.val).fold(0.0, f64::max);
        let passed =
            rows.iter().find(|row| row.val > 0.7).map_or(0, |r| r.step as usize / AN_EPOCH + 1);
        let History { loss, train_accuracy, val_accuracy, .. } = &self.history;
        found.question(
            "Describe the network, and what it reached.",
            format!(
                "Three stages of residual blocks whose batch norms and ReLUs come before the convolutions, so that the shortcut is a \
                 plain sum; each block's output is weighed channel by channel by squeeze-and-excitation. Between the stages a depthwise \
                 and a pointwise convolution halve the picture at a small part of a full convolution's cost. At the end a global \
                 average stands for large linear layers, and dropout of 0.3 before the last. By its log the course's training passes \
                 70% in epoch {passed}, reaches {} at most and ends at {}, with 84.0% on the test pictures (the notebook's text claims \
                 86.2% and 85.1%, which its log does not show). Ours, after {} steps, is at {} of the validation pictures, {} of the \
                 training pictures and {} of the test pictures.",
                percent(peak),
                percent(end),
                loss.len(),
                percent(last(val_accuracy)),
                percent(last(train_accuracy)),
                percent(self.test),
            ),
        );
    }
}
