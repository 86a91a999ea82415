//! The file that grows while it is fetched: `NAME.part`, which survives whatever happens and is gone on with later.

use super::catalogue::Published;
use anyhow::Result;
use chainrule::Error;
use chainrule::data::files;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Both sums of what has come so far.
#[derive(Clone, Default)]
pub struct Sums {
    md5: Md5,
    sha256: Sha256,
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }

    /// Whether they are those of the published file.
    fn are_of(&self, file: &Published) -> bool {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let sha256 = hex(&self.sha256.clone().finalize());
        hex(&self.md5.clone().finalize()) == file.md5
            && file.sha256.as_ref().is_none_or(|sum| *sum == sha256)
    }
}

/// Whether a file that is there is the published one.
///
/// # Errors
/// If it cannot be read.
pub fn is_complete(path: &Path, file: &Published) -> Result<bool> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::io("read", path)(e).into()),
    };
    let want = "remove it, or fetch into another directory with --to";
    let mut source = files::regular(path, want)?;
    // Of another length, it need not be read.
    if about.len() == file.bytes {
        let mut sums = Sums::default();
        let size = sum_up(&mut source, &mut sums).map_err(Error::io("read", path))?;
        if size == file.bytes && sums.are_of(file) {
            return Ok(true);
        }
    }
    let found = format!("holds {} bytes that are not those of the published file", about.len());
    Err(Error::file(path, found, want).into())
}

/// Reads to the end; the number of bytes.
fn sum_up(source: &mut File, sums: &mut Sums) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(n) => {
                sums.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A file that is being fetched, locked against a second fetch.
pub struct Part {
    path: PathBuf,
    file: File,
    sums: Sums,
    /// The bytes that have come.
    pub size: u64,
}

impl Part {
    /// Opens what an earlier fetch left, or begins anew.
    ///
    /// # Errors
    /// If another program is fetching into it, or it cannot be read and written.
    pub fn open(path: PathBuf, most: u64) -> Result<Part> {
        // What is there must be a file before it is opened: a named pipe would never end.
        if path.exists() {
            files::regular(&path, "remove it, or fetch into another directory with --to")?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let want = "wait for it, or fetch into another directory with --to";
                return Err(Error::file(path, "is being fetched by another program", want).into());
            }
            // A file system without locks is no reason not to fetch.
            Err(TryLockError::Error(_)) => {}
        }
        let mut part = Part { path, file, sums: Sums::default(), size: 0 };
        if part.file.metadata().map_err(Error::io("read", &part.path))?.len() > most {
            part.clear()?;
        } else {
            let size = sum_up(&mut part.file, &mut part.sums);
            part.size = size.map_err(Error::io("read", &part.path))?;
        }
        Ok(part)
    }

    /// Forgets everything.
    pub fn clear(&mut self) -> Result<()> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(Error::io("write", &self.path))?;
        (self.sums, self.size) = (Sums::default(), 0);
        Ok(())
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(source) = self.file.write_all(bytes) {
            // What is there stays, in whole chunks that the sums know.
            let _ = self.file.set_len(self.size);
            return Err(Error::io("write", &self.path)(source).into());
        }
        self.sums.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Whether everything has come, and is what was published.
    pub fn is(&self, file: &Published) -> bool {
        self.size == file.bytes && self.sums.are_of(file)
    }

    /// Gives the file its own name.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(self, path: &Path) -> Result<()> {
        let done = self.file.sync_all().and_then(|()| fs::rename(&self.path, path));
        done.map_err(Error::io("write", path))?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
        // Not every file system can flush a directory; the file itself is safe by now.
        let _ = File::open(directory.unwrap_or(Path::new("."))).and_then(|d| d.sync_all());
        Ok(())
    }
}
