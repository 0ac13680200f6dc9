//! PostgreSQL against the behaviour suite, and what is particular to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Arc;

use logstore::suite::{self, Subject};
use logstore::{
    LogId, LogKind, LogRecord, LogState, LogStore as _, SharedStore, StoreError, Update,
};
use logstore_postgres::PostgresStore;
use logstore_postgres::testing::{self, Database};
use sqlx::{AssertSqlSafe, Connection as _};

mod silence;

struct Replicas(Database);

#[async_trait::async_trait]
impl Subject for Replicas {
    async fn another(&self) -> Option<SharedStore> {
        Some(self.reopen().await)
    }

    async fn reopen(&self) -> SharedStore {
        Arc::new(PostgresStore::connect(self.0.url(), 8).await.unwrap())
    }
}

fn record() -> LogRecord {
    LogRecord {
        id: LogId(1),
        kind: LogKind::Ct,
        origin: "log.example".to_owned(),
        public_key: vec![1],
        state: LogState::Active,
        created_ms: 0,
    }
}

async fn refusal(url: &str) -> String {
    match PostgresStore::connect(url, 2).await {
        Err(StoreError::Unavailable(reason) | StoreError::Address(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behaves_as_every_store_must() {
    suite::run(&Replicas(testing::server().await.database().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_may_start_at_once_on_an_empty_database() {
    let database = testing::server().await.database().await;
    let starts = (0..8).map(|_| {
        let url = database.url().to_owned();
        tokio::spawn(async move { PostgresStore::connect(&url, 2).await })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.unwrap().unwrap().logs().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_relied_upon_is_refused() {
    let server = testing::server().await;
    let lossy = server.database().await;
    let set = format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        lossy.name()
    );
    server.execute(set).await;
    let reason = refusal(lossy.url()).await;
    assert!(reason.contains("synchronous_commit = off"), "{reason}");

    // Switched off while the store runs: new connections are refused.
    let later = server.database().await;
    let store = PostgresStore::connect(later.url(), 2).await.unwrap();
    store.create_log(&record()).await.unwrap();
    server
        .execute(format!(
            "ALTER DATABASE {} SET synchronous_commit = off",
            later.name()
        ))
        .await;
    server.cut_connections(&later).await;
    let begun = tokio::time::timeout(std::time::Duration::from_secs(30), store.begin(LogId(1)));
    assert!(matches!(
        begun.await.unwrap().err(),
        Some(StoreError::Unavailable(_))
    ));

    // A newer version wrote the schema.
    let newer = server.database().await;
    PostgresStore::connect(newer.url(), 2).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(newer.url()).await.unwrap();
    let newest = "INSERT INTO _sqlx_migrations VALUES (9999, 'future', now(), true, '', 0)";
    sqlx::raw_sql(AssertSqlSafe(newest))
        .execute(&mut connection)
        .await
        .unwrap();
    let reason = refusal(newer.url()).await;
    assert!(reason.contains("9999"), "{reason}");
}

/// What a program of the first schema left behind, and what it still does beside a newer one.
const BEFORE_THE_WATERMARK: &str = "
    ALTER TABLE log DROP COLUMN indexed;
    DELETE FROM _sqlx_migrations WHERE version = 2;
    INSERT INTO log VALUES
        (1, 'rekor-v1', 'log.example', '\\x01', 'active', 0, 3, decode(repeat('00', 32), 'hex'), 9, '\\x02'),
        (2, 'ct', 'ct', '\\x01', 'active', 1, 3, decode(repeat('00', 32), 'hex'), 9, '\\x02')";

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_before_the_watermark_are_to_be_indexed() {
    let database = testing::server().await.database().await;
    drop(PostgresStore::connect(database.url(), 2).await.unwrap());
    let mut old = sqlx::PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql(BEFORE_THE_WATERMARK)
        .execute(&mut old)
        .await
        .unwrap();

    let store = PostgresStore::connect(database.url(), 2).await.unwrap();
    let (log, ct) = (LogId(1), LogId(2));
    assert_eq!(store.indexed(log).await.unwrap(), 0);
    assert_eq!(store.indexed(ct).await.unwrap(), 3);
    suite::an_older_programs_entries_stay_above_the_watermark(&store, log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_named() {
    for (url, says) in [
        (
            "postgres://user:hunter2@127.0.0.1:1/logs",
            "cannot connect to database logs on 127.0.0.1:1 as user: Connection refused",
        ),
        (
            "postgres://user@[::1]:1",
            "cannot connect to database user on [::1]:1 as user: ",
        ),
        (
            "postgres://user@127.0.0.1:99999/logs",
            "not a PostgreSQL URL: invalid port number",
        ),
        (
            "postgres://user@127.0.0.1:1/logs?sslmode=maybe",
            "not a PostgreSQL URL: unknown value \"maybe\"",
        ),
    ] {
        let reason = refusal(url).await;
        assert!(reason.starts_with(says), "{url}: {reason}");
        assert!(!reason.contains("lookup"), "{url}: {reason}");
    }
    let server = testing::server().await;
    let database = server.database().await;
    let missing = format!("{}-missing", database.name());
    let reason = refusal(&database.url().replace(database.name(), &missing)).await;
    assert!(
        reason.ends_with(&format!("database \"{missing}\" does not exist")),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_tell_the_password() {
    let reason = refusal("postgres://user:hunter2@127.0.0.1:1/database").await;
    assert!(!reason.contains("hunter2"), "{reason}");
    let reason = refusal("postgres://user:hunter2@[nonsense").await;
    assert!(!reason.contains("hunter2"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_was_cut_did_not_happen() {
    let server = testing::server().await;
    let database = server.database().await;
    let store = PostgresStore::connect(database.url(), 4).await.unwrap();
    store.create_log(&record()).await.unwrap();
    let batch = store.begin(LogId(1)).await.unwrap();
    let head = batch.head().clone();
    assert!(server.cut_connections(&database).await > 0);
    let signed = logstore::Head {
        signed: Arc::from(&b"signed"[..]),
        ..head.clone()
    };
    let update = Update {
        entries: vec![],
        tiles: vec![],
        head: signed,
    };
    let result = batch.commit(Arc::new(update)).await;
    assert!(
        matches!(result, Err(StoreError::Unavailable(_))),
        "{result:?}"
    );
    // Connections that died are replaced, and the lock died with its own.
    let batch = loop {
        match store.begin(LogId(1)).await {
            Ok(batch) => break batch,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(batch.head(), &head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_the_lock_ends() {
    let database = testing::server().await.database().await;
    let store = PostgresStore::connect(database.url(), 4).await.unwrap();
    store.create_log(&record()).await.unwrap();
    let held = store.begin(LogId(1)).await.unwrap();
    let patience = std::time::Duration::from_secs(25);
    let waited = tokio::time::timeout(patience, store.begin(LogId(1))).await;
    assert!(matches!(
        waited.unwrap().err(),
        Some(StoreError::Unavailable(_))
    ));
    drop(held);
    store.begin(LogId(1)).await.unwrap();
}
