//! Several runs on one page: their curves over each other, what differs in their settings.

use std::fmt::Write as _;

use super::chart::{LineChart, Look, Marker, Series};
use super::curve::{self, Curve};
use super::html::{card, escape, masthead, page};
use super::scale::{Format, Scale};

/// The looks of the curves, in the order of the runs.
pub(super) const LOOKS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// The most runs that can be told apart.
pub const MOST_RUNS: usize = LOOKS.len();

/// A run beside others.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// The training loss of each step.
    pub loss: Vec<(u64, f64)>,
    /// The training accuracy after each epoch.
    pub train: Vec<(f64, f64)>,
    /// The validation accuracy after each epoch.
    pub val: Vec<(f64, f64)>,
    /// Its figures, in the order of [`Comparison::figures`].
    pub figures: Vec<String>,
}

/// Everything a comparison shows.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// The runs, at most [`MOST_RUNS`].
    pub runs: Vec<Compared>,
    /// What the figures of each run are called.
    pub figures: Vec<String>,
    /// The settings that are not the same in all runs: the key, and each run's value.
    pub differences: Vec<(String, Vec<String>)>,
}

impl Comparison {
    /// The page. It refers to no other file and no address.
    pub fn to_html(&self) -> String {
        let names: Vec<&str> = self.runs.iter().map(|r| r.name.as_str()).collect();
        let title = names.join(" and ");
        let title = if names.len() > 2 { format!("{} runs", names.len()) } else { title };
        let sections = [
            self.figures_card(),
            self.differences_card(),
            self.chart("wide tall", "Validation accuracy", "epoch", Format::Percent, |r| {
                r.val.clone()
            }),
            self.chart("half tall", "Training loss", "step", Format::Number, |r| {
                let points = curve::finite(r.loss.iter().map(|(s, l)| (*s as f64, *l))).0;
                curve::smooth(&points, curve::window_for(points.len()))
            }),
            self.chart("half tall", "Training accuracy", "epoch", Format::Percent, |r| {
                r.train.clone()
            }),
        ];
        page(&title, &masthead("Comparison", &title), &sections.concat())
    }

    fn chart(
        &self,
        place: &str,
        heading: &str,
        x_name: &str,
        format: Format,
        points: impl Fn(&Compared) -> Curve,
    ) -> String {
        let series: Vec<Series> = self
            .runs
            .iter()
            .zip(LOOKS)
            .map(|(run, class)| Series {
                name: run.name.clone(),
                points: curve::finite(points(run).into_iter()).0,
                look: Look { class, marker: Marker::None },
            })
            .filter(|s| !s.points.is_empty())
            .collect();
        if series.is_empty() {
            return String::new();
        }
        let all = series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
        let y = match format {
            Format::Percent => Scale::linear(all),
            _ => Scale::automatic(all),
        };
        let smoothed = "The mean of neighbouring steps, a fortieth of each run.";
        let lead = if format == Format::Number { smoothed } else { "" };
        let id = heading.to_lowercase().replace(' ', "-");
        let chart = LineChart {
            id: &id,
            title: heading,
            description: lead,
            x_name,
            y,
            format,
            series,
            highlight: None,
        };
        card(place, heading, lead, &chart.to_html())
    }

    /// A run's name with the colour of its curve.
    fn key(&self, i: usize) -> String {
        let (class, name) = (LOOKS[i % LOOKS.len()], escape(&self.runs[i].name));
        format!(
            "<span class=\"key\"><svg width=\"26\" height=\"12\" aria-hidden=\"true\">\
             <path class=\"{class}\" d=\"M1 6H25\"/></svg>{name}</span>"
        )
    }

    fn figures_card(&self) -> String {
        let mut html = String::from(
            "<div class=\"scroll\"><table class=\"runs\"><thead><tr><th scope=\"col\">run</th>",
        );
        for name in &self.figures {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escape(name));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for (i, run) in self.runs.iter().enumerate() {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", self.key(i));
            for value in &run.figures {
                let _ = write!(html, "<td>{}</td>", escape(value));
            }
            html.push_str("</tr>\n");
        }
        card("wide", "Runs", "", &(html + "</tbody></table></div>\n"))
    }

    fn differences_card(&self) -> String {
        if self.differences.is_empty() {
            return card(
                "wide",
                "Settings that differ",
                "None: all runs have the same settings.",
                "",
            );
        }
        let mut html = String::from(
            "<div class=\"scroll\"><table class=\"runs differ\"><thead><tr><th scope=\"col\">setting</th>",
        );
        for i in 0..self.runs.len() {
            let _ = write!(html, "<th scope=\"col\">{}</th>", self.key(i));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for (key, values) in &self.differences {
            let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(key));
            for value in values {
                let _ = write!(html, "<td>{}</td>", escape(value));
            }
            html.push_str("</tr>\n");
        }
        card("wide", "Settings that differ", "", &(html + "</tbody></table></div>\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_well_formed;
    use super::*;

    fn comparison(runs: usize) -> Comparison {
        let run = |k: usize| Compared {
            name: format!("run<{k}>"),
            loss: (1..=500).map(|s| (s, 2.5 / (1.0 + s as f64 / 90.0 * (k + 1) as f64))).collect(),
            train: (0..=9).map(|e| (f64::from(e), 0.1 + 0.05 * f64::from(e))).collect(),
            val: (0..=9)
                .map(|e| (f64::from(e), 0.1 + 0.01 * f64::from(e) * (k + 1) as f64))
                .collect(),
            figures: vec!["40.1%".into(), "2m 03s".into()],
        };
        Comparison {
            runs: (0..runs).map(run).collect(),
            figures: vec!["validation".into(), "time".into()],
            differences: vec![("lr".into(), (0..runs).map(|k| format!("{}e-3", k + 1)).collect())],
        }
    }

    #[test]
    fn every_run_has_a_curve_of_its_own_in_each_chart() {
        for n in [2, MOST_RUNS] {
            let page = comparison(n).to_html();
            assert_well_formed(&page);
            for heading in ["Runs", "Settings that differ", "Validation accuracy", "Training loss"]
            {
                assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
            }
            for class in &LOOKS[..n] {
                let curves = page.matches(&format!("<path class=\"{class}\" d=\"M")).count();
                // Three curves, their three keys, and the keys of two tables.
                assert_eq!(curves, 8, "{class}");
            }
            assert!(page.contains("run&lt;1&gt;") && !page.contains("run<1>"));
            assert!(page.len() < 1_000_000);
        }
    }

    #[test]
    fn runs_without_curves_or_differences_make_a_page() {
        let mut nothing = comparison(2);
        nothing.differences.clear();
        nothing
            .runs
            .iter_mut()
            .for_each(|r| *r = Compared { name: "empty".into(), ..Compared::default() });
        let page = nothing.to_html();
        assert_well_formed(&page);
        assert!(
            page.contains("None: all runs have the same settings.") && !page.contains("<figure")
        );
    }
}
