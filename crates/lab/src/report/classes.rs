//! What became of each class: the confusion matrix and the accuracy of every class.

use std::fmt::Write as _;

use image::ExtendedColorType;

use super::html::escape;
use super::picture::data_uri;
use super::scale::{Format, count, measured};
use chainrule::train::{self, ClassScore};

/// Above this many classes the matrix is a picture: numbers would no longer be readable.
const MOST_NUMBERED: usize = 20;

/// Counts of (true class, predicted class) with the names of the classes.
pub(super) struct Confusion<'a> {
    rows: &'a [Vec<u64>],
    names: Vec<String>,
}

impl<'a> Confusion<'a> {
    /// The matrix, rows being true classes. Classes without a name are called by their number. `None` when nothing was
    /// counted.
    pub fn new(rows: &'a [Vec<u64>], names: &[String]) -> Option<Confusion<'a>> {
        let size = rows.iter().map(Vec::len).max().unwrap_or(0).max(rows.len());
        let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| format!("class {k}"));
        let confusion = Confusion { rows, names: (0..size).map(name).collect() };
        (confusion.all() > 0).then_some(confusion)
    }

    fn size(&self) -> usize {
        self.names.len()
    }

    fn at(&self, row: usize, column: usize) -> u64 {
        self.rows.get(row).and_then(|cells| cells.get(column)).copied().unwrap_or(0)
    }

    fn row_total(&self, row: usize) -> u64 {
        self.rows.get(row).map_or(0, |cells| cells.iter().sum())
    }

    fn all(&self) -> u64 {
        self.rows.iter().flatten().sum()
    }

    /// The part of a true class that was given a predicted class; 0 for a class that never occurs.
    fn share(&self, row: usize, column: usize) -> f64 {
        self.at(row, column) as f64 / self.row_total(row).max(1) as f64
    }

    /// The largest share, where the colour scale ends.
    fn largest_share(&self) -> f64 {
        let pairs = (0..self.size()).flat_map(|r| (0..self.size()).map(move |c| (r, c)));
        pairs.map(|(r, c)| self.share(r, c)).fold(0.0, f64::max)
    }

    /// Whether there are too many classes for a table of numbers.
    pub fn is_large(&self) -> bool {
        self.size() > MOST_NUMBERED
    }

    /// The part of all pictures on the diagonal.
    pub fn accuracy(&self) -> f64 {
        (0..self.size()).map(|k| self.at(k, k)).sum::<u64>() as f64 / self.all() as f64
    }

    /// The matrix with its colour scale.
    pub fn matrix_html(&self) -> String {
        let grid = if self.is_large() { self.picture() } else { self.table() };
        let top = self.largest_share();
        let root = if self.is_large() { " class=\"root\"" } else { "" };
        format!(
            "{grid}<div class=\"scale\"><span>0%</span><i{root} aria-hidden=\"true\"></i>\
             <span>{} of the true class</span>\
             <output></output></div>\n",
            measured(top, Format::Percent)
        )
    }

    fn table(&self) -> String {
        let mut html = String::from(
            "<table class=\"confusion\">\n<thead><tr><td class=\"corner\"><span>predicted \u{2192}</span>\
             <span>true \u{2193}</span></td>",
        );
        for name in &self.names {
            let _ = write!(html, "<th scope=\"col\"><span>{}</span></th>", escape(name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        let top = self.largest_share();
        for (row, name) in self.names.iter().enumerate() {
            let of = self.row_total(row);
            let _ = write!(html, "<tr><th scope=\"row\" data-n=\"{of}\">{}</th>", escape(name));
            for column in 0..self.size() {
                let depth = self.share(row, column) / top;
                let mut class = if depth > 0.55 { "deep" } else { "" }.to_string();
                if row == column {
                    class.push_str(" hit");
                }
                let n = self.at(row, column);
                if n == 0 {
                    class.push_str(" none");
                }
                let _ = write!(
                    html,
                    "<td class=\"{}\" style=\"--depth:{depth:.3}\" data-n=\"{n}\">{}</td>",
                    class.trim_start(),
                    brief(n)
                );
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody>\n</table>\n");
        html
    }

    /// The matrix as a picture with one pixel for a cell: opaque where the share is largest, so that the page gives it
    /// the colour of its theme.
    fn picture(&self) -> String {
        let top = self.largest_share();
        let mut pixels = Vec::with_capacity(2 * self.size() * self.size());
        for row in 0..self.size() {
            for column in 0..self.size() {
                // Most cells hold a small share; the square root keeps them visible.
                let depth = (self.share(row, column) / top).sqrt();
                pixels.extend([0, (depth * 255.0).round() as u8]);
            }
        }
        let side = self.size() as u32;
        match data_uri(&pixels, side, side, ExtendedColorType::La8) {
            Ok(uri) => format!(
                "<div class=\"mask\" role=\"img\" aria-label=\"Confusion matrix of {side} classes as a picture, true \
                 classes downwards, predicted classes to the right\"><div style=\"-webkit-mask-image:url({uri});\
                 mask-image:url({uri})\"></div></div>\n"
            ),
            Err(error) => {
                format!("<p>The picture could not be made: {}</p>\n", escape(&error.to_string()))
            }
        }
    }

    /// The most frequent mistakes, most frequent first.
    pub fn mistakes_html(&self) -> String {
        let pairs = (0..self.size()).flat_map(|r| (0..self.size()).map(move |c| (r, c)));
        let mut wrong: Vec<(u64, usize, usize)> = pairs
            .filter(|(r, c)| r != c && self.at(*r, *c) > 0)
            .map(|(r, c)| (self.at(r, c), r, c))
            .collect();
        if wrong.is_empty() {
            return "<p class=\"lead\">None.</p>\n".to_string();
        }
        wrong.sort_by_key(|(n, r, c)| (std::cmp::Reverse(*n), *r, *c));
        let mut html = String::from("<ol class=\"mistakes\">\n");
        for (n, row, column) in wrong.into_iter().take(if self.is_large() { 14 } else { 5 }) {
            let _ = writeln!(
                html,
                "<li><span>{} <span class=\"as\">taken for</span> {}</span> <b>{}</b> <span class=\"of\">of {}</span></li>",
                escape(&self.names[row]),
                escape(&self.names[column]),
                count(n as f64),
                count(self.row_total(row) as f64),
            );
        }
        html + "</ol>\n"
    }

    /// Every class that occurs, the best recognised first: with its recall as a bar, precision and F1, or where classes are
    /// many with its recall alone. A line in the bars is at the accuracy over all classes.
    pub fn bars_html(&self) -> String {
        let mut order: Vec<usize> = (0..self.size()).filter(|k| self.row_total(*k) > 0).collect();
        order.sort_by(|a, b| self.share(*b, *b).total_cmp(&self.share(*a, *a)));
        let all = format!("style=\"--all:{:.2}%\"", 100.0 * self.accuracy());
        if self.is_large() {
            let rows: String = order.into_iter().map(|k| self.bar(k)).collect();
            return format!("<ul class=\"bars\" {all}>\n{rows}</ul>\n");
        }
        let counts = (0..self.size()).map(|r| (0..self.size()).map(|c| self.at(r, c)).collect());
        let scores = train::Confusion { counts: counts.collect() }.scores();
        let mut html = format!(
            "<table class=\"scores\" {all}><thead><tr><th scope=\"col\">class</th><td></td><th scope=\"col\">recall</th>\
             <th scope=\"col\">precision</th><th scope=\"col\">F1</th></tr></thead>\n<tbody>\n"
        );
        let mut row = |name: &str, bar: &str, s: &ClassScore| {
            let [recall, precision, f1] =
                [s.recall, s.precision, s.f1].map(|v| measured(v, Format::Percent));
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{name}</th><td class=\"bar\">{bar}</td><td><b>{recall}</b></td>\
                 <td>{precision}</td><td>{f1}</td></tr>"
            );
        };
        for k in order {
            row(&escape(&self.names[k]), &self.track(k), &scores.classes[k]);
        }
        row("mean", "", &scores.macro_average);
        html + "</tbody></table>\n"
    }

    /// The recall of a class as a bar.
    fn track(&self, k: usize) -> String {
        let width = 100.0 * self.share(k, k);
        format!(
            "<span class=\"track\" aria-hidden=\"true\"><i style=\"width:{width:.2}%\"></i></span>"
        )
    }

    fn bar(&self, k: usize) -> String {
        format!(
            "<li><span class=\"name\">{}</span>{}<b>{}</b></li>\n",
            escape(&self.names[k]),
            self.track(k),
            measured(self.share(k, k), Format::Percent),
        )
    }
}

/// A count that fits a small cell.
fn brief(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..10_000_000 => format!("{}k", n / 1000),
        _ => format!("{}M", n / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|k| format!("c{k}")).collect()
    }

    #[test]
    fn accuracy_and_mistakes_come_from_the_counts() {
        let rows = vec![vec![8, 2, 0], vec![1, 9, 0], vec![5, 0, 5]];
        let confusion = Confusion::new(&rows, &names(3)).expect("30 pictures");
        assert!((confusion.accuracy() - 22.0 / 30.0).abs() < 1e-12);
        let mistakes = confusion.mistakes_html();
        assert!(mistakes.contains("c2 <span class=\"as\">taken for</span> c0</span> <b>5</b>"));
        assert_eq!(mistakes.matches("<li>").count(), 3);
        let bars = confusion.bars_html();
        let place = |name: &str| bars.find(&format!(">{name}<")).expect("a bar");
        assert!(place("c1") < place("c0") && place("c0") < place("c2"));
        assert!(bars.contains("<b>80.0%</b></td><td>57.1%</td><td>66.7%</td>"), "{bars}");
    }

    #[test]
    fn ragged_or_empty_counts_do_not_break_it() {
        assert!(Confusion::new(&[], &names(3)).is_none());
        assert!(Confusion::new(&[vec![0, 0], vec![0, 0]], &names(2)).is_none());
        let rows = vec![vec![1], vec![0, 2, 3]];
        let confusion = Confusion::new(&rows, &names(1)).expect("6 pictures");
        assert!(confusion.matrix_html().contains("class 2"));
        assert_eq!(
            confusion.bars_html().matches("<th scope=\"row\">").count(),
            3,
            "two classes and the mean"
        );
    }

    #[test]
    fn many_classes_become_a_picture() {
        let rows: Vec<Vec<u64>> = (0..100)
            .map(|r| (0..100).map(|c| u64::from(r == c) * 7 + u64::from(r + 1 == c)).collect())
            .collect();
        let confusion = Confusion::new(&rows, &[]).expect("pictures");
        let html = confusion.matrix_html();
        assert!(html.contains("mask-image:url(data:image/png;base64,") && !html.contains("<table"));
    }
}
