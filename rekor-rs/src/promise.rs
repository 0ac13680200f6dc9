//! Signed entry timestamps, as they are kept with their entries.
//!
//! They are signed in the batch that commits the entry, or come with it from another log:
//!
//! ```text
//! u64 the entry's number over all shards | DER ECDSA signature over the payload of the promise
//! ```
//!
//! The number is part of what was signed, so a kept promise holds only under that number. An entry
//! without one is promised when it is asked for, by a log with its private key at hand.

use logstore::{Entry, LogId, LogRecord, LogState, SharedStore, StoreError};

use wire::rekor::{encode_base64, signed_entry_payload};

use crate::error::Error;

/// Longest signature of any key that signs promises: DER ECDSA P-521 has 139 bytes.
const MAX_SIGNATURE: usize = 256;

/// Entries at the beginning of a log among which a promise is looked for.
const FIRST_ENTRIES: u64 = 64;

/// A promise that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The entry's number over all shards.
    pub(crate) log_index: u64,
    /// The signed entry timestamp.
    pub(crate) signature: Vec<u8>,
}

impl Promise {
    /// The number over all shards of the log's first entry, as this entry's promise has it.
    pub(crate) fn first_number(entry: &Entry) -> Option<u64> {
        Self::decode(&entry.promise)?
            .log_index
            .checked_sub(entry.index)
    }

    /// What is signed for an entry at its place.
    pub(crate) fn payload(body: &[u8], timestamp_ms: u64, log_id: &str, log_index: u64) -> Vec<u8> {
        signed_entry_payload(&encode_base64(body), timestamp_ms / 1000, log_id, log_index)
    }

    /// As it is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.log_index.to_be_bytes(), self.signature.as_slice()].concat()
    }

    /// Reads what is stored.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (log_index, signature) = bytes.split_first_chunk()?;
        (1..=MAX_SIGNATURE)
            .contains(&signature.len())
            .then(|| Self {
                log_index: u64::from_be_bytes(*log_index),
                signature: signature.to_vec(),
            })
    }
}

/// Checks that a shard can be served without its private key, as the one whose first entry has the
/// number `offset`: all that it is asked for must have been signed elsewhere.
pub(crate) async fn check_copy(
    store: &SharedStore,
    record: &LogRecord,
    offset: u64,
) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Mismatch(format!("log {}: {reason}", record.id)));
    if record.state != LogState::Frozen {
        return refuse("it takes entries, so it needs its private key (not `public:`)".to_owned());
    }
    if store.head(record.id).await?.signed.is_empty() {
        return refuse("its import has not come to its end; run it again".to_owned());
    }
    match first_number(store, record.id).await? {
        Some(first) if first != offset => refuse(format!(
            "its first entry was promised the number {first}, and the shards before it in `logs` have \
             {offset} entries: put the shards before it that were before it where it comes from",
        )),
        _ => Ok(()),
    }
}

/// Says so if a shard's entries were promised other numbers than they have now. Whatever is wrong
/// with them, those who ask for them will be told.
pub(crate) async fn check_numbers(store: &SharedStore, log: LogId, offset: u64) {
    if let Ok(Some(first)) = first_number(store, log).await
        && first != offset
    {
        tracing::warn!(
            log = log.0,
            "the first entry of this shard was promised the number {first}, and now it has {offset}, \
             because the shards before it in `logs` are others: what was signed stays valid, but the \
             numbers in it find other entries here"
        );
    }
}

/// The number of a log's first entry as the first promise among its first entries has it; the very
/// first entry may have none.
async fn first_number(store: &SharedStore, log: LogId) -> Result<Option<u64>, StoreError> {
    let entries = store.entries(log, 0, FIRST_ENTRIES).await?;
    Ok(entries.iter().find_map(Promise::first_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else() {
        let promise = Promise {
            log_index: 0x0102,
            signature: vec![0x30, 0],
        };
        assert_eq!(promise.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 0x30, 0]);
        assert_eq!(Promise::decode(&promise.encode()), Some(promise));
        for bytes in [
            vec![],
            vec![0; 7],
            vec![0; 8],
            vec![0; 8 + MAX_SIGNATURE + 1],
        ] {
            assert_eq!(Promise::decode(&bytes), None);
        }
    }
}
