//! `data check`: what a directory of pictures holds, before anything is trained on it.

use super::{Listing, load_entry};
use chainrule_kernels::threads::parallel_for;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What was found of one file.
#[derive(Clone, Debug)]
pub enum Finding {
    /// Nobody has looked yet.
    Unseen,
    /// Why it cannot be used.
    Broken(String),
    /// A good picture.
    Good {
        /// Pixels along a row and rows, as the file has them.
        size: (usize, usize),
        /// What the file is: `png RGB`.
        mode: &'static str,
        /// A hash of the decoded pixels.
        content: [u8; 32],
    },
}

/// What was found in a directory.
#[derive(Debug)]
pub struct Findings {
    /// For each file of the listing.
    pub files: Vec<Finding>,
    /// Files that decode to the very same picture, in groups of two or more; by their index.
    pub duplicates: Vec<Vec<usize>>,
}

/// Decodes every file and compares them. `progress` is told how many are done, and of how many.
pub fn check(listing: &Listing, progress: &(dyn Fn(usize, usize) + Sync)) -> Findings {
    let n = listing.entries.len();
    let files: Vec<Mutex<Finding>> = (0..n).map(|_| Mutex::new(Finding::Unseen)).collect();
    let done = AtomicUsize::new(0);
    parallel_for(n, |i| {
        let finding = look(listing, i);
        *files[i].lock().unwrap_or_else(PoisonError::into_inner) = finding;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, n);
    });
    let files: Vec<Finding> = files
        .into_iter()
        .map(|file| file.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    let mut same: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        if let Finding::Good { content, .. } = file {
            same.entry(*content).or_default().push(i);
        }
    }
    let mut duplicates: Vec<Vec<usize>> = same.into_values().filter(|g| g.len() > 1).collect();
    duplicates.sort();
    Findings { files, duplicates }
}

fn look(listing: &Listing, i: usize) -> Finding {
    match load_entry(listing, i) {
        Err(reason) => Finding::Broken(reason),
        Ok(picture) => {
            let mut hash = Sha256::new();
            for number in [picture.width, picture.height, picture.channels] {
                hash.update((number as u64).to_le_bytes());
            }
            hash.update(&picture.pixels);
            Finding::Good {
                size: (picture.width, picture.height),
                mode: picture.mode,
                content: hash.finalize().into(),
            }
        }
    }
}
