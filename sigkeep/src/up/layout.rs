//! The data directory: what is where, and who may use it.
//!
//! ```text
//! DIR/                     0700
//!   lock                   held by the running `up`
//!   state.json             version, ports, kind of store, whether creation was finished
//!   passphrase             of every key in keys/ (0600)
//!   keys/                  encrypted PKCS#8; oidc.pem is plain (0600)
//!   certificates/          chains of the two authorities
//!   fulcio.yaml            whom the certificate authority believes; made once, yours to edit
//!   logs.db                the transparency logs (SQLite)
//!   guard/                 the last signed head of each log
//!   tuf/                   the TUF repository
//!   trust/                 what clients need
//!   endpoints.json         there while every service answers
//! ```
//!
//! How files appear in it: [`super::files`].

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::files::{self, FileError, io_at};
use super::state::State;

/// The data directory, held against other processes.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
    _lock: File,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process uses the directory.
    #[error(
        "{path} is already in use by another `sigkeep up` (process {pid}); stop it, or choose another --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, as far as it said.
        pid: String,
    },
    /// The directory holds something else.
    #[error(
        "{path} is not empty and was not made by `sigkeep up`; choose an empty or new --data-dir"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is a file.
    #[error("{path} is a file; choose a directory as --data-dir")]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// The directory was made here, and its state file has gone.
    #[error(
        "{path} was made by `sigkeep up`, but its state.json is missing, which holds its ports and the ids of its \
         logs: restore it from a backup, or choose an empty or new --data-dir"
    )]
    StateLost {
        /// The directory.
        path: PathBuf,
    },
    /// The roll-back guards have gone.
    #[error(
        "{path} is missing, which remembers the last signed head of each log. Without it, a database that was \
         rolled back is not recognised, and signing on would fork the log. If no older copy of the database was \
         ever put in its place, confirm that by making the directory again, empty; otherwise start anew in \
         another directory"
    )]
    GuardLost {
        /// The directory.
        path: PathBuf,
    },
    /// There is no data directory here.
    #[error(
        "{path} is not a data directory of `sigkeep up` (it has no state.json); start `sigkeep up` there first"
    )]
    NotCreated {
        /// The directory.
        path: PathBuf,
    },
    /// The state file cannot be understood.
    #[error("{path}: {reason}")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file that was there has gone.
    #[error(
        "{path} is missing. It cannot be made again: restore it from a backup, or start anew in another directory"
    )]
    Lost {
        /// The file.
        path: PathBuf,
    },
}

impl Layout {
    /// Creates the directory if need be and takes it. Only the lock file is written, and in a
    /// directory that is refused not even that.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        if root.exists() && !root.is_dir() {
            return Err(LayoutError::NotADirectory {
                path: root.to_owned(),
            });
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(io_at(root))?;
        if !root.join("lock").exists() {
            check_ours(root)?;
        }
        let lock = lock(root)?;
        let layout = Self {
            root: fs::canonicalize(root).map_err(io_at(root))?,
            _lock: lock,
        };
        check_ours(&layout.root)?;
        let complete = layout.state()?.is_some_and(|state| state.complete);
        if complete && !layout.guard().exists() {
            return Err(LayoutError::GuardLost {
                path: layout.guard(),
            });
        }
        // The directory may have been made by hand. It holds private keys and the passphrase.
        fs::set_permissions(&layout.root, fs::Permissions::from_mode(0o700))
            .map_err(io_at(&layout.root))?;
        for directory in [
            layout.keys(),
            layout.certificates(),
            layout.guard(),
            layout.trust(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(io_at(&directory))?;
        }
        Ok(layout)
    }

    /// The state of earlier runs; `None` at the first.
    pub fn state(&self) -> Result<Option<State>, LayoutError> {
        State::read(&self.state_file())
    }

    /// Remembers the state.
    pub fn save(&self, state: &State) -> Result<(), LayoutError> {
        let path = self.state_file();
        let text = serde_json::to_vec_pretty(state).map_err(|error| LayoutError::State {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(files::replace(&path, &text)?)
    }

    /// In a complete directory, `path` must be there.
    pub fn check_not_lost(&self, state: &State, path: &Path) -> Result<(), LayoutError> {
        match path.try_exists() {
            Ok(false) if state.complete => Err(LayoutError::Lost {
                path: path.to_owned(),
            }),
            Ok(_) => Ok(()),
            Err(source) => Err(io_at(path)(source).into()),
        }
    }

    fn state_file(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// The directory itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The file of the key `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.pem"))
    }

    /// The development issuer's key.
    #[must_use]
    pub fn oidc_key(&self) -> PathBuf {
        oidc_key(&self.root)
    }

    /// Where the certificate chains are.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// Where the logs' roll-back guards are.
    #[must_use]
    pub fn guard(&self) -> PathBuf {
        self.root.join("guard")
    }

    /// What clients need.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// The TUF repository.
    #[must_use]
    pub fn tuf(&self) -> PathBuf {
        self.root.join("tuf")
    }

    /// The passphrase of the keys.
    #[must_use]
    pub fn passphrase(&self) -> PathBuf {
        self.root.join("passphrase")
    }

    /// The certificate authority's issuers.
    #[must_use]
    pub fn fulcio_config(&self) -> PathBuf {
        self.root.join("fulcio.yaml")
    }

    /// The embedded database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("logs.db")
    }

    /// The announcement that everything answers.
    #[must_use]
    pub fn endpoints(&self) -> PathBuf {
        self.root.join("endpoints.json")
    }
}

/// Takes the lock, which the operating system releases when the process ends, however it ends.
fn lock(root: &Path) -> Result<File, LayoutError> {
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.take(20).read_to_string(&mut pid);
            return Err(LayoutError::InUse {
                path: root.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(FileError { path, source }.into()),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io_at(&path))?;
    Ok(file)
}

/// Refuses a directory that holds something else, or no longer its state.
fn check_ours(root: &Path) -> Result<(), LayoutError> {
    let path = || root.to_owned();
    if root.join("state.json").exists() || is_fresh(root)? {
        Ok(())
    } else if root.join("passphrase").exists() && oidc_key(root).exists() {
        Err(LayoutError::StateLost { path: path() })
    } else {
        Err(LayoutError::Foreign { path: path() })
    }
}

/// Whether the directory holds nothing but what an interrupted first start leaves.
fn is_fresh(root: &Path) -> Result<bool, LayoutError> {
    for entry in fs::read_dir(root).map_err(io_at(root))? {
        let entry = entry.map_err(io_at(root))?;
        let name = entry.file_name();
        let empty_directory =
            || fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_none());
        let ours = match name.to_str() {
            Some("lock" | "state.json.new") => true,
            Some("keys" | "certificates" | "guard" | "trust") => empty_directory(),
            _ => false,
        };
        if !ours {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The development issuer's key in the data directory at `root`.
#[must_use]
pub fn oidc_key(root: &Path) -> PathBuf {
    root.join("keys/oidc.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let first = Layout::open(directory.path()).unwrap();
        let refused = Layout::open(directory.path()).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains(&std::process::id().to_string()),
            "{refused}"
        );
        drop(first);
        Layout::open(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_with_other_content_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(
            Layout::open(directory.path()),
            Err(LayoutError::Foreign { .. })
        ));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let file = directory.path().join("thesis.txt");
        assert!(matches!(
            Layout::open(&file),
            Err(LayoutError::NotADirectory { .. })
        ));
    }

    #[test]
    fn a_directory_without_its_state_is_not_called_foreign() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        files::create(&layout.passphrase(), b"secret").unwrap();
        files::create(&layout.oidc_key(), b"key").unwrap();
        drop(layout);
        assert!(matches!(
            Layout::open(directory.path()),
            Err(LayoutError::StateLost { .. })
        ));
    }

    #[test]
    fn lost_guards_are_noticed_until_somebody_confirms() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        let logs = super::super::state::LogIds { rekor: 1, ct: 2 };
        let mut state = State::new(
            7,
            super::super::state::StoreKind::Sqlite,
            logs,
            super::super::ports::Ports::DEFAULT,
        );
        state.complete = true;
        layout.save(&state).unwrap();
        let guard = layout.guard();
        drop(layout);
        fs::remove_dir(&guard).unwrap();
        let refused = Layout::open(directory.path()).unwrap_err();
        assert!(
            matches!(refused, LayoutError::GuardLost { .. }),
            "{refused}"
        );
        assert!(!guard.exists());
        fs::create_dir(&guard).unwrap();
        Layout::open(directory.path()).unwrap();
    }

    #[test]
    fn a_directory_whose_first_start_was_interrupted_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        drop(Layout::open(directory.path()).unwrap());
        fs::write(directory.path().join("state.json.new"), "{").unwrap();
        Layout::open(directory.path()).unwrap();
    }

    #[test]
    fn everything_is_private() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        files::create(&layout.passphrase(), b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(layout.root()), 0o700);
        assert_eq!(mode(&layout.keys()), 0o700);
        assert_eq!(mode(&layout.passphrase()), 0o600);
    }
}
