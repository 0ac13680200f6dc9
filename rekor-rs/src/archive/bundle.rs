//! The files of an export that hold entries.

use std::collections::BTreeSet;

use logstore::{Entry, EntryRecord, SearchKey};
use serde::{Deserialize, Serialize};
use wire::rekor::{decode_base64, encode_base64};

use crate::ct::{self, Input, Logged, TimestampedEntry};
use crate::promise::Promise;

/// Most search keys of one entry that are read.
const MAX_KEYS: usize = 1 << 16;

/// Bodies, each after its length; `None` if one is too long for that.
pub(crate) fn print_bodies(records: &[EntryRecord]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for record in records {
        let body = &record.entry.body;
        let length = u16::try_from(body.len()).ok()?;
        out.extend(length.to_be_bytes());
        out.extend_from_slice(body);
    }
    Some(out)
}

/// Reads exactly `count` bodies.
pub(crate) fn parse_bodies(bytes: &[u8], count: usize) -> Result<Vec<&[u8]>, &'static str> {
    let mut input = Input(bytes);
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(input.vector16()?);
    }
    input.end()?;
    Ok(bodies)
}

/// What is kept of an entry of a Rekor log beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreLine {
    index: u64,
    timestamp_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attestation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_entry_timestamp: Option<KeptPromise>,
    keys: Vec<String>,
    /// Only where the bundle cannot hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptPromise {
    log_index: u64,
    signature: String,
}

impl RestoreLine {
    pub(crate) fn new(record: &EntryRecord, with_body: bool) -> Self {
        let entry = &record.entry;
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| encode_base64(bytes));
        let promise = Promise::decode(&entry.promise).map(|promise| KeptPromise {
            log_index: promise.log_index,
            signature: encode_base64(&promise.signature),
        });
        Self {
            index: entry.index,
            timestamp_ms: entry.timestamp_ms,
            attestation: text(&entry.extra),
            signed_entry_timestamp: promise,
            keys: record.keys.iter().map(hex::encode).collect(),
            body: with_body.then(|| encode_base64(&entry.body)),
        }
    }

    /// The body, if it is here.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        self.body.as_deref().and_then(decode_base64)
    }

    /// The entry that this and its body make.
    pub(crate) fn record(&self, index: u64, body: Vec<u8>) -> Result<EntryRecord, &'static str> {
        if self.index != index {
            return Err("it is of another entry");
        }
        if self.keys.len() > MAX_KEYS {
            return Err("it has too many search keys");
        }
        let mut keys = BTreeSet::new();
        for key in &self.keys {
            let mut bytes = SearchKey::default();
            hex::decode_to_slice(key, &mut bytes).map_err(|_| "a search key is malformed")?;
            keys.insert(bytes);
        }
        let decode = |text: &str| decode_base64(text).ok_or("malformed base64");
        let promise = match &self.signed_entry_timestamp {
            None => Vec::new(),
            Some(kept) => Promise {
                log_index: kept.log_index,
                signature: decode(&kept.signature)?,
            }
            .encode(),
        };
        let leaf_hash = tlog::leaf_hash(&body);
        Ok(EntryRecord {
            entry: Entry {
                index,
                leaf_hash,
                timestamp_ms: self.timestamp_ms,
                extra: self.attestation.as_deref().map_or(Ok(Vec::new()), decode)?,
                body,
                promise,
            },
            identity: leaf_hash,
            keys: keys.into_iter().collect(),
        })
    }
}

/// A `TileLeaf` of static-ct-api: the leaf without its first two bytes, the precertificate if it is
/// one, and the fingerprints of the chain.
pub(crate) fn print_tile_leaf(logged: &Logged<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.extend_from_slice(logged.entry.bytes);
    if logged.entry.is_precertificate {
        ct::put_u24(out, logged.submitted).map_err(|_| "too long a precertificate")?;
    }
    let length = u16::try_from(logged.chain.len() * 32).map_err(|_| "too long a chain")?;
    out.extend(length.to_be_bytes());
    for certificate in &logged.chain {
        out.extend(crypto::sha256(certificate));
    }
    Ok(())
}

/// A `TileLeaf` that was read back.
pub(crate) struct TileLeaf<'a> {
    pub(crate) entry: TimestampedEntry<'a>,
    /// What was submitted.
    pub(crate) submitted: &'a [u8],
    /// SHA-256 of the certificates after it.
    pub(crate) chain: &'a [[u8; 32]],
}

/// Reads exactly `count` of them.
pub(crate) fn parse_tile_leaves(
    bytes: &[u8],
    count: usize,
) -> Result<Vec<TileLeaf<'_>>, &'static str> {
    let mut input = Input(bytes);
    let mut leaves = Vec::new();
    for _ in 0..count {
        let entry = TimestampedEntry::read(&mut input)?;
        let submitted = match entry.is_precertificate {
            true => input.vector24()?,
            false => entry.certificate,
        };
        let (chain, rest) = input.vector16()?.as_chunks();
        if !rest.is_empty() {
            return Err("fingerprints");
        }
        leaves.push(TileLeaf {
            entry,
            submitted,
            chain,
        });
    }
    input.end()?;
    Ok(leaves)
}
