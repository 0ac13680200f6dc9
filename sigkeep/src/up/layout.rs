//! The data directory: what is where, who may use it, and how files appear in it.
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
//! Every file that matters is written beside its name, synced, and then given its name, which must
//! be free ([`create`]) or is replaced in one step ([`replace`]). A crash leaves the old content or
//! the new one, and possibly a `.new` file that the next attempt overwrites.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ports::Ports;

/// Layout of the directory that this program reads and writes.
const VERSION: u32 = 1;

/// The data directory, held against other processes.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
    _lock: File,
}

/// What is remembered between two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// When the directory was made, in ms since the Unix epoch. Trust material is valid from then.
    pub created_ms: u64,
    /// Where the logs are.
    pub store: StoreKind,
    /// The ids of the logs. Chosen before the logs are made: should the database be exchanged for
    /// an empty one, the logs made in it would have the same ids, and the guards would refuse them.
    pub logs: LogIds,
    /// The ports that URLs inside signed trust material name.
    pub ports: Ports,
    /// Whether everything was created. From then on a missing file is a loss, not a beginning.
    pub complete: bool,
}

/// Ids of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIds {
    /// The Rekor v1 log: its tree id.
    pub rekor: i64,
    /// The CT log.
    pub ct: i64,
}

/// Where the logs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In the directory.
    Sqlite,
    /// In the database that `--database` names.
    Postgres,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
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
    /// Creates the directory if need be and takes it. Only the lock file is written.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(io_at(root))?;
        let lock = lock(root)?;
        let layout = Self {
            root: fs::canonicalize(root).map_err(io_at(root))?,
            _lock: lock,
        };
        if !layout.state_file().exists() && !is_fresh(&layout.root)? {
            return Err(LayoutError::Foreign { path: layout.root });
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
        replace(&path, &text)
    }

    /// In a complete directory, `path` must be there.
    pub fn check_not_lost(&self, state: &State, path: &Path) -> Result<(), LayoutError> {
        match path.try_exists() {
            Ok(false) if state.complete => Err(LayoutError::Lost {
                path: path.to_owned(),
            }),
            Ok(_) => Ok(()),
            Err(source) => Err(LayoutError::Io {
                path: path.to_owned(),
                source,
            }),
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

impl State {
    /// The state of a new directory.
    #[must_use]
    pub fn new(created_ms: u64, store: StoreKind, logs: LogIds, ports: Ports) -> Self {
        Self {
            version: VERSION,
            created_ms,
            store,
            logs,
            ports,
            complete: false,
        }
    }

    /// The state of the data directory at `root`, without taking it.
    pub fn of(root: &Path) -> Result<Self, LayoutError> {
        Self::read(&root.join("state.json"))?.ok_or_else(|| LayoutError::NotCreated {
            path: root.to_owned(),
        })
    }

    fn read(path: &Path) -> Result<Option<Self>, LayoutError> {
        let Some(text) = read_optional(path)? else {
            return Ok(None);
        };
        let refuse = |reason: String| LayoutError::State {
            path: path.to_owned(),
            reason,
        };
        let version: Version =
            serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if version.version != VERSION {
            return Err(refuse(format!(
                "the directory has version {}, and this program works with version {VERSION}; use the program that made it",
                version.version
            )));
        }
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| refuse(error.to_string()))
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl LogIds {
    /// Random ids: positive, and with as many digits as Rekor's usual tree ids.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let id = || -> Result<i64, aws_lc_rs::error::Unspecified> {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes)?;
            Ok((i64::from_be_bytes(bytes) & ((1 << 60) - 1)) | (1 << 60))
        };
        Ok(Self {
            rekor: id()?,
            ct: id()?,
        })
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
        Err(TryLockError::Error(source)) => return Err(LayoutError::Io { path, source }),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io_at(&path))?;
    Ok(file)
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

/// The content of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, LayoutError> {
    fs::read(path).map_err(io_at(path))
}

/// The content of a file that may not exist.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, LayoutError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LayoutError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a file that must not exist yet (mode 0600). It appears whole or not at all.
pub fn create(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let new = write_beside(path, content)?;
    claim(&new, path)
}

/// Writes a file (mode 0600), replacing the one of that name in one step.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let new = write_beside(path, content)?;
    fs::rename(&new, path).map_err(io_at(path))?;
    sync_parent(path)
}

/// Removes a file if it is there.
pub fn remove(path: &Path) -> Result<(), LayoutError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(LayoutError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Gives the finished file `new` the name `path`, which must be free.
///
/// A hard link and not a rename: a rename would silently replace what is there.
fn claim(new: &Path, path: &Path) -> Result<(), LayoutError> {
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

fn write_beside(path: &Path, content: &[u8]) -> Result<PathBuf, LayoutError> {
    let new = beside(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(io_at(&new))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io_at(&new))?;
    Ok(new)
}

fn sync_parent(path: &Path) -> Result<(), LayoutError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(io_at(parent))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> LayoutError + use<> {
    let path = path.to_owned();
    move |source| LayoutError::Io { path, source }
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
        assert!(!directory.path().join("keys").exists());
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
        create(&layout.passphrase(), b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(layout.root()), 0o700);
        assert_eq!(mode(&layout.keys()), 0o700);
        assert_eq!(mode(&layout.passphrase()), 0o600);
    }

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
    fn the_state_is_read_back_and_other_versions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        assert_eq!(layout.state().unwrap(), None);
        let state = State::new(
            7,
            StoreKind::Sqlite,
            LogIds { rekor: 1, ct: 2 },
            Ports::DEFAULT,
        );
        layout.save(&state).unwrap();
        assert_eq!(layout.state().unwrap(), Some(state));
        replace(
            &directory.path().join("state.json"),
            br#"{"version":2,"future":true}"#,
        )
        .unwrap();
        assert!(
            layout
                .state()
                .unwrap_err()
                .to_string()
                .contains("version 2")
        );
    }
}
