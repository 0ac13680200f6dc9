//! The search index and its watermark.

use std::ops::Range;

use logstore::row;
use logstore::{LogId, Order, SearchKey, StoreError};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::error;

pub(crate) async fn search(
    connection: &mut PgConnection,
    log: LogId,
    key: &SearchKey,
    range: Range<u64>,
    order: Order,
    limit: u32,
) -> Result<Vec<u64>, StoreError> {
    // All columns of the primary key, so that it gives the order.
    let sql = match order {
        Order::Ascending => {
            "SELECT idx FROM search_key WHERE key = $1 AND log = $2 AND idx >= $3 AND idx < $4
             ORDER BY key, log, idx LIMIT $5"
        }
        Order::Descending => {
            "SELECT idx FROM search_key WHERE key = $1 AND log = $2 AND idx >= $3 AND idx < $4
             ORDER BY key DESC, log DESC, idx DESC LIMIT $5"
        }
    };
    let rows = sqlx::query(sql)
        .bind(key.as_slice())
        .bind(log.0)
        .bind(row::to_bound(range.start))
        .bind(row::to_bound(range.end))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    rows.iter()
        .map(|row| row::from_integer(row.try_get(0).map_err(error::store)?))
        .collect()
}

pub(crate) async fn indexed(connection: &mut PgConnection, log: LogId) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT indexed FROM log WHERE id = $1")
        .bind(log.0)
        .fetch_optional(connection)
        .await
        .map_err(error::store)?
        .ok_or(StoreError::NoSuchLog(log))?;
    row::from_integer(row.try_get(0).map_err(error::store)?)
}

pub(crate) async fn add(
    connection: &mut PgConnection,
    log: LogId,
    range: Range<u64>,
    keys: &[(u64, SearchKey)],
) -> Result<bool, StoreError> {
    let mut keys = keys
        .iter()
        .map(|(index, key)| Ok((key.as_slice(), row::to_integer(*index)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    keys.sort_unstable();
    let (keys, indices): (Vec<&[u8]>, Vec<i64>) = keys.into_iter().unzip();
    let mut transaction = connection.begin().await.map_err(error::unavailable)?;
    // The keys first: a batch that waits for the log's row then waits for the watermark only.
    sqlx::query(
        "INSERT INTO search_key (key, log, idx)
         SELECT new.key, $1, new.idx FROM unnest($2::bytea[], $3::bigint[]) AS new (key, idx)
         ON CONFLICT DO NOTHING",
    )
    .bind(log.0)
    .bind(&keys)
    .bind(&indices)
    .execute(&mut *transaction)
    .await
    .map_err(error::store)?;
    // Each entry keeps a copy of its keys, ascending, by which the index can be checked.
    sqlx::query(
        "UPDATE entry SET keys = merged.keys
         FROM (SELECT idx, string_agg(key, '' ORDER BY key) AS keys
               FROM (SELECT had.idx, substring(had.keys FROM 16 * place + 1 FOR 16) AS key
                     FROM entry AS had, generate_series(0, length(had.keys) / 16 - 1) AS place
                     WHERE had.log = $1 AND had.idx = ANY ($3)
                     UNION
                     SELECT new.idx, new.key FROM unnest($2::bytea[], $3::bigint[]) AS new (key, idx)
                    ) AS keys_of_each
               GROUP BY idx) AS merged
         WHERE entry.log = $1 AND entry.idx = merged.idx",
    )
    .bind(log.0)
    .bind(keys)
    .bind(indices)
    .execute(&mut *transaction)
    .await
    .map_err(error::store)?;
    let moved = sqlx::query(
        "UPDATE log SET indexed = $3 WHERE id = $1 AND indexed = $2 AND $3 BETWEEN indexed AND size",
    )
    .bind(log.0)
    .bind(row::to_bound(range.start))
    .bind(row::to_bound(range.end))
    .execute(&mut *transaction)
    .await
    .map_err(error::store)?;
    if moved.rows_affected() != 1 {
        // Given up by dropping it.
        return Ok(false);
    }
    // If the answer is lost, the watermark may have moved: whoever asks next sees where it is.
    transaction.commit().await.map_err(error::unavailable)?;
    Ok(true)
}
