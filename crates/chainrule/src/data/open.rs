//! `--data DIR|FILE`: finds out what is there and reads it.

use super::{Splits, cifar10, idx, pictures};
use crate::error::{Error, Result};
use std::path::Path;

/// What is asked of a data set beyond its place.
pub struct Request<'a> {
    /// Test on all test pictures of CIFAR-10 or MNIST instead of the first 1,000.
    pub test_all: bool,
    /// Pictures in folders become squares of so many pixels a side; 32 if nothing is said.
    pub size: Option<usize>,
    /// The share of each class that validates where no folder does; a tenth if nothing is said.
    pub val_fraction: Option<f64>,
    /// Decides, with a file's name, whether it validates.
    pub seed: u64,
    /// Leave broken pictures out instead of refusing them all.
    pub skip_bad: bool,
    /// Told how many pictures of how many have been decoded, by whichever thread decoded one.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Default for Request<'_> {
    /// The first 1,000 test pictures; nothing said of pictures in folders; seed 0; broken pictures are refused.
    fn default() -> Self {
        Request {
            test_all: false,
            size: None,
            val_fraction: None,
            seed: 0,
            skip_bad: false,
            progress: &|_, _| {},
        }
    }
}

/// What `--data` can name.
const KNOWN: &str = "expected CIFAR-10 (cifar-10-batches-bin, cifar-10-batches-py, or either's .tar.gz), \
                     the idx files of MNIST or Fashion-MNIST, or pictures in a folder for each class";

/// Reads the data set at `path`, a directory or an archive.
///
/// # Errors
/// If it is none that is known, or cannot be read; see [`cifar10::read`].
pub fn open(path: &Path, request: &Request) -> Result<Splits> {
    if let Some(found) = cifar10::find(path)? {
        request.fits_published()?;
        return cifar10::read_found(&found, request.test_all);
    }
    if let Some(found) = idx::find(path)? {
        request.fits_published()?;
        return idx::read_found(&found, request.test_all);
    }
    if pictures::looks_like(path)? {
        if request.test_all {
            let want = "it goes with CIFAR-10 and MNIST";
            return Err(Error::value("--test-all", "the pictures in test/ are all used", want));
        }
        return pictures::read(path, request);
    }
    Err(unknown(path))
}

/// Whether CIFAR-10 or MNIST is at `path`, so that pictures in folders are not.
///
/// # Errors
/// If it cannot be read.
pub fn is_published(path: &Path) -> Result<bool> {
    Ok(cifar10::find(path)?.is_some() || idx::find(path)?.is_some())
}

impl Request<'_> {
    /// Refuses what only pictures in folders can be asked.
    fn fits_published(&self) -> Result<()> {
        let said = [
            ("--size", self.size.is_some()),
            ("--val-fraction", self.val_fraction.is_some()),
            ("--skip-bad", self.skip_bad),
        ];
        match said.iter().find(|(_, said)| *said) {
            None => Ok(()),
            Some((key, _)) => {
                let found = "the data are a published set, which is taken as it is";
                Err(Error::value(*key, found, "it goes with pictures in folders"))
            }
        }
    }
}

/// The error for a path where nothing is known.
pub(super) fn unknown(path: &Path) -> Error {
    match std::fs::metadata(path) {
        Err(source) => super::files::unreadable(path, "file or directory", KNOWN, source),
        Ok(about) if about.is_dir() => Error::file(path, "holds no data set that is known", KNOWN),
        Ok(_) => Error::file(path, "is a file, not an archive of CIFAR-10", KNOWN),
    }
}
