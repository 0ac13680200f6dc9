//! Reading for checks and copies, and repairing the search index.

use logstore::row;
use logstore::{EntryRecord, IndexRow, LogId, MAX_ENTRIES_READ, StoreError};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{error, read};

pub(crate) async fn records(
    connection: &mut PgConnection,
    log: LogId,
    start: u64,
    end: u64,
) -> Result<Vec<EntryRecord>, StoreError> {
    let end = end.min(start.saturating_add(MAX_ENTRIES_READ));
    let rows = sqlx::query(
        "SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise, keys
         FROM entry WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
    )
    .bind(log.0)
    .bind(row::to_bound(start))
    .bind(row::to_bound(end))
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    rows.iter()
        .map(|row| {
            Ok(EntryRecord {
                entry: read::entry(row)?,
                identity: row::hash(row.try_get(1).map_err(error::store)?)?,
                keys: row::keys_from_bytes(row.try_get(7).map_err(error::store)?)?,
            })
        })
        .collect()
}

pub(crate) async fn index_rows(
    connection: &mut PgConnection,
    after: Option<&IndexRow>,
    limit: u32,
) -> Result<Vec<IndexRow>, StoreError> {
    let query = match after {
        None => sqlx::query("SELECT key, log, idx FROM search_key ORDER BY key, log, idx LIMIT $1")
            .bind(i64::from(limit)),
        Some(after) => sqlx::query(
            "SELECT key, log, idx FROM search_key WHERE (key, log, idx) > ($2, $3, $4)
             ORDER BY key, log, idx LIMIT $1",
        )
        .bind(i64::from(limit))
        .bind(after.key.as_slice())
        .bind(after.log.0)
        .bind(row::to_bound(after.index)),
    };
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
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
    connection: &mut PgConnection,
    rows: &[IndexRow],
) -> Result<Vec<bool>, StoreError> {
    let (keys, logs, indices) = columns(rows)?;
    // A subquery for each, never a join that could turn into a scan.
    let found = sqlx::query(
        "SELECT EXISTS (SELECT FROM search_key
                        WHERE search_key.key = asked.key AND search_key.log = asked.log
                          AND search_key.idx = asked.idx)
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
              AS asked (key, log, idx, place)
         ORDER BY place",
    )
    .bind(keys)
    .bind(logs)
    .bind(indices)
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    found
        .iter()
        .map(|row| row.try_get(0).map_err(error::store))
        .collect()
}

pub(crate) async fn repair_index(
    connection: &mut PgConnection,
    missing: &[IndexRow],
    surplus: &[IndexRow],
) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await.map_err(error::unavailable)?;
    for (rows, sql) in [
        (
            missing,
            "INSERT INTO search_key (key, log, idx)
             SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])
             ON CONFLICT DO NOTHING",
        ),
        (
            surplus,
            "DELETE FROM search_key
             USING unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS gone (key, log, idx)
             WHERE search_key.key = gone.key AND search_key.log = gone.log
               AND search_key.idx = gone.idx",
        ),
    ] {
        let (keys, logs, indices) = columns(rows)?;
        sqlx::query(sql)
            .bind(keys)
            .bind(logs)
            .bind(indices)
            .execute(&mut *transaction)
            .await
            .map_err(error::store)?;
    }
    transaction
        .commit()
        .await
        .map_err(|error| StoreError::Unknown(error.to_string()))
}

type Columns<'a> = (Vec<&'a [u8]>, Vec<i64>, Vec<i64>);

/// Keys, logs and indices of rows.
fn columns(rows: &[IndexRow]) -> Result<Columns<'_>, StoreError> {
    let indices = rows.iter().map(|row| row::to_integer(row.index));
    Ok((
        rows.iter().map(|row| row.key.as_slice()).collect(),
        rows.iter().map(|row| row.log.0).collect(),
        indices.collect::<Result<_, _>>()?,
    ))
}
