use super::*;
use crate::data::unknown;
use std::fs;

const SMALL: Layout = Layout { records: 10, train: 45, val: 5, test: 3 };

/// As [`read`], for smaller files.
fn read_small(path: &Path, test_all: bool) -> Result<Splits> {
    find(path)?.map_or_else(|| Err(unknown(path)), |found| read_layout(&found, test_all, SMALL))
}

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
                (0..RECORD)
                    .map(move |i| if i == 0 { ((r + f) % 10) as u8 } else { (r * 10 + f) as u8 })
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
    let s = read_small(dir.path(), false).unwrap();
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
    assert_eq!(read_small(&inner, true).unwrap().test.len(), 10);
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
        (remove_all, &["holds no data set that is known; ", "cifar-10-batches-bin"]),
        (
            |d| {
                remove_all(d);
                fs::write(d.join("data_batch_1"), b"").unwrap();
            },
            &["data_batch_1: ends too early; expected a pickle of 10 pictures of 3072 bytes"],
        ),
    ];
    for (break_it, wanted) in rows {
        let dir = tempfile::tempdir().unwrap();
        write_set(dir.path());
        break_it(dir.path());
        let message = read_small(dir.path(), false).unwrap_err().to_string();
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
        let message = read_small(dir.path(), false).unwrap_err().to_string();
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
    let message = read_small(dir.path(), false).unwrap_err().to_string();
    assert!(message.contains("data_batch_3.bin: is not a regular file"), "{message}");
}
