//! `chainrule explain RUN IMAGE`: what in a picture speaks for a class, by the model of a run.

use crate::model::{Trained, rebuild};
use crate::report::html::{card, escape, headline, masthead, page};
use crate::report::picture::figure;
use crate::settings::{Usage, closest};
use crate::{photo, show};
use anyhow::{Context, Result};
use chainrule::Error;
use chainrule::data::Dataset;
use chainrule::data::pictures::decode::Picture;
use chainrule::data::pictures::load;
use chainrule::tensor::Tensor;
use chainrule::train::Examples;
use chainrule::train::metrics::{ranking, softmax};
use chainrule::visualize::{grad_cam, saliency, to_bytes};
use clap::Args;
use image::{ExtendedColorType, RgbImage};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show what in a picture speaks for a class: a saliency map and Grad-CAM, on a page.
#[derive(Args)]
pub struct ExplainArgs {
    /// The directory of a run, such as runs/small-convnet-0001
    run: PathBuf,
    /// A picture of any size; its middle counts
    image: PathBuf,
    /// The class to explain; without it the one that the model sees
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Where the page goes; without it into the run's directory
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// How many classes are named.
const GUESSES: usize = 5;
/// Pixels a side of the pictures on the page.
const SIDE: u32 = 256;

/// What the model makes of a picture.
struct Seen {
    /// Names and shares of the likeliest classes.
    guesses: Vec<(String, f64)>,
    /// The class that is explained.
    class: String,
    /// Its share.
    share: f64,
    /// (H, W), from 0 up.
    saliency: Vec<f64>,
    /// Grad-CAM with its height and width, if the model has convolutions.
    cam: Option<([usize; 2], Vec<f64>)>,
}

/// Looks at the picture, writes the page, and says where it is.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let trained = rebuild(&args.run)?;
    let class = args.class.as_deref().map(|name| class_named(&trained, name)).transpose()?;
    let photograph = load(&args.image)?;
    let seen = look(&trained, &args.image, &photograph, class)?;
    let path = args.out.clone().unwrap_or_else(|| {
        let stem = args.image.file_stem().unwrap_or_default().to_string_lossy();
        args.run.join(format!("explain-{stem}.html"))
    });
    let html = to_html(&trained, args, &photograph, &seen)?;
    chainrule::train::write_atomically(&path, html.as_bytes())?;
    if args.json {
        let guesses: Vec<_> =
            seen.guesses.iter().map(|(c, s)| json!({"class": c, "share": s})).collect();
        let cam =
            seen.cam.as_ref().map(|([h, w], map)| json!({"height": h, "width": w, "values": map}));
        let object = json!({
            "picture": args.image, "class": seen.class, "share": seen.share, "guesses": guesses,
            "grad_cam": cam, "page": path,
        });
        show::line(object.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    for (class, share) in &seen.guesses {
        show::line(format!("  {:<22}{:>6.1}%", class, share * 100.0));
    }
    show::line(format!("explained: {}\npage: {}", seen.class, path.display()));
    Ok(ExitCode::SUCCESS)
}

fn class_named(trained: &Trained, name: &str) -> Result<usize> {
    let classes = &trained.about.classes;
    classes.iter().position(|c| c == name).ok_or_else(|| {
        let close = closest(name, classes.iter().map(String::as_str));
        Usage(format!("--class: unknown class {name:?}; {close}")).into()
    })
}

fn look(
    trained: &Trained,
    path: &Path,
    photograph: &Picture,
    class: Option<usize>,
) -> Result<Seen> {
    let about = &trained.about;
    let [3, height, width] = about.shape else {
        let found = format!("the model wants pictures of shape {:?}", about.shape);
        return Err(
            Error::file(path, found, "only pictures of three channels can be explained").into()
        );
    };
    if height != width {
        let found = format!("the model wants pictures of {height} x {width}");
        return Err(Error::file(path, found, "only squares can be explained").into());
    }
    let pixels = photo::seen(photograph, height);
    let names: Vec<&str> = about.classes.iter().map(String::as_str).collect();
    let one = about.seen(&Dataset::new(pixels, [0u8], about.shape, &names));
    let x = one.batch(&[0], trained.model.dtype(), trained.model.order());
    let scores = trained.model.scores(&x).to_vec();
    let best = ranking(&scores);
    let class = class.unwrap_or(best[0]);
    let trace = trained.model.trace(&x, &[class]);
    let shares = softmax(&scores);
    let cam = |[a, da]: &[Tensor; 2]| ([a.shape()[2], a.shape()[3]], grad_cam(a, da));
    Ok(Seen {
        guesses: best
            .into_iter()
            .take(GUESSES)
            .map(|k| (about.classes[k].clone(), shares[k]))
            .collect(),
        class: about.classes[class].clone(),
        share: shares[class],
        saliency: saliency(&trace.dx),
        cam: trace.features.as_ref().map(cam),
    })
}

fn to_html(
    trained: &Trained,
    args: &ExplainArgs,
    photograph: &Picture,
    seen: &Seen,
) -> Result<String> {
    let large = photo::shown(photograph, SIDE as usize);
    let side = trained.about.shape[1];
    let small = photo::shown(photograph, side);
    let draw = |pixels: &[u8], side: usize, color, title: &str, text: &str| {
        figure(pixels, [side as u32; 2], color, title, text).context("a picture cannot be encoded")
    };
    let rgb = ExtendedColorType::Rgb8;
    let size = format!("{side} x {side} pixels, as the model sees it.");
    let mut figures = draw(small.as_raw(), side, rgb, "The picture", &size)?;
    let text = "The brighter a pixel, the more the score changes with it.";
    figures += &draw(&to_bytes(&seen.saliency), side, ExtendedColorType::L8, "Saliency", text)?;
    if let Some(([h, w], map)) = &seen.cam {
        let text = if map.iter().all(|v| *v == 0.0) {
            "No place of the last convolution speaks for the class.".to_string()
        } else {
            format!("Warm is where the last convolution ({h} x {w}) saw what speaks for the class.")
        };
        figures += &draw(&overlay(&large, map, [*h, *w]), SIDE as usize, rgb, "Grad-CAM", &text)?;
    }
    let bars: String = seen
        .guesses
        .iter()
        .map(|(class, share)| {
            let percent = 100.0 * share;
            format!(
                "<li><span class=\"name\">{}</span><span class=\"track\"><i style=\"width:{percent:.1}%\"></i>\
                 </span><b>{percent:.1}%</b></li>\n",
                escape(class)
            )
        })
        .collect();
    let heading = format!("What speaks for {:?}?", seen.class);
    let file = args.image.file_name().unwrap_or_default().to_string_lossy();
    let run = args.run.file_name().unwrap_or_default().to_string_lossy();
    let top =
        masthead(&format!("{} seen by <code>{}</code>", escape(&file), escape(&run)), &heading)
            + &headline(&[
                ("explained".to_string(), seen.class.clone()),
                ("its share".to_string(), format!("{:.1}%", seen.share * 100.0)),
                ("seen".to_string(), seen.guesses[0].0.clone()),
                ("model".to_string(), trained.model.title()),
            ]);
    let lead = "Saliency is the gradient of the class's score by the pixels; Grad-CAM weighs the last convolution's maps by \
        their gradients.";
    let figures = format!("<div class=\"figures crisp\">\n{figures}</div>\n");
    let guesses = format!("<ol class=\"bars plain\">\n{bars}</ol>\n");
    let sections = card("wide", "Where it looks", lead, &figures)
        + &card("wide", "The likeliest classes", "Shares of the softmax of all scores.", &guesses);
    Ok(page(&heading, &top, &sections))
}

/// A picture under a map of its own aspect: the map, made as large by linear interpolation, from cold to warm.
fn overlay(picture: &RgbImage, map: &[f64], [h, w]: [usize; 2]) -> Vec<u8> {
    let most = map.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(*v));
    let (width, height) = picture.dimensions();
    let mut out = Vec::with_capacity(picture.as_raw().len());
    for (x, y, pixel) in picture.enumerate_pixels() {
        let heat = between(
            map,
            [h, w],
            [
                (f64::from(y) + 0.5) / f64::from(height) * h as f64 - 0.5,
                (f64::from(x) + 0.5) / f64::from(width) * w as f64 - 0.5,
            ],
        ) / most;
        // Grey below, so that colour means heat alone; then black - red - yellow by share.
        let [r, g, b] = pixel.0.map(f64::from);
        let grey = 0.3 * r + 0.6 * g + 0.1 * b;
        let warm = [255.0 * (2.0 * heat).min(1.0), 255.0 * (2.0 * heat - 1.0).max(0.0), 0.0];
        out.extend(warm.map(|c| (grey + heat * (c - grey) * 0.75) as u8));
    }
    out
}

/// The map at a place between its cells, by linear interpolation; the border goes on as it is.
fn between(map: &[f64], [h, w]: [usize; 2], [y, x]: [f64; 2]) -> f64 {
    let axis = |at: f64, size: usize| {
        let at = at.clamp(0.0, (size - 1) as f64);
        let low = at.floor() as usize;
        (low, (low + 1).min(size - 1), at - at.floor())
    };
    let ((top, bottom, down), (left, right, along)) = (axis(y, h), axis(x, w));
    let row = |y: usize| map[y * w + left] * (1.0 - along) + map[y * w + right] * along;
    row(top) * (1.0 - down) + row(bottom) * down
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_interpolated_between_their_cells() {
        let map = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(between(&map, [2, 2], [0.0, 0.0]), 0.0);
        assert_eq!(between(&map, [2, 2], [0.5, 0.5]), 1.5);
        assert_eq!(between(&map, [2, 2], [9.0, -1.0]), 2.0, "beyond the border");
    }
}
