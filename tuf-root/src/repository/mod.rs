//! A TUF repository on disk: its keys, what is staged, what is published.
//!
//! ```text
//! DIR/state.json            roles, key ids, versions taken, what is staged
//! DIR/keys/ROLE.pem         encrypted private keys (unless they live elsewhere)
//! DIR/roots/N.root.json     every root that was ever signed
//! DIR/staged/SHA256         contents of the target files
//! DIR/ceremony/             root and targets that wait for signatures
//! DIR/transcript.txt        what was done, for the auditor
//! DIR/published/            the tree that clients see; serve this one and nothing else
//! DIR/lock                  held while the repository is being changed
//! ```

mod destination;
mod draft;
mod enrol;
mod error;
mod keyring;
mod preflight;
mod publish;
mod recover;
mod root;
mod rotate;
mod signing;
mod stage;
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
use custody::Transcript;
use keys::Passphrase;

pub use destination::{Destination, DestinationError};
pub use draft::{Progress, QuorumProgress};
pub use enrol::{KeyEntry, NewKey};
pub use error::RepositoryError;
use error::io;
use keyring::Keyring;
pub use publish::Outcome;
pub use recover::Recovered;
pub use rotate::Rotation;
use state::{RoleKey, RoleState, Staged, State};
pub use status::{Phase, RoleStatus, Status};
pub(crate) use storage::put_file;
use storage::{Disk, Storage};

use crate::metadata::{
    Custom, Document, Expires, Metadata as _, RoleName, Root, Sha256, TargetName,
};
use crate::policy::{Policy, RolePolicy};
use crate::preflight::PastBundles;
use crate::profile::{MAX_TARGET_BYTES, ProfileError};

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
    /// What must go on verifying.
    past: Option<Arc<PastBundles>>,
    /// Copies for clients.
    destinations: Vec<Arc<dyn Destination>>,
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
            past: None,
            destinations: Vec::new(),
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

    /// The files that the next publication holds, as things stand.
    pub async fn next_files(&self) -> Result<BTreeMap<TargetName, Vec<u8>>, RepositoryError> {
        let _lock = self.lock().await?;
        let state = State::load(&self.dir)?;
        let mut files = BTreeMap::new();
        for (name, staged) in state.staged {
            let path = self.dir.join("staged").join(staged.sha256.to_string());
            let content = storage::read(&path, MAX_TARGET_BYTES).map_err(io(&path))?;
            files.insert(name, content);
        }
        Ok(files)
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
        self.publish_locked(lock, publish::Scope::Staged, keyring)
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
        if self.dir.join("timestamp.json").exists() {
            return Err(RepositoryError::Published(self.dir.clone()));
        }
        check(policy)?;
        std::fs::create_dir_all(&self.dir).map_err(io(&self.dir))?;
        let _lock = self.lock().await?;
        if State::exists(&self.dir) {
            return Err(RepositoryError::AlreadyInitialised(self.dir.clone()));
        }
        let mut roles = BTreeMap::new();
        for role in RoleName::ALL {
            let wish = policy
                .roles
                .get(&role)
                .ok_or(ProfileError::KeyCount { role, count: 0 })?;
            roles.insert(role, self.enrol(wish, keyring).await?);
        }
        let id = format!("{:?} at {}", roles, self.clock.now_ms());
        let id = Sha256::of(id.as_bytes())
            .to_string()
            .chars()
            .take(32)
            .collect();
        let mut state = State::new(id, roles);
        // Keys that are not here yet come with `key add`, and the root with `stage root`.
        if policy.roles.values().all(|role| !role.keys.is_empty()) {
            let root = self.next_root_of(&state, None)?;
            let mut document = Document::unsigned(root.clone());
            let (role, passphrase) = (state.role(RoleName::Root)?, self.passphrase.as_ref());
            keyring
                .sign(&mut document, &root, role, &self.dir, passphrase)
                .await?;
            let bytes = document.to_json().map_err(RepositoryError::Document)?;
            self.archive_root(&document, &bytes)?;
            state.first_root = Some(Sha256::of(&bytes));
        }
        // Last: a directory without this file is not a repository, and `init` may be run again.
        state.save(self.storage.as_ref(), &self.dir)?;
        self.transcribe("made the repository")
    }

    async fn enrol(
        &self,
        wish: &RolePolicy,
        keyring: &mut Keyring,
    ) -> Result<RoleState, RepositoryError> {
        let mut keys: Vec<RoleKey> = Vec::with_capacity(wish.keys.len());
        for uri in &wish.keys {
            let key = keyring
                .enrol(&self.dir, uri, self.passphrase.as_ref())
                .await?;
            keys.push(RoleKey {
                keyid: key.id(),
                uri: Some(uri.to_string()),
                owner: None,
                public: Some(key),
            });
        }
        Ok(RoleState {
            keys,
            retired: Vec::new(),
            threshold: Some(wish.threshold),
            expiry_secs: wish.expiry,
            window_secs: wish.window,
        })
    }

    /// The transcript.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        Transcript::at(self.dir.join("transcript.txt"))
    }

    fn transcribe(&self, event: &str) -> Result<(), RepositoryError> {
        Ok(self.transcript().append(self.clock.now_secs(), event)?)
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

/// Refuses a policy that no root could follow, before any key is made for it.
fn check(policy: &Policy) -> Result<(), RepositoryError> {
    for (role, wish) in &policy.roles {
        let (role, keys) = (*role, wish.keys.len());
        if wish.window >= wish.expiry {
            return Err(RepositoryError::Window(role));
        }
        // People bring the keys of root and targets later; the machine's own must be here.
        let later = keys == 0 && matches!(role, RoleName::Root | RoleName::Targets);
        if keys == 0 && !later {
            return Err(ProfileError::KeyCount { role, count: 0 }.into());
        }
        let threshold = wish.threshold;
        if threshold == 0 || !later && usize::try_from(threshold).is_ok_and(|k| k > keys) {
            return Err(RepositoryError::Policy {
                role,
                threshold,
                keys,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
