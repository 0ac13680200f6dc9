//! The roll-back guard: the last signed head, kept outside the database.
//!
//! A database that is restored from a backup, or fails over to a replica that lagged, continues
//! from an older tree. Signing on would give two different trees of one size. The guard file
//! remembers, on the signer's own disk, what was signed last; a database that is behind it is
//! refused.
//!
//! The file has two slots of 512 bytes, each one line of text with a checksum, written in turn and
//! synced. A crash can spoil the slot being written; the other still holds the head before it,
//! which was acknowledged at the time and is a valid guard.
//!
//! ```text
//! rollback-guard v1 seq 7 log 42 key <SHA-256 of the SPKI, hex> size 1000 root <hex> check <hex>
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use logstore::LogId;
use tlog::Hash;

/// One slot: a sector of any disk, so that it is written whole or not at all.
const SLOT: usize = 512;

/// How long [`Guard::lock`] waits for another holder, which may be about to end.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A small fsynced file that holds the last signed (size, root) of one log.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    file: Arc<File>,
    sequence: u64,
    mark: Option<GuardMark>,
}

/// What a guard remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardMark {
    /// The log.
    pub log: LogId,
    /// SHA-256 of the signing key's SPKI.
    pub key: [u8; 32],
    /// Leaves of the last signed head.
    pub size: u64,
    /// Root of the last signed head.
    pub root: Hash,
}

/// Why the guard file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Reading or writing failed.
    #[error("roll-back guard {path}: {source}")]
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
    /// The file guards another log or another key.
    #[error(
        "roll-back guard {path} is of log {log} or of another key; give each log a guard file of its own"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The log that it guards.
        log: LogId,
    },
    /// Another process has it open.
    #[error("roll-back guard {path} is in use by another process; each replica needs its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl Guard {
    /// Opens the guard file at `path`, or creates one that remembers nothing yet.
    pub fn open(path: &Path) -> Result<Self, GuardError> {
        let io = |source| GuardError::Io {
            path: path.to_owned(),
            source,
        };
        if !path.try_exists().map_err(io)? {
            create(path).map_err(io)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        let (sequence, mark) = read_slots(path, &mut file)?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            sequence,
            mark,
        })
    }

    /// What the guard file at `path` remembers, for whoever only looks. Nothing if there is no file.
    pub fn read(path: &Path) -> Result<Option<GuardMark>, GuardError> {
        match File::open(path) {
            Ok(mut file) => read_slots(path, &mut file).map(|(_, mark)| mark),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(GuardError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it remembers.
    pub(crate) fn mark(&self) -> Option<&GuardMark> {
        self.mark.as_ref()
    }

    /// Takes the file for this holder alone. Waits a little for a holder that is about to end.
    pub(crate) async fn lock(&mut self) -> Result<(), GuardError> {
        let io = |source| GuardError::Io {
            path: self.path.clone(),
            source,
        };
        let started = std::time::Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) if started.elapsed() > LOCK_WAIT => {
                    return Err(GuardError::InUse {
                        path: self.path.clone(),
                    });
                }
                Err(TryLockError::WouldBlock) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        // Whoever held it may have written since this was opened.
        let fresh = Self::open(&self.path)?;
        (self.sequence, self.mark) = (fresh.sequence, fresh.mark);
        Ok(())
    }

    /// Remembers a head, durably.
    pub(crate) async fn write(&mut self, mark: GuardMark) -> Result<(), GuardError> {
        if self.mark == Some(mark) {
            return Ok(());
        }
        let sequence = self.sequence + 1;
        let slot = print_slot(sequence, Some(&mark));
        let offset = (sequence % 2) * SLOT as u64;
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || {
            file.write_all_at(&slot, offset)?;
            file.sync_data()
        })
        .await
        .map_err(std::io::Error::other)
        .and_then(|written| written)
        .map_err(|source| GuardError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.sequence = sequence;
        self.mark = Some(mark);
        Ok(())
    }
}

/// The newer of a file's two slots.
fn read_slots(path: &Path, file: &mut File) -> Result<(u64, Option<GuardMark>), GuardError> {
    let mut content = Vec::with_capacity(2 * SLOT);
    file.take(4 * SLOT as u64)
        .read_to_end(&mut content)
        .map_err(|source| GuardError::Io {
            path: path.to_owned(),
            source,
        })?;
    let malformed = |reason: &str| GuardError::Malformed {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if content.len() != 2 * SLOT {
        return Err(malformed("it is not 1024 bytes long"));
    }
    content
        .chunks_exact(SLOT)
        .filter_map(parse_slot)
        .max_by_key(|(sequence, _)| *sequence)
        .ok_or_else(|| malformed("neither of its two slots has a valid checksum"))
}

/// Creates a guard that remembers nothing, whole or not at all.
fn create(path: &Path) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(&print_slot(0, None))?;
    file.write_all(&print_slot(0, None))?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

fn print_slot(sequence: u64, mark: Option<&GuardMark>) -> Vec<u8> {
    let mut line = format!("rollback-guard v1 seq {sequence} ");
    if let Some(mark) = mark {
        line += &format!(
            "log {} key {:?} size {} root {:?} ",
            mark.log.0,
            Hash(mark.key),
            mark.size,
            mark.root
        );
    }
    let check = Hash(crypto::sha256(line.as_bytes()));
    line += &format!("check {check:?}");
    let mut slot = line.into_bytes();
    slot.resize(SLOT - 1, b' ');
    slot.push(b'\n');
    slot
}

fn parse_slot(slot: &[u8]) -> Option<(u64, Option<GuardMark>)> {
    let line = std::str::from_utf8(slot).ok()?.trim_end();
    let (content, check) = line.rsplit_once("check ")?;
    if parse_hash(check)? != crypto::sha256(content.as_bytes()) {
        return None;
    }
    let words: Vec<&str> = content.split_ascii_whitespace().collect();
    match words.as_slice() {
        ["rollback-guard", "v1", "seq", sequence] => Some((sequence.parse().ok()?, None)),
        [
            "rollback-guard",
            "v1",
            "seq",
            sequence,
            "log",
            log,
            "key",
            key,
            "size",
            size,
            "root",
            root,
        ] => {
            let mark = GuardMark {
                log: LogId(log.parse().ok()?),
                key: parse_hash(key)?,
                size: size.parse().ok()?,
                root: Hash(parse_hash(root)?),
            };
            Some((sequence.parse().ok()?, Some(mark)))
        }
        _ => None,
    }
}

fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(size: u64) -> GuardMark {
        let [low, ..] = size.to_le_bytes();
        GuardMark {
            log: LogId(42),
            key: [7; 32],
            size,
            root: Hash([low; 32]),
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("guard-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        directory.join("guard")
    }

    #[tokio::test]
    async fn remembers_the_last_head_across_reopening() {
        let path = scratch("reopen");
        assert_eq!(Guard::read(&path).unwrap(), None);
        assert!(!path.exists(), "looking makes no file");
        let mut guard = Guard::open(&path).unwrap();
        assert_eq!(guard.mark(), None);
        for size in [0, 1, 5, 6] {
            guard.write(mark(size)).await.unwrap();
            assert_eq!(Guard::open(&path).unwrap().mark(), Some(&mark(size)));
            assert_eq!(Guard::read(&path).unwrap(), Some(mark(size)));
        }
    }

    #[tokio::test]
    async fn a_spoiled_slot_leaves_the_head_before_it() {
        let path = scratch("spoiled");
        let mut guard = Guard::open(&path).unwrap();
        for size in 1..=4 {
            guard.write(mark(size)).await.unwrap();
        }
        let intact = fs::read(&path).unwrap();
        for byte in [0, 30, 200] {
            let mut content = intact.clone();
            content[byte] ^= 1; // seq 4 is in the first slot
            fs::write(&path, &content).unwrap();
            assert_eq!(Guard::open(&path).unwrap().mark(), Some(&mark(3)));
        }
    }

    #[tokio::test]
    async fn a_file_without_a_valid_slot_is_refused_and_not_overwritten() {
        let path = scratch("malformed");
        Guard::open(&path).unwrap();
        for content in [vec![], vec![b' '; 1024], b"something else".to_vec()] {
            fs::write(&path, &content).unwrap();
            assert!(matches!(
                Guard::open(&path),
                Err(GuardError::Malformed { .. })
            ));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[tokio::test]
    async fn a_failed_write_is_reported_and_not_remembered() {
        let path = scratch("unwritable");
        let mut guard = Guard::open(&path).unwrap();
        guard.write(mark(1)).await.unwrap();
        guard.file = Arc::new(File::open(&path).unwrap()); // cannot be written
        assert!(matches!(
            guard.write(mark(2)).await,
            Err(GuardError::Io { .. })
        ));
        assert_eq!(guard.mark(), Some(&mark(1)));
        assert_eq!(Guard::open(&path).unwrap().mark(), Some(&mark(1)));
    }
}
