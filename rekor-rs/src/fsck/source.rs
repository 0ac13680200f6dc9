//! Where a log is read from: a database, or an export of one.

use logstore::{EntryRecord, Known, LogId, SharedStore, StoreError};
use tlog::{Hash, TileId};

/// Entries read at once. Bodies have up to a mebibyte, so not many.
const AT_ONCE: u64 = 64;

/// A log that can be read whole. What is malformed is [`StoreError::Corrupt`]; anything else means
/// that nothing could be read.
#[async_trait::async_trait]
pub(crate) trait Source: Send + Sync {
    /// Entries `start..end`, in order, as far as they exist.
    async fn records(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError>;

    /// Stored tiles, of at least the hashes that the tree has.
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError>;

    /// Where the unique index finds these identities; `None` if there is no such index.
    async fn known(&self, identities: &[Hash]) -> Result<Option<Vec<Known>>, StoreError>;

    /// Most entries to ask for at once.
    fn at_once(&self) -> u64 {
        AT_ONCE
    }
}

/// A log in a database.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) store: SharedStore,
    pub(crate) log: LogId,
}

#[async_trait::async_trait]
impl Source for Stored {
    async fn records(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError> {
        self.store.records(self.log, start, end).await
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        self.store.tiles(self.log, ids).await
    }

    async fn known(&self, identities: &[Hash]) -> Result<Option<Vec<Known>>, StoreError> {
        self.store.known(self.log, identities).await.map(Some)
    }
}

/// Reads one tile; what is malformed is said instead of failing.
pub(crate) async fn tile(
    source: &dyn Source,
    id: TileId,
) -> Result<Result<Option<Vec<Hash>>, String>, StoreError> {
    match source.tiles(&[id]).await {
        Ok(tiles) => Ok(Ok(tiles.into_iter().next().flatten())),
        Err(StoreError::Corrupt(reason)) => Ok(Err(reason)),
        Err(error) => Err(error),
    }
}
