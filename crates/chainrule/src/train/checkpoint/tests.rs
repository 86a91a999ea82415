//! The format against damage and malice; saving against a disk that fails, or a machine that stops, at any operation.

use super::disk::{Disk, DiskFile};
use super::*;
use crate::models::{FullyConnectedConfig, FullyConnectedNet, Norm};
use crate::optim::{OptimConfig, make};
use crate::rng::Rng;
use crate::tensor::{DType, Order, Tensor};
use crate::train::{Arrays, Flow, Moment, Observer, Solver, SolverOptions};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

/// Keeps the state after each step.
struct States(Vec<SolverState>);

impl Observer for States {
    fn moment(&mut self, moment: &Moment<'_>) -> Result<Flow> {
        self.0.push(moment.state());
        Ok(Flow::Go)
    }
}

/// Checkpoints of a tiny training with everything that a state can have.
fn checkpoints(mut rng: Rng) -> Vec<Checkpoint> {
    let x = Tensor::randn([12, 3], 1.0, DType::F32, &mut rng);
    let data = Arrays::new(x, (0..12).map(|i| i % 2).collect());
    let config = FullyConnectedConfig {
        input_shape: vec![3],
        hidden: vec![4],
        classes: 2,
        norm: Norm::Batch,
        dropout_keep: 0.8,
        ..FullyConnectedConfig::default()
    };
    let mut net = FullyConnectedNet::new(config, &mut rng);
    let rule = make("adam", &OptimConfig::default()).expect("a known rule");
    let options = SolverOptions { batch_size: 4, epochs: 2, ..SolverOptions::default() };
    let mut states = States(Vec::new());
    let mut solver = Solver::new(&mut net, rule, &data, &data, options);
    solver.train(&mut rng, &mut states).expect("a finite loss");
    let with_config = |state| Checkpoint { state, config: "seed = 0\n".to_string() };
    states.0.into_iter().map(with_config).collect()
}

fn bytes(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = Vec::new();
    checkpoint.write(&mut bytes).expect("memory has room");
    bytes
}

fn read_bytes(bytes: &[u8]) -> std::result::Result<Checkpoint, String> {
    Checkpoint::read(&mut Cursor::new(bytes))
}

#[test]
fn what_is_written_is_read_again() {
    for rng in [Rng::new(3), Rng::numpy(3)] {
        let mut all = checkpoints(rng);
        // What this training does not have: another type, another memory order, a loss that is not a number.
        let picture = Tensor::randn([2, 3, 2, 2], 1.0, DType::F64, &mut Rng::new(0));
        let odd = ("odd".to_string(), picture.to_order(Order::ChannelsLast));
        all[4].state.params.push(odd);
        all[4].state.losses[1] = f64::NAN;
        for checkpoint in &all {
            let written = bytes(checkpoint);
            let again = read_bytes(&written).expect("a whole checkpoint");
            assert!(bytes(&again) == written, "other bytes");
            assert_eq!(again.config, checkpoint.config);
        }
        let last = &read_bytes(&bytes(&all[4])).expect("whole").state.params;
        assert_eq!(last.last().expect("pushed").1.order(), Order::ChannelsLast);
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_found() {
    let written = bytes(&checkpoints(Rng::new(1))[4]);
    for len in 0..written.len() {
        assert!(read_bytes(&written[..len]).is_err(), "cut to {len} of {}", written.len());
    }
    let mut longer = written.clone();
    longer.push(0);
    assert!(read_bytes(&longer).is_err());
    let mut broken = written.clone();
    for bit in 0..8 * written.len() {
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(read_bytes(&broken).is_err(), "bit {bit}");
        broken[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(read_bytes(&broken).is_ok());
}

/// `head` and `payload` as a file whose length and checksum are right.
fn sealed(version: u32, head: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = (24 + head.len() + payload.len() + 4) as u64;
    let mut file = b"CHAINCKP".to_vec();
    file.extend(version.to_le_bytes());
    file.extend((head.len() as u32).to_le_bytes());
    file.extend(len.to_le_bytes());
    file.extend(head);
    file.extend(payload);
    file.extend(crc32fast::hash(&file).to_le_bytes());
    file
}

#[test]
fn a_malicious_head_is_refused_before_anything_is_allocated() {
    let written = bytes(&checkpoints(Rng::new(1))[0]);
    let head_len = u32::from_le_bytes([written[12], written[13], written[14], written[15]]);
    let (head, payload) = written[24..written.len() - 4].split_at(head_len as usize);
    assert!(read_bytes(&sealed(1, head, payload)).is_ok());
    let refused = |file: Vec<u8>, wanted: &str| {
        let found = read_bytes(&file).expect_err(wanted);
        assert!(found.contains(wanted), "{found:?} should contain {wanted:?}");
    };
    refused(sealed(2, head, payload), "format 2");
    refused(sealed(1, head, &[]), "length");
    refused(sealed(1, b"{}", payload), "head");
    refused(sealed(1, "[".repeat(100_000).as_bytes(), payload), "head");
    let text = String::from_utf8_lossy(head);
    let first = "\"shape\":[3,4]";
    assert!(text.contains(first), "{text}");
    for (from, to, wanted) in [
        (first, "\"shape\":[4000000000,4000000000,4000000000]", "length"),
        (first, "\"shape\":[4000000000000]", "length"),
        (first, "\"shape\":[3,4,1,1,1,1,1]", "length"),
        (first, "\"shape\":[-3,4]", "head"),
        ("\"channels_last\":false", "\"channels_last\":true", "length"),
        ("{\"rule\":1}", "{\"rule\":1000000000000}", "parameter 1000000000000"),
        ("\"program\"", "\"programme\"", "head"),
    ] {
        refused(sealed(1, text.replacen(from, to, 1).as_bytes(), payload), wanted);
    }
    let mut long_head = sealed(1, head, payload);
    long_head[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let end = long_head.len() - 4;
    let sum = crc32fast::hash(&long_head[..end]);
    long_head[end..].copy_from_slice(&sum.to_le_bytes());
    refused(long_head, "head is longer");
}

/// A disk in memory that fails at one operation and, if the machine stops there, at all after it.
#[derive(Clone, Default)]
struct Frail(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    /// What the running system sees.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// What was flushed: all that is left of a file if the power fails.
    flushed: BTreeMap<PathBuf, Vec<u8>>,
    operations: usize,
    fails_at: Option<usize>,
    stops: bool,
}

impl Frail {
    /// Counts an operation. The one that fails returns an error, and so do all after it if the machine stops.
    fn operate<T>(&self, action: impl FnOnce(&mut Contents) -> T) -> io::Result<T> {
        let mut contents = self.0.lock().expect("no test panics inside");
        contents.operations += 1;
        let failed = contents.fails_at.is_some_and(|n| match contents.stops {
            true => contents.operations >= n,
            false => contents.operations == n,
        });
        if failed { Err(io::Error::other("broken")) } else { Ok(action(&mut contents)) }
    }

    fn plan(&self, fails_at: Option<usize>, stops: bool) {
        let mut contents = self.0.lock().expect("no test panics inside");
        (contents.operations, contents.fails_at, contents.stops) = (0, fails_at, stops);
    }

    /// The files left: those of a killed process as they are, those of a machine without power as they were flushed.
    fn left(&self, power_fails: bool) -> BTreeMap<PathBuf, Vec<u8>> {
        let contents = self.0.lock().expect("no test panics inside");
        let flushed = |path: &PathBuf| contents.flushed.get(path).cloned().unwrap_or_default();
        let left = |(path, seen): (&PathBuf, &Vec<u8>)| {
            (path.clone(), if power_fails { flushed(path) } else { seen.clone() })
        };
        contents.files.iter().map(left).collect()
    }
}

struct FrailFile {
    disk: Frail,
    path: PathBuf,
}

impl Write for FrailFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = Err(io::Error::other("broken"));
        // A write that fails may have written a part.
        let part = bytes.len().div_ceil(2);
        let mut contents = self.disk.0.lock().expect("no test panics inside");
        contents.files.entry(self.path.clone()).or_default().extend(&bytes[..part]);
        drop(contents);
        if self.disk.operate(|_| ()).is_ok() {
            written = Ok(part);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for FrailFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.operate(|contents| {
            let seen = contents.files[&self.path].clone();
            contents.flushed.insert(self.path.clone(), seen);
        })
    }
}

impl Disk for Frail {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operate(|contents| {
            contents.files.insert(path.to_path_buf(), Vec::new());
            contents.flushed.remove(path);
        })?;
        Ok(Box::new(FrailFile { disk: self.clone(), path: path.to_path_buf() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|contents| {
            let found = contents.files.remove(from).ok_or(io::Error::from(ErrorKind::NotFound))?;
            contents.files.insert(to.to_path_buf(), found);
            let flushed = contents.flushed.remove(from).unwrap_or_default();
            contents.flushed.insert(to.to_path_buf(), flushed);
            Ok(())
        })?
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        self.operate(|_| ())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|contents| contents.files.remove(path).map_or(Ok(()), |_| Ok(())))?
    }
}

/// The step of the checkpoint that is found in these files, in the order in which [`load`] looks.
fn newest(files: &BTreeMap<PathBuf, Vec<u8>>) -> usize {
    let real = tempfile::tempdir().expect("a directory");
    for (path, contents) in files {
        std::fs::write(real.path().join(path.file_name().expect("a name")), contents)
            .expect("room for a small file");
    }
    load(real.path()).expect("a whole one").expect("one at all").checkpoint.state.losses.len()
}

#[test]
fn a_stop_or_a_failure_at_any_operation_of_a_save_loses_nothing() {
    let all = checkpoints(Rng::new(1));
    let directory = Path::new("run");
    let mut outcomes = [0, 0];
    for stops in [true, false] {
        for fails_at in 1.. {
            let disk = Frail::default();
            save(&disk, directory, &all[0], true).expect("a disk that works");
            save(&disk, directory, &all[1], true).expect("a disk that works");
            disk.plan(Some(fails_at), stops);
            let saved = save(&disk, directory, &all[2], true);
            for power_fails in [false, true] {
                let found = newest(&disk.left(power_fails));
                // After a success the new one is there. After a failure the old one, or the new one if only its naming is left.
                assert!(found == 3 || (found == 2 && saved.is_err()), "{fails_at}: step {found}");
                outcomes[found - 2] += 1;
            }
            let operations = disk.0.lock().expect("no test panics inside").operations;
            // The disk works again, and so does saving.
            disk.plan(None, false);
            save(&disk, directory, &all[3], true).expect("a disk that works again");
            assert_eq!(newest(&disk.left(true)), 4);
            if operations < fails_at {
                break;
            }
        }
    }
    assert!(outcomes.iter().all(|n| *n > 4), "both ends were met: {outcomes:?}");
}

#[test]
fn a_damaged_file_never_takes_the_place_of_the_one_before() {
    let all = checkpoints(Rng::new(1));
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, contents: &[u8]| {
        std::fs::write(dir.path().join(name), contents).expect("room for a small file");
    };
    assert!(load(dir.path()).expect("an empty directory").is_none());
    write(PREVIOUS, &bytes(&all[0]));
    let found = load(dir.path()).expect("a whole one").expect("one");
    assert!(found.warning.expect("a warning").contains("missing"));
    let mut damaged = bytes(&all[1]);
    damaged[100] ^= 4;
    write(LAST, &damaged);
    let found = load(dir.path()).expect("a whole one").expect("one");
    assert_eq!(found.checkpoint.state.losses.len(), 1);
    let warning = found.warning.expect("a warning");
    assert!(warning.contains("checksum") && warning.contains("step 1"), "{warning}");
    // The thread looks before it keeps: the whole one must survive the first save.
    assert!(!is_whole(&dir.path().join(LAST)) && is_whole(&dir.path().join(PREVIOUS)));
    save(&System, dir.path(), &all[2], is_whole(&dir.path().join(LAST))).expect("room");
    assert!(is_whole(&dir.path().join(LAST)) && is_whole(&dir.path().join(PREVIOUS)));
    write(LAST, b"");
    write(PREVIOUS, &damaged);
    let error = load(dir.path()).expect_err("nothing whole").to_string();
    assert!(error.contains("only 0 bytes") && error.contains("checksum"), "{error}");
}
