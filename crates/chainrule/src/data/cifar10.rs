//! CIFAR-10: five training files and a test file of 10,000 pictures each, 32 x 32 with red, green and blue planes. Source:
//! Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! Both published versions are read, from their folder or from the archive itself: the binary one, whose records are a label and
//! 3,072 bytes, and the Python one, whose files are pickles ([`super::pickle`]). They hold the same pictures in the same order.

use super::files::{Fault, exists, open, read_at_most};
use super::{CIFAR10_CLASSES, Dataset, Splits, archive, pickle};
use crate::error::Result;
use chainrule_kernels::threads::parallel_chunks;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const SHAPE: [usize; 3] = [3, 32, 32];
const PICTURE: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PICTURE;
/// Training files, then the test file.
const FILES: usize = 6;
/// Records that are read at a time: as many as fit a processor's own cache.
const BLOCK: usize = 64;

/// How a file is laid out; tests use smaller ones.
#[derive(Clone, Copy)]
struct Layout {
    records: usize,
    train: usize,
    val: usize,
    test: usize,
}

const OFFICIAL: Layout = Layout { records: 10_000, train: 49_000, val: 1_000, test: 1_000 };

/// Reads a file of so many bytes: its pictures to where they belong, its labels returned.
type ReadFile = fn(&mut dyn Read, u64, &mut [u8]) -> std::result::Result<Vec<u8>, Fault>;

/// One of the two versions.
struct Version {
    /// The folder in its archive.
    folder: &'static str,
    archive: &'static str,
    files: [&'static str; FILES],
    layout: &'static str,
    read: ReadFile,
}

const VERSIONS: [Version; 2] = [
    Version {
        folder: "cifar-10-batches-bin",
        archive: "cifar-10-binary.tar",
        files: [
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
            "test_batch.bin",
        ],
        layout: "expected the binary version of CIFAR-10: data_batch_1.bin to data_batch_5.bin \
                 and test_batch.bin",
        read: read_records,
    },
    Version {
        folder: "cifar-10-batches-py",
        archive: "cifar-10-python.tar",
        files: [
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
            "test_batch",
        ],
        layout: "expected the Python version of CIFAR-10: data_batch_1 to data_batch_5 and test_batch",
        read: read_pickle,
    },
];

/// Where the six files are.
pub(super) struct Found {
    path: PathBuf,
    packed: bool,
    version: &'static Version,
}

/// The files of a version at `path`: in this directory, in the archive's folder in it, in the archive in it, or in this file.
///
/// # Errors
/// If the file system does not answer.
pub(super) fn find(path: &Path) -> Result<Option<Found>> {
    let found = |path: PathBuf, packed, version| Ok(Some(Found { path, packed, version }));
    if path.is_file() {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let python = usize::from(name.contains("python"));
        let tar = name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz");
        return if tar { found(path.to_path_buf(), true, &VERSIONS[python]) } else { Ok(None) };
    }
    for version in &VERSIONS {
        for directory in [path.to_path_buf(), path.join(version.folder)] {
            for name in [version.files[0], version.files[FILES - 1]] {
                if exists(&directory.join(name))? {
                    return found(directory, false, version);
                }
            }
        }
    }
    for version in &VERSIONS {
        for ending in [".gz", ""] {
            let archive = path.join(format!("{}{ending}", version.archive));
            if exists(&archive)? {
                return found(archive, true, version);
            }
        }
    }
    Ok(None)
}

/// Reads the files of a directory, of the archive's folder in it, or of an archive: the first 49,000 training pictures, the last
/// 1,000 for validation, and the first 1,000 test pictures, or all 10,000 with `test_all`.
///
/// # Errors
/// If there are none, or a file is missing, cannot be read, has another size, or holds a label above 9.
pub fn read(path: &Path, test_all: bool) -> Result<Splits> {
    match find(path)? {
        Some(found) => read_found(&found, test_all),
        None => Err(super::unknown(path)),
    }
}

pub(super) fn read_found(found: &Found, test_all: bool) -> Result<Splits> {
    read_layout(found, test_all, OFFICIAL)
}

fn read_layout(found: &Found, test_all: bool, layout: Layout) -> Result<Splits> {
    let mut pixels = vec![0; FILES * layout.records * PICTURE];
    let labels = if found.packed {
        unpack(found, layout, &mut pixels)?
    } else {
        read_files(found, layout, &mut pixels)?
    };
    let all = Dataset::new(pixels, labels.concat(), SHAPE, &CIFAR10_CLASSES);
    let first_test = (FILES - 1) * layout.records;
    let tested = if test_all { layout.records } else { layout.test };
    Ok(Splits {
        train: all.slice(0..layout.train),
        val: all.slice(layout.train..layout.train + layout.val),
        test: all.slice(first_test..first_test + tested),
        name: format!("CIFAR-10 in {}", found.path.display()),
    })
}

/// Reads the files of a directory side by side into `pixels`, and returns the labels of each.
fn read_files(found: &Found, layout: Layout, pixels: &mut [u8]) -> Result<[Vec<u8>; FILES]> {
    let labels = [const { Mutex::new(Ok(Vec::new())) }; FILES];
    let version = found.version;
    parallel_chunks(pixels, layout.records * PICTURE, |i, out| {
        let path = found.path.join(version.files[i]);
        let read = open(&path, version.layout).and_then(|(mut file, size)| {
            (version.read)(&mut file, size, out).map_err(|fault| fault.of(&path))
        });
        *labels[i].lock().unwrap_or_else(PoisonError::into_inner) = read;
    });
    let mut all = [const { Vec::new() }; FILES];
    for (all, labels) in all.iter_mut().zip(labels) {
        *all = labels.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    }
    Ok(all)
}

/// Reads the members of an archive into `pixels`, in whatever order they come, and returns the labels of each.
fn unpack(found: &Found, layout: Layout, pixels: &mut [u8]) -> Result<[Vec<u8>; FILES]> {
    let Found { path, version, .. } = found;
    let (file, _) = open(path, version.layout)?;
    let mut labels = [const { Vec::new() }; FILES];
    let size = layout.records * PICTURE;
    archive::members(file, version.folder, &version.files, |i, length, bytes| {
        labels[i] = (version.read)(bytes, length, &mut pixels[i * size..][..size])?;
        Ok(())
    })
    .map_err(|fault| fault.of(path))?;
    Ok(labels)
}

/// The labels of a binary file of `length` bytes; its pictures go to `pixels`.
///
/// # Errors
/// If it has another size than the pictures ask for, or a label above 9.
pub fn read_records(
    source: &mut dyn Read,
    length: u64,
    pixels: &mut [u8],
) -> std::result::Result<Vec<u8>, Fault> {
    let records = pixels.len() / PICTURE;
    let want = records * RECORD;
    let wrong_size = |found: String| {
        Fault::new(found, format!("expected {want} bytes ({records} records of {RECORD})"))
    };
    if length != want as u64 {
        return Err(wrong_size(format!("holds {length} bytes")));
    }
    let mut labels = Vec::with_capacity(records);
    let mut block = vec![0; BLOCK * RECORD];
    for pixels in pixels.chunks_mut(BLOCK * PICTURE) {
        let block = &mut block[..pixels.len() / PICTURE * RECORD];
        let got = read_full(source, block)?;
        if got < block.len() {
            let bytes = labels.len() * RECORD + got;
            return Err(wrong_size(format!("changed while it was read, {bytes} bytes came")));
        }
        for (record, picture) in block.chunks_exact(RECORD).zip(pixels.chunks_exact_mut(PICTURE)) {
            check_label(labels.len(), record[0])?;
            labels.push(record[0]);
            picture.copy_from_slice(&record[1..]);
        }
    }
    // One byte more than expected is asked for, so that a file that grows meanwhile is noticed.
    if read_full(source, &mut [0])? > 0 {
        return Err(wrong_size("grew while it was read".into()));
    }
    Ok(labels)
}

/// The labels of a pickled file; its pictures go to `pixels`.
fn read_pickle(
    source: &mut dyn Read,
    length: u64,
    pixels: &mut [u8],
) -> std::result::Result<Vec<u8>, Fault> {
    let records = pixels.len() / PICTURE;
    let want = || format!("expected a pickle of {records} pictures of {PICTURE} bytes");
    // Bytes that were pickled as characters may take twice their size, and names take some more.
    let most = (2 * pixels.len() + 200 * records) as u64;
    if length > most {
        return Err(Fault::new(format!("holds {length} bytes"), want()));
    }
    let bytes = read_at_most(source, most)?;
    let batch = pickle::batch(&bytes).map_err(|found| Fault::new(found, want()))?;
    if batch.shape != [records, PICTURE] {
        let [rows, columns] = batch.shape;
        return Err(Fault::new(format!("has an array of {rows} x {columns}"), want()));
    }
    batch.labels.iter().enumerate().try_for_each(|(i, label)| check_label(i, *label))?;
    pixels.copy_from_slice(&batch.pixels);
    Ok(batch.labels)
}

fn check_label(record: usize, label: u8) -> std::result::Result<(), Fault> {
    if usize::from(label) < CIFAR10_CLASSES.len() {
        return Ok(());
    }
    let found = format!("record {record} has the label {label}");
    Err(Fault::new(found, "expected labels from 0 to 9"))
}

/// Reads until the buffer is full or the source at its end, and tells how much came.
fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> std::result::Result<usize, Fault> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
