//! Decoded pictures in a file beside them, so that the second training begins at once.
//!
//! The file begins with a key: a hash of the format's version, the size asked for, and name, length and time of every picture
//! file. If anything of that has changed, or a byte of the cache has, it is no longer used but made again. It is a help and no
//! more: where it cannot be written, everything works without it.

use super::list::Listing;
use super::read_at_most;
use super::{Decoded, picture_bytes};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Changes whenever pictures are decoded or resized in another way, or this format is another.
const VERSION: &[u8] = b"chainrule pictures 1\n";
/// Larger sets are decoded each time.
const MOST: usize = 2 << 30;

/// Bytes of what is said about a broken picture: less than this.
const LONGEST_REASON: usize = 512;

fn path(listing: &Listing, side: usize) -> PathBuf {
    listing.root.join(format!(".chainrule-pictures-{side}"))
}

/// What a cache must have been made from to be used.
fn key(listing: &Listing, side: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(VERSION);
    hash.update((side as u64).to_le_bytes());
    for entry in &listing.entries {
        hash.update((entry.name.len() as u64).to_le_bytes());
        hash.update(&entry.name);
        hash.update(entry.bytes.to_le_bytes());
        hash.update(entry.changed.to_le_bytes());
    }
    hash.finalize().into()
}

/// The pictures of the cache, if it is one of these very files and intact.
pub(super) fn load(listing: &Listing, side: usize) -> Option<Decoded> {
    let path = path(listing, side);
    let pixels = listing.entries.len() * picture_bytes(side);
    let about = fs::symlink_metadata(&path).ok()?;
    // The key, the sum, the pixels, and a line a picture.
    let most = (64 + pixels + LONGEST_REASON * listing.entries.len()) as u64;
    if !about.is_file() || about.len() > most {
        return None;
    }
    let mut bytes = read_at_most(File::open(path).ok()?, most).ok()?;
    let (content, sum) = bytes.split_last_chunk::<32>()?;
    let rest = content.strip_prefix(&key(listing, side)[..])?;
    if Sha256::digest(content)[..] != sum[..] {
        return None;
    }
    let (reasons, rest) = rest.split_at_checked(rest.len().checked_sub(pixels)?)?;
    let broken: Vec<String> =
        std::str::from_utf8(reasons).ok()?.split_terminator('\n').map(str::to_string).collect();
    if broken.len() != listing.entries.len() {
        return None;
    }
    let begin = bytes.len() - 32 - rest.len();
    bytes.truncate(begin + pixels);
    bytes.drain(..begin);
    Some(Decoded { pixels: bytes, broken })
}

/// Writes the cache, complete or not at all. That it cannot be written is no failure.
pub(super) fn store(listing: &Listing, side: usize, decoded: &Decoded) {
    if decoded.pixels.len() > MOST {
        return;
    }
    let path = path(listing, side);
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = File::create(&new).and_then(|file| {
        let mut out = BufWriter::new(file);
        let reasons: String = decoded.broken.iter().map(|r| r.replace('\n', " ") + "\n").collect();
        let mut hash = Sha256::new();
        for part in [&key(listing, side)[..], reasons.as_bytes(), &decoded.pixels] {
            hash.update(part);
            out.write_all(part)?;
        }
        out.write_all(&hash.finalize())?;
        out.flush()
    });
    if written.and_then(|()| fs::rename(&new, &path)).is_err() {
        let _ = fs::remove_file(&new);
    }
}
