//! What a convolution does to a picture: two photographs through a filter that makes grey and one that finds edges.

use super::{Found, Lab};
use crate::photo::{planes, square};
use crate::report::html::{card, masthead, page};
use crate::report::picture::figure;
use anyhow::{Context, Result};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::tensor::Tensor;
use chainrule::visualize::{gray_and_edges, to_bytes};
use image::{ExtendedColorType, ImageFormat, RgbImage, load_from_memory_with_format};

pub const LAB: Lab = Lab {
    name: "image-processing",
    about: "two photographs through filters for grey and for edges",
    run,
};

const SIDE: usize = 200;
const PICTURES: [(&str, &[u8]); 2] = [
    ("an astronaut", include_bytes!("../../../../data/astronaut.webp")),
    ("a cat", include_bytes!("../../../../data/chelsea.webp")),
];
const TITLES: [&str; 3] = ["Original image", "Grayscale", "Edges"];

/// An embedded photograph, square and small.
fn photograph(bytes: &[u8]) -> Result<RgbImage> {
    let all = load_from_memory_with_format(bytes, ImageFormat::WebP)
        .context("an embedded photograph cannot be decoded")?;
    Ok(square(&all.into_rgb8(), SIDE as u32))
}

/// Photographs as one batch (N, 3, [`SIDE`], [`SIDE`]) of numbers from 0 to 255.
fn batch(photographs: &[RgbImage]) -> Tensor {
    let numbers: Vec<f64> = photographs.iter().flat_map(planes).map(f64::from).collect();
    Tensor::from_f64([photographs.len(), 3, SIDE, SIDE], &numbers)
}

fn run() -> Result<Found> {
    let photographs: Vec<RgbImage> =
        PICTURES.iter().map(|(_, bytes)| photograph(bytes)).collect::<Result<_>>()?;
    let (w, b) = gray_and_edges();
    let (y, _) = conv2d::forward(&batch(&photographs), &w, Some(&b), &Conv2dParams::new(1, 1));
    let results = y.to_vec();
    let (mut lines, mut figures) = (Vec::new(), String::new());
    for (i, ((name, _), photograph)) in PICTURES.iter().zip(&photographs).enumerate() {
        figures += &figure(
            photograph.as_raw(),
            [SIDE as u32; 2],
            ExtendedColorType::Rgb8,
            TITLES[0],
            &format!("Of {name}."),
        )?;
        for filter in 0..2 {
            let result = &results[(2 * i + filter) * SIDE * SIDE..][..SIDE * SIDE];
            let low = result.iter().fold(f64::INFINITY, |m, v| m.min(*v));
            let high = result.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            let range = format!("from {low:.1} to {high:.1}");
            let title = TITLES[filter + 1];
            lines.push(format!("{name}: {} {range}", title.to_lowercase()));
            figures += &figure(
                &to_bytes(result),
                [SIDE as u32; 2],
                ExtendedColorType::L8,
                title,
                &format!("Numbers {range}."),
            )?;
        }
    }
    let sections = format!("<div class=\"figures\">\n{figures}</div>\n");
    let sentence = "The first filter adds 0.3 of red, 0.6 of green and 0.1 of blue at each pixel. The second takes the rows \
        1 2 1, 0 0 0, -1 -2 -1 over blue and adds 128: it is far from 128 where light changes from one row to the next. Each \
        result is drawn from its smallest number in black to its largest in white.";
    let heading = "What a convolution does to a picture";
    let body = card("wide", "Two filters of 3 x 3", sentence, &sections);
    Ok(Found { lines, page: page(heading, &masthead("Lab: image processing", heading), &body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_of_a_photograph_stays_within_bytes_and_edges_leave_them() {
        let found = run().expect("the embedded photographs");
        assert_eq!(found.lines.len(), 4);
        let range = |line: &str| -> Vec<f64> {
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        for line in &found.lines {
            let [low, high] = range(line)[..] else { panic!("{line}") };
            if line.contains("grayscale") {
                assert!(low >= 0.0 && high <= 255.0 && high - low > 150.0, "{line}");
            } else {
                assert!(low < -100.0 && high > 400.0, "{line}");
            }
        }
        assert_eq!(found.page.matches("data:image/png").count(), 6);
    }
}
