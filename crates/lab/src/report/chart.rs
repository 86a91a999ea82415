//! A line chart as inline SVG that fits any width.
//!
//! The outer `svg` has no view box: grid lines, ticks and markers sit at percentages of its size, so that text is as large
//! on a phone as on a desk, and only the curves live in a nested `svg` that is stretched to fill it, with strokes that are
//! not. The legend shows the last values; `script.js` shows those under the pointer instead.

use std::fmt::Write as _;

use serde_json::json;

use super::curve::{Curve, thin};
use super::html::escape;
use super::scale::{Format, Scale, extent, measured};

/// How a curve is drawn: its class in `style.css`, which gives colour, width and dashes, and what marks its points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The class.
    pub class: &'static str,
    /// The marker, drawn when the points are few.
    pub marker: Marker,
}

/// What marks the points of a curve, so that curves differ in more than colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Marker {
    /// Nothing.
    None,
    /// A ring.
    Ring,
    /// A filled square.
    Square,
    /// A dot for each point, however many, and no curve between them.
    Dot,
}

/// One curve with its name in the legend.
pub(super) struct Series {
    /// The name; empty for a curve in the background, which the legend does not list.
    pub name: String,
    /// Finite points, x rising.
    pub points: Curve,
    /// How it looks.
    pub look: Look,
}

/// A chart of one or more curves over one x axis.
pub(super) struct LineChart<'a> {
    /// Unique in the page.
    pub id: &'a str,
    /// What a screen reader says first.
    pub title: &'a str,
    /// What a screen reader says then: the content in a sentence.
    pub description: &'a str,
    /// The name of the x axis.
    pub x_name: &'a str,
    /// The y axis.
    pub y: Scale,
    /// How values on the y axis are written.
    pub format: Format,
    /// The curves, drawn in this order.
    pub series: Vec<Series>,
    /// The point to draw a circle round, if any.
    pub highlight: Option<(f64, f64)>,
}

/// Markers are drawn on curves with at most this many points.
const MOST_MARKERS: usize = 40;

impl LineChart<'_> {
    /// The chart as a `figure`, over something counted.
    pub fn to_html(&self) -> String {
        self.over(x_axis(&self.series))
    }

    /// The chart as a `figure`, over something measured that is positive and lies over decades.
    pub fn to_html_over_decades(&self) -> String {
        let (lo, hi) = extent(self.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)));
        self.over(Scale { log: true, ..Scale::exact(lo, hi) })
    }

    fn over(&self, x: Scale) -> String {
        let series: Vec<Curve> = self.series.iter().map(|s| thin(&s.points)).collect();
        let mut svg = String::new();
        let left = y_ticks(&self.y, self.format, &mut svg);
        x_ticks(&x, x_format(&x), 6, &mut svg);
        svg.push_str("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\n");
        for (curve, Series { look, .. }) in series.iter().zip(&self.series) {
            if look.marker == Marker::Dot {
                continue;
            }
            let path = self.path(&x, curve);
            let _ = writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", look.class);
        }
        svg.push_str("</svg>\n");
        for (curve, Series { look, .. }) in series.iter().zip(&self.series) {
            self.markers(&x, curve, *look, &mut svg);
        }
        if let Some((px, py)) = self.highlight {
            let (cx, cy) = self.percent(&x, px, py);
            let _ = writeln!(svg, "<circle class=\"best\" cx=\"{cx}%\" cy=\"{cy}%\" r=\"8\"/>");
        }
        let (id, title) = (self.id, escape(self.title));
        let data = escape(&self.data(&x, &series).to_string());
        format!(
            "<figure class=\"chart\" id=\"{id}\" data-chart=\"{data}\">\n{legend}\
             <div class=\"plot\" style=\"--left:{left}px\" tabindex=\"0\" role=\"group\" \
             aria-label=\"{title}: arrow keys read the values\">\n\
             <svg role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
             <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-text\">{text}</desc>\n\
             {svg}<g class=\"cursor\"></g>\n</svg>\n</div>\n\
             <p class=\"axis\">{x_name}</p>\n</figure>\n",
            legend = self.legend(&x, &series),
            text = escape(self.description),
            x_name = escape(self.x_name),
        )
    }

    /// The curve in the units of the stretched view box.
    fn path(&self, x: &Scale, curve: &Curve) -> String {
        let mut path = String::new();
        for (i, (px, py)) in curve.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let (at, up) = (x.place(*px) * 1000.0, (1.0 - self.y.place(*py)) * 1000.0);
            let _ = write!(path, "{command}{} {}", round(at), round(up));
        }
        if curve.len() == 1 {
            // A line of no length with round ends is a dot.
            path.push_str("h0");
        }
        path
    }

    fn markers(&self, x: &Scale, curve: &Curve, look: Look, svg: &mut String) {
        let many = curve.len() > MOST_MARKERS && look.marker != Marker::Dot;
        if many || look.marker == Marker::None {
            return;
        }
        for (px, py) in curve {
            let (cx, cy) = self.percent(x, *px, *py);
            let class = look.class;
            let _ = match look.marker {
                Marker::Ring => {
                    writeln!(
                        svg,
                        "<circle class=\"ring {class}\" cx=\"{cx}%\" cy=\"{cy}%\" r=\"3.5\"/>"
                    )
                }
                Marker::Dot => writeln!(
                    svg,
                    "<circle class=\"dot {class}\" cx=\"{cx}%\" cy=\"{cy}%\" r=\"1\"/>"
                ),
                _ => writeln!(
                    svg,
                    "<rect class=\"square {class}\" x=\"{cx}%\" y=\"{cy}%\" width=\"7\" height=\"7\" \
                     transform=\"translate(-3.5 -3.5)\"/>"
                ),
            };
        }
    }

    /// A point as percentages of the plot, from the left and from the top.
    fn percent(&self, x: &Scale, px: f64, py: f64) -> (f64, f64) {
        (round(x.place(px) * 100.0), round((1.0 - self.y.place(py)) * 100.0))
    }

    /// The legend: a sample of each curve, its name, its last value, and where that is.
    fn legend(&self, x: &Scale, series: &[Curve]) -> String {
        let mut html = String::from("<figcaption class=\"legend\" aria-live=\"polite\">\n");
        for (curve, Series { name, look, .. }) in self.named(series) {
            let class = look.class;
            let marker = match look.marker {
                Marker::None => String::new(),
                Marker::Dot => {
                    format!("<circle class=\"dot {class}\" cx=\"13\" cy=\"6\" r=\"1\"/>")
                }
                Marker::Ring => {
                    format!("<circle class=\"ring {class}\" cx=\"13\" cy=\"6\" r=\"3.5\"/>")
                }
                Marker::Square => {
                    format!(
                        "<rect class=\"square {class}\" x=\"9.5\" y=\"2.5\" width=\"7\" height=\"7\"/>"
                    )
                }
            };
            let path = match look.marker {
                Marker::Dot => String::new(),
                _ => format!("<path class=\"{class}\" d=\"M1 6H25\"/>"),
            };
            let value = curve.last().map_or(String::new(), |(_, y)| measured(*y, self.format));
            let _ = writeln!(
                html,
                "<span class=\"key\"><svg width=\"26\" height=\"12\" aria-hidden=\"true\">\
                 {path}{marker}</svg>{} <b class=\"value\">{value}</b></span>",
                escape(name)
            );
        }
        let last = self.series.iter().filter_map(|s| s.points.last()).map(|p| p.0);
        let at = measured(extent(last).1, x_format(x));
        let name = escape(self.x_name);
        let _ = writeln!(html, "<span class=\"at\">{name} <b>{at}</b></span>\n</figcaption>");
        html
    }

    /// The curves that the legend lists.
    fn named<'b>(&'b self, series: &'b [Curve]) -> impl Iterator<Item = (&'b Curve, &'b Series)> {
        series.iter().zip(&self.series).filter(|(_, s)| !s.name.is_empty())
    }

    /// What the script needs to read values off the chart.
    fn data(&self, x: &Scale, series: &[Curve]) -> serde_json::Value {
        let series: Vec<_> = self
            .named(series)
            .map(|(curve, Series { look, .. })| {
                let xs: Vec<_> = curve.iter().map(|p| number(p.0)).collect();
                let ys: Vec<_> = curve.iter().map(|p| number(significant(p.1))).collect();
                json!({ "class": look.class, "x": xs, "y": ys })
            })
            .collect();
        let Scale { lo, hi, log } = self.y;
        json!({
            "x": [x.lo, x.hi], "y": [lo, hi], "log": log, "decades": x.log,
            "percent": self.format == Format::Percent, "series": series,
        })
    }
}

/// Grid lines and labels of the y axis; returns the room in pixels the labels need at the left.
pub(super) fn y_ticks(y: &Scale, format: Format, svg: &mut String) -> usize {
    let ticks = y.ticks(5, false);
    let mut longest = 1;
    for tick in &ticks {
        let label = y.label(*tick, &ticks, format);
        longest = longest.max(label.chars().count());
        let at = round(100.0 * (1.0 - y.place(*tick)));
        let base = if *tick == y.lo { " class=\"base\"" } else { "" };
        let _ = writeln!(
            svg,
            "<line{base} x2=\"100%\" y1=\"{at}%\" y2=\"{at}%\"/>\
             <text class=\"y\" x=\"-8\" y=\"{at}%\" dy=\".35em\">{label}</text>"
        );
    }
    longest * 7 + 12
}

/// Ticks and labels of the x axis, about `count` of them.
pub(super) fn x_ticks(x: &Scale, format: Format, count: usize, svg: &mut String) {
    let mut ticks = x.ticks(count, format == Format::Count);
    let room: usize = ticks.iter().map(|t| x.label(*t, &ticks, format).chars().count() + 3).sum();
    // Between powers of ten labels soon touch each other: a narrow chart has room for some thirty letters.
    if x.log && room > 32 {
        let powers = |t: &f64| (t.log10() - t.log10().round()).abs() < 1e-9;
        ticks.retain(powers);
    }
    for tick in &ticks {
        let label = x.label(*tick, &ticks, format);
        let at = round(100.0 * x.place(*tick));
        let _ = writeln!(
            svg,
            "<svg class=\"tick\" x=\"{at}%\" y=\"100%\"><line y2=\"5\"/><text class=\"x\" y=\"19\">{label}</text></svg>"
        );
    }
}

/// How values on the x axis are written.
fn x_format(x: &Scale) -> Format {
    if x.log { Format::Number } else { Format::Count }
}

/// The x axis all series share: exactly as wide as the data, but from zero when they begin near it.
fn x_axis(series: &[Series]) -> Scale {
    let (lo, hi) = extent(series.iter().flat_map(|s| s.points.iter().map(|p| p.0)));
    // One epoch is a point in the middle of an axis rather than on its edge.
    if hi <= lo {
        return Scale { lo: lo - 1.0, hi: lo + 1.0, log: false };
    }
    Scale { lo: if lo > 0.0 && lo <= 0.02 * hi { 0.0 } else { lo }, hi, log: false }
}

/// Two decimals, as many as a screen can show.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Five significant digits: one more than the legend shows.
fn significant(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

/// A JSON number, without a decimal point when whole.
fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}
