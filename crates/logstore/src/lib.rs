//! Where logs are kept.
//!
//! A [`LogStore`] holds any number of logs. Each log is an append-only sequence of entries, the
//! tiles of its tree, and its *head*: size, root and the signed bytes that commit to them. A batch
//! changes all of them in one transaction, or nothing.
//!
//! The contract, which the behaviour suite (feature `suite`) checks on every implementation:
//!
//! 1. **Durable.** When [`Batch::commit`] returns `Ok`, the batch survives the death of the
//!    process and of the machine.
//! 2. **Exclusive.** Between [`LogStore::begin`] and the end of its [`Batch`], no other batch of
//!    the same log, in this process or another, can begin; it waits. Dropping a batch gives up.
//! 3. **Compare-and-swap.** `commit` takes effect only if the head is still the one that `begin`
//!    returned.
//! 4. **Honest about doubt.** If it is not known whether a commit took effect, the error is
//!    [`StoreError::Unknown`], and nothing else ever is.
//! 5. **Atomic for readers.** A reader that sees a head sees every entry, key and tile under it.
//! 6. **Unique.** No two entries of a log have the same identity; a batch that would make two is
//!    refused as a whole.
//! 7. **Indexed as far as it says.** Entries below [`LogStore::indexed`] have all their search
//!    keys. A batch moves this watermark with the head if it was at the head, and so does nothing
//!    else but [`LogStore::index`]: entries of an older program, which knew fewer keys, stay above.
//!
//! Two consequences that users of a store rely on. After [`StoreError::Unknown`], the next
//! successful [`LogStore::begin`] shows which way it went: it waits for the lock that the doubtful
//! transaction holds for as long as that transaction may still take effect ([`LogStore::head`]
//! does not wait, and may be too early). And dropping the future of `commit` is the same as
//! `Unknown`.

mod copy;
pub mod row;
#[cfg(feature = "suite")]
pub mod suite;

use std::ops::Range;
use std::sync::Arc;

pub use copy::{EntryRecord, IndexRow, Restoration, RestoredEntry};

use tlog::{Hash, TileId};

/// Identifies a log; positive. Rekor calls it the tree id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(pub i64);

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What speaks over a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// RFC 6962 certificate transparency.
    Ct,
    /// A Rekor v1 shard.
    RekorV1,
    /// A Rekor v2 shard.
    RekorV2,
}

/// Whether a log accepts entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogState {
    /// Accepts entries.
    Active,
    /// Read-only for ever.
    Frozen,
}

/// A log, without its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its id.
    pub id: LogId,
    /// Who speaks over it.
    pub kind: LogKind,
    /// Its name: a host for Rekor, a path for CT.
    pub origin: String,
    /// DER SPKI of the key that signs its heads.
    pub public_key: Vec<u8>,
    /// Whether it accepts entries.
    pub state: LogState,
    /// When it was created, in ms since the Unix epoch.
    pub created_ms: u64,
}

/// The newest committed state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// Time of the last batch, in ms since the Unix epoch; never decreases.
    pub timestamp_ms: u64,
    /// The signed bytes that commit to size and root: a note, or a TLS-encoded STH signature.
    /// Empty until the first head of the log is signed.
    pub signed: Arc<[u8]>,
}

impl Head {
    /// The head of a log that nothing was ever signed for.
    #[must_use]
    pub fn unsigned(root_of_empty_tree: Hash) -> Self {
        Self {
            size: 0,
            root: root_of_empty_tree,
            timestamp_ms: 0,
            signed: Arc::from([]),
        }
    }
}

/// An entry about to be written; its index is its position after the head's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// RFC 6962 leaf hash.
    pub leaf_hash: Hash,
    /// What makes two submissions the same. Unique in a log.
    pub identity: Hash,
    /// The leaf's bytes.
    pub body: Vec<u8>,
    /// What is kept beside the leaf and not hashed: a CT entry's chain, an attestation.
    pub extra: Vec<u8>,
    /// Keys of the search index, committed with the entry (SHA-256 prefixes, without repetition).
    pub keys: Vec<SearchKey>,
    /// What becomes [`Entry::promise`].
    pub promise: Vec<u8>,
}

/// A key of the search index: the first 16 bytes of SHA-256 of the term.
pub type SearchKey = [u8; 16];

/// An entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index in its log.
    pub index: u64,
    /// RFC 6962 leaf hash.
    pub leaf_hash: Hash,
    /// When it was sequenced, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// The leaf's bytes.
    pub body: Vec<u8>,
    /// What is kept beside the leaf.
    pub extra: Vec<u8>,
    /// What the log signed when it promised to keep this entry (a signed entry timestamp), in the
    /// form of its kind of log. Empty where that was not signed, or is not kept.
    pub promise: Vec<u8>,
}

/// Which way entries are gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// An identity that is already in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The identity asked for.
    pub identity: Hash,
    /// The entry's index.
    pub index: u64,
    /// When it was sequenced, in ms since the Unix epoch.
    pub timestamp_ms: u64,
}

/// What a batch writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// In order; the first gets the index `head.size`. May be empty (a new signature over the
    /// same head).
    pub entries: Vec<NewEntry>,
    /// Tiles that are new or grew: 1 to 256 hashes each.
    pub tiles: Vec<(TileId, Vec<Hash>)>,
    /// The head after the batch; its timestamp is that of all entries of the batch.
    pub head: Head,
}

/// Why the store could not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// What names the database is not the address of one. The text does not repeat it, as it may
    /// hold a password.
    #[error("database: {0}")]
    Address(String),
    /// Another head was found under the lock: someone wrote outside the contract.
    #[error("the log's head changed under a held lock")]
    HeadMoved,
    /// The log does not exist.
    #[error("no log has the id {0}")]
    NoSuchLog(LogId),
    /// Stored bytes do not have their form.
    #[error("the database holds malformed data: {0}")]
    Corrupt(String),
    /// It did not happen, because it would break a rule: an id or identity that is taken, an entry
    /// for a frozen log, a head that does not follow from the one before.
    #[error("refused by the store: {0}")]
    Refused(String),
    /// It did not happen: the connection failed, the pool was exhausted, or a statement timed out.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It may or may not have happened: the connection was lost while committing.
    #[error("the database did not say whether the commit took effect: {0}")]
    Unknown(String),
}

/// Most entries that one call of [`LogStore::entries`] returns.
pub const MAX_ENTRIES_READ: u64 = 4096;

impl Update {
    /// Checks what every store must refuse, whatever it stores: a head that does not follow from
    /// `head` by exactly these entries, time that runs backwards, entries for a frozen log, and
    /// tiles of an impossible width.
    pub fn check(&self, head: &Head, state: LogState) -> Result<(), StoreError> {
        check_step(head, &self.head, self.entries.len(), &self.tiles)?;
        if !self.entries.is_empty() && state == LogState::Frozen {
            return Err(StoreError::Refused("the log is frozen".to_owned()));
        }
        Ok(())
    }
}

/// Checks that the head `new` follows from `old` by `added` entries, and the tiles' widths.
fn check_step(
    old: &Head,
    new: &Head,
    added: usize,
    tiles: &[(TileId, Vec<Hash>)],
) -> Result<(), StoreError> {
    let refuse = |reason: String| Err(StoreError::Refused(reason));
    let added = u64::try_from(added).unwrap_or(u64::MAX);
    if old.size.checked_add(added) != Some(new.size) {
        return refuse(format!(
            "{added} entries after {} do not make a tree of {}",
            old.size, new.size
        ));
    }
    if added == 0 && new.root != old.root {
        return refuse(format!("another root for the same tree size {}", old.size));
    }
    if new.timestamp_ms < old.timestamp_ms {
        return refuse(format!(
            "time runs backwards, from {} to {} ms",
            old.timestamp_ms, new.timestamp_ms
        ));
    }
    if let Some((id, hashes)) = tiles
        .iter()
        .find(|(_, hashes)| !(1..=tlog::TILE_WIDTH).contains(&hashes.len()))
    {
        return refuse(format!("tile {id:?} of {} hashes", hashes.len()));
    }
    row::to_integer(new.size)?;
    row::to_integer(new.timestamp_ms)?;
    Ok(())
}

/// A store of logs. See the crate's documentation for the contract.
#[async_trait::async_trait]
pub trait LogStore: Send + Sync + std::fmt::Debug {
    /// Creates a log with an empty head; fails if the id is taken.
    async fn create_log(&self, log: &LogRecord) -> Result<(), StoreError>;

    /// All logs, oldest first.
    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError>;

    /// Changes a log's state.
    async fn set_state(&self, log: LogId, state: LogState) -> Result<(), StoreError>;

    /// Freezes `from` and creates `to` with its first batch, in one transaction: nobody sees the one
    /// without the other. Waits for the batch at work on `from`. Refused, with nothing changed,
    /// unless `from` is active and the id of `to` is free.
    async fn rotate(
        &self,
        from: LogId,
        to: &LogRecord,
        first: Arc<Update>,
    ) -> Result<(), StoreError>;

    /// The newest committed head.
    async fn head(&self, log: LogId) -> Result<Head, StoreError>;

    /// Begins a batch: locks the log's head.
    async fn begin(&self, log: LogId) -> Result<Box<dyn Batch>, StoreError>;

    /// Entries `start..end`, in order, as far as they exist, and at most [`MAX_ENTRIES_READ`].
    async fn entries(&self, log: LogId, start: u64, end: u64) -> Result<Vec<Entry>, StoreError>;

    /// The index of the entry with this leaf hash.
    async fn index_of_leaf(&self, log: LogId, leaf: &Hash) -> Result<Option<u64>, StoreError>;

    /// Stored tiles, as [`Reader::tiles`] finds them.
    async fn tiles(
        &self,
        log: LogId,
        ids: &[TileId],
    ) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        self.reader(log).await?.tiles(ids).await
    }

    /// A session for reading a log: for those who have many questions one after another.
    async fn reader(&self, log: LogId) -> Result<Box<dyn Reader>, StoreError>;

    /// The entries at these indices, as [`Reader::read`] finds them.
    async fn entries_at(&self, log: LogId, indices: &[u64]) -> Result<Vec<Entry>, StoreError> {
        let (_, entries) = self.reader(log).await?.read(indices).await?;
        Ok(entries)
    }

    /// Indices of the entries in `range` that carry a search key, in order, at most `limit`.
    async fn search(
        &self,
        log: LogId,
        key: &SearchKey,
        range: Range<u64>,
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError>;

    /// How many of the log's first entries have all their search keys.
    async fn indexed(&self, log: LogId) -> Result<u64, StoreError>;

    /// Adds search keys to the stored entries of `range`, which must not reach beyond the head, and
    /// moves the watermark from the range's start to its end. `false` if the watermark is not at
    /// the start: somebody else was there first. Keys that an entry has already do no harm.
    async fn index(
        &self,
        log: LogId,
        range: Range<u64>,
        keys: &[(u64, SearchKey)],
    ) -> Result<bool, StoreError>;

    /// Entries `start..end` with all that is kept of them, otherwise as [`Self::entries`].
    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError>;

    /// Which of these identities are in the log, as its unique index finds them. Unlike
    /// [`Batch::known`] without the lock: an entry that is being written may or may not be found.
    async fn known(&self, log: LogId, identities: &[Hash]) -> Result<Vec<Known>, StoreError>;

    /// Rows of the search index, of all logs, in ascending order: the first `limit` after `after`.
    async fn index_rows(
        &self,
        after: Option<&IndexRow>,
        limit: u32,
    ) -> Result<Vec<IndexRow>, StoreError>;

    /// Which of these rows the search index has, in the order asked for.
    async fn index_has(&self, rows: &[IndexRow]) -> Result<Vec<bool>, StoreError>;

    /// Adds the rows `missing` to the search index and removes the rows `surplus`, in one
    /// transaction, whatever is there. For a repair: batches keep the index by themselves.
    async fn repair_index(
        &self,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), StoreError>;

    /// Cheap proof that the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Leaves the store in the form in which it is best copied. For the end of a program; what was
    /// committed is durable without.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A session for reading a log. It keeps a connection: to be given back when there is nothing to
/// ask, when others need it, and after an error.
#[async_trait::async_trait]
pub trait Reader: Send {
    /// The newest committed head, and of the entries at these indices those that it covers, in the
    /// order asked for; of the first [`MAX_ENTRIES_READ`] indices.
    async fn read(&mut self, indices: &[u64]) -> Result<(Head, Vec<Entry>), StoreError>;

    /// Stored tiles, in the order asked for; `None` where there is none.
    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError>;

    /// Whether others would have to wait for a connection now.
    fn is_needed_elsewhere(&self) -> bool;
}

/// A batch in progress: holds the lock on a log's head.
#[async_trait::async_trait]
pub trait Batch: Send {
    /// The head as it was when the lock was taken.
    fn head(&self) -> &Head;

    /// Whether the log accepted entries when the lock was taken.
    fn state(&self) -> LogState;

    /// Which of these identities are already in the log.
    async fn known(&mut self, identities: &[Hash]) -> Result<Vec<Known>, StoreError>;

    /// Stored tiles, as [`Reader::tiles`], seen under the lock.
    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError>;

    /// Writes the batch and releases the lock.
    async fn commit(self: Box<Self>, update: Arc<Update>) -> Result<(), StoreError>;

    /// Writes entries that were in the log before, in another store, and releases the lock, as
    /// [`Self::commit`] does. Only into a frozen log: nobody sequences entries beside it.
    async fn restore(self: Box<Self>, restoration: Arc<Restoration>) -> Result<(), StoreError>;
}

/// A store that parts of the program share.
pub type SharedStore = Arc<dyn LogStore>;
