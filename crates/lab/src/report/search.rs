//! A search on one page: the best, every trial over each parameter, the curves of the better ones, a table.

use std::fmt::Write as _;

use super::chart::{LineChart, Look, Marker, Series};
use super::curve::{self, Curve};
use super::html::{card, command, escape, headline, masthead, page};
use super::scale::{Format, Scale};
use super::scatter::Scatter;

/// A parameter, and where the trials lie on it.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Whether equal distances are equal ratios.
    pub log: bool,
    /// Of each trial its value (or the number of its category), its validation accuracy, and its number; the best first.
    pub points: Vec<(f64, f64, usize)>,
    /// What the values are called if they are no numbers.
    pub categories: Vec<String>,
}

/// Everything the page of a search shows.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// The heading.
    pub title: String,
    /// The command that made it.
    pub command: String,
    /// The headline figures as (label, value).
    pub headline: Vec<(String, String)>,
    /// The parameters.
    pub axes: Vec<Axis>,
    /// The parameters' names.
    pub columns: Vec<String>,
    /// The trials, the best first: number, accuracy, epochs, state, then the values.
    pub rows: Vec<Vec<String>>,
    /// The validation accuracy over epochs of the same trials.
    pub curves: Vec<Curve>,
    /// The file that says what was searched.
    pub space: String,
}

impl Searched {
    /// The page. It refers to no other file and no address.
    pub fn to_html(&self) -> String {
        let header = masthead("Search over settings", &self.title)
            + &headline(&self.headline)
            + &command(&self.command);
        let last = self.axes.len() % 2 == 1;
        let axes: String = self
            .axes
            .iter()
            .enumerate()
            .map(|(i, axis)| {
                let alone = last && i + 1 == self.axes.len();
                axis.card(i, if alone { "wide" } else { "half" })
            })
            .collect();
        let space = format!("<pre class=\"code\"><code>{}</code></pre>\n", escape(&self.space));
        let space = card("wide", "What was searched", "", &space);
        page(&self.title, &header, &(axes + &self.curves_card() + &self.table_card() + &space))
    }

    fn curves_card(&self) -> String {
        let one = |(i, points): (usize, &Curve)| Series {
            name: if i == 0 { "the best trial".into() } else { String::new() },
            points: curve::finite(points.iter().copied()).0,
            look: Look { class: if i == 0 { "val" } else { "other" }, marker: Marker::None },
        };
        // The best is drawn last, over the others.
        let series: Vec<Series> = self.curves.iter().enumerate().rev().map(one).collect();
        let series: Vec<Series> = series.into_iter().filter(|s| !s.points.is_empty()).collect();
        if series.is_empty() {
            return String::new();
        }
        let lead = match series.len() {
            1 => "One trial.".to_string(),
            n => format!("The best of {n} trials among the others."),
        };
        let chart = LineChart {
            id: "curves",
            title: "Validation accuracy",
            description: &lead,
            x_name: "epoch",
            y: Scale::linear(series.iter().flat_map(|s| s.points.iter().map(|p| p.1))),
            format: Format::Percent,
            series,
            highlight: None,
        };
        card("wide tall", "Validation accuracy", &lead, &chart.to_html())
    }

    fn table_card(&self) -> String {
        let head = ["trial", "validation", "epochs", "state"].into_iter();
        let head = head.chain(self.columns.iter().map(String::as_str));
        let mut html = String::from("<div class=\"scroll\"><table class=\"runs\"><thead><tr>");
        head.for_each(|name| {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escape(name));
        });
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (i, cell) in row.iter().enumerate() {
                let (tag, scope) = if i == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                let _ = write!(html, "<{tag}{scope}>{}</{tag}>", escape(cell));
            }
            html.push_str("</tr>\n");
        }
        let lead = format!("The best {}; results.csv has all.", self.rows.len());
        card("wide", "Trials", &lead, &(html + "</tbody></table></div>\n"))
    }
}

impl Axis {
    fn card(&self, number: usize, place: &str) -> String {
        if self.points.is_empty() {
            return String::new();
        }
        let best = self.points[0];
        let text = |x: f64| match self.categories.get(x as usize) {
            Some(name) => name.clone(),
            None => super::scale::rounded(x),
        };
        let lead = format!("The best trial has {}.", text(best.0));
        let scatter = Scatter { id: format!("axis-{number}"), axis: self, description: &lead };
        card(place, &self.name, &lead, &scatter.to_html())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_well_formed;
    use super::*;

    #[test]
    fn every_trial_is_a_dot_in_every_chart_and_names_are_escaped() {
        let points = |scale: f64| (1..=9).map(|k| (scale * k as f64, 0.05 * k as f64, k)).collect();
        let axis = |name: &str, scale, log| Axis {
            name: name.into(),
            log,
            points: points(scale),
            categories: Vec::new(),
        };
        let kinds = Axis {
            name: "hidden".into(),
            points: (1..=9).map(|k| ((k % 2) as f64, 0.05 * k as f64, k)).collect(),
            categories: vec!["<100>".into(), "200,150".into()],
            ..Axis::default()
        };
        let searched = Searched {
            title: "Search <x>".into(),
            axes: vec![axis("lr", 1e-4, true), axis("reg", 0.1, false), kinds],
            columns: vec!["lr".into()],
            rows: vec![vec!["1".into(), "40%".into(), "3".into(), "finished".into(), "0.1".into()]],
            curves: vec![vec![(0.0, 0.1), (1.0, 0.2)], vec![(0.0, 0.1), (1.0, 0.15)]],
            space: "lr = { log-uniform = [1e-4, 1e-2] } # <b>".into(),
            ..Searched::default()
        };
        let page = searched.to_html();
        assert_well_formed(&page);
        assert_eq!(page.matches("<circle class=\"trial").count(), 27);
        assert_eq!(page.matches("<circle class=\"trial top").count(), 3);
        assert!(page.contains("&lt;100&gt;") && !page.contains("<100>"));
        assert_eq!(page.matches("<path class=\"other\"").count(), 1, "it has no key");
        assert_well_formed(&Searched::default().to_html());
    }
}
