//! CIFAR-10's official binary files: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, 10,000 records of a label
//! and 3,072 bytes (32 x 32 red, green, blue) each. Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images"
//! (2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::{CIFAR10_CLASSES, Dataset, Splits};
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const LAYOUT: &str = "expected the binary version of CIFAR-10: data_batch_1.bin to data_batch_5.bin \
                      and test_batch.bin";

/// How a file is laid out; tests use smaller ones.
#[derive(Clone, Copy)]
struct Layout {
    records: usize,
    train: usize,
    val: usize,
    test: usize,
}

const OFFICIAL: Layout = Layout { records: 10_000, train: 49_000, val: 1_000, test: 1_000 };

/// Reads the files of a directory, or of `cifar-10-batches-bin` in it: the first 49,000 training pictures, the last 1,000 for
/// validation, and the first 1,000 test pictures, or all 10,000 with `test_all`.
///
/// # Errors
/// If the directory or a file is missing, cannot be read, has another size, or holds a label above 9.
pub fn read(directory: &Path, test_all: bool) -> Result<Splits> {
    read_layout(directory, test_all, OFFICIAL)
}

fn read_layout(directory: &Path, test_all: bool, layout: Layout) -> Result<Splits> {
    let directory = find(directory)?;
    let training: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    let all = read_files(&directory, &training, layout.records)?;
    let test = read_files(&directory, &["test_batch.bin".to_string()], layout.records)?;
    let tested = if test_all { test.len() } else { layout.test };
    Ok(Splits {
        train: all.slice(0..layout.train),
        val: all.slice(layout.train..layout.train + layout.val),
        test: test.slice(0..tested),
        name: format!("CIFAR-10 in {}", directory.display()),
    })
}

/// The directory that holds the files.
fn find(directory: &Path) -> Result<PathBuf> {
    let kind = fs::metadata(directory).map_err(|e| unreadable(directory, "directory", e))?;
    if !kind.is_dir() {
        return Err(Error::file(directory, "is a file, not a directory", LAYOUT));
    }
    for candidate in [directory.to_path_buf(), directory.join("cifar-10-batches-bin")] {
        for name in ["data_batch_1.bin", "test_batch.bin"] {
            if holds(&candidate, name)? {
                return Ok(candidate);
            }
        }
    }
    let python = holds(directory, "data_batch_1")? || holds(directory, "cifar-10-batches-py")?;
    let found = if python {
        "holds no data_batch_1.bin but the Python version of CIFAR-10"
    } else {
        "holds no data_batch_1.bin"
    };
    Err(Error::file(directory, found, LAYOUT))
}

/// Whether a directory, which itself may be missing, holds a file of this name.
fn holds(directory: &Path, name: &str) -> Result<bool> {
    let path = directory.join(name);
    path.try_exists().map_err(Error::io("read", &path))
}

/// What the system says about something missing does not tell what should be there; this does.
fn unreadable(path: &Path, what: &str, source: io::Error) -> Error {
    let source = match source.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no such {what}; {LAYOUT}"))
        }
        _ => source,
    };
    Error::io("read", path)(source)
}

/// The pictures of some files, one file after the other.
fn read_files(directory: &Path, names: &[String], records: usize) -> Result<Dataset> {
    let mut pixels = Vec::with_capacity(names.len() * records * (RECORD - 1));
    let mut labels = Vec::with_capacity(names.len() * records);
    let mut bytes = Vec::new();
    for name in names {
        let path = directory.join(name);
        read_file(&path, records * RECORD, &mut bytes)?;
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            if usize::from(record[0]) >= CIFAR10_CLASSES.len() {
                let found = format!("record {i} has the label {}", record[0]);
                return Err(Error::file(&path, found, "expected labels from 0 to 9"));
            }
            labels.push(record[0]);
            pixels.extend_from_slice(&record[1..]);
        }
    }
    Ok(Dataset::new(pixels, labels, SHAPE, &CIFAR10_CLASSES))
}

/// The bytes of a file that must have `want` of them.
fn read_file(path: &Path, want: usize, bytes: &mut Vec<u8>) -> Result<()> {
    // The kind comes before opening, because opening a named pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(|e| unreadable(path, "file", e))?;
    if !kind.is_file() {
        return Err(Error::file(path, "is not a regular file", LAYOUT));
    }
    let wrong_size = |found: String| {
        let records = want / RECORD;
        Error::file(path, found, format!("expected {want} bytes ({records} records of {RECORD})"))
    };
    if kind.len() != want as u64 {
        return Err(wrong_size(format!("holds {} bytes", kind.len())));
    }
    // One byte more than expected is asked for, so that a file that grows meanwhile is noticed.
    bytes.clear();
    bytes.reserve_exact(want + 1);
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(want as u64 + 1).read_to_end(bytes).map_err(Error::io("read", path))?;
    if bytes.len() != want {
        return Err(wrong_size(format!("changed while it was read, {} bytes came", bytes.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Layout = Layout { records: 10, train: 45, val: 5, test: 3 };

    fn write_set(directory: &Path) {
        for (f, name) in [
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
            "test_batch",
        ]
        .iter()
        .enumerate()
        {
            let bytes: Vec<u8> = (0..SMALL.records)
                .flat_map(|r| {
                    (0..RECORD).map(
                        move |i| if i == 0 { ((r + f) % 10) as u8 } else { (r * 10 + f) as u8 },
                    )
                })
                .collect();
            fs::write(directory.join(format!("{name}.bin")), bytes).unwrap();
        }
    }

    #[test]
    fn splits_follow_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        write_set(&inner);
        let s = read_layout(dir.path(), false, SMALL).unwrap();
        assert_eq!((s.train.len(), s.val.len(), s.test.len()), (45, 5, 3));
        assert_eq!(
            (s.train.label(11), s.train.picture(11)[0]),
            (2, 11),
            "the second record of the second file"
        );
        assert_eq!(
            (s.val.label(0), s.val.picture(0)[7]),
            (9, 54),
            "the sixth record of the fifth file"
        );
        assert_eq!((s.test.label(2), s.test.picture(2)[3071]), (7, 25));
        assert_eq!(read_layout(&inner, true, SMALL).unwrap().test.len(), 10);
    }

    /// What each wrong world says. Each row breaks a good set in one way.
    #[test]
    fn wrong_files_are_named_with_what_was_found() {
        type Break = fn(&Path);
        let rows: [(Break, &[&str]); 9] = [
            (
                |d| fs::remove_file(d.join("data_batch_3.bin")).unwrap(),
                &["cannot read", "data_batch_3.bin: there is no such file", "binary version"],
            ),
            (
                |d| fs::remove_file(d.join("test_batch.bin")).unwrap(),
                &["cannot read", "test_batch.bin: there is no such file", "binary version"],
            ),
            (
                |d| fs::write(d.join("test_batch.bin"), b"short").unwrap(),
                &["test_batch.bin: holds 5 bytes", "expected 30730 bytes (10 records of 3073)"],
            ),
            (
                |d| fs::write(d.join("data_batch_1.bin"), vec![0; 10 * RECORD + 1]).unwrap(),
                &["data_batch_1.bin: holds 30731 bytes", "expected 30730 bytes"],
            ),
            (
                |d| fs::write(d.join("data_batch_4.bin"), vec![0; 9 * RECORD]).unwrap(),
                &["data_batch_4.bin: holds 27657 bytes", "expected 30730 bytes"],
            ),
            (
                |d| {
                    let path = d.join("data_batch_2.bin");
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[7 * RECORD] = 10;
                    fs::write(path, bytes).unwrap();
                },
                &["data_batch_2.bin: record 7 has the label 10", "labels from 0 to 9"],
            ),
            (
                |d| {
                    fs::remove_file(d.join("data_batch_5.bin")).unwrap();
                    fs::create_dir(d.join("data_batch_5.bin")).unwrap();
                },
                &["data_batch_5.bin: is not a regular file", "binary version"],
            ),
            (remove_all, &["holds no data_batch_1.bin; ", "binary version"]),
            (
                |d| {
                    remove_all(d);
                    fs::write(d.join("data_batch_1"), b"pickled").unwrap();
                },
                &["holds no data_batch_1.bin but the Python version of CIFAR-10", "binary version"],
            ),
        ];
        for (break_it, wanted) in rows {
            let dir = tempfile::tempdir().unwrap();
            write_set(dir.path());
            break_it(dir.path());
            let message = read_layout(dir.path(), false, SMALL).unwrap_err().to_string();
            assert!(message.contains(dir.path().to_str().unwrap()), "{message:?} names the path");
            for part in wanted {
                assert!(message.contains(part), "{message:?} should contain {part:?}");
            }
        }
    }

    fn remove_all(directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// A link to itself cannot be followed by anybody, whatever their rights.
    #[cfg(unix)]
    #[test]
    fn what_cannot_be_read_is_not_called_missing() {
        let dir = tempfile::tempdir().unwrap();
        write_set(dir.path());
        for name in ["data_batch_2.bin", "data_batch_1.bin"] {
            let path = dir.path().join(name);
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(&path, &path).unwrap();
            let message = read_layout(dir.path(), false, SMALL).unwrap_err().to_string();
            assert!(message.starts_with(&format!("cannot read {}", path.display())), "{message}");
            assert!(!message.contains("no such file"), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        write_set(dir.path());
        let path = dir.path().join("data_batch_3.bin");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let message = read_layout(dir.path(), false, SMALL).unwrap_err().to_string();
        assert!(message.contains("data_batch_3.bin: is not a regular file"), "{message}");
    }
}
