//! A certificate transparency log.

use std::sync::Arc;

use clock::SharedClock;
use crypto::KeyKind;
use keys::SharedSigner;
use logstore::{Entry, LogRecord, SharedStore};
use pki::sct::SignedCertificateTimestamp;
use sequencer::{AppendError, Guard, HeadError, Log, LogConfig, SignedHead};
use tlog::Hash;

use super::chain::{Judge, Policy, RejectedChain};
use super::error::Error;
use super::format::Rfc6962;

/// The log has a head no older than this (RFC 6962 section 3); customarily a day.
const MAX_MERGE_DELAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Age at which a head without new entries is signed again: early enough for a key that is away for
/// some hours.
const RENEW_MS: u64 = MAX_MERGE_DELAY_MS / 2;
/// Most entries in one answer.
const MAX_ENTRIES: u64 = 1000;
/// Entries that are read at once.
const READ_ENTRIES: u64 = 64;
/// Bytes of entries after which an answer is cut short.
const MAX_ENTRY_BYTES: usize = 4 << 20;

/// What is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `add-chain`.
    Certificate,
    /// `add-pre-chain`.
    Precertificate,
}

/// Settings of a CT log.
#[derive(Clone, Debug, Default)]
pub struct CtConfig {
    /// DER of the roots that chains must lead to. At least one.
    pub roots: Vec<Vec<u8>>,
    /// What else is asked of a certificate.
    pub policy: Policy,
    /// Bounds of queue and batches.
    pub queue: LogConfig,
}

/// Why a CT log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key is not P-256: clients could not verify its timestamps.
    #[error("the key of CT log {origin} is {kind:?}; Sigstore clients verify only ECDSA P-256")]
    Key {
        /// The log.
        origin: String,
        /// The key's kind.
        kind: KeyKind,
    },
    /// The origin is not the path of a URL.
    #[error("{0:?} is not a path for a CT log: letters, digits, and - . _ ~ / between them")]
    Origin(String),
    /// The configured roots cannot be used.
    #[error("accepted roots: {0}")]
    Roots(RejectedChain),
    /// The engine did not open the log.
    #[error(transparent)]
    Log(#[from] sequencer::OpenError),
}

/// A log of certificates.
#[derive(Debug)]
pub struct CtLog {
    log: Arc<Log<Rfc6962>>,
    store: SharedStore,
    clock: SharedClock,
    judge: Judge,
    log_id: [u8; 32],
}

impl CtLog {
    /// Opens the log `record`. Its origin is the path that it is served under, as in
    /// `https://log.example/ORIGIN/ct/v1/get-sth`; its key must be ECDSA P-256.
    pub async fn open(
        store: SharedStore,
        record: LogRecord,
        signer: SharedSigner,
        guard: Guard,
        clock: SharedClock,
        config: CtConfig,
    ) -> Result<Arc<Self>, OpenError> {
        let kind = signer.public_key().kind();
        if kind != KeyKind::EcdsaP256 {
            return Err(OpenError::Key {
                origin: record.origin,
                kind,
            });
        }
        if !is_path(&record.origin) {
            return Err(OpenError::Origin(record.origin));
        }
        let judge = Judge::new(config.roots, config.policy).map_err(OpenError::Roots)?;
        let log_id = signer.public_key().key_id();
        let shared = Arc::clone(&store);
        let log = Log::open(
            shared,
            record,
            Rfc6962,
            signer,
            guard,
            Arc::clone(&clock),
            config.queue,
        )
        .await?;
        Ok(Arc::new(Self {
            log,
            store,
            clock,
            judge,
            log_id,
        }))
    }

    /// The log, as it was when opened.
    #[must_use]
    pub fn record(&self) -> &LogRecord {
        self.log.record()
    }

    /// The log's public key.
    #[must_use]
    pub fn public_key(&self) -> &crypto::PublicKey {
        self.log.signer().public_key()
    }

    /// Why the log has stopped itself, if it has.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.log.refusal()
    }

    /// DER of the accepted roots.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.judge.roots()
    }

    /// Checks a chain (DER, submitted certificate first), logs it, and promises so.
    ///
    /// The promise is signed after the entry is durable. A submission that is in the log already
    /// gets its timestamp again, under a new signature.
    pub async fn add(
        &self,
        chain: &[Vec<u8>],
        kind: Kind,
    ) -> Result<SignedCertificateTimestamp, Error> {
        let pending = self.judge.judge(chain, kind, self.clock.now())?.pending;
        let appended = self.log.append(pending.clone()).await?;
        // Only what the log holds may be signed.
        let leaf = pending.leaf_at(appended.timestamp_ms);
        if tlog::leaf_hash(&leaf) != appended.leaf_hash {
            return Err(Error::Inconsistent(
                "an entry differs from what was submitted",
            ));
        }
        let signature = self.log.signer().sign(&leaf).await?;
        Ok(SignedCertificateTimestamp {
            log_id: self.log_id,
            timestamp_ms: appended.timestamp_ms,
            extensions: Vec::new(),
            signature,
        })
    }

    /// The newest signed tree head.
    pub async fn sth(&self) -> Result<Arc<SignedHead>, Error> {
        if !self.log.signer().can_sign() {
            return Ok(self.log.head().await?);
        }
        let error = match self.log.recent_head(RENEW_MS).await {
            Ok(head) => return Ok(head),
            Err(HeadError::Store(error)) => return Err(error.into()),
            Err(HeadError::Renew(error)) => error,
        };
        // The promise is about the delay; until then an older head will do. A log that has stopped
        // itself signs no other.
        let head = self.log.head().await?;
        let age_ms = self.clock.now_ms().saturating_sub(head.head.timestamp_ms);
        if age_ms < MAX_MERGE_DELAY_MS || matches!(error, AppendError::Refused(_)) {
            tracing::warn!(log = self.record().id.0, %error, "the head was not signed again");
            return Ok(head);
        }
        Err(error.into())
    }

    /// Proof that the tree of `first` leaves is a prefix of that of `second`.
    pub async fn consistency(&self, first: u64, second: u64) -> Result<Vec<Hash>, Error> {
        if first > second {
            return Err(Error::Request("second must not be less than first"));
        }
        let proof = self.log.consistency_proof(first, second).await?;
        proof.ok_or(Error::Request("second is beyond the newest tree"))
    }

    /// Index of the leaf with this hash, and its inclusion proof in the tree of `size` leaves.
    pub async fn proof_by_hash(&self, leaf: &Hash, size: u64) -> Result<(u64, Vec<Hash>), Error> {
        if size == 0 {
            return Err(Error::Request("tree_size must be at least 1"));
        }
        let index = self.store.index_of_leaf(self.record().id, leaf).await?;
        let index = index.ok_or(Error::NotFound("no entry has this leaf hash"))?;
        let proof = self.log.inclusion_proof(index, size).await?;
        Ok((
            index,
            proof.ok_or(Error::NotFound("no tree of this size holds the entry"))?,
        ))
    }

    /// Entries from `start` to `end` inclusive, at least one and as many as fit in an answer.
    pub async fn entries(&self, start: u64, end: u64) -> Result<Vec<Entry>, Error> {
        if start > end {
            return Err(Error::Request("start must not be greater than end"));
        }
        let size = self.log.head().await?.head.size;
        if start >= size {
            return Err(Error::Request("start is beyond the newest tree"));
        }
        let until = upper_bound(start, end).min(size);
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut next = start;
        while next < until && bytes < MAX_ENTRY_BYTES {
            let read = self
                .store
                .entries(self.record().id, next, until.min(next + READ_ENTRIES))
                .await?;
            if read.is_empty() {
                return Err(Error::Inconsistent("an entry below the head is missing"));
            }
            for entry in read {
                if entry.index != next {
                    return Err(Error::Inconsistent("an entry below the head is missing"));
                }
                next += 1;
                bytes += entry.body.len() + entry.extra.len();
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// An entry and its inclusion proof in the tree of `size` leaves.
    pub async fn entry_and_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<(Entry, Vec<Hash>), Error> {
        if index >= size {
            return Err(Error::Request("leaf_index must be less than tree_size"));
        }
        let proof = self.log.inclusion_proof(index, size).await?;
        let proof = proof.ok_or(Error::Request("tree_size is beyond the newest tree"))?;
        let entry = self
            .store
            .entries(self.record().id, index, index + 1)
            .await?
            .into_iter()
            .next();
        Ok((
            entry.ok_or(Error::Inconsistent("an entry below the head is missing"))?,
            proof,
        ))
    }
}

/// Exclusive end of an answer to a request for `start..=end`. Long requests end at a multiple of
/// [`MAX_ENTRIES`], so that the answers to readers who start at different places can be cached.
const fn upper_bound(start: u64, end: u64) -> u64 {
    if end - start < MAX_ENTRIES {
        return end.saturating_add(1);
    }
    let until = start.saturating_add(MAX_ENTRIES);
    until - until % MAX_ENTRIES
}

/// Whether an origin can be the path of a URL, without slashes around it.
fn is_path(origin: &str) -> bool {
    let is_segment = |segment: &str| {
        let permitted = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(permitted)
    };
    origin.split('/').all(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_end_at_multiples() {
        assert_eq!(upper_bound(0, 0), 1);
        assert_eq!(upper_bound(5, 1003), 1004);
        assert_eq!(upper_bound(0, 5000), 1000);
        assert_eq!(upper_bound(5, 5000), 1000);
        assert_eq!(upper_bound(1000, u64::MAX), 2000);
        assert_eq!(upper_bound(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn origins_are_paths() {
        for good in ["ctfe", "test/2026", "a-b_c.d~e"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/ct", "ct/", "a//b", "a/../b", "{x}", "a b", "a/*", "ä"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
