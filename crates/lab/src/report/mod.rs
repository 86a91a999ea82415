//! The report of a training run: one HTML file that needs nothing else, to be read on a phone or a desk, in light or dark.
//!
//! [`Report`] is plain data, so that a page can be made again later from what a run left on disk. Sections without data
//! are left out, all text is escaped, and values that are not finite numbers are skipped and counted.

mod chart;
mod classes;
mod compare;
mod curve;
pub mod html;
pub mod picture;
pub mod plot;
pub mod rates;
mod scale;
mod scatter;
mod search;
mod seen;
#[cfg(test)]
mod tests;

pub use compare::{Compared, Comparison, MOST_RUNS};
pub use search::{Axis, Searched};
use serde::{Deserialize, Serialize};

use chart::{LineChart, Look, Marker, Series};
use classes::Confusion;
use html::{card, command, escape, facts, headline, masthead};
use scale::{Format, Scale, count, measured, rounded};

/// Everything a report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The heading, such as "Fully connected 200-150 on CIFAR-10".
    pub title: String,
    /// The name of the run, such as "fully-connected-0001".
    pub run: String,
    /// The command line that made it, ready to be copied.
    pub command: String,
    /// The headline figures as (label, value), the most important first.
    pub headline: Vec<(String, String)>,
    /// The training loss of each step.
    pub loss: Vec<(u64, f64)>,
    /// The learning rate of each step.
    pub learning_rate: Vec<(u64, f64)>,
    /// The accuracies after each epoch.
    pub accuracy: Vec<EpochPoint>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How many pictures of each true class (rows) were given each class (columns).
    pub confusion: Vec<Vec<u64>>,
    /// The split those pictures come from, such as "validation".
    pub confusion_split: String,
    /// The pictures of that split that are predicted wrong with the highest loss, the worst first.
    pub worst: Vec<Shown>,
    /// Some pictures of that split, whatever became of them.
    pub sample: Vec<Shown>,
    /// The weights of the first layer as a picture.
    pub weights: Option<WeightGrid>,
    /// The configuration as (key, value).
    pub config: Vec<(String, String)>,
    /// The machine as (name, value).
    pub machine: Vec<(String, String)>,
    /// Remarks, a sentence each, shown at the top.
    pub notes: Vec<String>,
}

/// Accuracies at one moment of training, as fractions from 0 to 1. NaN stands for "not measured".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochPoint {
    /// Epochs done, whole or not.
    pub epoch: f64,
    /// The accuracy on (part of) the training pictures.
    pub train: f64,
    /// The accuracy on the validation pictures.
    pub val: f64,
}

/// A picture with the classes that a network gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
    /// Its number in its split.
    pub number: usize,
    /// The true class.
    pub truth: String,
    /// The probability that the network gives the true class.
    pub share: f64,
    /// The likeliest classes with their probabilities, the likeliest first.
    pub guesses: Vec<(String, f64)>,
    /// Its loss.
    pub loss: f64,
}

/// A picture of weights, usually a grid of tiles, one for each unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightGrid {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row: `width` x `height` x 3 bytes.
    pub rgb: Vec<u8>,
    /// What the picture shows, in a sentence.
    pub caption: String,
}

impl Report {
    /// The page. It refers to no other file and no address.
    ///
    /// # Panics
    /// When the weights' `rgb` does not hold `width` x `height` x 3 bytes.
    pub fn to_html(&self) -> String {
        let name = if self.title.is_empty() { &self.run } else { &self.title };
        let sections = [
            self.progress_cards(),
            self.class_cards(),
            self.worst_card(),
            self.sample_card(),
            self.weights_and_beside(),
            facts_card("config wide", "Configuration", &self.config),
        ];
        html::page(name, &self.header(name), &sections.concat())
    }

    /// Name, remarks, headline figures and command.
    fn header(&self, name: &str) -> String {
        let run = if self.run.is_empty() || self.run == name {
            String::new()
        } else {
            format!(" <code>{}</code>", escape(&self.run))
        };
        let mut page = masthead(&format!("Training run{run}"), name) + &headline(&self.headline);
        if !self.notes.is_empty() {
            let notes: String =
                self.notes.iter().map(|note| format!("<li>{}</li>\n", escape(note))).collect();
            page.push_str(&format!("<ul class=\"notes\">\n{notes}</ul>\n"));
        }
        page + &command(&self.command)
    }

    /// Loss and accuracy side by side, or the one there is across the page.
    fn progress_cards(&self) -> String {
        let both = [self.loss_card("most"), self.accuracy_card("rest")];
        if both.iter().all(|card| !card.is_empty()) {
            both.concat()
        } else {
            self.loss_card("wide") + &self.accuracy_card("wide")
        }
    }

    fn loss_card(&self, place: &str) -> String {
        let (points, left_out) = curve::finite(self.loss.iter().map(|(s, l)| (*s as f64, *l)));
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return unusable_card(place, "Training loss", left_out);
        };
        let window = curve::window_for(points.len());
        let smooth = curve::smooth(&points, window);
        let end = smooth.last().map_or(last.1, |p| p.1);
        let y = Scale::automatic(points.iter().map(|p| p.1));
        let mut sentence = format!(
            "From {} at step {} to {} at step {}{}.",
            measured(first.1, Format::Number),
            count(first.0),
            measured(end, Format::Number),
            count(last.0),
            if y.log { ", on a logarithmic axis" } else { "" },
        );
        sentence += &left_out_sentence(left_out);
        let each = Look { class: "raw", marker: Marker::None };
        let mean = Look { class: "mean", marker: Marker::None };
        let mut series = vec![Series { name: "each step".into(), points, look: each }];
        if window > 1 {
            let name = format!("mean of {} steps", count(window as f64));
            series.push(Series { name, points: smooth, look: mean });
        } else {
            series[0].look = mean;
        }
        let chart = LineChart {
            id: "loss",
            title: "Training loss",
            description: &sentence,
            x_name: "step",
            y,
            format: Format::Number,
            series,
            highlight: None,
        };
        card(&format!("{place} tall"), "Training loss", &sentence, &chart.to_html())
    }

    fn accuracy_card(&self, place: &str) -> String {
        let points = |value: fn(&EpochPoint) -> f64| {
            curve::finite(self.accuracy.iter().map(|p| (p.epoch, value(p)))).0
        };
        let (train, val) = (points(|p| p.train), points(|p| p.val));
        let broken = |p: &&EpochPoint| !(p.train.is_infinite() || p.val.is_infinite());
        let left_out = self.accuracy.len() - self.accuracy.iter().filter(broken).count();
        let best = val.iter().copied().reduce(|best, p| if p.1 > best.1 { p } else { best });
        let mut sentence = best.map_or(String::new(), |(epoch, accuracy)| {
            let accuracy = measured(accuracy, Format::Percent);
            format!("Best on validation pictures: {accuracy} after epoch {}.", count(epoch))
        });
        sentence += &left_out_sentence(left_out);
        let look = |class, marker| Look { class, marker };
        let series: Vec<Series> = [
            ("training", train, look("train", Marker::Ring)),
            ("validation", val, look("val", Marker::Square)),
        ]
        .into_iter()
        .filter(|(_, points, _)| !points.is_empty())
        .map(|(name, points, look)| Series { name: name.into(), points, look })
        .collect();
        if series.is_empty() {
            return String::new();
        }
        let y = Scale::linear(series.iter().flat_map(|s| s.points.iter().map(|p| p.1)));
        let chart = LineChart {
            id: "accuracy",
            title: "Accuracy",
            description: &sentence,
            x_name: "epoch",
            y,
            format: Format::Percent,
            series,
            highlight: best,
        };
        card(&format!("{place} tall"), "Accuracy", &sentence, &chart.to_html())
    }

    fn rate_card(&self, place: &str) -> String {
        let rates = self.learning_rate.iter().map(|(step, rate)| (*step as f64, *rate));
        let (points, left_out) = curve::finite(rates);
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return unusable_card(place, "Learning rate", left_out);
        };
        let (least, most) = scale::extent(points.iter().map(|p| p.1));
        let (begin, end) = (rounded(first.1), rounded(last.1));
        let mut sentence = if least == most {
            format!("Constant at {begin}.")
        } else if most > first.1.max(last.1) {
            format!("From {begin} up to {}, then to {end}.", rounded(most))
        } else {
            format!("From {begin} to {end}.")
        };
        sentence += &left_out_sentence(left_out);
        let chart = LineChart {
            id: "rate",
            title: "Learning rate",
            description: &sentence,
            x_name: "step",
            y: Scale::automatic(points.iter().map(|p| p.1)),
            format: Format::Number,
            series: vec![Series {
                name: "learning rate".into(),
                points,
                look: Look { class: "rate", marker: Marker::None },
            }],
            highlight: None,
        };
        card(place, "Learning rate", &sentence, &chart.to_html())
    }

    fn class_cards(&self) -> String {
        let Some(confusion) = Confusion::new(&self.confusion, &self.classes) else {
            return String::new();
        };
        let split = self.of_split();
        let matrix = format!(
            "Each row holds the {split}pictures of one class, each column what the network took them for."
        );
        let bars = format!(
            "Recall is the part of a class's {split}pictures that was recognised (the line is at {}, the accuracy over all), precision \
             the part of what was taken for it that is it.",
            measured(confusion.accuracy(), Format::Percent)
        );
        let (mistakes, bars_html) = (confusion.mistakes_html(), confusion.bars_html());
        if confusion.is_large() {
            let matrix = card("most", "Confusion matrix", &matrix, &confusion.matrix_html());
            let mistakes = card("rest", "Most frequent mistakes", "", &mistakes);
            return matrix + &mistakes + &card("wide", "By class", &bars, &bars_html);
        }
        let mistakes = format!("<h3>Most frequent mistakes</h3>\n{mistakes}");
        let matrix_html = confusion.matrix_html() + &mistakes;
        card("most", "Confusion matrix", &matrix, &matrix_html)
            + &card("rest", "By class", &bars, &bars_html)
    }

    fn worst_card(&self) -> String {
        if self.worst.is_empty() {
            return String::new();
        }
        let lead = format!(
            "The {}pictures with the highest loss: what the network says, and below it what is true.",
            self.of_split()
        );
        card("wide", "Most wrong", &lead, &seen::worst_html(&self.worst))
    }

    fn sample_card(&self) -> String {
        if self.sample.is_empty() {
            return String::new();
        }
        let lead = format!(
            "Some {}pictures, spread evenly, with the likeliest classes. The true class is marked.",
            self.of_split()
        );
        card("wide", "A sample", &lead, &seen::sample_html(&self.sample))
    }

    /// `validation `, or nothing.
    fn of_split(&self) -> String {
        if self.confusion_split.is_empty() {
            String::new()
        } else {
            format!("{} ", self.confusion_split)
        }
    }

    /// The weights as a picture as wide as its card, but enlarged no more than is needed to see them: small filters more often.
    fn weights_card(&self) -> String {
        let Some(grid) = self.weights.as_ref().filter(|g| g.width > 0 && g.height > 0) else {
            return String::new();
        };
        let WeightGrid { width, height, rgb, caption } = grid;
        let body = match picture::data_uri(rgb, *width, *height, image::ExtendedColorType::Rgb8) {
            Ok(uri) => format!(
                "<img class=\"weights\" src=\"{uri}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" style=\"--width:{}px\">\n",
                escape(caption),
                width * (480 / width).max(8),
            ),
            Err(error) => {
                format!("<p>The picture could not be made: {}</p>\n", escape(&error.to_string()))
            }
        };
        card("half", "First-layer weights", caption, &body)
    }

    /// The weights, with learning rate and machine one above the other beside them; these two side by side without.
    fn weights_and_beside(&self) -> String {
        let weights = self.weights_card();
        let place = if weights.is_empty() { "half" } else { "" };
        let beside = self.rate_card(place) + &facts_card(place, "Machine", &self.machine);
        if weights.is_empty() || beside.is_empty() {
            weights + &beside
        } else {
            format!("{weights}<div class=\"stack\">\n{beside}</div>\n")
        }
    }
}

/// A table in a card, nothing when there are no rows.
fn facts_card(class: &str, heading: &str, rows: &[(String, String)]) -> String {
    if rows.is_empty() { String::new() } else { card(class, heading, "", &facts(rows)) }
}

/// What stands in the place of a curve that has no finite value at all; nothing when it has no values.
fn unusable_card(class: &str, heading: &str, left_out: usize) -> String {
    match left_out {
        0 => String::new(),
        1 => card(class, heading, "Its only value is not a finite number.", ""),
        n => {
            let n = count(n as f64);
            card(class, heading, &format!("None of its {n} values is a finite number."), "")
        }
    }
}

/// A sentence about values that are not drawn; nothing when there are none.
fn left_out_sentence(left_out: usize) -> String {
    match left_out {
        0 => String::new(),
        1 => " One value that is not a finite number is left out.".to_string(),
        n => format!(" {} values that are not finite numbers are left out.", count(n as f64)),
    }
}
