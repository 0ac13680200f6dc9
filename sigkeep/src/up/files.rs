//! Files that appear whole or not at all.
//!
//! Each is written beside its name, synced, and then given its name, which must be free ([`create`])
//! or is replaced in one step ([`replace`]). A crash leaves the old content or the new one, and
//! possibly a file whose name ends in `.new`, which the next attempt removes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Reading or writing a file or directory failed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// The content of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(io_at(path))
}

/// The content of a file that may not exist.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a file that must not exist yet (mode 0600). It appears whole or not at all.
pub fn create(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let new = write_beside(path, content)?;
    claim(&new, path)
}

/// Writes a file (mode 0600), replacing the one of that name in one step.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let new = write_beside(path, content)?;
    fs::rename(&new, path).map_err(io_at(path))?;
    sync_parent(path)
}

/// Removes a file if it is there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Gives the finished file `new` the name `path`, which must be free.
///
/// A hard link and not a rename: a rename would silently replace what is there.
fn claim(new: &Path, path: &Path) -> Result<(), FileError> {
    fs::hard_link(new, path).map_err(io_at(path))?;
    fs::remove_file(new).map_err(io_at(new))?;
    sync_parent(path)
}

/// The name under which `path` is prepared.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn write_beside(path: &Path, content: &[u8]) -> Result<PathBuf, FileError> {
    let new = beside(path);
    // Removed and not truncated: after a crash within `claim` it is the finished file itself.
    remove(&new)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(io_at(&new))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io_at(&new))?;
    Ok(new)
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(io_at(parent))
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_never_replaces_and_replace_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"one").unwrap();
        assert!(create(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
    }

    #[test]
    fn what_a_crash_left_beside_a_file_does_not_harm_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, b"one").unwrap();
        // As if the crash had come between the two steps of `claim`.
        fs::hard_link(&path, beside(&path)).unwrap();
        assert!(create(&path, b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
