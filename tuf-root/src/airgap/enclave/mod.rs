//! The enclave: a mirror that takes root and targets from bundles, and signs the rest itself.
//!
//! ```text
//! DIR/enclave.json          the repository it belongs to, its keys, the versions it has taken
//! DIR/keys/                 its online key, if that is a file
//! DIR/trees/N/              what was published; the current and the one before
//! DIR/published             link to trees/N; serve this one and nothing else
//! DIR/roots                 link to published: every root came from outside and is published
//! DIR/lock                  held while something is being changed
//! ```
//!
//! A bundle is published by pointing the link to a tree that is complete and durable: a crash
//! leaves the old tree or the new one.

mod checks;
mod error;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::SharedClock;
use crypto::PublicKey;
use keys::{Algorithm, KeyUri, Passphrase, SharedSigner};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::bundle::{Bundle, Manifest};
use super::disk;
use super::tree::Tree;
use checks::{check, check_documents, check_validity, rehearse};
pub use error::EnclaveError;
use error::io;
use state::{Format, State};

use crate::ceremony::Claim;
use crate::client::{Directory, Expiry, Source as _, Trusted, UpdateError};
use crate::metadata::{
    Document, Expires, Key, MetaFile, Metadata, RoleName, Root, Sha256, Snapshot, SnapshotMeta,
    SnapshotType, SpecVersion, Timestamp, TimestampMeta, TimestampType, Version,
};
use crate::policy::Period;

/// Pause between looks at what nears its expiry.
const INTERVAL: Duration = Duration::from_secs(600);

/// How an enclave is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// SHA-256 of the first root, told out of band.
    pub first_root: Sha256,
    /// The enclave's online key; a file that does not exist is made.
    pub key: KeyUri,
    /// Who holds it, as the centre will see it.
    pub owner: String,
    /// How long a timestamp is valid; it is signed again at half of that, and at least daily.
    pub timestamp_expiry: Period,
    /// How long a snapshot is valid.
    pub snapshot_expiry: Period,
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// New versions.
    pub published: BTreeMap<RoleName, Version>,
    /// What needs a new bundle soon.
    pub warnings: Vec<String>,
}

/// Manifest of the bundle that a tree came from. No server hands it out.
const CARRIED: &str = ".bundle.json";

/// A mirror behind an air gap.
#[derive(Clone, Debug)]
pub struct Enclave {
    dir: PathBuf,
    passphrase: Option<Passphrase>,
    clock: SharedClock,
}

impl Enclave {
    /// Prepares a directory and returns the claim of its online key, which the centre has to
    /// import into the roles snapshot and timestamp.
    pub async fn init(
        dir: &Path,
        setup: &Setup,
        passphrase: Option<Passphrase>,
        clock: SharedClock,
    ) -> Result<(Self, Claim), EnclaveError> {
        if dir.join("enclave.json").exists() || dir.join("state.json").exists() {
            return Err(EnclaveError::AlreadyInitialised(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(io(dir))?;
        let located = locate(dir, &setup.key);
        let signer = match &located {
            KeyUri::File(path) if !path.exists() => {
                let parent = path.parent().unwrap_or(dir);
                fs::create_dir_all(parent).map_err(io(parent))?;
                passphrase.as_ref().ok_or(EnclaveError::Passphrase)?;
                keys::create(&located, Algorithm::EcdsaP256Sha256, passphrase.as_ref()).await
            }
            located => keys::open(located, passphrase.as_ref()).await,
        };
        let signer = signer.map_err(|e| EnclaveError::Key {
            uri: setup.key.to_string(),
            reason: e.to_string(),
        })?;
        let claim = Claim::make(signer.as_ref(), &setup.owner).await?;
        let enclave = Self {
            dir: dir.to_owned(),
            passphrase,
            clock,
        };
        let state = State {
            format: Format::V1,
            first_root: setup.first_root,
            key: setup.key.to_string(),
            timestamp_expiry_secs: setup.timestamp_expiry,
            snapshot_expiry_secs: setup.snapshot_expiry,
            taken: BTreeMap::new(),
            tree: 0,
        };
        state.save(dir)?;
        Ok((enclave, claim))
    }

    /// Opens a directory that was prepared.
    pub fn open(
        dir: &Path,
        passphrase: Option<Passphrase>,
        clock: SharedClock,
    ) -> Result<Self, EnclaveError> {
        let enclave = Self {
            dir: dir.to_owned(),
            passphrase,
            clock,
        };
        State::load(dir)?;
        Ok(enclave)
    }

    /// The directory that clients' files are served from.
    #[must_use]
    pub fn published_dir(&self) -> PathBuf {
        self.dir.join("published")
    }

    /// Verifies a bundle and publishes it under the enclave's own snapshot and timestamp. Root and
    /// targets must be valid for `min_validity` more. The bundle that is published already is
    /// nothing new, and no error.
    pub async fn apply(
        &self,
        archive: &[u8],
        key: &PublicKey,
        min_validity: Period,
    ) -> Result<Applied, EnclaveError> {
        let _lock = state::lock(&self.dir).await?;
        let mut state = State::load(&self.dir)?;
        let now = self.clock.now_secs();
        let bundle = Bundle::open(archive, key, Expiry::At(now)).await?;
        let current = self.current(&state).await?;
        check(&state, current.as_ref(), &bundle)?;
        check_validity(&bundle.trusted.root, min_validity, now)?;
        check_validity(&bundle.trusted.targets, min_validity, now)?;
        check_documents(&bundle).await?;
        if let Some(current) = &current
            && current.manifest == bundle.manifest
        {
            return Ok(Applied::default());
        }
        let signer = self.signer(&state).await?;
        let mut applied = Applied::default();
        let known = current.as_ref().map(|c| &c.trusted);
        let mut next = bundle.tree.clone();
        // The centre's own; the enclave's clients follow the enclave's.
        next.files.remove("timestamp.json");
        next.files
            .remove(&bundle.trusted.snapshot.signed().file_name());
        let root = bundle.trusted.root.signed();
        let targets = bundle.trusted.targets.signed().version;
        let snapshot = sign(self.snapshot(&mut state, known, targets)?, root, &signer).await?;
        let timestamp = sign(
            self.timestamp(&mut state, known, snapshot.signed().version)?,
            root,
            &signer,
        )
        .await?;
        next.files
            .insert(snapshot.signed().file_name(), snapshot.to_json()?);
        next.files
            .insert("timestamp.json".to_owned(), timestamp.to_json()?);
        applied.published = [
            (RoleName::Root, bundle.trusted.root.signed().version),
            (RoleName::Targets, targets),
            (RoleName::Snapshot, snapshot.signed().version),
            (RoleName::Timestamp, timestamp.signed().version),
        ]
        .into();
        rehearse(&next, &bundle, known, now).await?;
        // What clients are reading at this moment stays where it was.
        if let Some(current) = &current {
            for (name, content) in &current.tree.files {
                next.files
                    .entry(name.clone())
                    .or_insert_with(|| content.clone());
            }
        }
        state.tree = state.tree.saturating_add(1);
        state.save(&self.dir)?;
        self.publish(&state, &next, &bundle.manifest)?;
        Ok(applied)
    }

    /// Signs snapshot and timestamp again if they near their expiry.
    pub async fn refresh(&self) -> Result<Applied, EnclaveError> {
        let _lock = state::lock(&self.dir).await?;
        let mut state = State::load(&self.dir)?;
        let now = self.clock.now_secs();
        let current = self.current(&state).await?.ok_or(EnclaveError::Empty)?;
        let trusted = &current.trusted;
        let mut applied = Applied::default();
        warn(&trusted.root, now, &mut applied);
        warn(&trusted.targets, now, &mut applied);
        let snapshot_due = due(&trusted.snapshot, state.snapshot_expiry_secs, now);
        if !snapshot_due && !due(&trusted.timestamp, state.timestamp_expiry_secs, now) {
            return Ok(applied);
        }
        let signer = self.signer(&state).await?;
        let root = trusted.root.signed();
        let mut files = Vec::new();
        let mut snapshot = trusted.snapshot.signed().version;
        if snapshot_due {
            let targets = trusted.targets.signed().version;
            let document = self.snapshot(&mut state, Some(trusted), targets)?;
            let document = sign(document, root, &signer).await?;
            snapshot = document.signed().version;
            applied.published.insert(RoleName::Snapshot, snapshot);
            files.push((document.signed().file_name(), document.to_json()?));
        }
        let document = self.timestamp(&mut state, Some(trusted), snapshot)?;
        let document = sign(document, root, &signer).await?;
        let version = document.signed().version;
        applied.published.insert(RoleName::Timestamp, version);
        files.push((document.signed().file_name(), document.to_json()?));
        state.save(&self.dir)?;
        // The timestamp, which names the rest, comes last.
        for (name, content) in files {
            let path = self.published_dir().join(name);
            disk::put(&path, &content).map_err(io(&path))?;
        }
        Ok(applied)
    }

    /// Refreshes for as long as the service runs. Failures are logged and tried again.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            match self.refresh().await {
                Ok(applied) => {
                    for (role, version) in &applied.published {
                        tracing::info!(%role, %version, "signed and published");
                    }
                    for warning in &applied.warnings {
                        tracing::warn!("{warning}");
                    }
                }
                Err(error) => {
                    metrics::counter!("tuf_refresh_failures_total").increment(1);
                    tracing::error!(%error, "the enclave could not be refreshed");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn publish(&self, state: &State, next: &Tree, manifest: &Manifest) -> Result<(), EnclaveError> {
        let trees = self.dir.join("trees");
        let dir = trees.join(state.tree.to_string());
        // A tree of this number can only be one that was cut short: it was never pointed to.
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&dir)(e)),
            _ => {}
        }
        let targets = dir.join("targets");
        fs::create_dir_all(&targets).map_err(io(&targets))?;
        for (name, content) in &next.files {
            let path = dir.join(name);
            disk::write(&path, content).map_err(io(&path))?;
        }
        let path = dir.join(CARRIED);
        disk::write(&path, &manifest.to_json()?).map_err(io(&path))?;
        for dir in [&targets, &dir, &trees] {
            disk::sync(dir).map_err(io(dir))?;
        }
        let roots = self.dir.join("roots");
        if !roots.is_symlink() {
            disk::point(&roots, Path::new("published")).map_err(io(&roots))?;
        }
        let published = self.published_dir();
        let target = Path::new("trees").join(state.tree.to_string());
        disk::point(&published, &target).map_err(io(&published))?;
        remove_old(&trees, state.tree);
        Ok(())
    }

    fn snapshot(
        &self,
        state: &mut State,
        known: Option<&Trusted>,
        targets: Version,
    ) -> Result<Document<Snapshot>, EnclaveError> {
        let expires = self.expires(state.snapshot_expiry_secs)?;
        let known = known.map(|t| t.snapshot.signed().version);
        Ok(Document::unsigned(Snapshot {
            kind: SnapshotType::Snapshot,
            expires,
            meta: SnapshotMeta {
                targets: MetaFile { version: targets },
            },
            spec_version: SpecVersion::V1_0_31,
            version: state.take(RoleName::Snapshot, known),
        }))
    }

    fn timestamp(
        &self,
        state: &mut State,
        known: Option<&Trusted>,
        snapshot: Version,
    ) -> Result<Document<Timestamp>, EnclaveError> {
        let expires = self.expires(state.timestamp_expiry_secs)?;
        let known = known.map(|t| t.timestamp.signed().version);
        Ok(Document::unsigned(Timestamp {
            kind: TimestampType::Timestamp,
            expires,
            meta: TimestampMeta {
                snapshot: MetaFile { version: snapshot },
            },
            spec_version: SpecVersion::V1_0_31,
            version: state.take(RoleName::Timestamp, known),
        }))
    }

    fn expires(&self, period: Period) -> Result<Expires, EnclaveError> {
        let at = self.clock.now_secs().saturating_add(period.as_secs());
        Expires::at_secs(at).ok_or(EnclaveError::Expiry)
    }

    async fn signer(&self, state: &State) -> Result<SharedSigner, EnclaveError> {
        let failed = |reason: String| EnclaveError::Key {
            uri: state.key.clone(),
            reason,
        };
        let uri: KeyUri = state.key.parse().map_err(|e| failed(format!("{e}")))?;
        keys::open(&locate(&self.dir, &uri), self.passphrase.as_ref())
            .await
            .map_err(|e| failed(e.to_string()))
    }

    /// What is published, whether or not it has expired.
    async fn current(&self, state: &State) -> Result<Option<Current>, EnclaveError> {
        let source = Directory {
            path: self.published_dir(),
        };
        let Some(first) = source
            .get("1.root.json", Root::MAX_BYTES as u64)
            .await
            .map_err(UpdateError::from)?
        else {
            return Ok(None);
        };
        let path = self.dir.join("enclave.json");
        if Sha256::of(&first) != state.first_root {
            let reason = "published/1.root.json is the root of another repository".to_owned();
            return Err(EnclaveError::State { path, reason });
        }
        let first = Document::parse(&first)?;
        let (tree, trusted) = Tree::read(&source, &first, Expiry::Ignored).await?;
        let path = self.published_dir().join(CARRIED);
        let carried = fs::read(&path).map_err(io(&path))?;
        let manifest = serde_json::from_slice(&carried).map_err(|e| EnclaveError::State {
            path,
            reason: e.to_string(),
        })?;
        Ok(Some(Current {
            tree,
            trusted,
            manifest,
        }))
    }
}

struct Current {
    tree: Tree,
    trusted: Trusted,
    manifest: Manifest,
}

async fn sign<T: Metadata>(
    mut document: Document<T>,
    root: &Root,
    signer: &SharedSigner,
) -> Result<Document<T>, EnclaveError> {
    let authority = root.roles.get(T::ROLE);
    let key = Key::new(signer.public_key().clone())?;
    let quorum = |reason: String| EnclaveError::Quorum {
        role: T::ROLE,
        reason,
    };
    if !authority.keyids.contains(&key.id()) {
        return Err(quorum(format!(
            "the root does not list the enclave's key {}",
            key.id()
        )));
    }
    let signature = signer
        .sign(&document.payload()?)
        .await
        .map_err(|e| quorum(e.to_string()))?;
    document.add_signature(&key, signature)?;
    document
        .verify(&root.keys, authority)
        .map_err(|e| quorum(e.to_string()))?;
    Ok(document)
}

/// At half of its life, and at least a day before its end.
fn due<T: Metadata>(document: &Document<T>, expiry: Period, now: u64) -> bool {
    let window = match T::ROLE {
        // Signed again daily, so that it survives an outage of all but a day of its life.
        RoleName::Timestamp => expiry
            .as_secs()
            .saturating_sub(Period::days(1).as_secs())
            .max(expiry.half().as_secs()),
        _ => expiry.half().as_secs(),
    };
    document.signed().expires().seconds_left(now) <= window
}

fn warn<T: Metadata>(document: &Document<T>, now: u64, applied: &mut Applied) {
    let expires = document.signed().expires();
    let days = expires.seconds_left(now) / 86_400;
    if days <= 30 {
        applied.warnings.push(format!(
            "{} version {} expires at {expires}, in {days} days: bring a new bundle",
            T::ROLE,
            document.signed().version()
        ));
    }
}

/// Keeps the tree and the one before it. What cannot be removed now goes the next time.
fn remove_old(trees: &Path, current: u64) {
    let Ok(entries) = fs::read_dir(trees) else {
        return;
    };
    for entry in entries.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u64>().ok());
        if number.is_some_and(|n| n.saturating_add(1) < current) {
            let _later = fs::remove_dir_all(entry.path());
        }
    }
}

/// Relative key files are meant from the enclave's directory, so that it can be moved.
fn locate(dir: &Path, uri: &KeyUri) -> KeyUri {
    match uri {
        KeyUri::File(path) => KeyUri::file(dir.join(path)),
        other => other.clone(),
    }
}
