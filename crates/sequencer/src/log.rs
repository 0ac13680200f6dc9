//! A log that accepts entries and proves them.

use std::sync::Arc;

use clock::SharedClock;
use keys::SharedSigner;
use logstore::{LogId, LogRecord, SharedStore};
use tlog::Hash;

use crate::{AppendError, Appended, Format, Guard, SignedHead};

/// Bounds of a log's queue and batches.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Entries that may wait; beyond, [`AppendError::Overloaded`].
    pub queue: usize,
    /// Most entries in one batch.
    pub batch: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { queue: 4096, batch: 1024 }
    }
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] logstore::StoreError),
    /// The guard file failed.
    #[error(transparent)]
    Guard(#[from] crate::GuardError),
    /// The database was rolled back, or it is another log's.
    #[error("{0}")]
    RolledBack(String),
    /// The first head could not be signed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    /// The signer's key is not the log's.
    #[error("the key given for log {log:?} is not the key that the log was created with")]
    WrongKey {
        /// The log.
        log: LogId,
    },
}

/// A log that accepts entries and proves them. Cheap to share; the batch loop is a task that ends
/// with the last handle.
#[derive(Debug)]
pub struct Log<F: Format> {
    _format: std::marker::PhantomData<F>,
}

impl<F: Format> Log<F> {
    /// Opens a log: loads the edge, recomputes the root, compares with the stored head and the
    /// guard, signs the empty head of a new log, and starts the batch loop.
    pub async fn open(
        _store: SharedStore,
        _record: LogRecord,
        _format: F,
        _signer: SharedSigner,
        _guard: Guard,
        _clock: SharedClock,
        _config: LogConfig,
    ) -> Result<Arc<Self>, OpenError> {
        unimplemented!()
    }

    /// The log.
    #[must_use]
    pub fn record(&self) -> &LogRecord {
        unimplemented!()
    }

    /// How it writes leaves and heads.
    #[must_use]
    pub fn format(&self) -> &F {
        unimplemented!()
    }

    /// The key that signs its heads.
    #[must_use]
    pub fn signer(&self) -> &SharedSigner {
        unimplemented!()
    }

    /// Appends an entry and waits until it is durable and covered by a signed head.
    pub async fn append(&self, _pending: F::Pending) -> Result<Appended, AppendError> {
        unimplemented!()
    }

    /// The newest committed head, whoever committed it.
    pub async fn head(&self) -> Result<Arc<SignedHead>, logstore::StoreError> {
        unimplemented!()
    }

    /// Inclusion proof of leaf `index` in the tree of `size` leaves; `None` unless
    /// `index < size <= ` the newest size.
    pub async fn inclusion_proof(&self, _index: u64, _size: u64) -> Result<Option<Vec<Hash>>, logstore::StoreError> {
        unimplemented!()
    }

    /// Consistency proof between two sizes; `None` unless `old <= new <= ` the newest size.
    pub async fn consistency_proof(&self, _old: u64, _new: u64) -> Result<Option<Vec<Hash>>, logstore::StoreError> {
        unimplemented!()
    }

    /// Why the log has stopped itself, if it has.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        unimplemented!()
    }
}
