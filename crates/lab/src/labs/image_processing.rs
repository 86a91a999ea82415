//! What a convolution does to a picture: two photographs through a filter that makes grey and one that finds edges.

use super::found::Picture;
use super::{Cell, Context, Found, Lab};
use crate::photo::{planes, square};
use anyhow::{Context as _, Result};
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::tensor::Tensor;
use chainrule::visualize::{gray_and_edges, to_bytes};
use image::{ImageFormat, RgbImage, load_from_memory_with_format};

pub const LAB: Lab = Lab {
    name: "image-processing",
    about: "two photographs through filters for grey and for edges",
    title: "What a convolution does to a picture",
    sources: &[include_str!("image_processing.rs")],
    seed: 231,
    cells: &[Cell {
        name: "filters",
        title: "Two filters of 3 x 3",
        prose: &[
            "The first filter adds 0.3 of red, 0.6 of green and 0.1 of blue at each pixel. The second takes the rows 1 2 1, 0 0 0, \
             -1 -2 -1 over blue and adds 128: it is far from 128 where light changes from one row to the next. Each result is \
             drawn from its smallest number in black to its largest in white.",
        ],
        code: &["filters"],
        run: filters,
    }],
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

fn filters(_: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let photographs: Vec<RgbImage> =
        PICTURES.iter().map(|(_, bytes)| photograph(bytes)).collect::<Result<_>>()?;
    // show: filters
    let (w, b) = gray_and_edges(); // (2, 3, 3, 3) and (2)
    let x = batch(&photographs); // (2, 3, 200, 200)
    let (y, _) = conv2d::forward(&x, &w, Some(&b), &Conv2dParams::new(1, 1));
    // end
    let results = y.to_vec();
    for (i, ((name, _), photograph)) in PICTURES.iter().zip(&photographs).enumerate() {
        let picture = |pixels, title: &str, text| Picture {
            size: [SIDE as u32; 2],
            pixels,
            title: title.into(),
            text,
        };
        let original = photograph.as_raw().clone();
        found.picture(picture(original, TITLES[0], format!("Of {name}.")));
        for filter in 0..2 {
            let result = &results[(2 * i + filter) * SIDE * SIDE..][..SIDE * SIDE];
            let low = result.iter().fold(f64::INFINITY, |m, v| m.min(*v));
            let high = result.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            let title = TITLES[filter + 1];
            let text = format!("Numbers from {low:.1} to {high:.1}.");
            found.picture(picture(to_bytes(result), title, text));
            found.keep(&format!("{name}: {title}"), [low, high]);
        }
    }
    for (name, _) in PICTURES {
        let kept = |title: &str| found.kept(&format!("{name}: {title}")).map(<[f64]>::to_vec);
        if let (Some(gray), Some(edges)) = (kept(TITLES[1]), kept(TITLES[2])) {
            let within = gray[0] >= 0.0 && gray[1] <= 255.0;
            let range = |of: &[f64]| format!("{:.1} to {:.1}", of[0], of[1]);
            found.check(format!("grey of {name}"), range(&gray), "a mean of bytes", within);
            let leaves = edges[0] < 0.0 && edges[1] > 255.0;
            found.check(format!("edges of {name}"), range(&edges), "beyond bytes", leaves);
        }
    }
    Ok(found)
}
