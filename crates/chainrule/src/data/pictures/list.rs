//! Which picture files a directory holds, and to which class and part each belongs.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What may be said of a directory that holds no pictures.
pub(in crate::data) const LAYOUT: &str = "expected pictures in train/CLASS/ and val/CLASS/ (and \
                                          test/CLASS/), or in a folder for each class";
/// More classes than this are no classes but a mistake, and labels are 16-bit numbers.
const MOST_CLASSES: usize = 10_000;
/// The endings of names that are looked at when it is asked whether a folder holds pictures.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];
/// Files that systems leave in folders.
const LITTER: [&str; 2] = ["Thumbs.db", "desktop.ini"];

/// One picture file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Below the directory, as `train/cat/1.png`.
    pub name: String,
    /// The index of its class.
    pub label: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was changed, in nanoseconds since 1970; 0 where the system does not say.
    pub changed: u128,
}

/// The parts and classes of a directory.
#[derive(Debug)]
pub struct Listing {
    /// The directory.
    pub root: PathBuf,
    /// The names of the classes, sorted: those of the folders.
    pub classes: Vec<String>,
    /// Every file, by part, class and name.
    pub entries: Vec<Entry>,
    /// Where the parts begin and end in `entries`: for learning, for choosing, for the last word. Where there are no folders of
    /// parts, all files are for learning, and the other two are empty.
    pub parts: [std::ops::Range<usize>; 3],
}

/// The folders of the parts in the names that occur.
const PARTS: [&[&str]; 3] = [&["train"], &["val", "valid", "validation"], &["test"]];

/// Whether a directory looks like one of pictures: it has a folder `train`, or a folder with a picture in it.
///
/// # Errors
/// If it cannot be read.
pub(in crate::data) fn looks_like(root: &Path) -> Result<bool> {
    if !root.is_dir() {
        return Ok(false);
    }
    if root.join("train").is_dir() {
        return Ok(true);
    }
    for folder in folders(root)? {
        let holds_picture = names(&root.join(&folder))?.iter().any(|name| {
            let ending = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
            ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
        });
        if holds_picture {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lists the files of a directory. Hidden files are passed over.
///
/// # Errors
/// If it cannot be read, has no classes, or has other classes in one part than in another.
pub fn list(root: &Path) -> Result<Listing> {
    let [train, val, test] =
        PARTS.map(|names| names.iter().copied().find(|name| root.join(name).is_dir()));
    let parts = match train {
        Some(_) => [train, val, test],
        None => [Some("."), None, None],
    };
    let inner = |part: &str| if part == "." { root.to_path_buf() } else { root.join(part) };
    let classes = folders(&inner(parts[0].unwrap_or(".")))?;
    if classes.is_empty() || classes.len() > MOST_CLASSES {
        return Err(Error::file(root, format!("has {} classes", classes.len()), LAYOUT));
    }
    let mut listing = Listing {
        root: root.to_path_buf(),
        classes: classes.clone(),
        entries: Vec::new(),
        parts: [0..0, 0..0, 0..0],
    };
    for (range, part) in listing.parts.iter_mut().zip(parts) {
        let begin = listing.entries.len();
        if let Some(part) = part {
            let directory = inner(part);
            let own = folders(&directory)?;
            if let Some(odd) = own.iter().find(|class| !classes.contains(class)) {
                let found = format!("has a class {odd:?} that train has not");
                return Err(Error::file(
                    directory,
                    found,
                    "expected the same classes in each part",
                ));
            }
            for class in own {
                let label = classes.binary_search(&class).unwrap_or_default();
                add_class(root, part, &class, label, &mut listing.entries)?;
            }
        }
        *range = begin..listing.entries.len();
    }
    if listing.parts[0].is_empty() {
        return Err(Error::file(root, "holds no pictures", LAYOUT));
    }
    Ok(listing)
}

fn add_class(
    root: &Path,
    part: &str,
    class: &str,
    label: usize,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let below = if part == "." { class.to_string() } else { format!("{part}/{class}") };
    for name in names(&root.join(&below))? {
        let name = format!("{below}/{name}");
        let path = root.join(&name);
        let about = fs::metadata(&path).map_err(Error::io("read", &path))?;
        let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        entries.push(Entry {
            name,
            label,
            bytes: if about.is_file() { about.len() } else { u64::MAX },
            changed: changed.map_or(0, |t| t.as_nanos()),
        });
    }
    Ok(())
}

/// The names in a directory, sorted, without hidden ones and litter.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let name = entry.map_err(Error::io("read", directory))?.file_name();
        let Some(name) = name.to_str() else {
            let found = format!("holds a file whose name is no text ({name:?})");
            return Err(Error::file(directory, found, "rename it"));
        };
        if !name.starts_with('.') && !LITTER.contains(&name) {
            names.push(name.to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// The folders in a directory, sorted.
fn folders(directory: &Path) -> Result<Vec<String>> {
    let mut names = names(directory)?;
    names.retain(|name| directory.join(name).is_dir());
    Ok(names)
}

impl Listing {
    /// For each file whether it validates: of each class of the training part the share `fraction`, at least one file of a class
    /// that has two. A file is chosen by its name and the seed alone, so that another file more or less changes little.
    pub fn chosen(&self, fraction: f64, seed: u64) -> Vec<bool> {
        let mut chosen = vec![false; self.entries.len()];
        for label in 0..self.classes.len() {
            let own = self.parts[0].clone().filter(|i| self.entries[*i].label == label);
            let mut lots: Vec<_> = own.map(|i| (lot(seed, &self.entries[i].name), i)).collect();
            lots.sort();
            let share = (lots.len() as f64 * fraction).round() as usize;
            let share = share.clamp(usize::from(lots.len() > 1), lots.len().saturating_sub(1));
            lots.iter().take(share).for_each(|(_, i)| chosen[*i] = true);
        }
        chosen
    }
}

/// A number that depends on the seed and a name only.
fn lot(seed: u64, name: &str) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize().into()
}
