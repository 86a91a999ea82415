//! The few things that saving asks of a file system, so that tests can break each of them.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

/// What saving asks of a file system.
pub trait Disk: Send + Sync {
    /// Creates a file, or empties it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the names in a directory are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Write {
    /// Waits until what was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of the machine.
pub struct System;

impl Disk for System {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Bytes that go to the system at a time.
const PIECE: usize = 256 * 1024;

/// Writes a file so that at every moment, also if the machine stops, its path names the old file or the new one and never a part
/// of either: a neighbour is written and flushed to the disk, then takes the name, then the directory is flushed. With `keep`,
/// the old file gets that name before; between the two renamings there is no file at `path`, and the old one at `keep`.
///
/// # Errors
/// What the file system says. Nothing that was there is lost then.
pub fn replace(
    disk: &dyn Disk,
    path: &Path,
    keep: Option<&Path>,
    write: &dyn Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let fresh = path.with_file_name(format!(".{name}.new"));
    let write_all = || {
        let mut file = BufWriter::with_capacity(PIECE, disk.create(&fresh)?);
        write(&mut file)?;
        file.flush()?;
        file.get_mut().sync()
    };
    let result = write_all().and_then(|()| {
        match keep.map_or(Ok(()), |keep| disk.rename(path, keep)) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        disk.rename(&fresh, path)
    });
    if result.is_err() {
        // Room for the next attempt. If even this fails, the next attempt empties the file.
        let _ = disk.remove(&fresh);
        return result;
    }
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Not every file system can flush a directory; the file itself is safe by now.
    let _ = disk.sync_directory(directory);
    Ok(())
}
