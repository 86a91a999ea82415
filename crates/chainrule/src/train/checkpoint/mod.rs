//! Checkpoints: a training on the disk, to go on from after a crash, a kill or a stop, bit for bit.
//!
//! A run directory holds the newest as `last.ckpt` and the one before as `previous.ckpt`. A file appears under its name only
//! when it is complete and on the disk (written beside it, flushed, renamed, the directory flushed), and [`load`] goes to the
//! one before if the newest is damaged. [`Checkpoints`] writes them while the training goes on.
//!
//! ```
//! use chainrule::models::{FullyConnectedConfig, FullyConnectedNet};
//! use chainrule::optim::{OptimConfig, make};
//! use chainrule::rng::Rng;
//! use chainrule::tensor::{DType, Tensor};
//! use chainrule::train::checkpoint::{Cadence, Checkpoints, load};
//! use chainrule::train::{Arrays, Solver, SolverOptions};
//!
//! # fn main() -> chainrule::Result<()> {
//! # let directory = tempfile::tempdir().expect("a directory");
//! # let directory = directory.path();
//! let mut rng = Rng::new(0);
//! let x = Tensor::randn([60, 4], 1.0, DType::F32, &mut rng);
//! let data = Arrays::new(x, (0..60).map(|i| i % 3).collect());
//! let config = FullyConnectedConfig {
//!     input_shape: vec![4],
//!     hidden: vec![8],
//!     classes: 3,
//!     ..FullyConnectedConfig::default()
//! };
//! let mut net = FullyConnectedNet::new(config, &mut rng);
//! let rule = make("adam", &OptimConfig::default())?;
//! let options = SolverOptions { batch_size: 20, epochs: 2, ..SolverOptions::default() };
//! let mut solver = Solver::new(&mut net, rule, &data, &data, options);
//!
//! // These lines make a training that survives: it goes on from what the directory holds, if it holds anything.
//! let mut checkpoints = Checkpoints::new(directory, Cadence::Auto, "");
//! if let Some(found) = load(directory)? {
//!     solver.restore(found.checkpoint.state, &mut rng)?;
//! }
//! solver.train(&mut rng, &mut checkpoints)?;
//! checkpoints.finish()?;
//! # assert_eq!(load(directory)?.expect("a checkpoint").checkpoint.state.losses.len(), 6);
//! # Ok(())
//! # }
//! ```

mod disk;
mod format;
mod writer;

pub use writer::{Cadence, Checkpoints};

use super::SolverState;
use crate::error::{Error, Result};
use disk::Disk;
pub(crate) use disk::{System, replace};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The name of the newest checkpoint in a run directory.
pub const LAST: &str = "last.ckpt";
/// The name of the one before.
pub const PREVIOUS: &str = "previous.ckpt";

/// A training, and the configuration that made it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Everything that the coming steps depend on.
    pub state: SolverState,
    /// What the program wants to keep with it, such as its settings.
    pub config: String,
}

impl Checkpoint {
    /// Writes the bytes of a checkpoint. The format is described in ARCHITECTURE.md.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        format::write(self, out)
    }

    /// Reads the bytes of a checkpoint. Whatever the bytes are, it comes back, and takes no more memory than they do.
    ///
    /// # Errors
    /// What is wrong with them, as half of a sentence: "is damaged: its checksum is wrong".
    pub fn read(file: &mut (impl Read + Seek)) -> std::result::Result<Checkpoint, String> {
        format::read(file)
    }
}

/// What [`load`] found.
#[derive(Debug)]
pub struct Found {
    /// The newest checkpoint that is whole.
    pub checkpoint: Checkpoint,
    /// Where it was.
    pub path: PathBuf,
    /// A sentence for the user if that is not `last.ckpt`: why.
    pub warning: Option<String>,
}

/// The newest checkpoint of a directory that is whole; `None` if it has none at all.
///
/// # Errors
/// If there are checkpoints, but none can be read.
pub fn load(directory: &Path) -> Result<Option<Found>> {
    let [last, previous] = [LAST, PREVIOUS].map(|name| directory.join(name));
    let newest = read(&last);
    if let Some(Ok(checkpoint)) = newest {
        return Ok(Some(Found { checkpoint, path: last, warning: None }));
    }
    let why = match &newest {
        Some(Err(found)) => format!("{} {found}", last.display()),
        _ => format!("{} is missing (it was being replaced)", last.display()),
    };
    match (newest, read(&previous)) {
        (_, Some(Ok(checkpoint))) => {
            let step = checkpoint.state.losses.len();
            let warning = format!("{why}; the one before it is used, of step {step}");
            Ok(Some(Found { checkpoint, path: previous, warning: Some(warning) }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(unusable(&last, &why, "there is none before it")),
        (_, Some(Err(found))) => {
            Err(unusable(&last, &why, &format!("and {} {found}", previous.display())))
        }
    }
}

fn unusable(path: &Path, why: &str, and: &str) -> Error {
    let why = why.strip_prefix(&path.display().to_string()).unwrap_or(why).trim_start();
    Error::file(path, why, format!("{and}: the training has to start again"))
}

/// Opens a regular file: a named pipe would wait for a writer.
fn open(path: &Path) -> std::io::Result<File> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(std::io::Error::other("it is not a regular file")),
    }
}

/// The checkpoint in a file; `None` if there is no such file.
fn read(path: &Path) -> Option<std::result::Result<Checkpoint, String>> {
    match open(path) {
        Ok(mut file) => Some(format::read(&mut file)),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => Some(Err(format!("cannot be opened ({e})"))),
    }
}

/// Whether there is a checkpoint in a file, of the length and with the checksum it should have.
fn is_whole(path: &Path) -> bool {
    open(path).is_ok_and(|mut file| format::verify(&mut file).is_ok())
}

/// Makes a checkpoint the newest of a directory, and the newest the one before, if that is `worth_keeping`.
fn save(
    disk: &dyn Disk,
    directory: &Path,
    checkpoint: &Checkpoint,
    worth_keeping: bool,
) -> Result<()> {
    let [last, previous] = [LAST, PREVIOUS].map(|name| directory.join(name));
    let keep = worth_keeping.then_some(previous.as_path());
    replace(disk, &last, keep, &|out| checkpoint.write(out)).map_err(Error::io("write", &last))
}

#[cfg(test)]
mod tests;
