//! `state.json`: what the writer remembers beside the published tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::storage::{self, Storage};
use super::{RepositoryError, io};
use crate::metadata::{Custom, Key, KeyId, RoleName, Sha256, TargetName, Version};
use crate::policy::Period;

/// Longest state file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: Format,
    /// Names the repository in what is carried to keyholders; repositories without one go by
    /// their first root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// SHA-256 of `1.root.json`: what clients were told out of band. Everything published must
    /// descend from it. `None` until the first root has its signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_root: Option<Sha256>,
    pub(super) roles: BTreeMap<RoleName, RoleState>,
    /// The highest version that was ever taken for each role that is signed often. Taken before
    /// anything is written, so a number is never used for two contents, whatever is lost.
    pub(super) taken: BTreeMap<RoleName, Version>,
    /// The files that the next publication holds. Their contents are in `staged/`, by hash.
    pub(super) staged: BTreeMap<TargetName, Staged>,
    /// Roles to sign again with the next publication, whatever is published: clients have seen
    /// other versions than this directory remembers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) overtake: BTreeSet<RoleName>,
    /// When the newest root was put in place, in seconds since the Unix epoch, if after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root_placed_secs: Option<u64>,
    /// Keys are replaced that must not sign once more, not even to bridge the change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) emergency: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "sigkeep-tuf-1")]
    V1,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleState {
    /// The keys that the next root will have.
    pub(super) keys: Vec<RoleKey>,
    /// Keys of earlier roots, for the old quorum of a new root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) retired: Vec<RoleKey>,
    /// The threshold that the next root will have; the current root's if nobody changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<u32>,
    pub(super) expiry_secs: Period,
    pub(super) window_secs: Period,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleKey {
    pub(super) keyid: KeyId,
    /// Where the private half is; `None` if not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// The public half; that of the current root if it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) public: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Staged {
    pub(super) sha256: Sha256,
    pub(super) length: u64,
    pub(super) custom: Option<Custom>,
}

impl State {
    pub(super) fn new(id: String, roles: BTreeMap<RoleName, RoleState>) -> Self {
        Self {
            format: Format::V1,
            id: Some(id),
            first_root: None,
            roles,
            taken: BTreeMap::new(),
            staged: BTreeMap::new(),
            overtake: BTreeSet::new(),
            root_placed_secs: None,
            emergency: false,
        }
    }

    pub(super) fn exists(dir: &Path) -> bool {
        dir.join("state.json").exists()
    }

    pub(super) fn load(dir: &Path) -> Result<Self, RepositoryError> {
        let path = dir.join("state.json");
        let bytes = match storage::read(&path, MAX_BYTES) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(RepositoryError::NotInitialised(dir.to_owned()));
            }
            other => other.map_err(io(&path))?,
        };
        let state: Self = serde_json::from_slice(&bytes).map_err(|e| RepositoryError::State {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        let roles: BTreeSet<RoleName> = state.roles.keys().copied().collect();
        if roles != BTreeSet::from(RoleName::ALL) {
            return Err(RepositoryError::State {
                path,
                reason: "not all four roles are there".to_owned(),
            });
        }
        Ok(state)
    }

    pub(super) fn save(&self, storage: &dyn Storage, dir: &Path) -> Result<(), RepositoryError> {
        let path = dir.join("state.json");
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| RepositoryError::State {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        bytes.push(b'\n');
        storage::put(storage, &path, &bytes).map_err(io(&path))?;
        storage.sync_dir(dir).map_err(io(dir))
    }

    pub(super) fn role(&self, role: RoleName) -> Result<&RoleState, RepositoryError> {
        self.roles.get(&role).ok_or_else(|| RepositoryError::State {
            path: "state.json".into(),
            reason: format!("role {role} is missing"),
        })
    }

    pub(super) fn role_mut(&mut self, role: RoleName) -> Result<&mut RoleState, RepositoryError> {
        (self.roles.get_mut(&role)).ok_or_else(|| RepositoryError::State {
            path: "state.json".into(),
            reason: format!("role {role} is missing"),
        })
    }

    /// Names the repository in requests.
    pub(super) fn id(&self) -> String {
        let first = self.first_root.map(|sha256| sha256.to_string());
        self.id.clone().or(first).unwrap_or_default()
    }

    /// Who holds a key, as far as is known.
    pub(super) fn owner(&self, keyid: KeyId) -> Option<&str> {
        (self.roles.values())
            .flat_map(|role| role.keys.iter().chain(&role.retired))
            .filter(|key| key.keyid == keyid)
            .find_map(|key| key.owner.as_deref())
    }

    /// Takes the version after both the published one and every one that was ever taken.
    pub(super) fn take(&mut self, role: RoleName, published: Option<Version>) -> Version {
        let next = match self.taken.get(&role).copied().max(published) {
            Some(last) => last.next(),
            None => Version::FIRST,
        };
        self.taken.insert(role, next);
        next
    }
}
