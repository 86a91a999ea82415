//! `chainrule predict RUN IMAGE...`: what the model of a run sees in pictures.

use crate::model::{Trained, rebuild};
use crate::show;
use anstyle::AnsiColor;
use anyhow::Result;
use chainrule::Error;
use chainrule::data::Dataset;
use chainrule::train::metrics::{ranking, score_rows, softmax};
use clap::Args;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb, RgbImage};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Cursor, Read};
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

const WANT: &str = "expected a whole png, jpeg, webp or bmp file";
/// The most bytes of a file.
const MOST_FILE: u64 = 128 << 20;
/// The most pixels along one side.
const MOST_SIDE: u32 = 16_384;
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
    if ![1, 3].contains(&channels) {
        let found = format!("the model wants pictures of {channels} channels");
        return Err(Error::file(path, found, "pictures of one or three can be made"));
    }
    let picture = decode(&bytes(path)?).map_err(|found| Error::file(path, found, WANT))?;
    let picture = DynamicImage::from(on_white(&picture));
    let small =
        picture.resize_to_fill(width as u32, height as u32, FilterType::Triangle).into_rgb8();
    let rgb: Vec<[u8; 3]> = small.pixels().map(|p| p.0).collect();
    let plane = |c: usize| rgb.iter().map(move |p| p[c]);
    Ok(match channels {
        3 => (0..3).flat_map(plane).collect(),
        // Luma of BT.601, as most programs turn colours into gray.
        _ => rgb.iter().map(|p| luma(p.map(u32::from))).collect(),
    })
}

fn luma([r, g, b]: [u32; 3]) -> u8 {
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

/// A picture, upright. Its first bytes say what it is, not its name; how large it may be is checked before it is decoded.
fn decode(bytes: &[u8]) -> std::result::Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut decoder =
        reader.map_err(|e| e.to_string())?.into_decoder().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
    decoder.set_limits(limits).map_err(|e| e.to_string())?;
    let orientation = decoder.orientation().map_err(|e| e.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// A picture whose transparent parts are laid on white.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let pixels = picture.to_rgba8();
    let over = |c: u8, alpha: u8| {
        let (c, alpha) = (u32::from(c), u32::from(alpha));
        ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let p = pixels.get_pixel(x, y);
        Rgb([0, 1, 2].map(|c| over(p[c], p[3])))
    })
}

/// The bytes of a file that is not larger than a picture may be.
fn bytes(path: &Path) -> chainrule::Result<Vec<u8>> {
    // The kind comes before opening, because opening a named pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        return Err(Error::file(path, "is not a regular file", WANT));
    }
    if kind.len() > MOST_FILE {
        let found = format!("holds {} bytes", kind.len());
        return Err(Error::file(path, found, format!("at most {MOST_FILE} are read")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(MOST_FILE).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    Ok(bytes)
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
