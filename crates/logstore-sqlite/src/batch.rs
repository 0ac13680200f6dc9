//! One batch: a log's lock, and the transaction that ends it.

use std::sync::Arc;

use logstore::row;
use logstore::{Batch, Head, Known, LogId, LogState, NewEntry, Restoration, StoreError, Update};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tlog::{Hash, TileId};

use crate::lock::FileLock;
use crate::read::placeholders;
use crate::{Writer, error, read};

/// Rows that one statement inserts. A statement costs two thread switches, so more is better;
/// beyond some dozens it no longer shows.
const ROWS: usize = 64;

pub(crate) struct SqliteBatch {
    pub(crate) log: LogId,
    pub(crate) head: Head,
    pub(crate) state: LogState,
    pub(crate) readers: SqlitePool,
    pub(crate) writer: Writer,
    pub(crate) held: tokio::sync::OwnedMutexGuard<()>,
    pub(crate) file_lock: Option<Arc<FileLock>>,
}

#[async_trait::async_trait]
impl Batch for SqliteBatch {
    fn head(&self) -> &Head {
        &self.head
    }

    fn state(&self) -> LogState {
        self.state
    }

    async fn known(&mut self, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        read::known(&self.readers, self.log, identities).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(error::unavailable)?;
        read::tiles(&mut connection, self.log, ids).await
    }

    async fn commit(self: Box<Self>, update: Arc<Update>) -> Result<(), StoreError> {
        update.check(&self.head, self.state)?;
        self.write(Change::Update(update)).await
    }

    async fn restore(self: Box<Self>, restoration: Arc<Restoration>) -> Result<(), StoreError> {
        restoration.check(&self.head, self.state)?;
        self.write(Change::Restoration(restoration)).await
    }
}

/// What a batch writes.
pub(crate) enum Change {
    Update(Arc<Update>),
    Restoration(Arc<Restoration>),
}

/// A row of the table of entries, but for its index.
struct NewRow<'a> {
    entry: &'a NewEntry,
    timestamp_ms: u64,
}

impl Change {
    fn rows(&self) -> Vec<NewRow<'_>> {
        match self {
            Self::Update(update) => update
                .entries
                .iter()
                .map(|entry| NewRow {
                    entry,
                    timestamp_ms: update.head.timestamp_ms,
                })
                .collect(),
            Self::Restoration(restoration) => restoration
                .entries
                .iter()
                .map(|restored| NewRow {
                    entry: &restored.entry,
                    timestamp_ms: restored.timestamp_ms,
                })
                .collect(),
        }
    }

    fn head(&self) -> &Head {
        match self {
            Self::Update(update) => &update.head,
            Self::Restoration(restoration) => &restoration.head,
        }
    }

    fn tiles(&self) -> &[(TileId, Vec<Hash>)] {
        match self {
            Self::Update(update) => &update.tiles,
            Self::Restoration(restoration) => &restoration.tiles,
        }
    }
}

impl SqliteBatch {
    async fn write(self: Box<Self>, change: Change) -> Result<(), StoreError> {
        // A task of its own, which holds every lock: a caller that gives up half-way leaves a
        // whole transaction behind, not half of one on a connection that others will use.
        let task = tokio::spawn(async move {
            let mut writer = self.writer.lock().await;
            let result = transact(&mut writer, self.log, &self.head, &change).await;
            drop(writer);
            drop(self.held);
            drop(self.file_lock);
            result
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unknown(error.to_string())))
    }
}

async fn transact(
    writer: &mut SqliteConnection,
    log: LogId,
    old: &Head,
    change: &Change,
) -> Result<(), StoreError> {
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::unavailable)?;
    write(&mut transaction, log, old, change).await?;
    // Until here an error rolls back. From here the answer decides.
    transaction
        .commit()
        .await
        .map_err(|error| StoreError::Unknown(error.to_string()))
}

/// Writes a batch within a transaction.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    log: LogId,
    old: &Head,
    change: &Change,
) -> Result<(), StoreError> {
    let rows = change.rows();
    swap_head(transaction, log, old, change.head()).await?;
    insert_entries(transaction, log, old.size, &rows).await?;
    insert_keys(transaction, log, old.size, &rows).await?;
    upsert_tiles(transaction, log, change.tiles()).await
}

async fn swap_head(
    connection: &mut SqliteConnection,
    log: LogId,
    old: &Head,
    new: &Head,
) -> Result<(), StoreError> {
    let swapped = sqlx::query(
        "UPDATE log SET size = ?1, root = ?2, timestamp_ms = ?3, signed = ?4,
                        indexed = CASE WHEN indexed = size THEN ?1 ELSE indexed END
         WHERE id = ?5 AND size = ?6 AND root = ?7 AND signed = ?8",
    )
    .bind(row::to_integer(new.size)?)
    .bind(new.root.0.as_slice())
    .bind(row::to_integer(new.timestamp_ms)?)
    .bind(&*new.signed)
    .bind(log.0)
    .bind(row::to_integer(old.size)?)
    .bind(old.root.0.as_slice())
    .bind(&*old.signed)
    .execute(connection)
    .await
    .map_err(error::store)?;
    if swapped.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::HeadMoved)
    }
}

async fn insert_entries(
    connection: &mut SqliteConnection,
    log: LogId,
    first: u64,
    rows: &[NewRow<'_>],
) -> Result<(), StoreError> {
    let mut index = row::to_integer(first)?;
    for chunk in rows.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO entry (log, idx, identity, leaf_hash, timestamp_ms, body, extra, keys,
                                promise) VALUES {}",
            placeholders(chunk.len(), 9)
        );
        // Only question marks were added.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for row in chunk {
            let entry = row.entry;
            let leaf_hash = (entry.leaf_hash != entry.identity).then_some(&entry.leaf_hash.0[..]);
            query = query
                .bind(log.0)
                .bind(index)
                .bind(entry.identity.0.as_slice())
                .bind(leaf_hash)
                .bind(row::to_integer(row.timestamp_ms)?)
                .bind(entry.body.as_slice())
                .bind(entry.extra.as_slice())
                .bind(row::keys_to_bytes(&entry.keys))
                .bind(Some(entry.promise.as_slice()).filter(|promise| !promise.is_empty()));
            index += 1;
        }
        query
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}

async fn insert_keys(
    connection: &mut SqliteConnection,
    log: LogId,
    first: u64,
    rows: &[NewRow<'_>],
) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    for (index, row) in (row::to_integer(first)?..).zip(rows) {
        keys.extend(row.entry.keys.iter().map(|key| (*key, index)));
    }
    // Sorted, one pass over the B-tree's pages instead of a random walk.
    keys.sort_unstable();
    keys.dedup();
    for chunk in keys.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO search_key (key, log, idx) VALUES {}",
            placeholders(chunk.len(), 3)
        );
        // Only question marks were added.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (key, index) in chunk {
            query = query.bind(key.as_slice()).bind(log.0).bind(*index);
        }
        query
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}

async fn upsert_tiles(
    connection: &mut SqliteConnection,
    log: LogId,
    tiles: &[(TileId, Vec<Hash>)],
) -> Result<(), StoreError> {
    for (id, hashes) in tiles {
        sqlx::query(
            "INSERT INTO tile (log, level, idx, hashes) VALUES (?, ?, ?, ?)
             ON CONFLICT (log, level, idx) DO UPDATE SET hashes = excluded.hashes",
        )
        .bind(log.0)
        .bind(i64::from(id.level))
        .bind(row::to_integer(id.index)?)
        .bind(row::tile_to_bytes(hashes))
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
    }
    Ok(())
}
