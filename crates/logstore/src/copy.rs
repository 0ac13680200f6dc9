//! What checking, copying and restoring a log needs beyond serving it.

use crate::{Entry, Head, LogId, LogState, NewEntry, SearchKey, StoreError, row};
use tlog::{Hash, TileId};

/// An entry with all that is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// What is served of it.
    pub entry: Entry,
    /// What makes two submissions the same.
    pub identity: Hash,
    /// The search keys that it was written with, in ascending order.
    pub keys: Vec<SearchKey>,
}

/// A row of the search index: this entry has this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexRow {
    /// The key.
    pub key: SearchKey,
    /// The log.
    pub log: LogId,
    /// The entry's index in it.
    pub index: u64,
}

/// An entry that was in the log before, in another store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredEntry {
    /// What is written.
    pub entry: NewEntry,
    /// When it was sequenced then, in ms since the Unix epoch.
    pub timestamp_ms: u64,
}

/// What [`Batch::restore`](crate::Batch::restore) writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// In order; the first gets the index `head.size`. May be empty (the signature over the head
    /// is what was missing).
    pub entries: Vec<RestoredEntry>,
    /// Tiles that are new or grew: 1 to 256 hashes each.
    pub tiles: Vec<(TileId, Vec<Hash>)>,
    /// The head after the batch. Its signed bytes stay empty until the last entry is there: what is
    /// restored has no signature of its own for a part of it. Its timestamp is that of the newest
    /// entry.
    pub head: Head,
}

impl Restoration {
    /// Checks what every store must refuse: a head that does not follow from `head` by exactly
    /// these entries, and a log that takes entries by itself.
    pub fn check(&self, head: &Head, state: LogState) -> Result<(), StoreError> {
        if state != LogState::Frozen {
            return Err(StoreError::Refused(
                "entries are restored into frozen logs only".to_owned(),
            ));
        }
        let times = self.entries.iter().map(|restored| restored.timestamp_ms);
        if let Some(latest) = times.max() {
            row::to_integer(latest)?;
        }
        let (added, tiles) = (self.entries.len(), &self.tiles);
        crate::check_step(head, &self.head, added, tiles)
    }
}
