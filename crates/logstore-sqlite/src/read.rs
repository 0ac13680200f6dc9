//! Reading: every statement sees one committed state.

use std::fmt::Write as _;

use logstore::row;
use logstore::{Entry, Head, Known, LogId, LogState, MAX_ENTRIES_READ, StoreError};
use sqlx::sqlite::{SqliteExecutor, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tlog::{Hash, TileId};

use crate::error;

/// Identities looked up by one statement.
const KNOWN_CHUNK: usize = 128;

pub(crate) async fn head(
    readers: impl SqliteExecutor<'_>,
    log: LogId,
) -> Result<(Head, LogState), StoreError> {
    let row = sqlx::query("SELECT size, root, timestamp_ms, signed, state FROM log WHERE id = ?")
        .bind(log.0)
        .fetch_optional(readers)
        .await
        .map_err(error::store)?
        .ok_or(StoreError::NoSuchLog(log))?;
    let get = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<i64, _>("size")?,
            row.try_get::<&[u8], _>("root")?,
            row.try_get::<i64, _>("timestamp_ms")?,
            row.try_get::<&[u8], _>("signed")?,
            row.try_get::<&str, _>("state")?,
        ))
    };
    let (size, root, timestamp_ms, signed, state) = get().map_err(error::store)?;
    let head = Head::from_row(size, root, timestamp_ms, signed)?;
    Ok((head, LogState::from_row(state)?))
}

pub(crate) async fn entries(
    readers: &SqlitePool,
    log: LogId,
    start: u64,
    end: u64,
) -> Result<Vec<Entry>, StoreError> {
    let end = end.min(start.saturating_add(MAX_ENTRIES_READ));
    let rows = sqlx::query(
        "SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise
         FROM entry WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx",
    )
    .bind(log.0)
    .bind(row::to_bound(start))
    .bind(row::to_bound(end))
    .fetch_all(readers)
    .await
    .map_err(error::store)?;
    rows.iter().map(entry).collect()
}

/// The head, and of the entries at `indices` those that it covers. They are read after the head and
/// never change, so it does not matter what is committed meanwhile.
pub(crate) async fn head_and_entries(
    connection: &mut SqliteConnection,
    log: LogId,
    indices: &[u64],
) -> Result<(Head, Vec<Entry>), StoreError> {
    let (head, _) = self::head(&mut *connection, log).await?;
    let mut found = Vec::with_capacity(indices.len());
    let most = usize::try_from(MAX_ENTRIES_READ).unwrap_or(usize::MAX);
    let asked = indices.iter().take(most);
    for index in asked.filter(|index| **index < head.size) {
        let row = sqlx::query(
            "SELECT idx, identity, leaf_hash, timestamp_ms, body, extra, promise
             FROM entry WHERE log = ? AND idx = ?",
        )
        .bind(log.0)
        .bind(row::to_bound(*index))
        .fetch_optional(&mut *connection)
        .await
        .map_err(error::store)?;
        if let Some(row) = row {
            found.push(entry(&row)?);
        }
    }
    Ok((head, found))
}

pub(crate) fn entry(row: &SqliteRow) -> Result<Entry, StoreError> {
    let get = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<i64, _>("idx")?,
            row.try_get::<&[u8], _>("identity")?,
            row.try_get::<Option<&[u8]>, _>("leaf_hash")?,
            row.try_get::<i64, _>("timestamp_ms")?,
            row.try_get::<Vec<u8>, _>("body")?,
            row.try_get::<Vec<u8>, _>("extra")?,
            row.try_get::<Option<Vec<u8>>, _>("promise")?,
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
    readers: &SqlitePool,
    log: LogId,
    leaf: &Hash,
) -> Result<Option<u64>, StoreError> {
    let index: Option<i64> = sqlx::query(
        "SELECT min(idx) FROM (
             SELECT idx FROM entry WHERE log = ?1 AND identity = ?2 AND leaf_hash IS NULL
             UNION ALL
             SELECT idx FROM entry WHERE log = ?1 AND leaf_hash = ?2)",
    )
    .bind(log.0)
    .bind(leaf.0.as_slice())
    .fetch_one(readers)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(error::store)?;
    index.map(row::from_integer).transpose()
}

pub(crate) async fn known(
    readers: &SqlitePool,
    log: LogId,
    identities: &[Hash],
) -> Result<Vec<Known>, StoreError> {
    let mut found = Vec::new();
    for chunk in identities.chunks(KNOWN_CHUNK) {
        let mut sql = String::from(
            "SELECT identity, idx, timestamp_ms FROM entry WHERE log = ? AND identity IN (?",
        );
        for _ in 1..chunk.len() {
            sql.push_str(",?");
        }
        sql.push(')');
        // Only question marks were added.
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(log.0);
        for identity in chunk {
            query = query.bind(identity.0.as_slice());
        }
        for row in query.fetch_all(readers).await.map_err(error::store)? {
            found.push(Known {
                identity: row::hash(row.try_get(0).map_err(error::store)?)?,
                index: row::from_integer(row.try_get(1).map_err(error::store)?)?,
                timestamp_ms: row::from_integer(row.try_get(2).map_err(error::store)?)?,
            });
        }
    }
    Ok(found)
}

pub(crate) async fn tiles(
    connection: &mut SqliteConnection,
    log: LogId,
    ids: &[TileId],
) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
    let mut tiles = Vec::with_capacity(ids.len());
    for id in ids {
        let row = sqlx::query("SELECT hashes FROM tile WHERE log = ? AND level = ? AND idx = ?")
            .bind(log.0)
            .bind(i64::from(id.level))
            .bind(row::to_bound(id.index))
            .fetch_optional(&mut *connection)
            .await
            .map_err(error::store)?;
        let hashes = row
            .map(|row| row::tile_from_bytes(row.try_get(0).map_err(error::store)?))
            .transpose()?;
        tiles.push(hashes);
    }
    Ok(tiles)
}

/// `(?,?,?),(?,?,?)…`: placeholders for `rows` rows of `columns` columns.
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let one = format!("({})", vec!["?"; columns].join(","));
    let mut all = String::with_capacity(rows * (one.len() + 1));
    for row in 0..rows {
        let separator = if row == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(all, "{separator}{one}");
    }
    all
}
