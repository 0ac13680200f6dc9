//! The schema, embedded.

use logstore::StoreError;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, SqlSafeStr as _};

/// Every migration ever released, in order; a released one never changes.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (
        1,
        "log store",
        include_str!("../../../migrations/postgres/0001_log_store.sql"),
    ),
    (
        2,
        "search watermark",
        include_str!("../../../migrations/postgres/0002_search_watermark.sql"),
    ),
    (
        3,
        "entry copies",
        include_str!("../../../migrations/postgres/0003_entry_copies.sql"),
    ),
    (
        4,
        "vacuum",
        include_str!("../../../migrations/postgres/0004_vacuum.sql"),
    ),
];

/// Brings the schema up to date, under an advisory lock, so that several replicas may start at
/// once. Refuses a database that a newer version wrote.
pub(crate) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
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
