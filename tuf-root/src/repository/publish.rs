//! Signing what has to be signed, and publishing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use serde::Serialize;

use super::keyring::Keyring;
use super::state::{RoleState, State};
use super::tree::{Changes, Current, Preview};
use super::{Repository, RepositoryError, io, storage};
use crate::client::{self, Directory, Expiry, Trusted};
use crate::metadata::{
    Document, Expires, Hashes, MetaFile, Metadata, RoleName, Root, Snapshot, SnapshotMeta,
    SnapshotType, SpecVersion, TargetInfo, TargetName, Targets, TargetsType, Timestamp,
    TimestampMeta, TimestampType, Version,
};
use crate::profile::{self, MAX_TARGET_BYTES};
use crate::trust;

/// How far the clock may be behind the one of the last signing, in seconds.
const CLOCK_TOLERANCE: u64 = 300;

/// What to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// What is staged, and what nears its expiry.
    Staged,
    /// What nears its expiry.
    Expiring,
}

/// What was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The new versions; empty if nothing had to change.
    pub published: BTreeMap<RoleName, Version>,
    /// What needs a person soon: a role that nears its expiry and whose keys are not here.
    pub warnings: Vec<String>,
}

impl Repository {
    /// Publishes what is staged, if it differs from what is published, and signs again what nears
    /// its expiry.
    pub async fn publish(&self) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        let state = State::load(&self.dir)?;
        self.publish_locked(lock, state, Scope::Staged, &mut Keyring::default())
            .await
    }

    /// Signs again what nears its expiry; does not publish what is staged. Root and targets, whose
    /// keys may be elsewhere, only if their keys are here: otherwise the outcome warns.
    pub async fn refresh(&self) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        let state = State::load(&self.dir)?;
        self.publish_locked(lock, state, Scope::Expiring, &mut Keyring::default())
            .await
    }

    pub(super) async fn publish_locked(
        &self,
        lock: File,
        mut state: State,
        scope: Scope,
        keyring: &mut Keyring,
    ) -> Result<Outcome, RepositoryError> {
        let current = Current::load(&self.dir, state.first_root).await?;
        if scope == Scope::Expiring && current.trusted.is_none() {
            return Err(RepositoryError::NotPublished);
        }
        let mut outcome = Outcome::default();
        let mut changes = Changes::default();
        let root = self
            .next_root(&state, &current, keyring, &mut outcome, &mut changes)
            .await?;
        let mut signing = Signing {
            repository: self,
            root: root.signed(),
            keyring,
        };
        signing
            .sign_roles(
                &mut state,
                current.trusted.as_ref(),
                scope,
                &mut outcome,
                &mut changes,
            )
            .await?;
        if changes.is_empty() {
            return Ok(outcome);
        }
        // The versions are taken before anything becomes visible.
        state.save(self.storage.as_ref(), &self.dir)?;
        self.rehearse(&current, &changes).await?;
        let (storage, published) = (Arc::clone(&self.storage), self.published_dir());
        // The lock goes along: the files are put in place to the end even if nobody waits for it.
        let applied = tokio::task::spawn_blocking(move || {
            let _lock = lock;
            changes.apply(storage.as_ref(), &published)
        });
        applied.await.map_err(|_| RepositoryError::Stopped)??;
        Ok(outcome)
    }

    /// The newest root: the one that is published, or one that was signed and is not in place yet,
    /// or a new one if it nears its expiry and its keys are here.
    async fn next_root(
        &self,
        state: &State,
        current: &Current,
        keyring: &mut Keyring,
        outcome: &mut Outcome,
        changes: &mut Changes,
    ) -> Result<Document<Root>, RepositoryError> {
        let mut root = current.root.clone();
        let mut fresh = current.root_pending;
        let role = state.role(RoleName::Root)?;
        if !fresh && self.due(&root, role) {
            let mut next = root.signed().clone();
            next.version = next.version.next();
            next.expires = self.expires(Some(role))?;
            profile::check_root(&next)?;
            let mut document = Document::unsigned(next);
            let old = root.signed();
            let keys = self.passphrase.as_ref();
            match keyring
                .sign(&mut document, old, role, &self.dir, keys)
                .await
            {
                Ok(()) => {
                    // With the same keys and threshold the old quorum is also the new one.
                    let own = document.signed();
                    document
                        .verify(&own.keys, &own.roles.root)
                        .map_err(RepositoryError::Signature)?;
                    let bytes = document.to_json().map_err(RepositoryError::Document)?;
                    // Kept before it is published, so that a version number means one content even
                    // if the publication is interrupted and taken up again.
                    self.archive_root(&document, &bytes)?;
                    root = document;
                    fresh = true;
                }
                Err(e) => outcome
                    .warnings
                    .push(format!("{}: {e}", expiring(&root, self.clock.now_secs()))),
            }
        }
        let bytes = root.to_json().map_err(RepositoryError::Document)?;
        if storage::read(&self.root_json(), Root::MAX_BYTES as u64)
            .ok()
            .as_ref()
            != Some(&bytes)
        {
            changes.root = Some(bytes.clone());
        }
        if fresh {
            changes.versioned.push((root.signed().file_name(), bytes));
            outcome
                .published
                .insert(RoleName::Root, root.signed().version);
        }
        Ok(root)
    }

    /// Walks the new tree as clients will: one that starts from the first root, one that has what
    /// is published now. Both read the trust documents strictly.
    async fn rehearse(&self, current: &Current, changes: &Changes) -> Result<(), RepositoryError> {
        let preview = Preview {
            changes,
            published: Directory {
                path: self.published_dir(),
            },
        };
        let now = Expiry::At(self.clock.now_secs());
        let refuse = RepositoryError::Unacceptable;
        let fresh = client::update(&preview, &current.first_root, None, now)
            .await
            .map_err(refuse)?;
        if let Some(trusted) = &current.trusted {
            client::update(&preview, &trusted.root, Some(trusted), now)
                .await
                .map_err(refuse)?;
        }
        for name in fresh.targets.signed().targets.keys() {
            let content = client::target(&preview, &fresh, name)
                .await
                .map_err(refuse)?;
            trust::check_document(name, &content).map_err(|e| RepositoryError::TrustDocument {
                name: name.clone(),
                reason: e.to_string(),
            })?;
        }
        Ok(())
    }

    fn due<T: Metadata>(&self, document: &Document<T>, role: &RoleState) -> bool {
        is_due(document.signed().expires(), role, self.clock.now_secs())
    }
}

/// The signing of targets, snapshot and timestamp under one root.
struct Signing<'a> {
    repository: &'a Repository,
    root: &'a Root,
    keyring: &'a mut Keyring,
}

impl Signing<'_> {
    async fn sign_roles(
        &mut self,
        state: &mut State,
        published: Option<&Trusted>,
        scope: Scope,
        outcome: &mut Outcome,
        changes: &mut Changes,
    ) -> Result<(), RepositoryError> {
        let old = published.map(|p| &p.targets);
        let listed = match (scope, old) {
            (Scope::Expiring, Some(old)) => old.signed().targets.clone(),
            _ => staged_targets(state),
        };
        let changed = old.is_none_or(|old| old.signed().targets != listed);
        let make = |version, expires| Targets {
            kind: TargetsType::Targets,
            expires,
            spec_version: SpecVersion::V1_0_31,
            targets: listed,
            version,
        };
        let targets = match self.renew(state, old, changed, make).await {
            // The published one still holds: a person has to come, but the rest need not wait.
            Err(e @ RepositoryError::Quorum { .. }) if !changed => {
                let now = self.repository.clock.now_secs();
                outcome
                    .warnings
                    .extend(old.map(|old| format!("{}: {e}", expiring(old, now))));
                None
            }
            other => other?,
        };
        if let Some(targets) = &targets {
            profile::check_targets(targets.signed())?;
            self.read_contents(targets.signed(), old, changes)?;
        }
        let version = targets
            .as_ref()
            .or(old)
            .map(|t| t.signed().version)
            .ok_or(RepositoryError::NotPublished)?;

        let old = published.map(|p| &p.snapshot);
        let make = |own, expires| Snapshot {
            kind: SnapshotType::Snapshot,
            expires,
            meta: SnapshotMeta {
                targets: MetaFile { version },
            },
            spec_version: SpecVersion::V1_0_31,
            version: own,
        };
        let snapshot = self.renew(state, old, targets.is_some(), make).await?;
        let version = snapshot
            .as_ref()
            .or(old)
            .map(|s| s.signed().version)
            .ok_or(RepositoryError::NotPublished)?;

        let old = published.map(|p| &p.timestamp);
        let make = |own, expires| Timestamp {
            kind: TimestampType::Timestamp,
            expires,
            meta: TimestampMeta {
                snapshot: MetaFile { version },
            },
            spec_version: SpecVersion::V1_0_31,
            version: own,
        };
        let timestamp = self.renew(state, old, snapshot.is_some(), make).await?;

        // Files that nobody knows of yet come first, a new root after those.
        let root = std::mem::take(&mut changes.versioned);
        add(targets.as_ref(), outcome, changes)?;
        add(snapshot.as_ref(), outcome, changes)?;
        changes.versioned.extend(root);
        if let Some(timestamp) = &timestamp {
            changes.timestamp = Some(timestamp.to_json().map_err(RepositoryError::Document)?);
            outcome
                .published
                .insert(RoleName::Timestamp, timestamp.signed().version);
        }
        Ok(())
    }

    /// The next version of a role, signed, if it is `changed` or nears its expiry.
    async fn renew<T: Metadata>(
        &mut self,
        state: &mut State,
        old: Option<&Document<T>>,
        changed: bool,
        make: impl FnOnce(Version, Expires) -> T,
    ) -> Result<Option<Document<T>>, RepositoryError> {
        let repository = self.repository;
        let role = state.role(T::ROLE)?.clone();
        if !changed && old.is_some_and(|old| !repository.due(old, &role)) {
            return Ok(None);
        }
        let expires = repository.expires(Some(&role))?;
        let before = old.map_or(0, |old| old.signed().expires().as_secs());
        if expires.as_secs().saturating_add(CLOCK_TOLERANCE) < before {
            return Err(RepositoryError::Clock { role: T::ROLE });
        }
        let version = state.take(T::ROLE, old.map(|old| old.signed().version()));
        let mut document = Document::unsigned(make(version, expires));
        let passphrase = repository.passphrase.as_ref();
        self.keyring
            .sign(&mut document, self.root, &role, &repository.dir, passphrase)
            .await?;
        Ok(Some(document))
    }

    /// Reads the contents of the listed files that are not published yet.
    fn read_contents(
        &self,
        targets: &Targets,
        old: Option<&Document<Targets>>,
        changes: &mut Changes,
    ) -> Result<(), RepositoryError> {
        for (name, info) in &targets.targets {
            let sha256 = info.hashes.sha256;
            if old.is_some_and(|old| {
                old.signed()
                    .targets
                    .get(name)
                    .is_some_and(|o| o.hashes.sha256 == sha256)
            }) {
                continue;
            }
            let path = self.repository.dir.join("staged").join(sha256.to_string());
            let content = storage::read(&path, MAX_TARGET_BYTES).map_err(io(&path))?;
            changes
                .targets
                .insert(format!("targets/{sha256}.{name}"), content);
        }
        Ok(())
    }
}

fn add<T: Metadata>(
    document: Option<&Document<T>>,
    outcome: &mut Outcome,
    changes: &mut Changes,
) -> Result<(), RepositoryError> {
    if let Some(document) = document {
        let bytes = document.to_json().map_err(RepositoryError::Document)?;
        changes
            .versioned
            .push((document.signed().file_name(), bytes));
        outcome
            .published
            .insert(T::ROLE, document.signed().version());
    }
    Ok(())
}

pub(super) fn staged_targets(state: &State) -> BTreeMap<TargetName, TargetInfo> {
    let info = |(name, staged): (&TargetName, &super::state::Staged)| {
        let hashes = Hashes {
            sha256: staged.sha256,
        };
        (
            name.clone(),
            TargetInfo {
                custom: staged.custom.clone(),
                hashes,
                length: staged.length,
            },
        )
    };
    state.staged.iter().map(info).collect()
}

pub(super) fn is_due(expires: Expires, role: &RoleState, now: u64) -> bool {
    expires.seconds_left(now) <= role.window_secs.as_secs()
}

fn expiring<T: Metadata>(document: &Document<T>, now: u64) -> String {
    let expires = document.signed().expires();
    let days = expires.seconds_left(now) / 86_400;
    format!(
        "{} version {} expires at {expires}, in {days} days",
        T::ROLE,
        document.signed().version()
    )
}
