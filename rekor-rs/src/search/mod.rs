//! Finding entries by who signed what.
//!
//! A term is a text; terms that differ in case only are the same. Of each term the store keeps a
//! [`SearchKey`]. An entry's terms are committed in the same transaction as the entry:
//!
//! | Term | Of |
//! |---|---|
//! | `<hex>` and `sha256:<hex>` | SHA-256 of each signer's key or certificate in canonical form; of TUF metadata and root; of a JAR's signature |
//! | text | each subject alternative name of a signer's certificate; each e-mail address of an OpenPGP key |
//! | text | role and version of TUF metadata |
//! | `<algorithm>:<hex>` | artifact, payload or envelope; subjects and materials of in-toto statements |

mod query;

pub(crate) use query::is_email;
pub use query::{Query, QueryError};

use std::collections::BTreeSet;

use logstore::{LogId, LogStore, Position, SearchKey, StoreError};
use tlog::{Hash, TILE_WIDTH, TileId};
use wire::rekor::{EntryId, Operator};

/// Tiles read at once while positions become entry ids: 2 MiB.
const TILES_AT_ONCE: usize = 256;

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A term has more entries than the limit.
    #[error("more than {0} entries match; narrow the query")]
    TooMany(u32),
}

/// The key of a term: the first half of SHA-256 of its lower-case form.
#[must_use]
pub fn key(term: &str) -> SearchKey {
    let mut key = SearchKey::default();
    for (out, byte) in key
        .iter_mut()
        .zip(crypto::sha256(term.to_lowercase().as_bytes()))
    {
        *out = byte;
    }
    key
}

/// Entries in `trees` that match, without repetition. No terms match nothing.
pub async fn run(
    store: &dyn LogStore,
    trees: &[LogId],
    query: &Query,
    limit: u32,
) -> Result<Vec<EntryId>, SearchError> {
    let mut found: Option<BTreeSet<Position>> = None;
    for term in &query.keys {
        let positions = store.search(term, limit.saturating_add(1)).await?;
        // An incomplete list would make a wrong intersection and a silently short union.
        if u32::try_from(positions.len()).is_ok_and(|found| found > limit) {
            return Err(SearchError::TooMany(limit));
        }
        let positions = positions
            .into_iter()
            .filter(|position| trees.contains(&position.log))
            .collect();
        found = Some(match (found, query.operator) {
            (None, _) => positions,
            (Some(found), Operator::And) => found.intersection(&positions).copied().collect(),
            (Some(found), Operator::Or) => found.union(&positions).copied().collect(),
        });
    }
    entry_ids(store, found.unwrap_or_default().into_iter().collect()).await
}

/// Reads leaf hashes out of the tiles of level 0.
async fn entry_ids(
    store: &dyn LogStore,
    positions: Vec<Position>,
) -> Result<Vec<EntryId>, SearchError> {
    let width = u64::try_from(TILE_WIDTH).unwrap_or(u64::MAX);
    let tile_of = |position: &Position| TileId {
        level: 0,
        index: position.index / width,
    };
    let mut ids = Vec::with_capacity(positions.len());
    // Positions are sorted, so those of one tile are neighbours.
    let groups: Vec<&[Position]> = positions
        .chunk_by(|a, b| a.log == b.log && tile_of(a) == tile_of(b))
        .collect();
    for same_log in groups.chunk_by(|a, b| a.first().map(|p| p.log) == b.first().map(|p| p.log)) {
        for some in same_log.chunks(TILES_AT_ONCE) {
            let Some(log) = some
                .first()
                .and_then(|group| group.first())
                .map(|position| position.log)
            else {
                continue;
            };
            let tiles: Vec<TileId> = some
                .iter()
                .filter_map(|group| group.first())
                .map(tile_of)
                .collect();
            let read = store.tiles(log, &tiles).await?;
            for (group, tile) in some.iter().zip(read) {
                let tile = tile.unwrap_or_default();
                for position in *group {
                    let place = usize::try_from(position.index % width).unwrap_or(usize::MAX);
                    let Hash(uuid) = tile.get(place).ok_or_else(|| {
                        StoreError::Corrupt(format!(
                            "no leaf hash for entry {} of log {}",
                            position.index, log.0
                        ))
                    })?;
                    ids.push(EntryId {
                        tree: log.0,
                        uuid: *uuid,
                    });
                }
            }
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(key("Dev@Example.COM"), key("dev@example.com"));
        assert_ne!(key("a"), key("b"));
    }
}
