//! The excerpt of CIFAR-10 that is part of the program: 6,000 exact pictures.

use super::{CIFAR10_CLASSES, Dataset, Splits};
use crate::error::{Error, Result};
use chainrule_kernels::threads::parallel_chunks;
use std::io::Cursor;
use std::sync::{LazyLock, Mutex};

/// One grid of 10 x 100 pictures for each of the five training files and the test file.
const GRIDS: [&[u8]; 6] = [
    include_bytes!("../../../../data/cifar10-batch-1.webp"),
    include_bytes!("../../../../data/cifar10-batch-2.webp"),
    include_bytes!("../../../../data/cifar10-batch-3.webp"),
    include_bytes!("../../../../data/cifar10-batch-4.webp"),
    include_bytes!("../../../../data/cifar10-batch-5.webp"),
    include_bytes!("../../../../data/cifar10-test.webp"),
];
const LABELS: &[u8; 6000] = include_bytes!("../../../../data/cifar10-labels.bin");

/// The mean picture, in 256ths.
const MEAN_IMAGE: &[u8; 2 * BYTES] = include_bytes!("../../../../data/cifar10-mean-image.bin");

const SIDE: usize = 32;
const COLUMNS: usize = 100;
const A_FILE: usize = 1000;
const SHAPE: [usize; 3] = [3, SIDE, SIDE];
const BYTES: usize = 3 * SIDE * SIDE;

/// Decoding a grid takes some 35 ms, so that these wait until they are needed: a training step needs only the training pictures.
static VAL: LazyLock<Vec<u8>> = LazyLock::new(|| late(4));
static TEST: LazyLock<Vec<u8>> = LazyLock::new(|| late(5));

/// The excerpt: 4,000 training pictures (the first 1,000 of files 1 to 4), 1,000 for validation (of file 5), 1,000 for the test
/// (of the test file), all exact. The last two are decoded when they are first looked at.
///
/// # Errors
/// If the embedded grids of the training pictures cannot be decoded, which would be a fault of the build.
pub fn embedded() -> Result<Splits> {
    let mut pixels = vec![0; 4 * A_FILE * BYTES];
    let faults = Mutex::new(None);
    parallel_chunks(&mut pixels, A_FILE * BYTES, |file, out| {
        if let Err(fault) = decode(GRIDS[file], out)
            && let Ok(mut slot) = faults.lock()
        {
            *slot = Some(fault);
        }
    });
    if let Ok(Some(fault)) = faults.into_inner() {
        let want = "rebuild the program from intact sources";
        return Err(Error::value("embedded pictures", fault, want));
    }
    let (train, rest) = LABELS.split_at(4 * A_FILE);
    let (val, test) = rest.split_at(A_FILE);
    Ok(Splits {
        train: Dataset::new(pixels, train.to_vec(), SHAPE, &CIFAR10_CLASSES),
        val: Dataset::embedded(&VAL, val, SHAPE, &CIFAR10_CLASSES),
        test: Dataset::embedded(&TEST, test, SHAPE, &CIFAR10_CLASSES),
        name: "excerpt of CIFAR-10".to_string(),
    })
}

/// The mean picture (3, 32, 32) of CIFAR-10's first 49,000 training pictures, which the course subtracts: an estimate, within
/// about 0.1 of the true one (data/README.md). With it the excerpt's first 1,000 pictures are the numbers the course begins with.
pub fn cifar10_mean_image() -> Vec<f64> {
    MEAN_IMAGE.chunks(2).map(|b| f64::from(u16::from_le_bytes([b[0], b[1]])) / 256.0).collect()
}

/// The pictures of one grid.
///
/// # Panics
/// If it cannot be decoded: the bytes are part of the program, and a test decodes them all.
fn late(file: usize) -> Vec<u8> {
    let mut pixels = vec![0; A_FILE * BYTES];
    if let Err(fault) = decode(GRIDS[file], &mut pixels) {
        panic!("embedded pictures: {fault}; rebuild the program from intact sources");
    }
    pixels
}

/// Decodes a grid of RGB tiles into pictures of planes.
fn decode(grid: &[u8], out: &mut [u8]) -> std::result::Result<(), String> {
    let decoder =
        image::codecs::webp::WebPDecoder::new(Cursor::new(grid)).map_err(|e| e.to_string())?;
    let image = image::DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?.into_rgb8();
    let (width, height) = (COLUMNS * SIDE, A_FILE / COLUMNS * SIDE);
    if image.dimensions() != (width as u32, height as u32) {
        return Err(format!(
            "a grid of {:?} pixels instead of {width} x {height}",
            image.dimensions()
        ));
    }
    let rgb = image.as_raw();
    for (i, picture) in out.chunks_exact_mut(BYTES).enumerate() {
        let corner = (i / COLUMNS * SIDE * width + i % COLUMNS * SIDE) * 3;
        for (channel, plane) in picture.chunks_exact_mut(SIDE * SIDE).enumerate() {
            for (y, row) in plane.chunks_exact_mut(SIDE).enumerate() {
                let from = corner + y * width * 3 + channel;
                let line = rgb[from..].iter().step_by(3);
                row.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
            }
        }
    }
    Ok(())
}
