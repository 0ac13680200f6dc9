//! `state.json`: what the writer remembers beside the published tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::storage::{self, Storage};
use super::{RepositoryError, io};
use crate::metadata::{Custom, KeyId, RoleName, Sha256, TargetName, Version};
use crate::policy::Period;

/// Longest state file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    format: Format,
    /// SHA-256 of `1.root.json`: what clients were told out of band. Everything published must
    /// descend from it.
    pub(super) first_root: Sha256,
    pub(super) roles: BTreeMap<RoleName, RoleState>,
    /// The highest version that was ever taken for each role that is signed often. Taken before
    /// anything is written, so a number is never used for two contents, whatever is lost.
    pub(super) taken: BTreeMap<RoleName, Version>,
    /// The files that the next publication holds. Their contents are in `staged/`, by hash.
    pub(super) staged: BTreeMap<TargetName, Staged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "sigkeep-tuf-1")]
    V1,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleState {
    pub(super) keys: Vec<RoleKey>,
    pub(super) expiry_secs: Period,
    pub(super) window_secs: Period,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleKey {
    pub(super) keyid: KeyId,
    pub(super) uri: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Staged {
    pub(super) sha256: Sha256,
    pub(super) length: u64,
    pub(super) custom: Option<Custom>,
}

impl State {
    pub(super) fn new(first_root: Sha256, roles: BTreeMap<RoleName, RoleState>) -> Self {
        Self {
            format: Format::V1,
            first_root,
            roles,
            taken: BTreeMap::new(),
            staged: BTreeMap::new(),
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
