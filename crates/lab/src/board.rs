//! A training on TensorBoard: `--tensorboard` writes event files into the run directory, `tensorboard --logdir runs` shows them.

use crate::gather;
use crate::report::picture::png;
use chainrule::data::Dataset;
use chainrule::models::Model;
use chainrule::tensor::Tensor;
use chainrule::train::{CheckEvent, EventWriter, Observer, StepEvent};
use std::path::Path;

/// Units of the first layer that are shown. Each check writes them again, and noise is not compressed.
const UNITS: usize = 36;
/// Training pictures along each side of the square that is shown.
const SIDE: usize = 6;

/// An observer that writes event files.
pub struct Board {
    writer: EventWriter,
}

impl Board {
    /// A board in a run directory for a training that goes on after `first_step` steps, with some of the pictures it learns.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(
        directory: &Path,
        first_step: u64,
        pictures: &Dataset,
    ) -> chainrule::Result<Board> {
        let mut writer = EventWriter::create(directory, first_step)?;
        if first_step == 0 {
            let (width, height, rgb) = collage(pictures);
            write_image(&mut writer, "pictures/training", 0, (width, height, &rgb))?;
        }
        Ok(Board { writer })
    }
}

fn write_image(
    writer: &mut EventWriter,
    tag: &str,
    step: u64,
    (width, height, rgb): (u32, u32, &[u8]),
) -> chainrule::Result<()> {
    match png(rgb, width, height, image::ExtendedColorType::Rgb8) {
        Ok(bytes) => writer.image(tag, step, width, height, &bytes),
        Err(error) => Err(chainrule::Error::value(tag, error.to_string(), "expected a picture")),
    }
}

/// The first pictures side by side.
fn collage(pictures: &Dataset) -> (u32, u32, Vec<u8>) {
    let shown: Vec<_> =
        (0..pictures.len().min(SIDE * SIDE)).map(|i| gather::picture(pictures, i)).collect();
    let (width, height) = shown.first().map_or((1, 1), |(w, h, _)| (*w as usize, *h as usize));
    let mut rgb = vec![0; 3 * SIDE * width * SIDE * height];
    for (i, (_, _, picture)) in shown.iter().enumerate() {
        let corner = (i / SIDE * height * SIDE + i % SIDE) * width;
        for (y, row) in picture.chunks_exact(3 * width).enumerate() {
            rgb[3 * (corner + y * SIDE * width)..][..3 * width].copy_from_slice(row);
        }
    }
    ((SIDE * width) as u32, (SIDE * height) as u32, rgb)
}

impl Observer for Board {
    fn step(&mut self, e: &StepEvent) -> chainrule::Result<()> {
        self.writer.scalar("loss/training", e.step as u64, e.loss)?;
        self.writer.scalar("learning_rate", e.step as u64, e.learning_rate)
    }

    fn check(&mut self, e: &CheckEvent) -> chainrule::Result<()> {
        self.writer.scalar("accuracy/training", e.step as u64, e.train_accuracy)?;
        self.writer.scalar("accuracy/validation", e.step as u64, e.val_accuracy)?;
        self.writer.flush()
    }

    fn weights(
        &mut self,
        e: &CheckEvent,
        model: &dyn Model,
        grads: &[Tensor],
    ) -> chainrule::Result<()> {
        let step = e.step as u64;
        for (param, grad) in model.params().iter().zip(grads) {
            self.writer.histogram(
                &format!("weights/{}", param.name),
                step,
                &param.value.to_vec(),
            )?;
            self.writer.histogram(&format!("gradients/{}", param.name), step, &grad.to_vec())?;
        }
        if let Some(grid) = gather::weights(model, UNITS) {
            write_image(
                &mut self.writer,
                "first layer",
                step,
                (grid.width, grid.height, &grid.rgb),
            )?;
        }
        self.writer.flush()
    }
}
