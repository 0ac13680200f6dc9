//! Finding entries by who signed what.
//!
//! A term is a text; terms that differ in case only are the same. Of each term the store keeps a
//! [`SearchKey`]. An entry's terms are committed in the same transaction as the entry:
//!
//! | Term | Of |
//! |---|---|
//! | `<hex>` | SHA-256 of each signer's key or certificate in canonical form; of TUF metadata and root; of a JAR's signature |
//! | text | each subject alternative name of a signer's certificate; each e-mail address of an OpenPGP key |
//! | text | role and version of TUF metadata |
//! | `<algorithm>:<hex>` | artifact, payload or envelope; subjects and materials of in-toto statements |
//! | issuer | the OIDC issuer that a signer's certificate names |
//! | kind | the entry's kind, but for `hashedrekord`, of which most logs are full |
//!
//! Issuer and kind are hashed apart from the texts, so that no name in a certificate can stand for
//! one. They came later than the others: entries from before get them from the [`indexer`], and
//! until it is done, what would need them is refused rather than answered in part.
//!
//! ```text
//! terms    what is asked for; query, the same in Rekor's request
//! scan     the matching entries of one tree, in order, within a budget of reads
//! walk     the same over all trees; cursor, where a walk was left
//! listing  one page of entries
//! ```

mod cursor;
pub(crate) mod indexer;
mod listing;
mod query;
mod scan;
mod terms;
mod walk;

pub use cursor::{Cursor, CursorError};
pub(crate) use listing::{Filter, MAX_LIMIT, list};
pub(crate) use query::is_email;
pub use query::{Query, QueryError};
pub use scan::Budget;
pub use terms::{Term, issuer_key, key, kind_key};
pub use walk::{Position, Step, Tree, Walk};

use logstore::{LogId, LogStore, StoreError};
use tlog::{Hash, TILE_WIDTH, TileId};
use wire::rekor::EntryId;

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys that would answer are not all there yet.
    #[error(
        "the search index is being brought up to date: {done} of {size} entries of log {log} are done; try again later, or search without issuer and kind"
    )]
    Indexing {
        /// The log.
        log: i64,
        /// Entries that have all their keys.
        done: u64,
        /// Entries that are searched.
        size: u64,
    },
    /// A cursor of another log, or of a shard that is not served any more.
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

/// The names of entries: their leaf hashes are read out of the tiles of level 0. Those of one tile
/// should be neighbours.
pub async fn entry_ids(
    store: &dyn LogStore,
    positions: &[Position],
) -> Result<Vec<EntryId>, StoreError> {
    let width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
    let mut ids = Vec::with_capacity(positions.len());
    for same_log in positions.chunk_by(|a, b| a.log == b.log) {
        let groups: Vec<&[Position]> = same_log
            .chunk_by(|a, b| a.index / width == b.index / width)
            .collect();
        let (mut log, mut tiles) = (LogId(0), Vec::with_capacity(groups.len()));
        for first in groups.iter().filter_map(|group| group.first()) {
            log = first.log;
            tiles.push(TileId {
                level: 0,
                index: first.index / width,
            });
        }
        let read = store.tiles(log, &tiles).await?;
        for (group, tile) in groups.into_iter().zip(read) {
            let tile = tile.unwrap_or_default();
            for position in group {
                let place = usize::try_from(position.index % width).unwrap_or(usize::MAX);
                let Hash(uuid) = tile.get(place).ok_or_else(|| {
                    StoreError::Corrupt(format!(
                        "no leaf hash for entry {} of log {log}",
                        position.index
                    ))
                })?;
                ids.push(EntryId {
                    tree: log.0,
                    uuid: *uuid,
                });
            }
        }
    }
    Ok(ids)
}
