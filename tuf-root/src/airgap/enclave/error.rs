//! What can go wrong in an enclave, and what to do about it.

use std::path::{Path, PathBuf};

use super::super::bundle::BundleError;
use crate::ceremony::ClaimError;
use crate::client::UpdateError;
use crate::metadata::{DocumentError, KeyError, RoleName, Sha256, SignatureError};

/// Why the enclave did not change.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// Not prepared.
    #[error("{} is no enclave; prepare it with `tuf-root bundle init`", .0.display())]
    NotInitialised(PathBuf),
    /// Something is there already.
    #[error("{} holds an enclave or a repository already", .0.display())]
    AlreadyInitialised(PathBuf),
    /// No bundle was applied yet.
    #[error("no bundle has been applied yet; run `tuf-root bundle apply`")]
    Empty,
    /// Another process is at work.
    #[error("another process is changing {}; wait until it is done and try again", .0.display())]
    Locked(PathBuf),
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// `enclave.json` cannot be read.
    #[error("{}: {reason}; restore it from a backup", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The bundle itself.
    #[error("{0}; nothing was changed")]
    Bundle(#[from] BundleError),
    /// A bundle of another repository.
    #[error(
        "the bundle holds another repository: its first root has the hash {found}, not {expected}; nothing was changed"
    )]
    OtherRepository {
        /// Hash of the first root in the bundle.
        found: Sha256,
        /// Hash that was told out of band.
        expected: Sha256,
    },
    /// An older bundle than one that was applied.
    #[error(
        "the bundle is older than what is here: it holds {role} version {offered}, and version {known} was applied; nothing was changed"
    )]
    Rollback {
        /// The role.
        role: RoleName,
        /// In the bundle.
        offered: u64,
        /// Applied before.
        known: u64,
    },
    /// The same version with another content: one of the two is forged, or numbers were reused.
    #[error(
        "{0} in the bundle is not the one that was applied before under this version; nothing was changed"
    )]
    Forked(String),
    /// Too little time left.
    #[error(
        "{role} in the bundle expires at {at}, too soon to carry it around; sign it again at the centre (or lower --min-validity); nothing was changed"
    )]
    Short {
        /// The role.
        role: RoleName,
        /// When it expires.
        at: String,
    },
    /// A trust document that clients refuse.
    #[error("target {name}: {reason}; nothing was changed")]
    TrustDocument {
        /// The target.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The enclave's key does not stand in the role.
    #[error(
        "{role} cannot be signed here: {reason}. The enclave's key must be one of the role's keys in the root, with a threshold that the enclave meets; add it at the centre"
    )]
    Quorum {
        /// Snapshot or timestamp.
        role: RoleName,
        /// What is missing.
        reason: String,
    },
    /// A key cannot be used.
    #[error("key {uri}: {reason}")]
    Key {
        /// Where it is.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// New key files need a passphrase.
    #[error("new key files are encrypted: give a passphrase with --passphrase-file")]
    Passphrase,
    /// The key cannot be offered to the centre.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Not a key that every client verifies.
    #[error(transparent)]
    KeyKind(#[from] KeyError),
    /// A client would refuse what is here or would be here.
    #[error("clients would refuse the repository: {0}")]
    Update(#[from] UpdateError),
    /// A document could not be written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A signature that was just made does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An expiry beyond the year 2999.
    #[error("an expiry after the year 2999")]
    Expiry,
}

/// Turns an operating system's error into one that names the path.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EnclaveError {
    let path = path.to_owned();
    move |source| EnclaveError::Io { path, source }
}
