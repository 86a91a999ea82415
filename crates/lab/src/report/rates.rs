//! The page of a learning-rate range test: the loss over the rate, with the suggested rate marked.

use super::chart::{LineChart, Look, Marker, Series};
use super::curve::finite;
use super::html::{self, card};
use super::scale::{Format, Scale, rounded};
use chainrule::train::RateCurve;

/// The page. `title` is the model and its data, `command` what made the page.
pub fn to_html(title: &str, command: &str, curve: &RateCurve) -> String {
    let (points, _) = finite(curve.losses.iter().copied());
    let (smooth, _) = finite(curve.smoothed.iter().copied());
    let marked = curve.suggestion.and_then(|rate| smooth.iter().find(|p| p.0 == rate)).copied();
    let suggested = curve.suggestion.map_or("none".to_string(), rounded);
    let sentence = match curve.suggestion {
        Some(rate) => format!("The loss falls fastest around a rate of {}.", rounded(rate)),
        None => "The loss does not fall at any of these rates.".to_string(),
    };
    // Where the loss blows up the curve leaves the page, so that the part that matters can be seen.
    let start = smooth.first().map_or(1.0, |p| p.1);
    let shown = smooth.iter().chain(&points).map(|p| p.1.min(1.5 * start)).collect::<Vec<_>>();
    let look = |class| Look { class, marker: Marker::None };
    let chart = LineChart {
        id: "range",
        title: "Loss over the learning rate",
        description: &sentence,
        x_name: "learning rate",
        y: Scale::linear(shown.into_iter()),
        format: Format::Number,
        series: vec![
            Series { name: "each step".into(), points, look: look("raw") },
            Series { name: "smoothed".into(), points: smooth, look: look("mean") },
        ],
        highlight: marked,
    };
    let tried = curve.losses.len().to_string();
    let last = curve.losses.last().map_or("none".to_string(), |p| rounded(p.0));
    let figures = [("suggested rate", suggested), ("steps", tried), ("largest rate tried", last)];
    let figures = figures.map(|(label, value)| (label.to_string(), value));
    let header = html::masthead("Learning-rate range test", title)
        + &html::headline(&figures)
        + &html::command(command);
    let body = match curve.losses.is_empty() {
        true => card("wide", "Loss over the learning rate", "The first loss was no number.", ""),
        false => card(
            "wide tall",
            "Loss over the learning rate",
            &sentence,
            &chart.to_html_over_decades(),
        ),
    };
    html::page(&format!("Learning rates: {title}"), &header, &body)
}
