//! The next root: what it says, and its signatures.

use std::collections::BTreeMap;

use super::draft::Drafts;
use super::keyring::Keyring;
use super::publish::expiring;
use super::state::State;
use super::tree::{Changes, Current};
use super::{Outcome, Repository, RepositoryError, storage};
use crate::metadata::{
    Document, Metadata as _, RoleKeys, RoleName, Roles, Root, RootType, SpecVersion, Version,
};
use crate::profile::{self, ProfileError};

impl Repository {
    /// The root that the policy asks for, after `previous`.
    pub(super) fn next_root_of(
        &self,
        state: &State,
        previous: Option<&Root>,
    ) -> Result<Root, RepositoryError> {
        let mut keys = BTreeMap::new();
        let mut authorities = BTreeMap::new();
        for role in RoleName::ALL {
            let policy = state.role(role)?;
            for entry in &policy.keys {
                let known = previous.and_then(|root| root.keys.get(&entry.keyid));
                let key = entry.public.as_ref().or(known);
                let key = key.ok_or(ProfileError::KeyId(entry.keyid))?;
                keys.insert(entry.keyid, key.clone());
            }
            let current = previous.map_or(0, |root| root.roles.get(role).threshold);
            let authority = RoleKeys {
                keyids: policy.keys.iter().map(|key| key.keyid).collect(),
                threshold: policy.threshold.unwrap_or(current),
            };
            authorities.insert(role, authority);
        }
        let mut authority = |role: RoleName| {
            let none = RoleKeys {
                keyids: Vec::new(),
                threshold: 0,
            };
            authorities.remove(&role).unwrap_or(none)
        };
        let root = Root {
            kind: RootType::Root,
            consistent_snapshot: true,
            expires: self.expires(Some(state.role(RoleName::Root)?))?,
            keys,
            roles: Roles {
                root: authority(RoleName::Root),
                snapshot: authority(RoleName::Snapshot),
                targets: authority(RoleName::Targets),
                timestamp: authority(RoleName::Timestamp),
            },
            spec_version: SpecVersion::V1_0_31,
            version: previous.map_or(Version::FIRST, |root| root.version.next()),
        };
        profile::check_root(&root)?;
        Ok(root)
    }

    /// The newest root: the one that is published, or one that was signed and is not in place yet,
    /// or one that is staged and has its signatures, or a new one if it nears its expiry and its
    /// keys are here.
    pub(super) async fn next_root(
        &self,
        state: &State,
        current: &Current,
        drafts: &Drafts,
        keyring: &mut Keyring,
        outcome: &mut Outcome,
    ) -> Result<Document<Root>, RepositoryError> {
        let root = &current.root;
        if current.root_pending {
            return Ok(root.clone());
        }
        if let Some(draft) = &drafts.root
            && draft.signed().version == root.signed().version.next()
        {
            return self
                .complete(state, draft, Some(root.signed()), keyring)
                .await;
        }
        let role = state.role(RoleName::Root)?;
        if !self.due(root, role) {
            return Ok(root.clone());
        }
        let mut next = root.signed().clone();
        next.version = next.version.next();
        next.expires = self.expires(Some(role))?;
        profile::check_root(&next)?;
        // With the same keys and threshold the old quorum is also the new one.
        let old = Some(root.signed());
        match self
            .complete(state, &Document::unsigned(next), old, keyring)
            .await
        {
            Ok(document) => Ok(document),
            Err(e) => {
                let warning = format!("{}: {e}", expiring(root, self.clock.now_secs()));
                outcome.warnings.push(warning);
                Ok(root.clone())
            }
        }
    }

    /// A root with the signatures of the old quorum and its own; those that are missing are made
    /// with the keys at hand.
    pub(super) async fn complete(
        &self,
        state: &State,
        draft: &Document<Root>,
        old: Option<&Root>,
        keyring: &mut Keyring,
    ) -> Result<Document<Root>, RepositoryError> {
        let (mut document, own) = (draft.clone(), draft.signed());
        let (role, passphrase) = (state.role(RoleName::Root)?, self.passphrase.as_ref());
        for root in old.into_iter().chain([own]) {
            let signed = keyring
                .sign(&mut document, root, role, &self.dir, passphrase)
                .await;
            match signed {
                Err(RepositoryError::Quorum { role, reason }) => {
                    return Err(RepositoryError::Unsigned {
                        role,
                        version: own.version,
                        missing: reason,
                    });
                }
                other => other?,
            }
        }
        Ok(document)
    }

    pub(super) fn place_root(
        &self,
        root: &Document<Root>,
        current: &Current,
        outcome: &mut Outcome,
        changes: &mut Changes,
    ) -> Result<(), RepositoryError> {
        let bytes = root.to_json().map_err(RepositoryError::Document)?;
        let placed = storage::read(&self.root_json(), Root::MAX_BYTES as u64);
        if placed.ok().as_ref() != Some(&bytes) {
            changes.root = Some(bytes.clone());
        }
        if current.lacks(root) {
            changes.versioned.push((root.signed().file_name(), bytes));
            let version = root.signed().version;
            outcome.published.insert(RoleName::Root, version);
        }
        Ok(())
    }
}
