//! The linter: rules of the profile that span more than one member.
//!
//! What the types of [`crate::metadata`] cannot express is checked here, before anything is signed
//! and again when metadata is read back.

use std::collections::BTreeSet;

use crate::metadata::{KeyId, RoleName, Root, Targets};

/// Longest target file, in bytes. Trust material is small; clients read up to 5 MB.
pub const MAX_TARGET_BYTES: u64 = 5_000_000;

/// Most target files in one repository.
pub const MAX_TARGETS: usize = 500;

/// Most keys of one role.
pub const MAX_KEYS: usize = 32;

/// A rule of the profile that metadata breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A role without keys or with too many.
    #[error(
        "role {role} has {count} keys; it needs 1 to {MAX_KEYS}, which `tuf-root key import --role {role}` adds"
    )]
    KeyCount {
        /// The role.
        role: RoleName,
        /// How many keys it has.
        count: usize,
    },
    /// A threshold that is zero or cannot be met.
    #[error(
        "role {role} needs {threshold} signatures of {keys} keys; add keys with `tuf-root key import --role {role}`, or choose 1 to {keys} with `tuf-root key threshold`"
    )]
    Threshold {
        /// The role.
        role: RoleName,
        /// Signatures needed.
        threshold: u32,
        /// Keys there are.
        keys: usize,
    },
    /// One key twice in a role: some clients would count it twice.
    #[error("role {role} lists key {keyid} twice")]
    Duplicate {
        /// The role.
        role: RoleName,
        /// The key.
        keyid: KeyId,
    },
    /// A role names a key that is not there, or its entry stands under another id than its own.
    #[error("key {0} is missing, or its id is not the hash of its key object")]
    KeyId(KeyId),
    /// A key that no role uses.
    #[error("key {0} is in no role")]
    Unused(KeyId),
    /// An offline role's key is also online: whoever takes the server takes the trust root.
    #[error(
        "key {keyid} is used for {offline} and for {online}; use different keys for offline and online roles"
    )]
    Shared {
        /// The key.
        keyid: KeyId,
        /// Root or targets.
        offline: RoleName,
        /// Snapshot or timestamp.
        online: RoleName,
    },
    /// Clients that follow the profile only find files in consistent snapshots.
    #[error("consistent_snapshot must be true")]
    ConsistentSnapshot,
    /// Too many target files.
    #[error("{0} target files; at most {MAX_TARGETS} are allowed")]
    TargetCount(usize),
    /// Too long a target file.
    #[error("target {name} has {length} bytes; clients read at most {MAX_TARGET_BYTES}")]
    TargetLength {
        /// Its name.
        name: String,
        /// Its length in bytes.
        length: u64,
    },
}

/// Checks root metadata.
pub fn check_root(root: &Root) -> Result<(), ProfileError> {
    if !root.consistent_snapshot {
        return Err(ProfileError::ConsistentSnapshot);
    }
    let mut used = BTreeSet::new();
    for role in RoleName::ALL {
        let keys = root.roles.get(role);
        let count = keys.keyids.len();
        if !(1..=MAX_KEYS).contains(&count) {
            return Err(ProfileError::KeyCount { role, count });
        }
        if keys.threshold == 0
            || usize::try_from(keys.threshold).is_ok_and(|threshold| threshold > count)
        {
            return Err(ProfileError::Threshold {
                role,
                threshold: keys.threshold,
                keys: count,
            });
        }
        let mut own = BTreeSet::new();
        for keyid in &keys.keyids {
            if !own.insert(*keyid) {
                return Err(ProfileError::Duplicate {
                    role,
                    keyid: *keyid,
                });
            }
            // The id is the hash of the whole key object, and its PEM text has one form only: two
            // ids can never stand for one public key.
            if root.keys.get(keyid).is_none_or(|key| key.id() != *keyid) {
                return Err(ProfileError::KeyId(*keyid));
            }
        }
        used.extend(own);
    }
    if let Some(unused) = root.keys.keys().find(|id| !used.contains(*id)) {
        return Err(ProfileError::Unused(*unused));
    }
    for offline in [RoleName::Root, RoleName::Targets] {
        for online in [RoleName::Snapshot, RoleName::Timestamp] {
            let online_keys = &root.roles.get(online).keyids;
            if let Some(keyid) = root
                .roles
                .get(offline)
                .keyids
                .iter()
                .find(|id| online_keys.contains(id))
            {
                return Err(ProfileError::Shared {
                    keyid: *keyid,
                    offline,
                    online,
                });
            }
        }
    }
    Ok(())
}

/// Checks targets metadata.
pub fn check_targets(targets: &Targets) -> Result<(), ProfileError> {
    if targets.targets.len() > MAX_TARGETS {
        return Err(ProfileError::TargetCount(targets.targets.len()));
    }
    match targets
        .targets
        .iter()
        .find(|(_, info)| info.length > MAX_TARGET_BYTES)
    {
        Some((name, info)) => Err(ProfileError::TargetLength {
            name: name.to_string(),
            length: info.length,
        }),
        None => Ok(()),
    }
}
