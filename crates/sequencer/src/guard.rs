//! The roll-back guard: the last signed head, kept outside the database.

use std::path::{Path, PathBuf};

/// A small fsynced file that holds the last signed (size, root) of one log.
#[derive(Debug)]
pub struct Guard {
    #[allow(dead_code)]
    path: PathBuf,
}

/// Why the guard file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file's content is not a guard's.
    #[error("{path}: not a roll-back guard file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Guard {
    /// Opens or creates the guard file at `path`, for the log with this origin and key.
    pub fn open(_path: &Path) -> Result<Self, GuardError> {
        unimplemented!()
    }
}
