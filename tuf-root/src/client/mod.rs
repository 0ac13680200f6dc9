//! A strict TUF client (TUF specification 1.0.31 §5).
//!
//! It walks the repository as a client would, from a root it is given, and refuses whatever any
//! supported client refuses. The writer runs it on every tree before the tree is published, from
//! the first root and from the state that clients have now.

mod source;

pub use source::{Directory, Mirror, Source, SourceError};

use crate::metadata::{
    Document, DocumentError, Metadata, RoleName, Root, Sha256, SignatureError, Snapshot,
    TargetName, Targets, Timestamp, Version,
};
use crate::profile::{self, MAX_TARGET_BYTES, ProfileError};

/// Most root versions that are followed in one update, as in most clients.
const MAX_ROTATIONS: usize = 256;

/// Why a client refuses the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Reading failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file that must be there is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is not a document of the profile.
    #[error("{file}: {error}")]
    Document {
        /// The file.
        file: String,
        /// What is wrong.
        error: DocumentError,
    },
    /// Not enough signatures.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A rule of the profile is broken.
    #[error("{file}: {error}")]
    Profile {
        /// The file.
        file: String,
        /// The rule.
        error: ProfileError,
    },
    /// A file holds another version than its name or its reference says.
    #[error("{file} holds version {found} instead of {expected}")]
    Version {
        /// The file.
        file: String,
        /// The version in the file.
        found: Version,
        /// The version that belongs there.
        expected: Version,
    },
    /// A version went back; clients that saw the newer one refuse this.
    #[error(
        "{role} went back from version {from} to {to}: clients that have seen {from} would refuse"
    )]
    Rollback {
        /// The role.
        role: RoleName,
        /// Seen before.
        from: Version,
        /// Offered now.
        to: Version,
    },
    /// Expired.
    #[error("{role} version {version} expired at {at}")]
    Expired {
        /// The role.
        role: RoleName,
        /// The version.
        version: Version,
        /// When.
        at: String,
    },
    /// A target file is not what targets metadata promises.
    #[error("target {0} does not have the length and hash that targets metadata promises")]
    Target(TargetName),
}

/// Whether expiry matters: to a client always; to the writer, which repairs it, not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Refuse what has expired at this time, in seconds since the Unix epoch.
    At(u64),
    /// Do not look at it.
    Ignored,
}

/// What a client knows after an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Trusted {
    /// The newest root.
    pub root: Document<Root>,
    /// The current timestamp.
    pub timestamp: Document<Timestamp>,
    /// The current snapshot.
    pub snapshot: Document<Snapshot>,
    /// The current targets.
    pub targets: Document<Targets>,
}

/// Updates a client: from `bootstrap` (a root it was given or has cached), and if it has been
/// here before from what it `cached`.
pub async fn update(
    source: &impl Source,
    bootstrap: &Document<Root>,
    cached: Option<&Trusted>,
    expiry: Expiry,
) -> Result<Trusted, UpdateError> {
    let root = newest_root(source, bootstrap).await?;
    // Only the newest root must be valid: the older ones lead to it, however old they are.
    check_expiry(&root, expiry)?;
    let keys = root.signed();

    let timestamp: Document<Timestamp> = read(source, "timestamp.json".to_owned()).await?;
    timestamp.verify(&keys.keys, &keys.roles.timestamp)?;
    // What was cached counts only as long as its keys do: replacing them is the way to recover
    // from versions that a thief of the old keys ran up (§5.3.11).
    let known = cached
        .map(|c| &c.timestamp)
        .filter(|c| c.verify(&keys.keys, &keys.roles.timestamp).is_ok());
    check_rollback(&timestamp, known)?;
    check_expiry(&timestamp, expiry)?;

    let expected = timestamp.signed().meta.snapshot.version;
    let snapshot: Document<Snapshot> = read(source, format!("{expected}.snapshot.json")).await?;
    snapshot.verify(&keys.keys, &keys.roles.snapshot)?;
    check_version(&snapshot, expected)?;
    let known = cached
        .map(|c| &c.snapshot)
        .filter(|c| c.verify(&keys.keys, &keys.roles.snapshot).is_ok());
    check_rollback(&snapshot, known)?;
    check_expiry(&snapshot, expiry)?;

    let expected = snapshot.signed().meta.targets.version;
    let targets: Document<Targets> = read(source, format!("{expected}.targets.json")).await?;
    targets.verify(&keys.keys, &keys.roles.targets)?;
    check_version(&targets, expected)?;
    let known = cached
        .map(|c| &c.targets)
        .filter(|c| c.verify(&keys.keys, &keys.roles.targets).is_ok());
    check_rollback(&targets, known)?;
    check_expiry(&targets, expiry)?;
    profile::check_targets(targets.signed()).map_err(|error| UpdateError::Profile {
        file: targets.signed().file_name(),
        error,
    })?;

    Ok(Trusted {
        root,
        timestamp,
        snapshot,
        targets,
    })
}

/// Follows the chain of roots: each is signed by the quorum of the one before and by its own.
pub async fn newest_root(
    source: &impl Source,
    bootstrap: &Document<Root>,
) -> Result<Document<Root>, UpdateError> {
    let mut root = bootstrap.clone();
    check_own_root(&root)?;
    for _ in 0..MAX_ROTATIONS {
        let version = root.signed().version.next();
        let file = format!("{version}.root.json");
        let Some(bytes) = source.get(&file, Root::MAX_BYTES as u64).await? else {
            return Ok(root);
        };
        let next: Document<Root> = parse(&file, &bytes)?;
        check_version(&next, version)?;
        next.verify(&root.signed().keys, &root.signed().roles.root)?;
        check_own_root(&next)?;
        root = next;
    }
    Ok(root)
}

fn check_own_root(root: &Document<Root>) -> Result<(), UpdateError> {
    let signed = root.signed();
    root.verify(&signed.keys, &signed.roles.root)?;
    profile::check_root(signed).map_err(|error| UpdateError::Profile {
        file: signed.file_name(),
        error,
    })
}

/// Downloads one target file and checks it.
pub async fn target(
    source: &impl Source,
    trusted: &Trusted,
    name: &TargetName,
) -> Result<Vec<u8>, UpdateError> {
    let info = trusted
        .targets
        .signed()
        .targets
        .get(name)
        .ok_or_else(|| UpdateError::Missing(format!("target {name}")))?;
    let path = format!("targets/{}.{name}", info.hashes.sha256);
    let bytes = source
        .get(&path, MAX_TARGET_BYTES)
        .await?
        .ok_or(UpdateError::Missing(path))?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match length == info.length && Sha256::of(&bytes) == info.hashes.sha256 {
        true => Ok(bytes),
        false => Err(UpdateError::Target(name.clone())),
    }
}

async fn read<T: Metadata>(source: &impl Source, file: String) -> Result<Document<T>, UpdateError> {
    match source.get(&file, T::MAX_BYTES as u64).await? {
        Some(bytes) => parse(&file, &bytes),
        None => Err(UpdateError::Missing(file)),
    }
}

fn parse<T: Metadata>(file: &str, bytes: &[u8]) -> Result<Document<T>, UpdateError> {
    Document::parse(bytes).map_err(|error| UpdateError::Document {
        file: file.to_owned(),
        error,
    })
}

fn check_version<T: Metadata>(
    document: &Document<T>,
    expected: Version,
) -> Result<(), UpdateError> {
    let found = document.signed().version();
    match found == expected {
        true => Ok(()),
        false => Err(UpdateError::Version {
            file: format!("{expected}.{}.json", T::ROLE),
            found,
            expected,
        }),
    }
}

fn check_rollback<T: Metadata>(
    document: &Document<T>,
    cached: Option<&Document<T>>,
) -> Result<(), UpdateError> {
    let to = document.signed().version();
    match cached.map(|c| c.signed().version()) {
        Some(from) if to < from => Err(UpdateError::Rollback {
            role: T::ROLE,
            from,
            to,
        }),
        _ => Ok(()),
    }
}

fn check_expiry<T: Metadata>(document: &Document<T>, expiry: Expiry) -> Result<(), UpdateError> {
    let expires = document.signed().expires();
    match expiry {
        Expiry::At(now) if expires.is_past(now) => Err(UpdateError::Expired {
            role: T::ROLE,
            version: document.signed().version(),
            at: expires.to_string(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
