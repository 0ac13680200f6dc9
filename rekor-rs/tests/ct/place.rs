//! Databases of every kind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use logstore::SharedStore;
use logstore_postgres::{PostgresStore, testing};
use logstore_sqlite::SqliteStore;
use sqlx::Connection as _;

/// Runs each test on each kind of store.
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::place::Place::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::place::Place::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_every_store;

/// A kind of store.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Sqlite,
    Postgres,
}

/// A database, and a directory for guards.
pub(crate) struct Database {
    directory: tempfile::TempDir,
    postgres: Option<testing::Database>,
}

impl Place {
    /// An empty database.
    pub(crate) async fn database(self) -> Database {
        let postgres = match self {
            Self::Sqlite => None,
            Self::Postgres => Some(testing::server().await.database().await),
        };
        Database {
            directory: tempfile::tempdir().unwrap(),
            postgres,
        }
    }
}

impl Database {
    /// Opens it. SQLite allows this once at a time, and closes in the background.
    pub(crate) async fn store(&self) -> SharedStore {
        if let Some(database) = &self.postgres {
            return Arc::new(PostgresStore::connect(database.url(), 4).await.unwrap());
        }
        let path = self.path("logs.db");
        for _ in 0..500 {
            match SqliteStore::open(&path).await {
                Ok(store) => return Arc::new(store),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Arc::new(SqliteStore::open(&path).await.unwrap())
    }

    /// A copy as a backup would be. Nothing may be open.
    pub(crate) async fn backup(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if let Some(database) = &self.postgres {
            let server = testing::server().await;
            server.cut_connections(database).await;
            return Self {
                directory,
                postgres: Some(server.copy(database).await),
            };
        }
        // Opening waits for the last store to be closed; what it wrote is then in the files.
        drop(self.store().await);
        for name in ["logs.db", "logs.db-wal"] {
            if self.path(name).exists() {
                std::fs::copy(self.path(name), directory.path().join(name)).unwrap();
            }
        }
        Self {
            directory,
            postgres: None,
        }
    }

    /// Runs a statement beside the store, as a bug or an intruder would.
    pub(crate) async fn execute(&self, sql: &'static str) {
        if let Some(database) = &self.postgres {
            let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let url = format!("sqlite:{}", self.path("logs.db").display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
