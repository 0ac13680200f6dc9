//! Publishing what is staged, and signing again what has to be.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use serde::Serialize;

use super::draft::Drafts;
use super::keyring::Keyring;
use super::signing::Signing;
use super::state::{RoleState, State};
use super::tree::{Changes, Current, Preview};
use super::{Repository, RepositoryError};
use crate::client::{self, Directory, Expiry, Source as _, Trusted};
use crate::metadata::{
    Document, Expires, Hashes, Metadata, RoleName, Root, Sha256, TargetInfo, TargetName, Version,
};
use crate::trust;

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
    /// What needs a person soon: a role that nears its expiry and whose keys are not here, or a
    /// publication without what clients verify with.
    pub warnings: Vec<String>,
    /// Clients, by what they have, that were walked through the new tree and accept it.
    pub accepted_by: Vec<String>,
}

/// Whether files are put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Publish,
    Simulate,
}

impl Repository {
    /// Publishes what is staged, if it differs from what is published, and signs again what nears
    /// its expiry.
    pub async fn publish(&self) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        self.publish_locked(lock, Scope::Staged, &mut Keyring::default())
            .await
    }

    /// Does all that [`Self::publish`] does up to the point where clients would see it: signs in
    /// memory and walks the tree as clients would.
    pub async fn simulate(&self) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        let mut outcome = Outcome::default();
        let (scope, keyring) = (Scope::Staged, &mut Keyring::default());
        self.step(lock, scope, Mode::Simulate, keyring, &mut outcome)
            .await?;
        Ok(outcome)
    }

    /// Signs again what nears its expiry; does not publish what is staged. Root and targets, whose
    /// keys may be elsewhere, only if their keys are here: otherwise the outcome warns.
    pub async fn refresh(&self) -> Result<Outcome, RepositoryError> {
        let lock = self.lock().await?;
        self.publish_locked(lock, Scope::Expiring, &mut Keyring::default())
            .await
    }

    /// Opens the keys of snapshot and timestamp, as a refresh will have to; signs nothing.
    pub async fn can_refresh(&self) -> Result<(), RepositoryError> {
        let state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let mut keyring = Keyring::default();
        for role in [RoleName::Snapshot, RoleName::Timestamp] {
            let keys = &state.role(role)?.keys;
            let mut reasons = Vec::new();
            for key in keys {
                let opened = keyring.open(key, &self.dir, self.passphrase.as_ref());
                reasons.extend(opened.await.err());
            }
            let needed = current
                .as_ref()
                .map(|c| c.root.signed().roles.get(role).threshold);
            let needed = usize::try_from(needed.unwrap_or(1)).unwrap_or(usize::MAX);
            if keys.len().saturating_sub(reasons.len()) < needed {
                let reason = reasons.join("; ");
                return Err(RepositoryError::Quorum { role, reason });
            }
        }
        Ok(())
    }

    pub(super) async fn publish_locked(
        &self,
        lock: File,
        scope: Scope,
        keyring: &mut Keyring,
    ) -> Result<Outcome, RepositoryError> {
        let mut outcome = Outcome::default();
        let mut lock = Some(lock);
        while let Some(held) = lock.take() {
            lock = self
                .step(held, scope, Mode::Publish, keyring, &mut outcome)
                .await?;
        }
        Ok(outcome)
    }

    /// One publication. Gives the lock back if another has to follow.
    ///
    /// When a new root replaces keys of other roles, its publication has two steps, each of which
    /// every client accepts. First those roles are signed with old and new keys, under the old
    /// root; clients ignore signatures of keys that they do not know. Then the new root is
    /// published, and the old keys sign no more. Their last signatures stay for some minutes, for
    /// clients that looked for a newer root just before there was one. After a crash the next publication finds out from the files which step is next.
    async fn step(
        &self,
        lock: File,
        scope: Scope,
        mode: Mode,
        keyring: &mut Keyring,
        outcome: &mut Outcome,
    ) -> Result<Option<File>, RepositoryError> {
        let mut state = State::load(&self.dir)?;
        let drafts = match scope {
            Scope::Staged => Drafts::load(&self.dir)?,
            Scope::Expiring => Drafts::default(),
        };
        let current = match (state.first_root, &drafts.root) {
            (Some(pinned), _) => Current::load(&self.dir, pinned).await?,
            (None, Some(draft)) => {
                Current::first(self.complete(&state, draft, None, keyring).await?)
            }
            (None, None) => return Err(RepositoryError::NotStaged(RoleName::Root)),
        };
        if scope == Scope::Expiring && current.trusted.is_none() {
            return Err(RepositoryError::NotPublished);
        }
        if mode == Mode::Publish && current.trusted.is_some() {
            // An earlier publication may have been interrupted between the directory and a copy.
            self.catch_up(&current).await?;
        }
        let mut changes = Changes::default();
        let root = self
            .next_root(&state, &current, &drafts, keyring, outcome)
            .await?;
        // The root that clients have, if the new one changes what they accept.
        let bridge = current.trusted.as_ref().filter(|trusted| {
            let stays =
                |role| root.signed().roles.get(role) == trusted.root.signed().roles.get(role);
            let same = RoleName::ALL
                .into_iter()
                .filter(|r| *r != RoleName::Root)
                .all(stays);
            mode == Mode::Publish && !same && !state.emergency && !holds(trusted, root.signed())
        });
        if bridge.is_none() {
            self.place_root(&root, &current, outcome, &mut changes)?;
        }
        let root_is_new = current.lacks(&root);
        if bridge.is_none() && current.trusted.is_some() && root_is_new {
            state.root_placed_secs = Some(self.clock.now_secs());
        }
        let roots = bridge.map(|trusted| trusted.root.signed());
        let published = current.trusted.as_ref().map(|t| t.targets.signed().version);
        let mut signing = Signing {
            repository: self,
            roots: roots.into_iter().chain([root.signed()]).collect(),
            keyring,
            draft: drafts
                .targets
                .as_ref()
                .filter(|d| Some(d.signed().version) > published),
        };
        signing
            .sign_roles(
                &mut state,
                current.trusted.as_ref(),
                scope,
                outcome,
                &mut changes,
            )
            .await?;
        if changes.is_empty() {
            return Ok(None);
        }
        if mode == Mode::Simulate {
            outcome.accepted_by = self.rehearse(&current, &root, &changes).await?;
            return Ok(None);
        }
        // The versions are taken before anything becomes visible.
        state.save(self.storage.as_ref(), &self.dir)?;
        outcome.accepted_by = self.rehearse(&current, &root, &changes).await?;
        if bridge.is_none() && root_is_new {
            // Kept before it is published, so that a version number means one content even if the
            // publication is interrupted and taken up again.
            let bytes = root.to_json().map_err(RepositoryError::Document)?;
            self.archive_root(&root, &bytes)?;
            if state.first_root.is_none() {
                state.first_root = Some(Sha256::of(&bytes));
                state.save(self.storage.as_ref(), &self.dir)?;
            }
        }
        self.transcribe_publication(&changes)?;
        let (storage, published) = (Arc::clone(&self.storage), self.published_dir());
        // The lock goes along: the files are put in place to the end even if nobody waits for it.
        let applied = tokio::task::spawn_blocking(move || {
            changes.apply(storage.as_ref(), &published).map(|()| lock)
        });
        let lock = applied.await.map_err(|_| RepositoryError::Stopped)??;
        if bridge.is_some() {
            self.follow(&current).await?;
            return Ok(Some(lock));
        }
        self.tidy(&mut state, &root, outcome)?;
        // Still under the lock, so that copies see publications in their order.
        self.follow(&current).await?;
        drop(lock);
        Ok(None)
    }

    /// Forgets what is done.
    fn tidy(
        &self,
        state: &mut State,
        root: &Document<Root>,
        outcome: &Outcome,
    ) -> Result<(), RepositoryError> {
        let drafts = Drafts::load(&self.dir)?;
        if drafts
            .root
            .is_some_and(|d| d.signed().version <= root.signed().version)
        {
            Drafts::remove::<Root>(&self.dir)?;
        }
        let targets = outcome.published.get(&RoleName::Targets);
        if drafts
            .targets
            .is_some_and(|d| targets.is_some_and(|v| d.signed().version <= *v))
        {
            Drafts::remove::<crate::metadata::Targets>(&self.dir)?;
        }
        if state.emergency || !state.overtake.is_empty() {
            let root = root.signed();
            let replaced = |role| {
                state.role(role).map(|r| {
                    r.keys
                        .iter()
                        .all(|k| root.roles.get(role).keyids.contains(&k.keyid))
                })
            };
            // Only once the keys that were revoked are out of the published root.
            let online = replaced(RoleName::Snapshot)? && replaced(RoleName::Timestamp)?;
            state.emergency &= !online;
            state.overtake.clear();
            state.save(self.storage.as_ref(), &self.dir)?;
        }
        Ok(())
    }

    fn transcribe_publication(&self, changes: &Changes) -> Result<(), RepositoryError> {
        for (name, bytes) in &changes.versioned {
            if name.ends_with(".root.json") || name.ends_with(".targets.json") {
                self.transcribe(&format!("publishing {name}, SHA-256 {}", Sha256::of(bytes)))?;
            }
        }
        Ok(())
    }

    /// Walks the new tree as clients will: those that start from any root that there ever was, and
    /// one that has what is published now. All read the trust documents strictly.
    async fn rehearse(
        &self,
        current: &Current,
        root: &Document<Root>,
        changes: &Changes,
    ) -> Result<Vec<String>, RepositoryError> {
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
        let mut walked = vec!["a new client with root version 1".to_owned()];
        for version in (2..=root.signed().version.get()).filter_map(Version::new) {
            let file = format!("{version}.root.json");
            let limit = Root::MAX_BYTES as u64;
            let bytes = preview
                .get(&file, limit)
                .await
                .map_err(|e| refuse(e.into()))?;
            // While a bridge is published the newest root is not there yet.
            let Some(bytes) = bytes else { continue };
            let bootstrap = Document::parse(&bytes).map_err(RepositoryError::Document)?;
            client::update(&preview, &bootstrap, None, now)
                .await
                .map_err(refuse)?;
            walked.push(format!("a new client with root version {version}"));
        }
        if let Some(trusted) = &current.trusted {
            client::update(&preview, &trusted.root, Some(trusted), now)
                .await
                .map_err(refuse)?;
            let version = trusted.timestamp.signed().version;
            walked.push(format!(
                "a client that has seen timestamp version {version}"
            ));
        }
        let mut trusted_root = None;
        for name in fresh.targets.signed().targets.keys() {
            let content = client::target(&preview, &fresh, name)
                .await
                .map_err(refuse)?;
            trust::check_document(name, &content).map_err(|e| RepositoryError::TrustDocument {
                name: name.clone(),
                reason: e.to_string(),
            })?;
            if name.as_str() == trust::TRUSTED_ROOT {
                trusted_root = Some(content);
            }
        }
        let checked = self.guard(Some(current), trusted_root.as_deref()).await?;
        walked.extend(checked.map(|report| format!("clients of the past: {report}")));
        Ok(walked)
    }

    pub(super) fn due<T: Metadata>(&self, document: &Document<T>, role: &RoleState) -> bool {
        is_due(document.signed().expires(), role, self.clock.now_secs())
    }
}

/// Whether clients with `root` accept what is published.
fn holds(trusted: &Trusted, root: &Root) -> bool {
    let roles = &root.roles;
    trusted.targets.verify(&root.keys, &roles.targets).is_ok()
        && trusted.snapshot.verify(&root.keys, &roles.snapshot).is_ok()
        && trusted
            .timestamp
            .verify(&root.keys, &roles.timestamp)
            .is_ok()
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

pub(super) fn expiring<T: Metadata>(document: &Document<T>, now: u64) -> String {
    let expires = document.signed().expires();
    let days = expires.seconds_left(now) / 86_400;
    format!(
        "{} version {} expires at {expires}, in {days} days",
        T::ROLE,
        document.signed().version()
    )
}
