//! What a keyholder's machine refuses to sign, whoever asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Content, Proposal, Request};
use crate::metadata::{Expires, Key, KeyId, RoleName, Sha256, Version};
use crate::policy::Period;

/// How far the keyholder's clock and the repository's may be apart, in seconds.
const CLOCK_TOLERANCE: u64 = 86_400;

/// What a keyholder lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The keyholder's time, in seconds since the Unix epoch.
    pub now_secs: u64,
    /// Longest validity from now.
    pub max_expiry: Period,
    /// Sign another document of a version that this key signed before.
    pub replace: bool,
}

/// Why a keyholder's machine does not sign.
#[derive(Debug, thiserror::Error)]
pub enum RefusalError {
    /// Not a key of the role.
    #[error("key {0} is not asked for: it is not in the role, old or new")]
    Key(KeyId),
    /// Expired already or soon.
    #[error(
        "it would be valid until {0} only, which is past or less than a day away by this machine's clock"
    )]
    Expired(Expires),
    /// Valid for too long.
    #[error(
        "it would be valid until {0}, longer than the {1} that you allow; say --max-expiry PERIOD if this is meant"
    )]
    Expiry(Expires, Period),
    /// A lower version than this key signed.
    #[error(
        "this key signed {role} version {signed} before and now is asked for version {asked}: somebody is going back. Recover the repository first (`tuf-root recover`)"
    )]
    Rollback {
        /// The role.
        role: RoleName,
        /// Signed before.
        signed: Version,
        /// Asked for.
        asked: Version,
    },
    /// The same version with another content.
    #[error(
        "this key signed another {role} version {version} before (SHA-256 {sha256}). If that one was abandoned and never published, say --replace"
    )]
    Replaced {
        /// The role.
        role: RoleName,
        /// The version.
        version: Version,
        /// What was signed.
        sha256: Sha256,
    },
    /// The record cannot be used.
    #[error("{}: {reason}; it holds what this machine signed before, so it must not be lost", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What a machine signed, by key and role: kept beside the keys, not in the repository, which may
/// be restored from a backup or be in the wrong hands.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    path: PathBuf,
    signed: BTreeMap<KeyId, BTreeMap<RoleName, Last>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    version: Version,
    sha256: Sha256,
}

impl Record {
    /// Reads the record; none yet is an empty one.
    pub fn open(path: &Path) -> Result<Self, RefusalError> {
        let signed = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| refuse(path, &e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(refuse(path, &e)),
        };
        Ok(Self {
            path: path.to_owned(),
            signed,
        })
    }

    /// Checks that `key` may sign.
    pub fn review(
        &self,
        request: &Request,
        proposal: &Proposal,
        key: &Key,
        limits: Limits,
    ) -> Result<(), RefusalError> {
        if proposal.key(key.id()) != Some(key) {
            return Err(RefusalError::Key(key.id()));
        }
        let expires = match &proposal.content {
            Content::Root(document) => document.signed().expires,
            Content::Targets(document) => document.signed().expires,
        };
        if expires.seconds_left(limits.now_secs) < CLOCK_TOLERANCE {
            return Err(RefusalError::Expired(expires));
        }
        let longest = limits.max_expiry.as_secs().saturating_add(CLOCK_TOLERANCE);
        if expires.seconds_left(limits.now_secs) > longest {
            return Err(RefusalError::Expiry(expires, limits.max_expiry));
        }
        let (role, asked) = (request.role, request.version);
        match self
            .signed
            .get(&key.id())
            .and_then(|roles| roles.get(&role))
        {
            Some(last) if asked < last.version => Err(RefusalError::Rollback {
                role,
                signed: last.version,
                asked,
            }),
            Some(last)
                if asked == last.version && request.sha256 != last.sha256 && !limits.replace =>
            {
                Err(RefusalError::Replaced {
                    role,
                    version: asked,
                    sha256: last.sha256,
                })
            }
            _ => Ok(()),
        }
    }

    /// Notes that `key` signs. To be called before the signature leaves the machine.
    pub fn note(&mut self, request: &Request, key: KeyId) -> Result<(), RefusalError> {
        let last = Last {
            version: request.version,
            sha256: request.sha256,
        };
        self.signed
            .entry(key)
            .or_default()
            .insert(request.role, last);
        let fail = |e: std::io::Error| refuse(&self.path, &e);
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        let mut bytes =
            serde_json::to_vec_pretty(&self.signed).map_err(|e| refuse(&self.path, &e))?;
        bytes.push(b'\n');
        crate::repository::put_file(&self.path, &bytes).map_err(fail)
    }
}

fn refuse(path: &Path, reason: &dyn std::fmt::Display) -> RefusalError {
    RefusalError::Record {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
