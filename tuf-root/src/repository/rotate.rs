//! Replacing the online keys, in good order or because they were stolen.

use std::collections::BTreeMap;

use keys::KeyUri;
use serde::Serialize;

use super::draft::Drafts;
use super::state::{RoleKey, State};
use super::tree::Current;
use super::{Keyring, Outcome, Repository, RepositoryError};
use crate::metadata::{RoleName, Root};

const ONLINE: [RoleName; 2] = [RoleName::Snapshot, RoleName::Timestamp];

/// How far a rotation came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Clients have the new keys.
    Done(Outcome),
    /// The new root needs signatures of people; the rotation goes on with the same command.
    Waiting(String),
}

impl Repository {
    /// Replaces the keys of snapshot and timestamp by new ones: at `keys`, or new files.
    ///
    /// Stages a root with the new keys. Once it has its signatures, signs with old and new keys
    /// under the old root and publishes the new one. A later refresh signs with the new keys only;
    /// no client is refused at any moment. Whatever interrupts it, the same call goes on.
    pub async fn rotate_online(
        &self,
        keys: &BTreeMap<RoleName, Vec<KeyUri>>,
    ) -> Result<Rotation, RepositoryError> {
        self.replace_online(keys, false).await
    }

    /// Replaces the keys of snapshot and timestamp because somebody else has them.
    ///
    /// As [`Self::rotate_online`], but the old keys never sign again, so for the moment between
    /// two files clients are refused. Both roles get new keys, whichever was stolen: that is what
    /// makes clients forget versions that the thief ran up.
    pub async fn revoke_online(
        &self,
        keys: &BTreeMap<RoleName, Vec<KeyUri>>,
    ) -> Result<Rotation, RepositoryError> {
        self.replace_online(keys, true).await
    }

    async fn replace_online(
        &self,
        keys: &BTreeMap<RoleName, Vec<KeyUri>>,
        emergency: bool,
    ) -> Result<Rotation, RepositoryError> {
        let lock = self.lock().await?;
        let mut state = State::load(&self.dir)?;
        let current = self.current(&state).await?;
        let current = current.ok_or(RepositoryError::NotPublished)?;
        let mut keyring = Keyring::default();
        let under_way = self.is_under_way(&state, &current)?;
        // Whoever has the keys of today may have those of a rotation that waits, too.
        let begins = match emergency {
            true => !state.emergency,
            false => !under_way,
        };
        if begins {
            if under_way {
                self.drop_draft(RoleName::Root)?;
            }
            for role in ONLINE {
                let uris = match keys.get(&role).filter(|uris| !uris.is_empty()) {
                    Some(uris) => uris.clone(),
                    None => vec![self.unused_key_file(role)],
                };
                let mut entries = Vec::with_capacity(uris.len());
                for uri in uris {
                    let passphrase = self.passphrase.as_ref();
                    let key = keyring.enrol(&self.dir, &uri, passphrase).await?;
                    entries.push(RoleKey {
                        keyid: key.id(),
                        uri: Some(uri.to_string()),
                        owner: None,
                        public: Some(key),
                    });
                }
                let policy = state.role_mut(role)?;
                policy.retire(|_| true);
                policy.keys = entries;
            }
            if emergency {
                for role in ONLINE {
                    state.role_mut(role)?.retired.clear();
                }
                state.emergency = true;
            }
            state.save(self.storage.as_ref(), &self.dir)?;
            let why = if emergency { "revoked" } else { "rotated" };
            self.transcribe(&format!("{why} the keys of snapshot and timestamp"))?;
        }
        let newest = current.root.signed().version;
        let staged = Drafts::load(&self.dir)?.root;
        let staged = staged.is_some_and(|draft| draft.signed().version > newest);
        if !staged && !lists_all(&state, current.root.signed())? {
            self.stage_root_locked(&state, Some(&current))?;
        }
        match self
            .publish_locked(lock, super::publish::Scope::Staged, &mut keyring)
            .await
        {
            Ok(outcome) => Ok(Rotation::Done(outcome)),
            Err(e @ RepositoryError::Unsigned { .. }) => Ok(Rotation::Waiting(e.to_string())),
            Err(other) => Err(other),
        }
    }

    /// Whether a rotation began and is not over: the policy's keys are not those of the newest
    /// root, or that is not in place, or keys are revoked that clients still accept.
    fn is_under_way(&self, state: &State, current: &Current) -> Result<bool, RepositoryError> {
        if let Some(draft) = Drafts::load(&self.dir)?.root
            && draft.signed().version > current.root.signed().version
            && lists_all(state, current.root.signed())?
        {
            // Somebody else's root: it would get lost, or the rotation would.
            return Err(RepositoryError::AlreadyStaged {
                role: RoleName::Root,
                version: draft.signed().version,
            });
        }
        let begun = !lists_all(state, current.root.signed())?;
        Ok(begun || current.root_pending || state.emergency)
    }

    fn unused_key_file(&self, role: RoleName) -> KeyUri {
        let name = |number: u32| format!("keys/{role}-{number}.pem");
        let unused = (2..10_000).find(|number| !self.dir.join(name(*number)).exists());
        KeyUri::file(name(unused.unwrap_or(10_000)))
    }
}

/// Whether `root` lists the online keys of the policy.
fn lists_all(state: &State, root: &Root) -> Result<bool, RepositoryError> {
    for role in ONLINE {
        let listed = &root.roles.get(role).keyids;
        let keys = &state.role(role)?.keys;
        if keys.iter().any(|key| !listed.contains(&key.keyid)) {
            return Ok(false);
        }
    }
    Ok(true)
}
