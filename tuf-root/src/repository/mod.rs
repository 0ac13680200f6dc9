//! A TUF repository on disk: its keys, what is staged, what is published.
//!
//! ```text
//! DIR/state.json            roles, key ids, versions taken, what is staged
//! DIR/keys/ROLE.pem         encrypted private keys (unless they live elsewhere)
//! DIR/roots/N.root.json     every root that was ever signed
//! DIR/staged/SHA256         contents of the target files
//! DIR/published/            the tree that clients see; serve this one and nothing else
//! DIR/lock                  held while the repository is being changed
//! ```

mod error;
mod keyring;
mod publish;
mod state;
mod status;
mod storage;
mod tree;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock::SharedClock;
use keys::Passphrase;

pub use error::RepositoryError;
use error::io;
use keyring::Keyring;
pub use publish::Outcome;
use state::{RoleKey, RoleState, Staged, State};
pub use status::{RoleStatus, Status};
use storage::{Disk, Storage};

use crate::metadata::{
    Custom, Document, Expires, Key, KeyId, Metadata as _, RoleKeys, RoleName, Roles, Root,
    RootType, Sha256, SpecVersion, TargetName, Version,
};
use crate::policy::{Policy, RolePolicy};
use crate::profile::{self, MAX_TARGET_BYTES, ProfileError};

/// How long to wait for another writer.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A target file to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    /// Its name.
    pub name: TargetName,
    /// Its content.
    pub content: Vec<u8>,
    /// What older clients find it by.
    pub custom: Option<Custom>,
}

/// A TUF repository in a directory. Cheap to clone; holds no key open between operations.
///
/// Every operation that changes something takes the directory's lock and reads the state anew, so
/// a service that refreshes and a person at the command line may work on one directory.
#[derive(Clone, Debug)]
pub struct Repository {
    dir: PathBuf,
    passphrase: Option<Passphrase>,
    clock: SharedClock,
    storage: Arc<dyn Storage>,
}

/// Opens the repository in `dir`, or makes it with one key a role, and publishes `targets` if
/// they are not what is published, or if something nears its expiry. What services call at start.
pub async fn bootstrap(
    dir: &Path,
    passphrase: &Passphrase,
    targets: Vec<TargetFile>,
    clock: SharedClock,
) -> Result<Repository, RepositoryError> {
    let repository = Repository::new(dir, Some(passphrase.clone()), clock);
    let mut keyring = Keyring::default();
    if !State::exists(dir) {
        repository.create(&Policy::default(), &mut keyring).await?;
    }
    repository.replace_targets(targets, &mut keyring).await?;
    Ok(repository)
}

impl Repository {
    fn new(dir: &Path, passphrase: Option<Passphrase>, clock: SharedClock) -> Self {
        Self {
            dir: dir.to_owned(),
            passphrase,
            clock,
            storage: Arc::new(Disk),
        }
    }

    /// Makes a repository in `dir`: its keys, where they do not exist, and its first root.
    /// Publishes nothing.
    pub async fn init(
        dir: &Path,
        policy: &Policy,
        passphrase: Option<Passphrase>,
        clock: SharedClock,
    ) -> Result<Self, RepositoryError> {
        let repository = Self::new(dir, passphrase, clock);
        repository.create(policy, &mut Keyring::default()).await?;
        Ok(repository)
    }

    /// Opens the repository in `dir`. The passphrase is needed for what signs only.
    pub fn open(
        dir: &Path,
        passphrase: Option<Passphrase>,
        clock: SharedClock,
    ) -> Result<Self, RepositoryError> {
        State::load(dir)?;
        Ok(Self::new(dir, passphrase, clock))
    }

    /// Publishes exactly `targets`: a new version of targets metadata if they differ from what is
    /// published, and whatever nears its expiry. Does nothing, and opens no key, if all is well.
    pub async fn set_targets(&self, targets: Vec<TargetFile>) -> Result<Outcome, RepositoryError> {
        self.replace_targets(targets, &mut Keyring::default()).await
    }

    /// Adds a target file to the next publication, or replaces the one of this name.
    pub async fn stage_target(&self, target: TargetFile) -> Result<(), RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let (name, staged) = self.keep(target)?;
        state.staged.insert(name, staged);
        state.save(self.storage.as_ref(), &self.dir)
    }

    /// Leaves a target file out of the next publication.
    pub async fn unstage_target(&self, name: &TargetName) -> Result<(), RepositoryError> {
        let _lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        state
            .staged
            .remove(name)
            .ok_or_else(|| RepositoryError::NoTarget(name.clone()))?;
        state.save(self.storage.as_ref(), &self.dir)
    }

    /// The directory that clients' files are served from.
    #[must_use]
    pub fn published_dir(&self) -> PathBuf {
        self.dir.join("published")
    }

    /// A copy of the newest root: the file for `cosign initialize --root`.
    #[must_use]
    pub fn root_json(&self) -> PathBuf {
        self.dir.join("published").join("root.json")
    }

    /// The first root of all, the one whose hash clients are told out of band.
    #[must_use]
    pub fn first_root_json(&self) -> PathBuf {
        self.dir.join("roots").join("1.root.json")
    }

    /// The repository's clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    async fn replace_targets(
        &self,
        targets: Vec<TargetFile>,
        keyring: &mut Keyring,
    ) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let mut staged = BTreeMap::new();
        for target in targets {
            let (name, entry) = self.keep(target)?;
            if staged.insert(name.clone(), entry).is_some() {
                return Err(RepositoryError::DuplicateTarget(name));
            }
        }
        if state.staged != staged {
            state.staged = staged;
            state.save(self.storage.as_ref(), &self.dir)?;
        }
        self.publish_locked(lock, state, publish::Scope::Staged, keyring)
            .await
    }

    /// Keeps the content of a target file under its hash.
    fn keep(&self, target: TargetFile) -> Result<(TargetName, Staged), RepositoryError> {
        let length = u64::try_from(target.content.len()).unwrap_or(u64::MAX);
        if length > MAX_TARGET_BYTES {
            return Err(ProfileError::TargetLength {
                name: target.name.to_string(),
                length,
            }
            .into());
        }
        let sha256 = Sha256::of(&target.content);
        let dir = self.dir.join("staged");
        let path = dir.join(sha256.to_string());
        std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        if storage::read(&path, MAX_TARGET_BYTES).ok().as_ref() != Some(&target.content) {
            storage::put(self.storage.as_ref(), &path, &target.content).map_err(io(&path))?;
            self.storage.sync_dir(&dir).map_err(io(&dir))?;
        }
        Ok((
            target.name,
            Staged {
                sha256,
                length,
                custom: target.custom,
            },
        ))
    }

    async fn create(&self, policy: &Policy, keyring: &mut Keyring) -> Result<(), RepositoryError> {
        std::fs::create_dir_all(&self.dir).map_err(io(&self.dir))?;
        let _lock = self.lock().await?;
        if State::exists(&self.dir) {
            return Err(RepositoryError::AlreadyInitialised(self.dir.clone()));
        }
        let mut roles = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for role in RoleName::ALL {
            let wish = policy
                .roles
                .get(&role)
                .ok_or(ProfileError::KeyCount { role, count: 0 })?;
            if wish.window >= wish.expiry {
                return Err(RepositoryError::Window(role));
            }
            roles.insert(role, self.enrol(wish, keyring, &mut keys).await?);
        }
        let authority = |role: RoleName| {
            let keyids = roles
                .get(&role)
                .map(|r| r.keys.iter().map(|k| k.keyid).collect())
                .unwrap_or_default();
            RoleKeys {
                keyids,
                threshold: policy.roles.get(&role).map_or(0, |r| r.threshold),
            }
        };
        let root = Root {
            kind: RootType::Root,
            consistent_snapshot: true,
            expires: self.expires(roles.get(&RoleName::Root))?,
            keys,
            roles: Roles {
                root: authority(RoleName::Root),
                snapshot: authority(RoleName::Snapshot),
                targets: authority(RoleName::Targets),
                timestamp: authority(RoleName::Timestamp),
            },
            spec_version: SpecVersion::V1_0_31,
            version: Version::FIRST,
        };
        profile::check_root(&root)?;
        let mut document = Document::unsigned(root.clone());
        if let Some(role) = roles.get(&RoleName::Root) {
            keyring
                .sign(
                    &mut document,
                    &root,
                    role,
                    &self.dir,
                    self.passphrase.as_ref(),
                )
                .await?;
        }
        let bytes = document.to_json().map_err(RepositoryError::Document)?;
        self.archive_root(&document, &bytes)?;
        // Last: a directory without this file is not a repository, and `init` may be run again.
        State::new(Sha256::of(&bytes), roles).save(self.storage.as_ref(), &self.dir)
    }

    async fn enrol(
        &self,
        wish: &RolePolicy,
        keyring: &mut Keyring,
        keys: &mut BTreeMap<KeyId, Key>,
    ) -> Result<RoleState, RepositoryError> {
        let mut entries = Vec::with_capacity(wish.keys.len());
        for uri in &wish.keys {
            let key = keyring
                .enrol(&self.dir, uri, self.passphrase.as_ref())
                .await?;
            entries.push(RoleKey {
                keyid: key.id(),
                uri: uri.to_string(),
            });
            keys.insert(key.id(), key);
        }
        Ok(RoleState {
            keys: entries,
            expiry_secs: wish.expiry,
            window_secs: wish.window,
        })
    }

    fn archive_root(&self, root: &Document<Root>, bytes: &[u8]) -> Result<(), RepositoryError> {
        let dir = self.dir.join("roots");
        std::fs::create_dir_all(&dir).map_err(io(&dir))?;
        let path = dir.join(root.signed().file_name());
        storage::put(self.storage.as_ref(), &path, bytes).map_err(io(&path))?;
        self.storage.sync_dir(&dir).map_err(io(&dir))
    }

    fn expires(&self, role: Option<&RoleState>) -> Result<Expires, RepositoryError> {
        let period = role.map_or(0, |r| r.expiry_secs.as_secs());
        Expires::at_secs(self.clock.now_secs().saturating_add(period)).ok_or_else(|| {
            RepositoryError::State {
                path: self.dir.join("state.json"),
                reason: "an expiry after the year 2999".to_owned(),
            }
        })
    }

    /// Takes the lock that keeps two writers apart; the operating system releases it when the
    /// process ends, however it ends.
    async fn lock(&self) -> Result<File, RepositoryError> {
        let path = self.dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = match file {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(RepositoryError::NotInitialised(self.dir.clone()));
            }
            other => other.map_err(io(&path))?,
        };
        let patience = tokio::time::Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock)
                    if tokio::time::Instant::now() < patience =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(RepositoryError::Locked(self.dir.clone()));
                }
                Err(std::fs::TryLockError::Error(e)) => return Err(io(&path)(e)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
