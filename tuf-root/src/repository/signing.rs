//! Signing targets, snapshot and timestamp.

use super::keyring::Keyring;
use super::publish::{Outcome, Scope, expiring, staged_targets};
use super::state::{RoleState, State};
use super::tree::Changes;
use super::{Repository, RepositoryError, io, storage};
use crate::client::Trusted;
use crate::metadata::{
    Document, Expires, MetaFile, Metadata, RoleName, Root, Snapshot, SnapshotMeta, SnapshotType,
    SpecVersion, Targets, TargetsType, Timestamp, TimestampMeta, TimestampType, Version,
};
use crate::profile::{self, MAX_TARGET_BYTES};
use crate::trust::TRUSTED_ROOT;

/// How far the clock may be behind the one of the last signing, in seconds.
const CLOCK_TOLERANCE: u64 = 300;

/// How long a client may take from its look for a newer root to that for the timestamp, in seconds.
pub(super) const GRACE: u64 = 300;

/// The signing of targets, snapshot and timestamp.
pub(super) struct Signing<'a> {
    pub(super) repository: &'a Repository,
    /// The roots that must accept what is signed: one, or while keys change the old and the new.
    pub(super) roots: Vec<&'a Root>,
    pub(super) keyring: &'a mut Keyring,
    /// Targets that people have signed.
    pub(super) draft: Option<&'a Document<Targets>>,
}

impl Signing<'_> {
    pub(super) async fn sign_roles(
        &mut self,
        state: &mut State,
        published: Option<&Trusted>,
        scope: Scope,
        outcome: &mut Outcome,
        changes: &mut Changes,
    ) -> Result<(), RepositoryError> {
        let old = published.map(|p| &p.targets);
        let targets = self.targets(state, old, scope, outcome).await?;
        if let Some(targets) = &targets {
            profile::check_targets(targets.signed())?;
            outcome
                .warnings
                .extend(lacks_trusted_root(targets.signed()));
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

    async fn targets(
        &mut self,
        state: &mut State,
        old: Option<&Document<Targets>>,
        scope: Scope,
        outcome: &mut Outcome,
    ) -> Result<Option<Document<Targets>>, RepositoryError> {
        let listed = match (scope, old) {
            (Scope::Expiring, Some(old)) => old.signed().targets.clone(),
            _ => staged_targets(state),
        };
        if let Some(draft) = self.draft {
            if draft.signed().targets != listed {
                return Err(RepositoryError::StaleTargets);
            }
            let mut document = draft.clone();
            return match self.sign(&mut document, state).await {
                Ok(()) => Ok(Some(document)),
                Err(RepositoryError::Quorum { role, reason }) => Err(RepositoryError::Unsigned {
                    role,
                    version: document.signed().version,
                    missing: reason,
                }),
                Err(other) => Err(other),
            };
        }
        let changed = old.is_none_or(|old| old.signed().targets != listed);
        let held = old.is_some_and(|old| self.accepted(old));
        let make = |version, expires| Targets {
            kind: TargetsType::Targets,
            expires,
            spec_version: SpecVersion::V1_0_31,
            targets: listed,
            version,
        };
        match self.renew(state, old, changed, make).await {
            // The published one still holds: a person has to come, but the rest need not wait.
            Err(e @ RepositoryError::Quorum { .. }) if !changed && held => {
                let now = self.repository.clock.now_secs();
                outcome
                    .warnings
                    .extend(old.map(|old| format!("{}: {e}", expiring(old, now))));
                Ok(None)
            }
            // People hold the keys: they sign what was staged for them.
            Err(RepositoryError::Quorum { role, .. }) if self.needs_people(state.role(role)?) => {
                Err(RepositoryError::NotStaged(role))
            }
            other => other,
        }
    }

    /// Whether the keys of targets that are here are too few, even if all of them sign.
    fn needs_people(&self, targets: &RoleState) -> bool {
        let here = targets.keys.iter().filter(|key| key.uri.is_some()).count();
        let needed = self.roots.iter().map(|root| root.roles.targets.threshold);
        needed
            .max()
            .is_some_and(|k| usize::try_from(k).is_ok_and(|k| here < k))
    }

    /// Whether all roots accept the document as it is signed.
    fn accepted<T: Metadata>(&self, document: &Document<T>) -> bool {
        let accepts = |root: &&Root| document.verify(&root.keys, root.roles.get(T::ROLE)).is_ok();
        self.roots.iter().all(accepts)
    }

    /// Whether an online key signed that no root lists any more. Not while the root is new: a client
    /// that has just seen that there is no newer root takes the old key's word for a moment yet.
    fn outdated<T: Metadata>(&self, document: &Document<T>, state: &State) -> bool {
        let now = self.repository.clock.now_secs();
        let placed = state.root_placed_secs;
        if placed.is_some_and(|placed| now < placed.saturating_add(GRACE)) {
            return false;
        }
        let listed = |id| (self.roots.iter()).any(|r| r.roles.get(T::ROLE).keyids.contains(&id));
        matches!(T::ROLE, RoleName::Snapshot | RoleName::Timestamp)
            && document.signers().any(|id| !listed(id))
    }

    /// Signs with the keys at hand until all roots accept the document.
    async fn sign<T: Metadata>(
        &mut self,
        document: &mut Document<T>,
        state: &State,
    ) -> Result<(), RepositoryError> {
        let (role, repository) = (state.role(T::ROLE)?, self.repository);
        let passphrase = repository.passphrase.as_ref();
        for root in &self.roots {
            self.keyring
                .sign(document, root, role, &repository.dir, passphrase)
                .await?;
        }
        Ok(())
    }

    /// The next version of a role, signed, if it is `changed`, nears its expiry or
    /// has not the signatures that the roots ask for.
    async fn renew<T: Metadata>(
        &mut self,
        state: &mut State,
        old: Option<&Document<T>>,
        changed: bool,
        make: impl FnOnce(Version, Expires) -> T,
    ) -> Result<Option<Document<T>>, RepositoryError> {
        let repository = self.repository;
        let role = state.role(T::ROLE)?.clone();
        let current = |old: &Document<T>| {
            !repository.due(old, &role) && self.accepted(old) && !self.outdated(old, state)
        };
        if !changed && !state.overtake.contains(&T::ROLE) && old.is_some_and(current) {
            return Ok(None);
        }
        let expires = repository.expires(Some(&role))?;
        let before = old.map_or(0, |old| old.signed().expires().as_secs());
        if expires.as_secs().saturating_add(CLOCK_TOLERANCE) < before {
            return Err(RepositoryError::Clock { role: T::ROLE });
        }
        let version = state.take(T::ROLE, old.map(|old| old.signed().version()));
        let mut document = Document::unsigned(make(version, expires));
        self.sign(&mut document, state).await?;
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

/// Publishing other files only is allowed, and hardly ever meant.
fn lacks_trusted_root(targets: &Targets) -> Option<String> {
    let listed = |name: &crate::metadata::TargetName| name.as_str() == TRUSTED_ROOT;
    (!targets.targets.keys().any(listed)).then(|| {
        format!(
            "{TRUSTED_ROOT} is not among the files: clients find nothing to verify with. Add it with \
             `tuf-root target add`"
        )
    })
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
