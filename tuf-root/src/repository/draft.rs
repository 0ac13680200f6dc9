//! Documents that wait for signatures.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::storage::{self, Storage};
use super::{RepositoryError, io};
use crate::ceremony::{Proposal, QuorumOf};
use crate::metadata::{Document, KeyId, Metadata, RoleName, Root, Sha256, Targets, Version};

/// Root and targets metadata that is staged. What is in them never changes; signatures are added.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) root: Option<Document<Root>>,
    pub(super) targets: Option<Document<Targets>>,
}

/// How far the signing of a staged document is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Root or targets.
    pub role: RoleName,
    /// Version of the document.
    pub version: Version,
    /// Hash of the bytes to sign.
    pub sha256: Sha256,
    /// The quorums that must sign: one, or an old and a new one.
    pub quorums: Vec<QuorumProgress>,
    /// Whether all of them have.
    pub complete: bool,
}

/// How far one quorum is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuorumProgress {
    /// Which root lists the keys.
    pub of: QuorumOf,
    /// Keys that have signed.
    pub signed: Vec<KeyId>,
    /// Keys that have not.
    pub missing: Vec<KeyId>,
    /// How many must sign.
    pub threshold: u32,
}

impl Drafts {
    pub(super) fn load(dir: &Path) -> Result<Self, RepositoryError> {
        Ok(Self {
            root: read(dir)?,
            targets: read(dir)?,
        })
    }

    pub(super) fn save<T: Metadata>(
        storage: &dyn Storage,
        dir: &Path,
        document: &Document<T>,
    ) -> Result<(), RepositoryError> {
        let path = path::<T>(dir);
        let folder = dir.join("ceremony");
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        let bytes = document.to_json().map_err(RepositoryError::Document)?;
        storage::put(storage, &path, &bytes).map_err(io(&path))?;
        storage.sync_dir(&folder).map_err(io(&folder))
    }

    pub(super) fn remove<T: Metadata>(dir: &Path) -> Result<(), RepositoryError> {
        let path = path::<T>(dir);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path)(e)),
            _ => Ok(()),
        }
    }
}

impl Progress {
    pub(super) fn of<T: Metadata>(
        document: &Document<T>,
        proposal: &Proposal,
    ) -> Result<Self, RepositoryError> {
        let payload = document.payload().map_err(RepositoryError::Document)?;
        let mut complete = true;
        let quorums = proposal.quorums().into_iter().map(|quorum| {
            // Every signature in a draft was verified when it was added.
            let (signed, missing): (Vec<KeyId>, Vec<KeyId>) =
                (quorum.keyids.into_iter()).partition(|id| document.has_signature_of(*id));
            complete &= usize::try_from(quorum.threshold).is_ok_and(|k| signed.len() >= k);
            QuorumProgress {
                of: quorum.of,
                signed,
                missing,
                threshold: quorum.threshold,
            }
        });
        let quorums = quorums.collect();
        Ok(Self {
            role: T::ROLE,
            version: document.signed().version(),
            sha256: Sha256::of(&payload),
            quorums,
            complete,
        })
    }
}

fn path<T: Metadata>(dir: &Path) -> PathBuf {
    dir.join("ceremony").join(format!("{}.json", T::ROLE))
}

fn read<T: Metadata>(dir: &Path) -> Result<Option<Document<T>>, RepositoryError> {
    let path = path::<T>(dir);
    match storage::read(&path, T::MAX_BYTES as u64) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => {
            let bytes = other.map_err(io(&path))?;
            let document = Document::parse(&bytes).map_err(RepositoryError::Document)?;
            Ok(Some(document))
        }
    }
}
