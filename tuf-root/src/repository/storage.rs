//! Writing so that a crash leaves each file old or new.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The few operations that publishing is made of. Tests fail them one by one.
pub(super) trait Storage: Send + Sync + std::fmt::Debug {
    /// Creates or truncates the file, writes all and makes it durable.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Puts `from` in the place of `to`, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct Disk;

impl Storage for Disk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Start of the names of files that are being written. They are never served.
const TEMPORARY: &str = ".tmp-";

/// Writes a file beside its place and moves it there. Durable once the directory is synced.
pub(super) fn put(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary(path)?;
    storage.write(&temporary, bytes)?;
    storage.rename(&temporary, path)
}

/// Writes a file outside a repository, durably; old or new after a crash.
pub(crate) fn put_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(&Disk, path, bytes)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => Disk.sync_dir(parent),
        _ => Disk.sync_dir(Path::new(".")),
    }
}

/// As [`put`], for a file that never changes: if it is there already with this content, nothing is
/// done; with another content it is an error.
pub(super) fn put_once(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match read(path, u64::MAX) {
        Ok(existing) if existing == bytes => Ok(()),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "exists with another content",
        )),
        Err(e) if e.kind() == io::ErrorKind::NotFound => put(storage, path, bytes),
        Err(e) => Err(e),
    }
}

/// Removes what an interrupted write left behind.
pub(super) fn remove_temporaries(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        true => Ok(bytes),
        false => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {limit} bytes"),
        )),
    }
}

fn temporary(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = std::ffi::OsString::from(TEMPORARY);
    temporary.push(name);
    Ok(path.with_file_name(temporary))
}
