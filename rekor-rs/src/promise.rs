//! Signed entry timestamps that are kept with their entries.
//!
//! A log with its private key at hand signs a promise when it is asked for. Where the key is not,
//! because the shard was copied from another log, the promises of that log are kept:
//!
//! ```text
//! u64 the entry's number over all shards | DER ECDSA signature over the payload of the promise
//! ```
//!
//! The number is part of what was signed, so a kept promise holds only under that number.

use logstore::{LogRecord, LogState, SharedStore};

use crate::error::Error;

/// Longest signature of any key that signs promises: DER ECDSA P-521 has 139 bytes.
const MAX_SIGNATURE: usize = 256;

/// A promise that another holder of the key made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The entry's number over all shards.
    pub(crate) log_index: u64,
    /// The signed entry timestamp.
    pub(crate) signature: Vec<u8>,
}

impl Promise {
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
    let first = store.entries(record.id, 0, 1).await?.into_iter().next();
    let promise = first
        .as_ref()
        .and_then(|entry| Promise::decode(&entry.promise));
    match promise {
        Some(promise) if promise.log_index != offset => refuse(format!(
            "its first entry was promised the number {}, and the shards before it in `logs` have {offset} \
             entries: put the shards before it that were before it where it comes from",
            promise.log_index
        )),
        _ => Ok(()),
    }
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
