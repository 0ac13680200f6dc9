//! TUF metadata (TUF specification 1.0.31 §4), restricted to the profile that every client reads.
//!
//! The types leave no room for what some client refuses: other key types, fractions of seconds,
//! upper-case hashes, empty optional members, delegations. Members are declared in alphabetical
//! order, so a document is always written as the same bytes.

mod document;
mod key;
mod primitives;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use document::{Document, DocumentError, Signature, SignatureError};
pub use key::{Key, KeyError};
pub use primitives::{Expires, KeyId, NameError, Sha256, SpecVersion, TargetName, Version};

/// The four top-level roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Names the keys of all roles.
    Root,
    /// Names the target files.
    Targets,
    /// Names the current version of targets.
    Snapshot,
    /// Names the current version of snapshot, for a short time.
    Timestamp,
}

impl RoleName {
    /// All roles, in the order of trust.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// The role's name in metadata and file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What all metadata has in common.
pub trait Metadata: Serialize + DeserializeOwned + Clone + std::fmt::Debug + PartialEq {
    /// The role that signs it.
    const ROLE: RoleName;

    /// Longest document in bytes, newline included: below the limits of all clients.
    const MAX_BYTES: usize;

    /// Its version.
    fn version(&self) -> Version;

    /// The end of its validity.
    fn expires(&self) -> Expires;

    /// Its place under the repository's URL, such as `3.root.json`.
    fn file_name(&self) -> String {
        match Self::ROLE {
            RoleName::Timestamp => "timestamp.json".to_owned(),
            role => format!("{}.{role}.json", self.version()),
        }
    }
}

/// `_type` of [`Root`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RootType {
    /// `root`
    #[serde(rename = "root")]
    Root,
}

/// The keys of all roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// `root`.
    #[serde(rename = "_type")]
    pub kind: RootType,
    /// Whether file names carry versions and hashes: always.
    pub consistent_snapshot: bool,
    /// End of validity.
    pub expires: Expires,
    /// Every key of every role.
    pub keys: BTreeMap<KeyId, Key>,
    /// Who may sign what.
    pub roles: Roles,
    /// Version of the specification.
    pub spec_version: SpecVersion,
    /// Version of this document.
    pub version: Version,
}

/// Who may sign what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// Signers of root metadata.
    pub root: RoleKeys,
    /// Signers of snapshot metadata.
    pub snapshot: RoleKeys,
    /// Signers of targets metadata.
    pub targets: RoleKeys,
    /// Signers of timestamp metadata.
    pub timestamp: RoleKeys,
}

impl Roles {
    /// The keys of one role.
    #[must_use]
    pub const fn get(&self, role: RoleName) -> &RoleKeys {
        match role {
            RoleName::Root => &self.root,
            RoleName::Targets => &self.targets,
            RoleName::Snapshot => &self.snapshot,
            RoleName::Timestamp => &self.timestamp,
        }
    }
}

/// The keys of a role and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleKeys {
    /// Key ids.
    pub keyids: Vec<KeyId>,
    /// How many different keys must sign.
    pub threshold: u32,
}

/// `_type` of [`Targets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetsType {
    /// `targets`
    #[serde(rename = "targets")]
    Targets,
}

/// The target files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// `targets`.
    #[serde(rename = "_type")]
    pub kind: TargetsType,
    /// End of validity.
    pub expires: Expires,
    /// Version of the specification.
    pub spec_version: SpecVersion,
    /// The files.
    pub targets: BTreeMap<TargetName, TargetInfo>,
    /// Version of this document.
    pub version: Version,
}

/// What is promised of one target file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetInfo {
    /// What the file is for, for clients that choose files by usage. Never empty or `null`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "not_null"
    )]
    pub custom: Option<Custom>,
    /// Its hash.
    pub hashes: Hashes,
    /// Its length, in bytes.
    pub length: u64,
}

/// The one hash that every client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// SHA-256.
    pub sha256: Sha256,
}

/// Custom metadata of a target file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Sigstore's part.
    pub sigstore: SigstoreCustom,
}

/// What older clients choose files by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigstoreCustom {
    /// Whether it is in use.
    pub status: Status,
    /// The service it belongs to.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "not_null"
    )]
    pub uri: Option<String>,
    /// What it is for.
    pub usage: Usage,
}

/// Whether a key or certificate is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// In use.
    Active,
    /// Of use for old signatures only.
    Expired,
}

/// What a key or certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Usage {
    /// Certificate authority.
    Fulcio,
    /// Transparency log.
    Rekor,
    /// Certificate Transparency log.
    #[serde(rename = "CTFE")]
    Ctfe,
    /// Timestamp authority.
    #[serde(rename = "TSA")]
    Tsa,
    /// Something else.
    Unknown,
}

/// `_type` of [`Snapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotType {
    /// `snapshot`
    #[serde(rename = "snapshot")]
    Snapshot,
}

/// The current version of targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// `snapshot`.
    #[serde(rename = "_type")]
    pub kind: SnapshotType,
    /// End of validity.
    pub expires: Expires,
    /// Versions of the metadata.
    pub meta: SnapshotMeta,
    /// Version of the specification.
    pub spec_version: SpecVersion,
    /// Version of this document.
    pub version: Version,
}

/// Versions of the metadata files of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotMeta {
    /// `targets.json`.
    #[serde(rename = "targets.json")]
    pub targets: MetaFile,
}

/// The version of a metadata file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetaFile {
    /// The version.
    pub version: Version,
}

/// `_type` of [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimestampType {
    /// `timestamp`
    #[serde(rename = "timestamp")]
    Timestamp,
}

/// The current version of snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// `timestamp`.
    #[serde(rename = "_type")]
    pub kind: TimestampType,
    /// End of validity.
    pub expires: Expires,
    /// Version of the snapshot.
    pub meta: TimestampMeta,
    /// Version of the specification.
    pub spec_version: SpecVersion,
    /// Version of this document.
    pub version: Version,
}

/// Version of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampMeta {
    /// `snapshot.json`.
    #[serde(rename = "snapshot.json")]
    pub snapshot: MetaFile,
}

macro_rules! metadata {
    ($type:ty, $role:ident, $max:expr) => {
        impl Metadata for $type {
            const ROLE: RoleName = RoleName::$role;
            const MAX_BYTES: usize = $max;

            fn version(&self) -> Version {
                self.version
            }

            fn expires(&self) -> Expires {
                self.expires
            }
        }
    };
}

// The smallest limits of any client: 99 KiB for root, 16 KiB for timestamp.
metadata!(Root, Root, 99 * 1024);
metadata!(Targets, Targets, 1 << 20);
metadata!(Snapshot, Snapshot, 1 << 20);
metadata!(Timestamp, Timestamp, 16 * 1000);

/// Reads a member that may be absent but not `null`: clients that check the signature over a
/// re-encoded document lose it.
fn not_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
