//! Shards of a Rekor v1 log: one tree each, with a key of its own.
//!
//! Entries are numbered over all shards: the index that clients see is the entry's index in its
//! shard plus the lengths of all earlier shards, which are frozen and so have a length.

use std::sync::Arc;

use keys::SignError;
use logstore::{LogId, LogRecord, SharedStore, StoreError};
use sequencer::{AppendError, Appended, Log, SignedHead};
use tlog::Hash;
use wire::rekor::{EntryId, Hex32, InclusionProof, LogEntry, encode_base64, signed_entry_payload};

use crate::entry::Verified;
use crate::format::{Pending, RekorV1};
use crate::promise::Promise;

/// One tree of the log.
#[derive(Debug)]
pub(crate) struct Shard {
    log: Arc<Log<RekorV1>>,
    store: SharedStore,
    log_id: String,
    public_key: String,
    offset: u64,
}

/// An entry with its proof and the log's promise, ready to be printed.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    id: EntryId,
    attestation: Vec<u8>,
    body: String,
    integrated_time: u64,
    log_id: String,
    log_index: u64,
    shard_index: u64,
    head: Arc<SignedHead>,
    proof: Vec<Hash>,
    signed_entry_timestamp: Vec<u8>,
}

/// Result of an append.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A new entry.
    Created(Proven),
    /// The shard has this entry already.
    Exists(EntryId),
}

/// Why an entry could not be written or proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShardError {
    /// The batch loop did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The promise could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl Shard {
    /// A shard whose first entry has the number `offset`.
    #[must_use]
    pub(crate) fn new(log: Arc<Log<RekorV1>>, store: SharedStore, offset: u64) -> Self {
        let key = log.signer().public_key();
        let (log_id, public_key) = (hex::encode(key.key_id()), key.to_pem());
        Self {
            log,
            store,
            log_id,
            public_key,
            offset,
        }
    }

    /// The tree id.
    #[must_use]
    pub(crate) fn id(&self) -> LogId {
        self.log.record().id
    }

    /// The shard, as it was when opened.
    #[must_use]
    pub(crate) fn record(&self) -> &LogRecord {
        self.log.record()
    }

    /// The key, PEM.
    #[must_use]
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Number of the shard's first entry.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Why the shard has stopped itself, if it has.
    #[must_use]
    pub(crate) fn refusal(&self) -> Option<String> {
        self.log.refusal()
    }

    /// The newest signed head.
    pub(crate) async fn head(&self) -> Result<Arc<SignedHead>, StoreError> {
        self.log.head().await
    }

    /// Consistency proof between two sizes, neither above the newest.
    pub(crate) async fn consistency_proof(
        &self,
        old: u64,
        new: u64,
    ) -> Result<Option<Vec<Hash>>, StoreError> {
        self.log.consistency_proof(old, new).await
    }

    /// Appends an entry; returns when it is durable and proven.
    pub(crate) async fn append(&self, verified: Verified) -> Result<Outcome, ShardError> {
        let body = encode_base64(&verified.body);
        let appended = self.log.append(Pending::from(verified)).await?;
        let Appended {
            index,
            timestamp_ms,
            duplicate,
            leaf_hash,
            head,
            proof,
            promise,
        } = appended;
        if duplicate {
            return Ok(Outcome::Exists(self.entry_id(leaf_hash)));
        }
        let found = Found {
            index,
            timestamp_ms,
            leaf_hash,
            body,
            attestation: Vec::new(),
            promise,
        };
        self.prove(found, head, proof).await.map(Outcome::Created)
    }

    /// The entry at `index` of this shard.
    pub(crate) async fn entry(&self, index: u64) -> Result<Option<Proven>, ShardError> {
        let (head, Some((entry, proof))) = self.log.entry(index).await? else {
            return Ok(None);
        };
        let found = Found {
            index,
            timestamp_ms: entry.timestamp_ms,
            leaf_hash: entry.leaf_hash,
            body: encode_base64(&entry.body),
            attestation: entry.extra,
            promise: entry.promise,
        };
        self.prove(found, head, proof).await.map(Some)
    }

    /// The entry with this leaf hash.
    pub(crate) async fn entry_by_leaf(&self, leaf: &Hash) -> Result<Option<Proven>, ShardError> {
        match self.store.index_of_leaf(self.id(), leaf).await? {
            Some(index) => self.entry(index).await,
            None => Ok(None),
        }
    }

    fn entry_id(&self, Hash(uuid): Hash) -> EntryId {
        EntryId {
            tree: self.id().0,
            uuid,
        }
    }

    async fn prove(
        &self,
        found: Found,
        head: Arc<SignedHead>,
        proof: Vec<Hash>,
    ) -> Result<Proven, ShardError> {
        let integrated_time = found.timestamp_ms / 1000;
        let log_index = self.offset + found.index;
        // A promise holds under the number that it was made for. Entries of an older program have
        // none, nor has the first entry after a rotation.
        let kept = Promise::decode(&found.promise).filter(|kept| kept.log_index == log_index);
        let signed_entry_timestamp = match kept {
            Some(kept) => kept.signature,
            None => {
                let payload =
                    signed_entry_payload(&found.body, integrated_time, &self.log_id, log_index);
                self.log.signer().sign(&payload).await?
            }
        };
        Ok(Proven {
            id: self.entry_id(found.leaf_hash),
            attestation: found.attestation,
            body: found.body,
            integrated_time,
            log_id: self.log_id.clone(),
            log_index,
            shard_index: found.index,
            head,
            proof,
            signed_entry_timestamp,
        })
    }
}

struct Found {
    index: u64,
    timestamp_ms: u64,
    leaf_hash: Hash,
    body: String,
    attestation: Vec<u8>,
    promise: Vec<u8>,
}

impl Proven {
    /// The entry's name.
    #[must_use]
    pub(crate) fn id(&self) -> EntryId {
        self.id
    }

    /// Appends the JSON form, without a line end.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        LogEntry {
            id: self.id,
            attestation: Some(self.attestation.as_slice()).filter(|data| !data.is_empty()),
            body: &self.body,
            integrated_time: self.integrated_time,
            log_id: &self.log_id,
            log_index: self.log_index,
            inclusion_proof: InclusionProof {
                checkpoint: &checkpoint(&self.head),
                hashes: self.proof.iter().map(|Hash(hash)| Hex32(*hash)).collect(),
                log_index: self.shard_index,
                root_hash: Hex32(self.head.head.root.0),
                tree_size: self.head.head.size,
            },
            signed_entry_timestamp: &self.signed_entry_timestamp,
        }
        .print(out);
    }
}

/// The note that a shard's signed head is.
#[must_use]
pub(crate) fn checkpoint(head: &SignedHead) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&head.signed)
}
