//! Reading for checks and copies, and repairing the search index.

use logstore::row;
use logstore::{EntryRecord, IndexRow, LogId, MAX_ENTRIES_READ, StoreError};
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::{error, read};

pub(crate) async fn records(
    readers: &SqlitePool,
    log: LogId,
    start: u64,
    end: u64,
) -> Result<Vec<EntryRecord>, StoreError> {
    let end = end.min(start.saturating_add(MAX_ENTRIES_READ));
    let rows = sqlx::query(
        "SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise, keys
         FROM entry WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx",
    )
    .bind(log.0)
    .bind(row::to_bound(start))
    .bind(row::to_bound(end))
    .fetch_all(readers)
    .await
    .map_err(error::store)?;
    rows.iter()
        .map(|row| {
            Ok(EntryRecord {
                entry: read::entry(row)?,
                identity: row::hash(row.try_get("identity").map_err(error::store)?)?,
                keys: row::keys_from_bytes(row.try_get("keys").map_err(error::store)?)?,
            })
        })
        .collect()
}

pub(crate) async fn index_rows(
    readers: &SqlitePool,
    after: Option<&IndexRow>,
    limit: u32,
) -> Result<Vec<IndexRow>, StoreError> {
    let query = match after {
        None => sqlx::query("SELECT key, log, idx FROM search_key ORDER BY key, log, idx LIMIT ?1")
            .bind(i64::from(limit)),
        Some(after) => sqlx::query(
            "SELECT key, log, idx FROM search_key WHERE (key, log, idx) > (?2, ?3, ?4)
             ORDER BY key, log, idx LIMIT ?1",
        )
        .bind(i64::from(limit))
        .bind(after.key.as_slice())
        .bind(after.log.0)
        .bind(row::to_bound(after.index)),
    };
    let rows = query.fetch_all(readers).await.map_err(error::store)?;
    rows.iter()
        .map(|row| {
            let get = || -> Result<_, sqlx::Error> {
                Ok((
                    row.try_get::<&[u8], _>(0)?,
                    row.try_get::<i64, _>(1)?,
                    row.try_get::<i64, _>(2)?,
                ))
            };
            let (key, log, index) = get().map_err(error::store)?;
            row::index_row(key, log, index)
        })
        .collect()
}

pub(crate) async fn index_has(
    readers: &SqlitePool,
    rows: &[IndexRow],
) -> Result<Vec<bool>, StoreError> {
    let mut connection = readers.acquire().await.map_err(error::unavailable)?;
    let mut has = Vec::with_capacity(rows.len());
    for row in rows {
        let found = sqlx::query("SELECT 1 FROM search_key WHERE key = ? AND log = ? AND idx = ?")
            .bind(row.key.as_slice())
            .bind(row.log.0)
            .bind(row::to_integer(row.index)?)
            .fetch_optional(&mut *connection)
            .await
            .map_err(error::store)?;
        has.push(found.is_some());
    }
    Ok(has)
}

pub(crate) async fn repair_index(
    writer: &mut SqliteConnection,
    missing: &[IndexRow],
    surplus: &[IndexRow],
) -> Result<(), StoreError> {
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::unavailable)?;
    for (rows, sql) in [
        (
            missing,
            "INSERT OR IGNORE INTO search_key (key, log, idx) VALUES (?, ?, ?)",
        ),
        (
            surplus,
            "DELETE FROM search_key WHERE key = ? AND log = ? AND idx = ?",
        ),
    ] {
        for row in rows {
            sqlx::query(sql)
                .bind(row.key.as_slice())
                .bind(row.log.0)
                .bind(row::to_integer(row.index)?)
                .execute(&mut *transaction)
                .await
                .map_err(error::store)?;
        }
    }
    transaction
        .commit()
        .await
        .map_err(|error| StoreError::Unknown(error.to_string()))
}
