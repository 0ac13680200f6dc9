//! The private keys that are at hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use keys::{Algorithm, KeyUri, Passphrase, SharedSigner};

use super::state::{RoleKey, RoleState};
use super::{RepositoryError, io};
use crate::metadata::{Document, Key, KeyId, Metadata, RoleKeys, Root};

/// Opens keys when they are first needed, and forgets them when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    opened: BTreeMap<KeyId, SharedSigner>,
}

impl Keyring {
    /// Opens the key at `uri`, or makes it if it is a file that does not exist.
    pub(super) async fn enrol(
        &mut self,
        dir: &Path,
        uri: &KeyUri,
        passphrase: Option<&Passphrase>,
    ) -> Result<Key, RepositoryError> {
        let located = locate(dir, uri);
        let failed = |reason: String| RepositoryError::Key {
            uri: uri.to_string(),
            reason,
        };
        let signer = match &located {
            KeyUri::File(path) if !path.exists() => {
                let parent = path.parent().unwrap_or(dir);
                std::fs::create_dir_all(parent).map_err(io(parent))?;
                passphrase.ok_or(RepositoryError::Passphrase)?;
                keys::create(&located, Algorithm::EcdsaP256Sha256, passphrase).await
            }
            located => keys::open(located, passphrase).await,
        };
        let signer = signer.map_err(|e| failed(e.to_string()))?;
        let key = Key::new(signer.public_key().clone()).map_err(|e| failed(e.to_string()))?;
        self.opened.insert(key.id(), signer);
        Ok(key)
    }

    /// Signs with as many of a role's keys as can be opened, until `authority` (the role as root
    /// metadata has it) is satisfied.
    pub(super) async fn sign<T: Metadata>(
        &mut self,
        document: &mut Document<T>,
        root: &Root,
        role: &RoleState,
        dir: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), RepositoryError> {
        let authority: &RoleKeys = root.roles.get(T::ROLE);
        let payload = document.payload().map_err(RepositoryError::Document)?;
        let mut reasons = Vec::new();
        for entry in role.keys.iter().chain(&role.retired) {
            if document.verify(&root.keys, authority).is_ok() {
                break;
            }
            let Some(key) = root
                .keys
                .get(&entry.keyid)
                .filter(|_| authority.keyids.contains(&entry.keyid))
            else {
                continue;
            };
            if document.signers().any(|signer| signer == entry.keyid) {
                continue;
            }
            match self.signature(entry, dir, passphrase, &payload).await {
                Ok(signature) => document
                    .add_signature(key, signature)
                    .map_err(RepositoryError::Signature)?,
                Err(reason) => reasons.push(reason),
            }
        }
        document
            .verify(&root.keys, authority)
            .map_err(|e| RepositoryError::Quorum {
                role: T::ROLE,
                reason: std::iter::once(e.to_string())
                    .chain(reasons)
                    .collect::<Vec<_>>()
                    .join("; "),
            })
    }

    /// Opens a key of a role, if this machine can use it.
    pub(super) async fn open(
        &mut self,
        entry: &RoleKey,
        dir: &Path,
        passphrase: Option<&Passphrase>,
    ) -> Result<SharedSigner, String> {
        if let Some(signer) = self.opened.get(&entry.keyid) {
            return Ok(Arc::clone(signer));
        }
        let uri = entry.uri.as_deref().ok_or_else(|| {
            let owner = entry.owner.as_deref().unwrap_or("somebody else");
            format!("key {} is held by {owner}", entry.keyid)
        })?;
        let uri: KeyUri = uri.parse().map_err(|e| format!("{e}"))?;
        let signer = keys::open(&locate(dir, &uri), passphrase)
            .await
            .map_err(|e| e.to_string())?;
        // The file behind the URI may have been exchanged since it was enrolled.
        match Key::new(signer.public_key().clone()) {
            Ok(key) if key.id() == entry.keyid => {}
            _ => return Err(format!("{uri}: holds another key than {}", entry.keyid)),
        }
        self.opened.insert(entry.keyid, Arc::clone(&signer));
        Ok(signer)
    }

    async fn signature(
        &mut self,
        entry: &RoleKey,
        dir: &Path,
        passphrase: Option<&Passphrase>,
        payload: &[u8],
    ) -> Result<Vec<u8>, String> {
        let signer = self.open(entry, dir, passphrase).await?;
        signer
            .sign(payload)
            .await
            .map_err(|e| format!("{}: {e}", entry.uri.as_deref().unwrap_or_default()))
    }
}

/// Relative key files are meant from the repository's directory, so that it can be moved.
fn locate(dir: &Path, uri: &KeyUri) -> KeyUri {
    match uri {
        KeyUri::File(path) => KeyUri::file(dir.join(path)),
        other => other.clone(),
    }
}
