//! MNIST and its kin in the idx format: a magic number, sizes as big-endian numbers, bytes. Packed with gzip or not. Sources:
//! LeCun, Cortes, Burges, "The MNIST database of handwritten digits"; Xiao, Rasul, Vollgraf, "Fashion-MNIST" (2017).

use super::files::{Fault, exists, open, read_at_most};
use super::{Dataset, Splits, archive};
use crate::error::{Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What may be said of a directory of these files.
pub(super) const LAYOUT: &str = "expected the files of MNIST: train-images-idx3-ubyte, \
                                 train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                                 t10k-labels-idx1-ubyte, each packed (.gz) or not";
/// Folders in which other programs keep the files.
const FOLDERS: [&str; 4] = [".", "MNIST/raw", "FashionMNIST/raw", "raw"];
/// The share of the training pictures that validate, the last ones: 5,000 of 60,000.
const VALIDATION: usize = 12;
/// The most bytes a file may hold once unpacked: nearly three times MNIST's.
const MOST: u64 = 128 << 20;

const FASHION: [&str; 10] = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];
/// The labels that Fashion-MNIST begins with.
const FASHION_STARTS: [u8; 10] = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5];

/// The four files, in this order: pictures and labels for training, pictures and labels for the test.
pub(super) struct Found(PathBuf);

/// The directory of the files at `path`, if there is any of them.
///
/// # Errors
/// If the file system does not answer.
pub(super) fn find(path: &Path) -> Result<Option<Found>> {
    if !path.is_dir() {
        return Ok(None);
    }
    for folder in FOLDERS {
        let directory = if folder == "." { path.to_path_buf() } else { path.join(folder) };
        for name in ["train-images", "t10k-images"] {
            if file(&directory, name, 3)?.is_some() {
                return Ok(Some(Found(directory)));
            }
        }
    }
    Ok(None)
}

/// The file of this name in the spellings that occur.
fn file(directory: &Path, name: &str, axes: usize) -> Result<Option<PathBuf>> {
    for dot in ["-", "."] {
        for ending in ["", ".gz"] {
            let path = directory.join(format!("{name}{dot}idx{axes}-ubyte{ending}"));
            if exists(&path)? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// Reads the files: the last twelfth of the training pictures (5,000 of 60,000) validates, the first 1,000 test pictures test,
/// or all with `test_all`. Pictures have one channel.
///
/// # Errors
/// If a file is missing, cannot be read, is damaged, or does not fit the others.
pub(super) fn read_found(found: &Found, test_all: bool) -> Result<Splits> {
    let directory = &found.0;
    let (train, train_labels) = pair(directory, "train")?;
    let (test, test_labels) = pair(directory, "t10k")?;
    if train.shape[1..] != test.shape[1..] {
        let found = format!("has pictures of {:?} for the test", &test.shape[1..]);
        return Err(Error::file(directory, found, format!("expected {:?}", &train.shape[1..])));
    }
    let most = train_labels.iter().chain(&test_labels).max().copied().unwrap_or(0);
    let fashion = train_labels.starts_with(&FASHION_STARTS);
    let numbers: Vec<String> = (0..=most).map(|i| i.to_string()).collect();
    let classes: Vec<&str> = if fashion && usize::from(most) < FASHION.len() {
        FASHION.to_vec()
    } else {
        numbers.iter().map(String::as_str).collect()
    };
    let shape = [1, train.shape[1], train.shape[2]];
    let learned = train.shape[0] - train.shape[0] / VALIDATION;
    let tested = if test_all { test.shape[0] } else { test.shape[0].min(1000) };
    let train = Dataset::new(train.bytes, train_labels, shape, &classes);
    let test = Dataset::new(test.bytes, test_labels, shape, &classes);
    Ok(Splits {
        val: train.slice(learned..train.len()),
        train: train.slice(0..learned),
        test: test.slice(0..tested),
        name: format!(
            "{} in {}",
            if fashion { "Fashion-MNIST" } else { "MNIST" },
            directory.display()
        ),
    })
}

/// The pictures and labels of a part.
fn pair(directory: &Path, part: &str) -> Result<(Pictures, Vec<u8>)> {
    let read = |kind: &str, axes: usize| -> Result<(PathBuf, Vec<u8>)> {
        let name = format!("{part}-{kind}");
        let missing = || Error::file(directory, format!("holds no {name}-idx{axes}-ubyte"), LAYOUT);
        let path = file(directory, &name, axes)?.ok_or_else(missing)?;
        let (source, _) = open(&path, LAYOUT)?;
        let bytes = unpack(source).map_err(|fault| fault.of(&path))?;
        Ok((path, bytes))
    };
    let (path, bytes) = read("images", 3)?;
    let pictures = pictures(bytes).map_err(|fault| fault.of(&path))?;
    let (path, bytes) = read("labels", 1)?;
    let labels = labels(bytes).map_err(|fault| fault.of(&path))?;
    if labels.len() != pictures.shape[0] {
        let found = format!("holds {} labels", labels.len());
        return Err(Error::file(path, found, format!("expected {}", pictures.shape[0])));
    }
    Ok((pictures, labels))
}

/// The bytes of a file that may be packed.
///
/// # Errors
/// If it cannot be read, is damaged, or unpacks to more than 128 MiB.
pub fn unpack(source: impl Read) -> std::result::Result<Vec<u8>, Fault> {
    read_at_most(archive::unpacked(source, MOST + 1)?, MOST)
}

/// The pictures of an idx file, in its bytes.
#[derive(Debug)]
pub struct Pictures {
    /// Pictures, height, width.
    pub shape: [usize; 3],
    /// One byte a pixel.
    pub bytes: Vec<u8>,
}

/// Reads an idx file of pictures.
///
/// # Errors
/// If it is no such file, or its size is not what it says.
pub fn pictures(bytes: Vec<u8>) -> std::result::Result<Pictures, Fault> {
    let (shape, bytes) = array::<3>(bytes, "pictures")?;
    let [_, height, width] = shape;
    if !(1..=4096).contains(&height) || !(1..=4096).contains(&width) {
        return Err(Fault::new(
            format!("holds pictures of {height} x {width}"),
            "expected 1 to 4096 pixels a side",
        ));
    }
    Ok(Pictures { shape, bytes })
}

/// Reads an idx file of labels.
///
/// # Errors
/// If it is no such file, or its size is not what it says.
pub fn labels(bytes: Vec<u8>) -> std::result::Result<Vec<u8>, Fault> {
    array::<1>(bytes, "labels").map(|(_, bytes)| bytes)
}

/// The sizes and the bytes of an array of `AXES` axes.
fn array<const AXES: usize>(
    mut bytes: Vec<u8>,
    what: &str,
) -> std::result::Result<([usize; AXES], Vec<u8>), Fault> {
    let magic = [0, 0, 8, AXES as u8];
    let head = 4 + 4 * AXES;
    if !bytes.starts_with(&magic) || bytes.len() < head {
        let found = format!("begins with {:02x?}", &bytes[..bytes.len().min(4)]);
        return Err(Fault::new(found, format!("expected an idx file of {what} ({magic:02x?})")));
    }
    let mut shape = [0; AXES];
    for (size, four) in shape.iter_mut().zip(bytes[4..head].as_chunks::<4>().0) {
        *size = u32::from_be_bytes(*four) as usize;
    }
    let content = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
    let want = content.and_then(|n| n.checked_add(head));
    if want != Some(bytes.len()) {
        let sizes = shape.map(|n| n.to_string()).join(" x ");
        let found = format!("holds {} bytes for {sizes} {what}", bytes.len());
        let want = want.map_or("fewer pictures".to_string(), |n| format!("{n} bytes"));
        return Err(Fault::new(found, format!("expected {want}")));
    }
    bytes.drain(..head);
    Ok((shape, bytes))
}
