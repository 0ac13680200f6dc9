//! What can go wrong with a repository, and what to do about it.

use std::path::{Path, PathBuf};

use crate::client::UpdateError;
use crate::metadata::{DocumentError, RoleName, SignatureError, TargetName};
use crate::preflight::{PreflightError, Report};
use crate::profile::ProfileError;

/// Why a repository could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is no repository here.
    #[error("{dir} holds no TUF repository; name yours with --dir, or make one with `tuf-root init --dir {dir}`", dir = .0.display())]
    NotInitialised(PathBuf),
    /// There is one already.
    #[error("{} holds a TUF repository already; a new one at the same URL would lock out every client of the old one", .0.display())]
    AlreadyInitialised(PathBuf),
    /// What clients see, and a repository is made beside that.
    #[error("{} is a tree that clients see: keys do not belong there. Name another directory", .0.display())]
    Published(PathBuf),
    /// Nothing has been published yet.
    #[error(
        "nothing has been published yet; add files with `tuf-root target add`, then run `tuf-root publish`"
    )]
    NotPublished,
    /// Another process is changing the repository.
    #[error("another process is changing the repository in {}; wait until it is done and try again", .0.display())]
    Locked(PathBuf),
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The writer's own state cannot be used.
    #[error("{}: {reason}; restore the repository's directory from a backup", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What is published is not what this repository published.
    #[error("the published tree is not as it was left: {0}; nothing was changed. Restore {dir} from a backup that holds the newest versions", dir = .1.display())]
    Tampered(String, PathBuf),
    /// The new tree would be refused by clients.
    #[error("clients would refuse what was about to be published: {0}; nothing was changed")]
    Unacceptable(UpdateError),
    /// A trust document among the targets is one that clients would refuse.
    #[error("target {name}: {reason}; nothing was changed")]
    TrustDocument {
        /// The target.
        name: TargetName,
        /// What is wrong.
        reason: String,
    },
    /// Not enough keys at hand.
    #[error(
        "{role} cannot be signed: {reason}. Make the missing keys and the passphrase available (--passphrase-file) and try again"
    )]
    Quorum {
        /// The role.
        role: RoleName,
        /// Which keys failed, and why.
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
    /// New keys need a passphrase to be encrypted under.
    #[error("new key files are encrypted: give a passphrase with --passphrase-file")]
    Passphrase,
    /// The policy is one that clients do not accept or that protects nothing.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// A new repository could not have such a root.
    #[error(
        "{role} cannot need {threshold} signatures with {keys} keys. For keys that others hold say --ceremony; for keys that are here name each with --key {role}=URI"
    )]
    Policy {
        /// The role.
        role: RoleName,
        /// Signatures needed.
        threshold: u32,
        /// Keys named.
        keys: usize,
    },
    /// A role's expiry and window do not fit.
    #[error("role {0}: the window for signing again must be shorter than the expiry")]
    Window(RoleName),
    /// The clock is behind the last signing.
    #[error(
        "the clock is behind the last signing of {role} by more than five minutes; set the clock and try again"
    )]
    Clock {
        /// The role.
        role: RoleName,
    },
    /// Not a target of this repository.
    #[error("there is no target {0}; `tuf-root target list` shows what there is")]
    NoTarget(TargetName),
    /// Two target files of one name.
    #[error("target {0} is given twice")]
    DuplicateTarget(TargetName),
    /// Nothing is staged for a role.
    #[error("nothing is staged for {0}; run `tuf-root stage {0}` first")]
    NotStaged(RoleName),
    /// Nothing is staged that could be dropped.
    #[error("nothing is staged for {0}")]
    NothingToUnstage(RoleName),
    /// Something is staged, and people have signed it.
    #[error(
        "{role} version {version} is staged and has signatures; publish it, or drop it with `tuf-root unstage {role}`"
    )]
    AlreadyStaged {
        /// The role.
        role: RoleName,
        /// Its version.
        version: crate::metadata::Version,
    },
    /// The files changed after they were staged for signing.
    #[error(
        "the files are not the ones in the targets metadata that is staged; run `tuf-root unstage targets`, then `tuf-root stage targets`"
    )]
    StaleTargets,
    /// A root is signed and waits for its publication.
    #[error("root version {0} is signed and not published yet; run `tuf-root publish` first")]
    RootWaits(crate::metadata::Version),
    /// A staged document needs more signatures.
    #[error(
        "{role} version {version} is staged and needs more signatures ({missing}). Next: `tuf-root payload export {role}`, `tuf-root sign` where the keys are, `tuf-root signature import`"
    )]
    Unsigned {
        /// The role.
        role: RoleName,
        /// Its version.
        version: crate::metadata::Version,
        /// What is missing.
        missing: String,
    },
    /// Something would no longer verify.
    #[error(
        "what these signed would no longer verify: {0}. End their validity instead of removing them, or say --force"
    )]
    Removal(String),
    /// A key is in the role already.
    #[error("key {keyid} is a key of {role} already{}; nothing was changed", .owner.as_deref().map(|o| format!(" (held by {o})")).unwrap_or_default())]
    KnownKey {
        /// The key.
        keyid: crate::metadata::KeyId,
        /// The role.
        role: RoleName,
        /// Who holds it.
        owner: Option<String>,
    },
    /// No such key.
    #[error(
        "no key, or more than one, has an id that begins with {0:?}; `tuf-root key list` shows them"
    )]
    UnknownKey(String),
    /// A claim was refused.
    #[error(transparent)]
    Claim(#[from] crate::ceremony::ClaimError),
    /// A request or answer was refused.
    #[error(transparent)]
    Request(#[from] crate::ceremony::RequestError),
    /// An answer does not belong to what is staged.
    #[error(
        "the signature is over {role} {what}; export the payload again and have that one signed"
    )]
    Answer {
        /// The role.
        role: RoleName,
        /// What differs.
        what: String,
    },
    /// The transcript cannot be used.
    #[error(transparent)]
    Transcript(#[from] custody::TranscriptError),
    /// The live mirror cannot be taken over.
    #[error("the mirror cannot be taken over: {0}")]
    Mirror(UpdateError),
    /// Metadata could not be encoded.
    #[error(transparent)]
    Document(DocumentError),
    /// A signature that was just made does not verify.
    #[error(transparent)]
    Signature(SignatureError),
    /// Past bundles would stop verifying.
    #[error("{0}\nnothing was changed; end a validity later, or keep what is missing")]
    Preflight(Report),
    /// Past bundles could not be checked.
    #[error(transparent)]
    PastBundles(#[from] PreflightError),
    /// A copy for clients could not be brought up to date.
    #[error(
        "{0}. What is published in the directory is whole; once this is repaired, run the same command again"
    )]
    Destination(#[from] super::DestinationError),
    /// The work was cut off because the program is stopping.
    #[error("the program is stopping")]
    Stopped,
}

/// Turns an operating system's error into one that names the path.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RepositoryError {
    let path = path.to_owned();
    move |source| RepositoryError::Io { path, source }
}
