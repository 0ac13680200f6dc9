//! Opening the store that a URL names.

use std::path::Path;
use std::sync::Arc;

use logstore::{SharedStore, StoreError};
use logstore_postgres::PostgresStore;
use logstore_sqlite::SqliteStore;

/// Connections to PostgreSQL. Writes go through one a log; the others serve reads.
const CONNECTIONS: u32 = 16;

/// Opens `sqlite:PATH`, with `?mode=ro` for reading beside the service, or `postgres://…`.
pub async fn open(url: &str) -> Result<SharedStore, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => match path.strip_suffix("?mode=ro") {
            None => sqlite(Path::new(path)).await,
            Some(path) => Ok(Arc::new(
                SqliteStore::open_read_only(Path::new(path)).await?,
            )),
        },
        Some(("postgres" | "postgresql", _)) => {
            Ok(Arc::new(PostgresStore::connect(url, CONNECTIONS).await?))
        }
        _ => Err(StoreError::Address(
            "write sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned(),
        )),
    }
}

/// Opens a database file, or creates it.
pub async fn sqlite(path: &Path) -> Result<SharedStore, StoreError> {
    Ok(Arc::new(SqliteStore::open(path).await?))
}
