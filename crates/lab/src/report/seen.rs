//! Pictures with what the network makes of them.

use std::fmt::Write as _;

use image::ExtendedColorType;

use super::Shown;
use super::html::escape;
use super::picture::data_uri;
use super::scale::{Format, measured};

/// A share of 1 as it stands beside a picture, as HTML. What rounds to all or nothing without being it says so.
fn share(value: f64) -> String {
    match value {
        v if v > 0.9995 && v < 1.0 => "&gt; 99.9%".to_string(),
        v if v < 0.0005 && v > 0.0 => "&lt; 0.1%".to_string(),
        v => measured(v, Format::Percent),
    }
}

fn img(shown: &Shown) -> String {
    let Shown { width, height, rgb, number, truth, .. } = shown;
    match data_uri(rgb, *width, *height, ExtendedColorType::Rgb8) {
        Ok(uri) => format!(
            "<img src=\"{uri}\" alt=\"picture {number}: {}\" width=\"{width}\" height=\"{height}\">",
            escape(truth)
        ),
        Err(error) => {
            format!("<p>The picture could not be made: {}</p>", escape(&error.to_string()))
        }
    }
}

/// The most wrong pictures: what the network says, and what is true.
pub(super) fn worst_html(all: &[Shown]) -> String {
    let mut html = String::from("<ul class=\"worst\">\n");
    for shown in all {
        let Some((said, certain)) = shown.guesses.first() else { continue };
        let _ = writeln!(
            html,
            "<li title=\"picture {}, loss {}\">{}<p class=\"said\"><span>{}</span> <b>{}</b></p><p class=\"truth\"><span>{}</span> <b>{}</b></p></li>",
            shown.number,
            measured(shown.loss, Format::Number),
            img(shown),
            escape(said),
            share(*certain),
            escape(&shown.truth),
            share(shown.share),
        );
    }
    html + "</ul>\n"
}

/// Pictures with the classes that the network holds for most likely, the true one marked.
pub(super) fn sample_html(all: &[Shown]) -> String {
    let mut html = String::from("<ul class=\"sample\">\n");
    for shown in all {
        let _ = write!(html, "<li>{}<ol>", img(shown));
        for (name, value) in &shown.guesses {
            let class = if *name == shown.truth { " class=\"true\"" } else { "" };
            let _ = write!(
                html,
                "<li{class} style=\"--share:{:.1}%\"><span>{}</span><b>{}</b></li>",
                100.0 * value,
                escape(name),
                share(*value)
            );
        }
        html.push_str("</ol>");
        if shown.guesses.iter().all(|(name, _)| *name != shown.truth) {
            let (truth, own) = (escape(&shown.truth), share(shown.share));
            let _ = write!(html, "<p class=\"truth\"><span>{truth}</span> <b>{own}</b></p>");
        }
        html.push_str("</li>\n");
    }
    html + "</ul>\n"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Pictures of one colour each; in every third the true class is the first guess.
    pub fn shown(n: usize) -> Vec<Shown> {
        let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog"];
        let one = |number: usize| {
            let name = |k: usize| names[k % names.len()].to_string();
            let first = if number.is_multiple_of(3) { number } else { number + 1 };
            let color = [40 * (number % 6) as u8, 90, 200 - 10 * (number % 18) as u8];
            Shown {
                width: 32,
                height: 32,
                rgb: color.repeat(32 * 32),
                number,
                truth: name(number),
                share: 0.0002,
                guesses: (0..3).map(|k| (name(first + k), 0.7 / (k + 1) as f64)).collect(),
                loss: 8.5,
            }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn the_true_class_is_marked_or_named_below_the_guesses() {
        let html = sample_html(&shown(2));
        assert_eq!(html.matches("<li class=\"true\"").count(), 1);
        assert!(
            html.contains("<li class=\"true\" style=\"--share:70.0%\"><span>airplane</span>"),
            "{html}"
        );
        assert!(
            html.contains("<p class=\"truth\"><span>automobile</span> <b>&lt; 0.1%</b></p>"),
            "{html}"
        );
        let html = worst_html(&shown(2));
        assert_eq!(html.matches("<img ").count(), 2);
        assert!(html.contains("title=\"picture 1, loss 8.500\""), "{html}");
    }

    #[test]
    fn what_is_almost_all_or_nothing_is_not_called_so() {
        let texts = [0.0, 1e-9, 0.4321, 0.99951, 1.0].map(share);
        assert_eq!(texts, ["0.0%", "&lt; 0.1%", "43.2%", "&gt; 99.9%", "100.0%"]);
    }
}
