//! `chainrule predict RUN IMAGE...`: what the model of a run sees in pictures.

use crate::model::{Trained, rebuild};
use crate::{photo, show};
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::Error;
use chainrule::data::Dataset;
use chainrule::data::pictures::load;
use chainrule::train::metrics::{ranking, score_rows, softmax};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Say what is in pictures: the five likeliest classes of each, by the model of a run.
#[derive(Args)]
pub struct PredictArgs {
    /// The directory of a run, such as runs/small-convnet-0001
    run: PathBuf,
    /// Pictures of any size: png, jpeg, webp or bmp
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// One JSON object a picture instead of bars
    #[arg(long)]
    json: bool,
}

/// How many classes are named.
const GUESSES: usize = 5;
/// Columns of the longest bar.
const BAR: usize = 44;

/// Looks at one picture after the other. Those that cannot be used are named and passed over; the exit code is 1 then.
pub fn run(args: &PredictArgs) -> Result<ExitCode> {
    let trained = rebuild(&args.run)?;
    let mut code = ExitCode::SUCCESS;
    for (i, path) in args.images.iter().enumerate() {
        match guesses(&trained, path) {
            Ok(guesses) if args.json => show::line(as_json(path, &guesses)),
            Ok(guesses) => {
                if i > 0 {
                    show::line("");
                }
                show::line(path.display().to_string());
                bars(&guesses);
            }
            Err(error) => {
                code = ExitCode::from(1);
                if args.json {
                    show::line(json!({"picture": path, "error": error.to_string()}).to_string());
                }
                show::error(&error.into());
            }
        }
    }
    Ok(code)
}

/// The likeliest classes of a picture with their shares, the likeliest first.
fn guesses(trained: &Trained, path: &Path) -> chainrule::Result<Vec<(String, f64)>> {
    let pixels = pixels(path, trained.about.shape)?;
    let names: Vec<&str> = trained.about.classes.iter().map(String::as_str).collect();
    let one = Dataset::new(pixels, [0u8], trained.about.shape, &names);
    let rows = score_rows(&*trained.model, &trained.about.seen(&one), &[0]);
    let shares = softmax(&rows[0]);
    let best = ranking(&rows[0]).into_iter().take(GUESSES);
    Ok(best.map(|k| (trained.about.classes[k].clone(), shares[k])).collect())
}

/// The bytes of a picture as the model was shown its training pictures: channel by channel, of its size.
fn pixels(path: &Path, [channels, height, width]: [usize; 3]) -> chainrule::Result<Vec<u8>> {
    if ![1, 3].contains(&channels) || height != width {
        let found = format!("the model wants {channels} channels of {height} x {width} pixels");
        return Err(Error::file(path, found, "squares of one or three channels can be made"));
    }
    let planes = photo::seen(&load(path)?, height);
    if channels == 3 {
        return Ok(planes);
    }
    let size = height * width;
    let color = |i: usize| [0, 1, 2].map(|c| u32::from(planes[c * size + i]));
    // Luma of BT.601, as most programs turn colours into gray.
    Ok((0..size).map(|i| luma(color(i))).collect())
}

fn luma([r, g, b]: [u32; 3]) -> u8 {
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

fn as_json(path: &Path, guesses: &[(String, f64)]) -> String {
    let all = guesses.iter().map(|(class, share)| json!({"class": class, "share": share}));
    let class = guesses.first().map(|(class, _)| class);
    json!({"picture": path, "class": class, "guesses": all.collect::<Vec<_>>()}).to_string()
}

fn bars(guesses: &[(String, f64)]) {
    let first = show::color(AnsiColor::Green);
    let plain = anstyle::Style::new().fg_color(Some(AnsiColor::Blue.into()));
    for (i, (class, share)) in guesses.iter().enumerate() {
        let style = if i == 0 { first } else { plain };
        let bar = show::bar(*share, BAR);
        show::line(format!(
            "  {}{style}{bar}{style:#} {:>5.1}%",
            show::fitted(class, 22),
            share * 100.0
        ));
    }
}
