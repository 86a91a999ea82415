//! Trials as dots over one parameter, as inline SVG that fits any width: places are percentages, text keeps its size.

use std::fmt::Write as _;

use super::chart::{round, x_ticks, y_ticks};
use super::html::escape;
use super::scale::{Format, Scale, extent, measured, rounded};
use super::search::Axis;

/// A chart of validation accuracy over a parameter.
pub(super) struct Scatter<'a> {
    /// Unique in the page.
    pub id: String,
    /// The parameter and the trials, the best first.
    pub axis: &'a Axis,
    /// What a screen reader says: the content in a sentence.
    pub description: &'a str,
}

impl Scatter<'_> {
    /// The chart as a `figure`.
    pub fn to_html(&self) -> String {
        let Axis { name, points, .. } = self.axis;
        let x = self.x_scale();
        let y = Scale::linear(points.iter().map(|p| p.1));
        let mut svg = String::new();
        let left = y_ticks(&y, Format::Percent, &mut svg);
        match self.axis.categories.is_empty() {
            true => x_ticks(&x, Format::Number, 4, &mut svg),
            false => self.names(&x, &mut svg),
        }
        // The best is drawn last, over the others.
        for (rank, (px, py, number)) in points.iter().enumerate().rev() {
            let (cx, cy) = (round(100.0 * x.place(*px)), round(100.0 * (1.0 - y.place(*py))));
            let (class, r) = if rank == 0 { ("trial top", 6) } else { ("trial", 4) };
            let told =
                format!("trial {number}: {}, {}", self.value(*px), measured(*py, Format::Percent));
            let _ = writeln!(
                svg,
                "<circle class=\"{class}\" cx=\"{cx}%\" cy=\"{cy}%\" r=\"{r}\"><title>{}</title></circle>",
                escape(&told)
            );
        }
        let (id, title) = (&self.id, escape(name));
        format!(
            "<figure class=\"dots\" id=\"{id}\">\n<div class=\"plot\" style=\"--left:{left}px\">\n\
             <svg role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\n\
             <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-text\">{text}</desc>\n\
             {svg}</svg>\n</div>\n<p class=\"axis\">{title}</p>\n</figure>\n",
            text = escape(self.description),
        )
    }

    fn value(&self, x: f64) -> String {
        self.axis.categories.get(x as usize).cloned().unwrap_or_else(|| rounded(x))
    }

    fn x_scale(&self) -> Scale {
        let categories = self.axis.categories.len();
        if categories > 0 {
            return Scale::exact(-0.5, categories as f64 - 0.5);
        }
        let (lo, hi) = extent(self.axis.points.iter().map(|p| p.0));
        if self.axis.log {
            // A little room, so that no dot is cut by the edge.
            let room = (hi / lo).max(1.1).powf(0.03);
            return Scale { lo: lo / room, hi: hi * room, log: true };
        }
        let room = 0.03 * (hi - lo);
        Scale::exact(lo - room, hi + room)
    }

    /// The names of categories below their places; of many only some.
    fn names(&self, x: &Scale, svg: &mut String) {
        let names = &self.axis.categories;
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(1);
        let every = (names.len() * (longest + 1)).div_ceil(44).max(1);
        for (i, name) in names.iter().enumerate().step_by(every) {
            let at = round(100.0 * x.place(i as f64));
            let _ = writeln!(
                svg,
                "<svg class=\"tick\" x=\"{at}%\" y=\"100%\"><line y2=\"5\"/><text class=\"x\" y=\"19\">{}</text></svg>",
                escape(name)
            );
        }
    }
}
