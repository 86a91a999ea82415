//! Pictures of one's own: files in a folder for each class, decoded side by side into squares of one size, and kept in a cache.

mod cache;
pub mod check;
pub mod decode;
mod list;
mod resize;

pub use list::{Entry, Listing, list};
pub(super) use list::{LAYOUT, looks_like};
pub use resize::fit;

use super::files::{open, read_at_most};
use super::{Dataset, Request, Splits};
use crate::error::{Error, Result};
use chainrule_kernels::threads::parallel_chunks;
use decode::{MOST_FILE, Picture};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The most bytes that all pictures may take in memory.
const MOST_MEMORY: usize = 8 << 30;

/// The side of a picture if nothing is said: that of CIFAR-10's, for which the recipes are made.
const SIDE: usize = 32;
/// The largest side that can be asked for.
const MOST_SIDE: usize = 1024;
/// The share that validates if nothing is said.
const VALIDATION: f64 = 0.1;

/// All files of a listing, decoded to squares.
struct Decoded {
    /// A square a file; that of a broken file is black.
    pixels: Vec<u8>,
    /// Why a file is broken; empty if it is not.
    broken: Vec<String>,
}

/// Reads a directory of pictures. Where no folder validates, a share of each class does; where no folder tests, nothing does.
///
/// # Errors
/// If there are none, a file is broken and `request.skip_bad` is not set, or too few are left.
pub(super) fn read(root: &Path, request: &Request) -> Result<Splits> {
    let side = request.size.unwrap_or(SIDE);
    if !(1..=MOST_SIDE).contains(&side) {
        let want = format!("sizes go from 1 to {MOST_SIDE}");
        return Err(Error::value("--size", side.to_string(), want));
    }
    let fraction = request.val_fraction.unwrap_or(VALIDATION);
    if !(fraction > 0.0 && fraction < 1.0) {
        let want = "it must be above 0 and below 1";
        return Err(Error::value("--val-fraction", fraction.to_string(), want));
    }
    let listing = list(root)?;
    if listing.entries.len().saturating_mul(picture_bytes(side)) > MOST_MEMORY {
        let found = format!("{} pictures of {side} x {side}", listing.entries.len());
        let want = "they would take more than 8 GiB; choose a smaller size";
        return Err(Error::value("--size", found, want));
    }
    if request.val_fraction.is_some() && !listing.parts[1].is_empty() {
        let found = "there is a folder that validates";
        return Err(Error::value("--val-fraction", found, "leave it away, or remove the folder"));
    }
    let decoded = match cache::load(&listing, side) {
        Some(decoded) => decoded,
        None => {
            let decoded = decode_all(&listing, side, request.progress);
            cache::store(&listing, side, &decoded);
            decoded
        }
    };
    let broken: Vec<usize> =
        (0..listing.entries.len()).filter(|i| !decoded.broken[*i].is_empty()).collect();
    if let (Some(&first), false) = (broken.first(), request.skip_bad) {
        let others = match broken.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more file is broken)".to_string(),
            n => format!(" (and {n} more files are broken)"),
        };
        let found = format!("{}{others}", decoded.broken[first]);
        let want =
            "see them all with `chainrule data check DIR`, or leave them out with --skip-bad";
        return Err(Error::file(root.join(&listing.entries[first].name), found, want));
    }
    let chosen = match listing.parts[1].is_empty() {
        true => listing.chosen(fraction, request.seed),
        false => vec![false; listing.entries.len()],
    };
    splits(&listing, &decoded, &chosen, side)
}

/// The bytes of a picture of three planes.
fn picture_bytes(side: usize) -> usize {
    3 * side * side
}

/// Decodes every file, each to its own place, so that the order of the threads cannot matter.
fn decode_all(listing: &Listing, side: usize, progress: &(dyn Fn(usize, usize) + Sync)) -> Decoded {
    let size = picture_bytes(side);
    let mut pixels = vec![0; listing.entries.len() * size];
    let broken: Vec<Mutex<String>> = listing.entries.iter().map(|_| Mutex::default()).collect();
    let done = AtomicUsize::new(0);
    parallel_chunks(&mut pixels, size, |i, out| {
        match load_entry(listing, i) {
            Ok(picture) => fit(&picture, side, out),
            Err(reason) => *broken[i].lock().unwrap_or_else(PoisonError::into_inner) = reason,
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, listing.entries.len());
    });
    let reason = |m: Mutex<String>| m.into_inner().unwrap_or_else(PoisonError::into_inner);
    Decoded { pixels, broken: broken.into_iter().map(reason).collect() }
}

/// The picture of a file, decoded as a training decodes it; [`fit`] makes it a square.
///
/// # Errors
/// If the file cannot be read, is larger than a picture may be, or is no whole picture.
pub fn load(path: &Path) -> Result<Picture> {
    const WANT: &str = "expected a whole png, jpeg, webp or bmp file";
    let (file, bytes) = open(path, WANT)?;
    let broken = |found| Error::file(path, found, WANT);
    if bytes > MOST_FILE {
        return Err(broken(format!("has {bytes} bytes, more than the {MOST_FILE} that are read")));
    }
    let bytes = read_at_most(file, MOST_FILE)
        .map_err(|fault| broken(format!("cannot be read ({fault})")))?;
    decode::decode(&bytes).map_err(broken)
}

/// The picture of an entry, or why it cannot be used.
fn load_entry(listing: &Listing, i: usize) -> std::result::Result<Picture, String> {
    let path = listing.root.join(&listing.entries[i].name);
    if path.is_dir() {
        return Err("is a folder, where a class has pictures".into());
    }
    load(&path).map_err(|e| match e {
        Error::File { found, .. } => found,
        Error::Io { source, .. } => format!("cannot be read ({source})"),
        other => other.to_string(),
    })
}

/// Moves each good picture to its part; those `chosen` of the training part validate.
fn splits(listing: &Listing, decoded: &Decoded, chosen: &[bool], side: usize) -> Result<Splits> {
    let part = |name: &str, keep: &dyn Fn(usize) -> bool| -> Result<Dataset> {
        let kept: Vec<usize> = (0..listing.entries.len())
            .filter(|i| keep(*i) && decoded.broken[*i].is_empty())
            .collect();
        if kept.is_empty() && name != "test" {
            let found = format!("leaves no picture for {name}");
            return Err(Error::file(&listing.root, found, LAYOUT));
        }
        let size = picture_bytes(side);
        let pixels = kept.iter().flat_map(|i| &decoded.pixels[i * size..][..size]).copied();
        let labels: Vec<u16> = kept.iter().map(|i| listing.entries[*i].label as u16).collect();
        let classes: Vec<&str> = listing.classes.iter().map(String::as_str).collect();
        Ok(Dataset::new(pixels.collect(), labels, [3, side, side], &classes))
    };
    let [train, val, test] = &listing.parts;
    let left_out = match decoded.broken.iter().filter(|reason| !reason.is_empty()).count() {
        0 => String::new(),
        1 => " without 1 broken file".to_string(),
        n => format!(" without {n} broken files"),
    };
    Ok(Splits {
        train: part("training", &|i| train.contains(&i) && !chosen[i])?,
        val: part("validation", &|i| val.contains(&i) || chosen[i])?,
        test: part("test", &|i| test.contains(&i))?,
        name: format!("pictures in {}{left_out}", listing.root.display()),
    })
}
