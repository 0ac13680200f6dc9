//! The schema, embedded, and what the connection must promise.

use logstore::StoreError;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Row as _, SqlSafeStr as _, SqliteConnection};

use crate::error;

/// Every migration ever released, in order; a released one never changes.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (
        1,
        "log store",
        include_str!("../../../migrations/sqlite/0001_log_store.sql"),
    ),
    (
        2,
        "search watermark",
        include_str!("../../../migrations/sqlite/0002_search_watermark.sql"),
    ),
    (
        3,
        "entry copies",
        include_str!("../../../migrations/sqlite/0003_entry_copies.sql"),
    ),
];

/// Brings the schema up to date. Refuses a database that a newer version wrote.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let migrations = MIGRATIONS
        .map(|(version, name, sql)| {
            Migration::new(
                version,
                name.into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        })
        .to_vec();
    Migrator::with_migrations(migrations)
        .run_direct(None, connection, false)
        .await
        .map_err(|error| {
            StoreError::Unavailable(format!("cannot bring the schema up to date: {error}"))
        })
}

/// Checks that the schema is the newest that this program knows, for a store that may not change it.
pub(crate) async fn check_current(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let newest = MIGRATIONS.map(|(version, _, _)| version).into_iter().max();
    let found: Option<i64> = sqlx::query("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| StoreError::Unavailable(format!("not a log database: {error}")))?;
    if found == newest {
        return Ok(());
    }
    Err(StoreError::Unavailable(
        "the schema of the database is not that of this version; start the service, or stop it and \
         run `log list`, with this version once"
            .to_owned(),
    ))
}

/// Checks that the settings that durability rests on took effect.
pub(crate) async fn check_durable(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let journal: String = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(error::store)?;
    let synchronous: i64 = sqlx::query("PRAGMA synchronous")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(error::store)?;
    // 2 is FULL: the write-ahead log is synced before a commit returns.
    if journal.eq_ignore_ascii_case("wal") && synchronous >= 2 {
        Ok(())
    } else {
        Err(StoreError::Unavailable(format!(
            "SQLite would not use a synchronous write-ahead log here (journal_mode={journal}, \
             synchronous={synchronous}): a local file system is needed"
        )))
    }
}
