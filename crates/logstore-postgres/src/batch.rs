//! One batch: one transaction, which holds the log's row from its first statement to its last.

use std::sync::Arc;

use logstore::row;
use logstore::{Batch, Head, Known, LogId, LogState, NewEntry, Restoration, StoreError, Update};
use sqlx::Row as _;
use tlog::{Hash, TileId};

use crate::connection::Connection;
use crate::{error, read};

/// Everything a batch writes, in one statement and so in one round trip. The update of the head
/// is also the compare-and-swap: if it finds another head it counts no row, and the transaction is
/// given up.
const WRITE: &str = "
    WITH swapped AS (
        UPDATE log SET size = $2, root = $3, timestamp_ms = $4, signed = $5,
                       indexed = CASE WHEN indexed = size THEN $2 ELSE indexed END
        WHERE id = $1 AND size = $6 AND root = $7 AND signed = $8
        RETURNING id
    ), new_entries AS (
        INSERT INTO entry (log, idx, timestamp_ms, identity, leaf_hash, body, extra, keys, promise)
        SELECT $1, $6 + new.place - 1, new.timestamp_ms, new.identity, new.leaf_hash, new.body,
               new.extra, new.keys, new.promise
        FROM unnest($9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bigint[],
                    $14::bytea[], $15::bytea[]) WITH ORDINALITY
             AS new (identity, leaf_hash, body, extra, timestamp_ms, keys, promise, place)
    ), new_keys AS (
        INSERT INTO search_key (key, log, idx)
        SELECT new.key, $1, new.idx FROM unnest($16::bytea[], $17::bigint[]) AS new (key, idx)
    ), new_tiles AS (
        INSERT INTO tile (log, level, idx, hashes)
        SELECT $1, new.level, new.idx, new.hashes
        FROM unnest($18::smallint[], $19::bigint[], $20::bytea[]) AS new (level, idx, hashes)
        ON CONFLICT (log, level, idx) DO UPDATE SET hashes = excluded.hashes
    )
    SELECT count(*) FROM swapped";

pub(crate) struct PostgresBatch {
    pub(crate) log: LogId,
    pub(crate) head: Head,
    pub(crate) state: LogState,
    /// In a transaction, which ends with the batch.
    pub(crate) connection: Connection,
}

#[async_trait::async_trait]
impl Batch for PostgresBatch {
    fn head(&self) -> &Head {
        &self.head
    }

    fn state(&self) -> LogState {
        self.state
    }

    async fn known(&mut self, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        let read = async |c: &mut _| read::known(c, self.log, identities).await;
        self.connection.ask(read).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        let read = async |c: &mut _| read::tiles(c, self.log, ids).await;
        self.connection.ask(read).await
    }

    async fn commit(mut self: Box<Self>, update: Arc<Update>) -> Result<(), StoreError> {
        update.check(&self.head, self.state)?;
        let rows: Vec<NewRow<'_>> = update
            .entries
            .iter()
            .map(|entry| NewRow {
                entry,
                timestamp_ms: update.head.timestamp_ms,
            })
            .collect();
        self.write(&rows, &update.tiles, &update.head).await?;
        self.connection.commit().await
    }

    async fn restore(mut self: Box<Self>, restoration: Arc<Restoration>) -> Result<(), StoreError> {
        restoration.check(&self.head, self.state)?;
        let rows: Vec<NewRow<'_>> = restoration
            .entries
            .iter()
            .map(|restored| NewRow {
                entry: &restored.entry,
                timestamp_ms: restored.timestamp_ms,
            })
            .collect();
        self.write(&rows, &restoration.tiles, &restoration.head)
            .await?;
        self.connection.commit().await
    }
}

/// A row of the table of entries, but for its index.
struct NewRow<'a> {
    entry: &'a NewEntry,
    timestamp_ms: u64,
}

impl PostgresBatch {
    async fn write(
        &mut self,
        rows: &[NewRow<'_>],
        tiles: &[(TileId, Vec<Hash>)],
        head: &Head,
    ) -> Result<(), StoreError> {
        let entries: Vec<&NewEntry> = rows.iter().map(|row| row.entry).collect();
        let timestamps = rows
            .iter()
            .map(|row| row::to_integer(row.timestamp_ms))
            .collect::<Result<Vec<_>, _>>()?;
        let promises: Vec<Option<&[u8]>> = entries
            .iter()
            .map(|entry| Some(entry.promise.as_slice()).filter(|promise| !promise.is_empty()))
            .collect();
        let entry_keys: Vec<Vec<u8>> = entries
            .iter()
            .map(|entry| row::keys_to_bytes(&entry.keys))
            .collect();
        let identities: Vec<&[u8]> = entries.iter().map(|entry| &entry.identity.0[..]).collect();
        let leaf_hashes: Vec<Option<&[u8]>> = entries
            .iter()
            .map(|entry| (entry.leaf_hash != entry.identity).then_some(&entry.leaf_hash.0[..]))
            .collect();
        let bodies: Vec<&[u8]> = entries.iter().map(|entry| entry.body.as_slice()).collect();
        let extras: Vec<&[u8]> = entries.iter().map(|entry| entry.extra.as_slice()).collect();

        let mut keys = Vec::new();
        for (index, entry) in (row::to_integer(self.head.size)?..).zip(&entries) {
            keys.extend(entry.keys.iter().map(|key| (key.as_slice(), index)));
        }
        // Sorted, one pass over the B-tree's pages instead of a random walk.
        keys.sort_unstable();
        keys.dedup();
        let (keys, key_indices): (Vec<&[u8]>, Vec<i64>) = keys.into_iter().unzip();

        let levels: Vec<i16> = tiles.iter().map(|(id, _)| i16::from(id.level)).collect();
        let tile_indices = tiles
            .iter()
            .map(|(id, _)| row::to_integer(id.index))
            .collect::<Result<Vec<_>, _>>()?;
        let tile_hashes: Vec<Vec<u8>> = tiles
            .iter()
            .map(|(_, hashes)| row::tile_to_bytes(hashes))
            .collect();

        let write = sqlx::query(WRITE)
            .bind(self.log.0)
            .bind(row::to_integer(head.size)?)
            .bind(head.root.0.as_slice())
            .bind(row::to_integer(head.timestamp_ms)?)
            .bind(&*head.signed)
            .bind(row::to_integer(self.head.size)?)
            .bind(self.head.root.0.as_slice())
            .bind(&*self.head.signed)
            .bind(identities)
            .bind(leaf_hashes)
            .bind(bodies)
            .bind(extras)
            .bind(timestamps)
            .bind(entry_keys)
            .bind(promises)
            .bind(keys)
            .bind(key_indices)
            .bind(levels)
            .bind(tile_indices)
            .bind(tile_hashes);
        let swapped: i64 = self
            .connection
            .ask(async |connection| {
                let row = write.fetch_one(connection).await;
                row.and_then(|row| row.try_get(0)).map_err(error::store)
            })
            .await?;
        if swapped == 1 {
            Ok(())
        } else {
            Err(StoreError::HeadMoved)
        }
    }
}
