//! A chart of several series as plain data, which can lie in a file until a page is made of it.

use super::chart::{LineChart, Look, Marker, Series};
use super::compare::LOOKS;
use super::curve::{self, Curve};
use super::scale::{Format, Scale, measured};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// One series of a [`Plot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Finite points, x rising.
    pub points: Curve,
    /// Whether each point is a dot of its own rather than part of a curve.
    pub dots: bool,
}

/// How the values of the y axis are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Values {
    /// As numbers, on a linear axis.
    #[default]
    Numbers,
    /// As shares from 0 to 1, written as percentages.
    Shares,
    /// As numbers, on a logarithmic axis where they are positive and lie over decades.
    Decades,
    /// As numbers between these two; what lies beyond is drawn on the edge.
    Between(f64, f64),
}

/// A chart: a title, two axes, up to eight series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// The title.
    pub title: String,
    /// The name of the x axis.
    pub x: String,
    /// Whether the x axis is logarithmic.
    pub x_decades: bool,
    /// The y axis.
    pub y: Values,
    /// The series, in the order of their colours.
    pub lines: Vec<Line>,
    /// Points that are not finite numbers and are not drawn.
    pub left_out: usize,
}

/// In text, a series is told by about this many of its points.
const TOLD: usize = 8;

impl Plot {
    /// A chart without series over an axis of this name.
    pub fn new(title: &str, x: &str, y: Values) -> Plot {
        Plot { title: title.into(), x: x.into(), y, ..Plot::default() }
    }

    /// Makes the x axis logarithmic. Its values must be positive.
    pub fn over_decades(mut self) -> Plot {
        self.x_decades = true;
        self
    }

    /// Adds a curve.
    pub fn line(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Plot {
        self.add(name, points, false)
    }

    /// Adds a series of dots.
    pub fn dots(self, name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Plot {
        self.add(name, points, true)
    }

    fn add(mut self, name: &str, points: impl IntoIterator<Item = (f64, f64)>, dots: bool) -> Plot {
        let (points, left_out) = curve::finite(points.into_iter());
        self.left_out += left_out;
        self.lines.push(Line { name: name.into(), points, dots });
        self
    }

    /// The chart as a `figure`, its description for readers that do not see it included. `id` is unique in the page. Nothing when
    /// there is nothing to draw.
    pub fn to_html(&self, id: &str) -> String {
        let series: Vec<Series> = self
            .lines
            .iter()
            .zip(LOOKS)
            .filter(|(line, _)| !line.points.is_empty())
            .map(|(line, class)| Series {
                name: line.name.clone(),
                points: line.points.clone(),
                look: Look { class, marker: if line.dots { Marker::Dot } else { Marker::None } },
            })
            .collect();
        if series.is_empty() {
            return String::new();
        }
        let all = series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
        let y = match self.y {
            Values::Numbers | Values::Shares => Scale::linear(all),
            Values::Decades => Scale::automatic(all),
            Values::Between(lo, hi) => Scale::exact(lo, hi),
        };
        let description = self.description();
        let chart = LineChart {
            id,
            title: &self.title,
            description: &description,
            x_name: &self.x,
            y,
            format: self.format(),
            series,
            highlight: None,
        };
        if self.x_decades { chart.to_html_over_decades() } else { chart.to_html() }
    }

    /// Whether it can be drawn; what was read from a file need not have been made here.
    pub fn is_sound(&self) -> bool {
        let is_sound = |line: &Line| {
            let (points, left_out) = curve::finite(line.points.iter().copied());
            let has_decades = || points.iter().all(|(x, _)| *x > 0.0);
            left_out == 0 && points == line.points && (!self.x_decades || has_decades())
        };
        let has_axis = match self.y {
            Values::Between(lo, hi) => lo < hi && hi - lo < f64::MAX,
            _ => true,
        };
        has_axis && self.lines.iter().all(is_sound)
    }

    fn format(&self) -> Format {
        if self.y == Values::Shares { Format::Percent } else { Format::Number }
    }

    /// What the series end with, in a sentence.
    fn description(&self) -> String {
        let end = |line: &Line| {
            let (x, y) = line.points.last()?;
            let x = measured(*x, if self.x_decades { Format::Number } else { Format::Count });
            Some(format!("{} ends at {x} with {}", line.name, measured(*y, self.format())))
        };
        self.lines.iter().filter_map(end).collect::<Vec<_>>().join("; ") + "."
    }

    /// The series in text: the title, and a table of some points of each.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("**{}** (over {})\n\n| {} |", self.title, self.x, self.x);
        self.lines.iter().for_each(|line| _ = write!(text, " {} |", line.name));
        text += "\n|---|";
        self.lines.iter().for_each(|_| text += "---|");
        for x in self.some_places() {
            let format = if self.x_decades { Format::Number } else { Format::Count };
            let _ = write!(text, "\n| {} |", measured(x, format));
            for line in &self.lines {
                let at = line.points.iter().find(|p| p.0 == x);
                let value = at.map_or(String::new(), |p| measured(p.1, self.format()));
                let _ = write!(text, " {value} |");
            }
        }
        text + "\n"
    }

    /// Places along the x axis at which the longest series has points: its ends, and some between.
    fn some_places(&self) -> Vec<f64> {
        let Some(longest) = self.lines.iter().max_by_key(|l| l.points.len()) else {
            return Vec::new();
        };
        let last = longest.points.len().saturating_sub(1);
        let mut places: Vec<usize> = (0..=TOLD).map(|k| k * last / TOLD).collect();
        places.dedup();
        places.into_iter().filter_map(|i| longest.points.get(i)).map(|p| p.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::html::page;
    use super::super::tests::assert_well_formed;
    use super::*;

    fn plot() -> Plot {
        let squares = (1..=100).map(|n| (f64::from(n), f64::from(n * n)));
        Plot::new("Squares <and> roots", "n", Values::Decades)
            .over_decades()
            .line("squares", squares.clone())
            .dots("roots", squares.map(|(n, _)| (n, n.sqrt())).chain([(101.0, f64::NAN)]))
    }

    #[test]
    fn curves_and_dots_are_drawn_and_what_is_no_number_is_counted() {
        let html = page("plot", "", &plot().to_html("p"));
        assert_well_formed(&html);
        assert_eq!(html.matches("<circle class=\"dot k1\"").count(), 101, "100 and the legend's");
        assert_eq!(html.matches("<path class=\"k0\"").count(), 2, "the curve and the legend's");
        assert_eq!(html.matches("<path class=\"k1\"").count(), 0);
        assert!(html.contains("squares ends at 100.0 with "), "{html}");
        assert_eq!(plot().left_out, 1);
        assert!(Plot::new("", "", Values::Numbers).line("none", []).to_html("q").is_empty());
    }

    #[test]
    fn labels_between_powers_of_ten_go_where_there_is_no_room_for_them() {
        let labels = |from: f64, to: f64| -> Vec<String> {
            let plot = Plot::new("", "value", Values::Numbers).over_decades();
            let html = plot.dots("a", [(from, 1.0), (to, 2.0)]).to_html("p");
            let all = html.split("<text class=\"x\" y=\"19\">").skip(1);
            all.map(|rest| rest.split('<').next().unwrap_or("").to_string()).collect()
        };
        assert_eq!(labels(2e-4, 9e-2), ["0.001", "0.01"]);
        assert_eq!(labels(1.5, 30.0), ["2", "5", "10", "20"]);
    }

    #[test]
    fn a_plot_comes_back_from_a_file_and_tells_its_ends_in_text() {
        let text = serde_json::to_string(&plot()).expect("plain data");
        assert_eq!(serde_json::from_str::<Plot>(&text).expect("plain data"), plot());
        let told = plot().to_markdown();
        assert!(
            told.contains("\n| 1.000 | 1.000 | 1.000 |") && told.contains("| 10.00 |"),
            "{told}"
        );
        assert_eq!(told.lines().count(), 4 + TOLD + 1, "{told}");
    }
}
