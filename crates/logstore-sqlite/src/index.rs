//! The search index and its watermark.

use std::collections::BTreeMap;
use std::ops::Range;

use logstore::row;
use logstore::{LogId, Order, SearchKey, StoreError};
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::error;
use crate::read::placeholders;

/// Rows that one statement inserts.
const ROWS: usize = 64;

pub(crate) async fn search(
    readers: &SqlitePool,
    log: LogId,
    key: &SearchKey,
    range: Range<u64>,
    order: Order,
    limit: u32,
) -> Result<Vec<u64>, StoreError> {
    let sql = match order {
        Order::Ascending => {
            "SELECT idx FROM search_key WHERE key = ? AND log = ? AND idx >= ? AND idx < ?
             ORDER BY idx LIMIT ?"
        }
        Order::Descending => {
            "SELECT idx FROM search_key WHERE key = ? AND log = ? AND idx >= ? AND idx < ?
             ORDER BY idx DESC LIMIT ?"
        }
    };
    let rows = sqlx::query(sql)
        .bind(key.as_slice())
        .bind(log.0)
        .bind(row::to_bound(range.start))
        .bind(row::to_bound(range.end))
        .bind(i64::from(limit))
        .fetch_all(readers)
        .await
        .map_err(error::store)?;
    rows.iter()
        .map(|row| row::from_integer(row.try_get(0).map_err(error::store)?))
        .collect()
}

pub(crate) async fn indexed(readers: &SqlitePool, log: LogId) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT indexed FROM log WHERE id = ?")
        .bind(log.0)
        .fetch_optional(readers)
        .await
        .map_err(error::store)?
        .ok_or(StoreError::NoSuchLog(log))?;
    row::from_integer(row.try_get(0).map_err(error::store)?)
}

pub(crate) async fn add(
    writer: &mut SqliteConnection,
    log: LogId,
    range: Range<u64>,
    mut keys: Vec<(u64, SearchKey)>,
) -> Result<bool, StoreError> {
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(error::unavailable)?;
    let moved = sqlx::query(
        "UPDATE log SET indexed = ?3 WHERE id = ?1 AND indexed = ?2 AND ?3 BETWEEN indexed AND size",
    )
    .bind(log.0)
    .bind(row::to_bound(range.start))
    .bind(row::to_bound(range.end))
    .execute(&mut *transaction)
    .await
    .map_err(error::store)?;
    if moved.rows_affected() != 1 {
        return Ok(false);
    }
    keys.sort_unstable_by_key(|(index, key)| (*key, *index));
    for chunk in keys.chunks(ROWS) {
        let sql = format!(
            "INSERT OR IGNORE INTO search_key (key, log, idx) VALUES {}",
            placeholders(chunk.len(), 3)
        );
        // Only question marks were added.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (index, key) in chunk {
            query = query
                .bind(key.as_slice())
                .bind(log.0)
                .bind(row::to_integer(*index)?);
        }
        query
            .execute(&mut *transaction)
            .await
            .map_err(error::store)?;
    }
    copy_to_entries(&mut transaction, log, &keys).await?;
    transaction.commit().await.map_err(error::unavailable)?;
    Ok(true)
}

/// Each entry keeps a copy of its keys, by which the index can be checked.
async fn copy_to_entries(
    transaction: &mut SqliteConnection,
    log: LogId,
    keys: &[(u64, SearchKey)],
) -> Result<(), StoreError> {
    let mut added: BTreeMap<u64, Vec<SearchKey>> = BTreeMap::new();
    for (index, key) in keys {
        added.entry(*index).or_default().push(*key);
    }
    for (index, mut keys) in added {
        let index = row::to_integer(index)?;
        let had = sqlx::query("SELECT keys FROM entry WHERE log = ? AND idx = ?")
            .bind(log.0)
            .bind(index)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(error::store)?;
        if let Some(had) = had {
            let had: &[u8] = had.try_get(0).map_err(error::store)?;
            keys.extend(row::keys_from_bytes(had)?);
        }
        sqlx::query("UPDATE entry SET keys = ? WHERE log = ? AND idx = ?")
            .bind(row::keys_to_bytes(&keys))
            .bind(log.0)
            .bind(index)
            .execute(&mut *transaction)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}
