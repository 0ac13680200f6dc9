//! Reading: every statement sees one committed state.

use logstore::row;
use logstore::{Entry, Head, Known, LogId, LogRecord, LogState, MAX_ENTRIES_READ, StoreError};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use tlog::{Hash, TileId};

use crate::error;

/// Whether reading the head takes its lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    ForUpdate,
}

pub(crate) async fn head(
    connection: &mut PgConnection,
    log: LogId,
    lock: Lock,
) -> Result<(Head, LogState), StoreError> {
    let sql = match lock {
        Lock::None => "SELECT size, root, timestamp_ms, signed, state FROM log WHERE id = $1",
        Lock::ForUpdate => {
            "SELECT size, root, timestamp_ms, signed, state FROM log WHERE id = $1 FOR UPDATE"
        }
    };
    let row = sqlx::query(sql)
        .bind(log.0)
        .fetch_optional(connection)
        .await
        .map_err(error::store)?
        .ok_or(StoreError::NoSuchLog(log))?;
    let get = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<i64, _>(0)?,
            row.try_get::<&[u8], _>(1)?,
            row.try_get::<i64, _>(2)?,
            row.try_get::<&[u8], _>(3)?,
            row.try_get::<&str, _>(4)?,
        ))
    };
    let (size, root, timestamp_ms, signed, state) = get().map_err(error::store)?;
    let head = Head::from_row(size, root, timestamp_ms, signed)?;
    Ok((head, LogState::from_row(state)?))
}

pub(crate) async fn logs(connection: &mut PgConnection) -> Result<Vec<LogRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, kind, origin, public_key, state, created_ms
         FROM log ORDER BY created_ms, id",
    )
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    rows.iter()
        .map(|row| {
            let get = || -> Result<_, sqlx::Error> {
                Ok((
                    row.try_get(0)?,
                    row.try_get(1)?,
                    row.try_get(2)?,
                    row.try_get(3)?,
                    row.try_get(4)?,
                    row.try_get(5)?,
                ))
            };
            let (id, kind, origin, public_key, state, created_ms) = get().map_err(error::store)?;
            LogRecord::from_row(id, kind, origin, public_key, state, created_ms)
        })
        .collect()
}

pub(crate) async fn entries(
    connection: &mut PgConnection,
    log: LogId,
    start: u64,
    end: u64,
) -> Result<Vec<Entry>, StoreError> {
    let end = end.min(start.saturating_add(MAX_ENTRIES_READ));
    let rows = sqlx::query(
        "SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise
         FROM entry WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
    )
    .bind(log.0)
    .bind(row::to_bound(start))
    .bind(row::to_bound(end))
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    rows.iter().map(entry).collect()
}

/// The head, and the entries at `indices`, of one state. The head is the first row: it has the
/// columns of an entry, so that both come with one question.
pub(crate) async fn head_and_entries(
    connection: &mut PgConnection,
    log: LogId,
    indices: &[u64],
) -> Result<(Head, Vec<Entry>), StoreError> {
    let most = usize::try_from(MAX_ENTRIES_READ).unwrap_or(usize::MAX);
    let indices: Vec<i64> = indices
        .iter()
        .take(most)
        .map(|i| row::to_bound(*i))
        .collect();
    // One descent of the index for each entry, fenced by LIMIT, as in `known`.
    let rows = sqlx::query(
        "SELECT size, root, NULL::bytea, timestamp_ms, signed, NULL::bytea, NULL::bytea, 0 AS place
         FROM log WHERE id = $1
         UNION ALL
         SELECT found.*, asked.place
         FROM unnest($2::bigint[]) WITH ORDINALITY AS asked (idx, place)
         CROSS JOIN LATERAL (
             SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise FROM entry
             WHERE log = $1 AND entry.idx = asked.idx LIMIT 1) AS found
         ORDER BY place",
    )
    .bind(log.0)
    .bind(indices)
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    let Some((first, rest)) = rows.split_first() else {
        return Err(StoreError::NoSuchLog(log));
    };
    let get = || -> Result<_, sqlx::Error> {
        Ok((
            first.try_get::<i64, _>(0)?,
            first.try_get::<&[u8], _>(1)?,
            first.try_get::<i64, _>(3)?,
            first.try_get::<&[u8], _>(4)?,
            first.try_get::<i64, _>(7)?,
        ))
    };
    let (size, root, timestamp_ms, signed, place) = get().map_err(error::store)?;
    // Entries of a log that does not exist.
    if place != 0 {
        return Err(StoreError::NoSuchLog(log));
    }
    let head = Head::from_row(size, root, timestamp_ms, signed)?;
    let mut entries = rest.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    entries.retain(|entry| entry.index < head.size);
    Ok((head, entries))
}

pub(crate) fn entry(row: &PgRow) -> Result<Entry, StoreError> {
    let get = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<i64, _>(0)?,
            row.try_get::<&[u8], _>(1)?,
            row.try_get::<Option<&[u8]>, _>(2)?,
            row.try_get::<i64, _>(3)?,
            row.try_get::<Vec<u8>, _>(4)?,
            row.try_get::<Vec<u8>, _>(5)?,
            row.try_get::<Option<Vec<u8>>, _>(6)?,
        ))
    };
    let (index, identity, leaf_hash, timestamp_ms, body, extra, promise) =
        get().map_err(error::store)?;
    Entry::from_row(
        index,
        identity,
        leaf_hash,
        timestamp_ms,
        body,
        extra,
        promise,
    )
}

pub(crate) async fn index_of_leaf(
    connection: &mut PgConnection,
    log: LogId,
    leaf: &Hash,
) -> Result<Option<u64>, StoreError> {
    let index: Option<i64> = sqlx::query(
        "SELECT min(idx) FROM (
             SELECT idx FROM entry WHERE log = $1 AND identity = $2 AND leaf_hash IS NULL
             UNION ALL
             SELECT idx FROM entry WHERE log = $1 AND leaf_hash = $2) AS found",
    )
    .bind(log.0)
    .bind(leaf.0.as_slice())
    .fetch_one(connection)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(error::store)?;
    index.map(row::from_integer).transpose()
}

pub(crate) async fn known(
    connection: &mut PgConnection,
    log: LogId,
    identities: &[Hash],
) -> Result<Vec<Known>, StoreError> {
    if identities.is_empty() {
        return Ok(Vec::new());
    }
    let identities: Vec<&[u8]> = identities
        .iter()
        .map(|identity| identity.0.as_slice())
        .collect();
    // One descent of the index for each, fenced by LIMIT: `= ANY` may be planned as a filter over
    // all entries of the log.
    let rows = sqlx::query(
        "SELECT found.identity, found.idx, found.timestamp_ms
         FROM unnest($2::bytea[]) AS asked (identity)
         CROSS JOIN LATERAL (
             SELECT identity, idx, timestamp_ms FROM entry
             WHERE log = $1 AND entry.identity = asked.identity LIMIT 1) AS found",
    )
    .bind(log.0)
    .bind(identities)
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                identity: row::hash(row.try_get(0).map_err(error::store)?)?,
                index: row::from_integer(row.try_get(1).map_err(error::store)?)?,
                timestamp_ms: row::from_integer(row.try_get(2).map_err(error::store)?)?,
            })
        })
        .collect()
}

pub(crate) async fn tiles(
    connection: &mut PgConnection,
    log: LogId,
    ids: &[TileId],
) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let levels: Vec<i16> = ids.iter().map(|id| i16::from(id.level)).collect();
    let indices: Vec<i64> = ids.iter().map(|id| row::to_bound(id.index)).collect();
    // A subquery for each, never a join that could turn into a scan.
    let rows = sqlx::query(
        "SELECT (SELECT hashes FROM tile
                 WHERE log = $1 AND tile.level = asked.level AND tile.idx = asked.idx)
         FROM unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS asked (level, idx, place)
         ORDER BY place",
    )
    .bind(log.0)
    .bind(levels)
    .bind(indices)
    .fetch_all(connection)
    .await
    .map_err(error::store)?;
    rows.iter()
        .map(|row| {
            let hashes: Option<&[u8]> = row.try_get(0).map_err(error::store)?;
            hashes.map(row::tile_from_bytes).transpose()
        })
        .collect()
}
