//! How the contract's types are written in rows: what every SQL store shares.

use std::sync::Arc;

use tlog::{Hash, TILE_WIDTH};

use crate::{Entry, Head, IndexRow, LogId, LogKind, LogRecord, LogState, SearchKey, StoreError};

impl LogKind {
    /// The name of the kind in configuration and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::RekorV1 => "rekor-v1",
            Self::RekorV2 => "rekor-v2",
        }
    }

    /// The kind that a row names.
    pub fn from_row(name: &str) -> Result<Self, StoreError> {
        match name {
            "ct" => Ok(Self::Ct),
            "rekor-v1" => Ok(Self::RekorV1),
            "rekor-v2" => Ok(Self::RekorV2),
            other => Err(StoreError::Corrupt(format!(
                "unknown kind of log {other:?}"
            ))),
        }
    }
}

impl LogState {
    /// The name of the state in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
        }
    }

    /// The state that a row names.
    pub fn from_row(name: &str) -> Result<Self, StoreError> {
        match name {
            "active" => Ok(Self::Active),
            "frozen" => Ok(Self::Frozen),
            other => Err(StoreError::Corrupt(format!(
                "unknown state of a log {other:?}"
            ))),
        }
    }
}

impl LogRecord {
    /// The log that a row holds.
    pub fn from_row(
        id: i64,
        kind: &str,
        origin: String,
        public_key: Vec<u8>,
        state: &str,
        created_ms: i64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: LogId(id),
            kind: LogKind::from_row(kind)?,
            origin,
            public_key,
            state: LogState::from_row(state)?,
            created_ms: from_integer(created_ms)?,
        })
    }
}

impl Head {
    /// The head that the columns of a log hold.
    pub fn from_row(
        size: i64,
        root: &[u8],
        timestamp_ms: i64,
        signed: &[u8],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            size: from_integer(size)?,
            root: hash(root)?,
            timestamp_ms: from_integer(timestamp_ms)?,
            signed: Arc::from(signed),
        })
    }
}

impl Entry {
    /// The entry that a row holds. The leaf hash is stored where it differs from the identity.
    pub fn from_row(
        index: i64,
        identity: &[u8],
        leaf_hash: Option<&[u8]>,
        timestamp_ms: i64,
        body: Vec<u8>,
        extra: Vec<u8>,
        promise: Option<Vec<u8>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            index: from_integer(index)?,
            leaf_hash: hash(leaf_hash.unwrap_or(identity))?,
            timestamp_ms: from_integer(timestamp_ms)?,
            body,
            extra,
            promise: promise.unwrap_or_default(),
        })
    }
}

/// The search keys of an entry, side by side in ascending order.
#[must_use]
pub fn keys_to_bytes(keys: &[SearchKey]) -> Vec<u8> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys.concat()
}

/// The search keys that a row holds.
pub fn keys_from_bytes(bytes: &[u8]) -> Result<Vec<SearchKey>, StoreError> {
    let (keys, rest) = bytes.as_chunks();
    if rest.is_empty() {
        Ok(keys.to_vec())
    } else {
        Err(StoreError::Corrupt(format!(
            "search keys of {} bytes",
            bytes.len()
        )))
    }
}

/// The row of the search index that columns hold.
pub fn index_row(key: &[u8], log: i64, index: i64) -> Result<IndexRow, StoreError> {
    Ok(IndexRow {
        key: SearchKey::try_from(key)
            .map_err(|_| StoreError::Corrupt(format!("a search key of {} bytes", key.len())))?,
        log: LogId(log),
        index: from_integer(index)?,
    })
}

/// A number as SQL's signed 64-bit integer; numbers of 2^63 and more are refused.
pub fn to_integer(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number)
        .map_err(|_| StoreError::Refused(format!("{number} does not fit a 64-bit signed integer")))
}

/// A bound of a range as SQL's signed 64-bit integer. Nothing is stored beyond 2^63, so larger
/// bounds mean the same as the largest.
#[must_use]
pub fn to_bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that must not be negative.
pub fn from_integer(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("negative number {number}")))
}

/// A hash.
pub fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    Hash::try_from(bytes)
        .map_err(|_| StoreError::Corrupt(format!("a hash of {} bytes", bytes.len())))
}

/// A tile's hashes, side by side.
#[must_use]
pub fn tile_to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile: 1 to 256.
pub fn tile_from_bytes(bytes: &[u8]) -> Result<Vec<Hash>, StoreError> {
    let width = bytes.len() / 32;
    if !bytes.len().is_multiple_of(32) || !(1..=TILE_WIDTH).contains(&width) {
        return Err(StoreError::Corrupt(format!(
            "a tile of {} bytes",
            bytes.len()
        )));
    }
    bytes.chunks_exact(32).map(hash).collect()
}
