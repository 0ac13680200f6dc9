//! One process a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use logstore::StoreError;

/// An exclusive lock on `<file>.lock`, held until dropped or until the process dies.
///
/// A file of its own: SQLite's locks on the database file are POSIX record locks, which closing
/// any descriptor of that file would drop.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Locks `database`, which need not exist yet.
    pub(crate) fn acquire(database: &Path) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("cannot lock {}: {error}", database.display()))
        };
        // Two names of one file (a symbolic link) must meet at one lock.
        let real = match database.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => database.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let mut name = real.into_os_string();
        name.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(name)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
                "{} is in use by another process; SQLite serves one process at a time: stop the \
                 other one, or use PostgreSQL to run several",
                database.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
