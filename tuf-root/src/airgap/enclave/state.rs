//! `enclave.json`: what an enclave remembers beside its published tree.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::disk;
use super::EnclaveError;
use super::error::io;
use crate::metadata::{RoleName, Sha256, Version};
use crate::policy::Period;

/// How long a person or a service waits for the other.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) format: Format,
    pub(super) first_root: Sha256,
    pub(super) key: String,
    pub(super) timestamp_expiry_secs: Period,
    pub(super) snapshot_expiry_secs: Period,
    /// Highest versions ever signed here; taken before anything is written.
    pub(super) taken: BTreeMap<RoleName, Version>,
    /// Highest number ever given to a tree.
    pub(super) tree: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Format {
    #[serde(rename = "sigkeep-tuf-enclave-1")]
    V1,
}

impl State {
    pub(super) fn load(dir: &Path) -> Result<Self, EnclaveError> {
        let path = dir.join("enclave.json");
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(EnclaveError::NotInitialised(dir.to_owned()));
            }
            other => other.map_err(io(&path))?,
        };
        serde_json::from_slice(&bytes).map_err(|e| EnclaveError::State {
            path,
            reason: e.to_string(),
        })
    }

    pub(super) fn save(&self, dir: &Path) -> Result<(), EnclaveError> {
        let path = dir.join("enclave.json");
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| EnclaveError::State {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        bytes.push(b'\n');
        disk::put(&path, &bytes).map_err(io(&path))
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

/// The operating system releases it when the process ends, however it ends.
pub(super) async fn lock(dir: &Path) -> Result<File, EnclaveError> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io(&path))?;
    let patience = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if tokio::time::Instant::now() < patience => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(EnclaveError::Locked(dir.to_owned()));
            }
            Err(fs::TryLockError::Error(e)) => return Err(io(&path)(e)),
        }
    }
}
