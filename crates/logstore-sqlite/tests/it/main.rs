//! SQLite against the behaviour suite, and what is particular to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::PathBuf;
use std::sync::Arc;

use logstore::suite::{self, Subject};
use logstore::{LogId, LogKind, LogRecord, LogState, LogStore as _, SharedStore, StoreError};
use logstore_sqlite::SqliteStore;

struct File(PathBuf);

#[async_trait::async_trait]
impl Subject for File {
    async fn another(&self) -> Option<SharedStore> {
        None
    }

    async fn reopen(&self) -> SharedStore {
        Arc::new(SqliteStore::open(&self.0).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behaves_as_every_store_must() {
    let directory = tempfile::tempdir().unwrap();
    suite::run(&File(directory.path().join("log.db"))).await;
}

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        match SqliteStore::open(name).await {
            Err(StoreError::Unavailable(message)) => {
                assert!(message.contains("in use by another process"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    drop(store);
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let content = b"not a database, whatever its name says\n".repeat(100);
    std::fs::write(&path, &content).unwrap();
    assert!(matches!(
        SqliteStore::open(&path).await,
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(std::fs::read(&path).unwrap(), content);
}

#[tokio::test]
async fn after_close_a_copy_of_the_one_file_holds_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let record = LogRecord {
        id: LogId(1),
        kind: LogKind::RekorV1,
        origin: "log.example".to_owned(),
        public_key: vec![1],
        state: LogState::Active,
        created_ms: 0,
    };
    store.create_log(&record).await.unwrap();
    assert_eq!(store.logs().await.unwrap().len(), 1);
    store.close().await.unwrap();
    let copy = directory.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(
        SqliteStore::open(&copy)
            .await
            .unwrap()
            .logs()
            .await
            .unwrap(),
        [record]
    );
}

/// What a program of the first schema left behind, and what it still does beside a newer one.
const BEFORE_THE_WATERMARK: &str = "
    ALTER TABLE log DROP COLUMN indexed;
    DELETE FROM _sqlx_migrations WHERE version = 2;
    INSERT INTO log VALUES
        (1, 'rekor-v1', 'log.example', x'01', 'active', 0, 3, zeroblob(32), 9, x'02'),
        (2, 'ct', 'ct', x'01', 'active', 1, 3, zeroblob(32), 9, x'02')";

#[tokio::test]
async fn entries_from_before_the_watermark_are_to_be_indexed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    SqliteStore::open(&path)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut old = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql(BEFORE_THE_WATERMARK)
        .execute(&mut old)
        .await
        .unwrap();
    sqlx::Connection::close(old).await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let (log, ct) = (LogId(1), LogId(2));
    assert_eq!(store.indexed(log).await.unwrap(), 0);
    assert_eq!(store.indexed(ct).await.unwrap(), 3);
    suite::an_older_programs_entries_stay_above_the_watermark(&store, log).await;
}

#[tokio::test]
async fn a_commit_whose_caller_went_away_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("log.db"))
        .await
        .unwrap();
    let log = LogId(1);
    let record = LogRecord {
        id: log,
        kind: LogKind::RekorV1,
        origin: "log.example".to_owned(),
        public_key: vec![1],
        state: LogState::Active,
        created_ms: 0,
    };
    store.create_log(&record).await.unwrap();
    let mut size = 0;
    for round in 0..40_u32 {
        let batch = store.begin(log).await.unwrap();
        size = batch.head().size;
        let count = store.entries(log, 0, u64::MAX).await.unwrap().len() as u64;
        assert_eq!(count, size, "half a batch");
        let entries: Vec<_> = (0..100_u32)
            .map(|number| {
                let mut hash = tlog::Hash([0; 32]);
                hash.0[..4].copy_from_slice(&round.to_be_bytes());
                hash.0[4..8].copy_from_slice(&number.to_be_bytes());
                logstore::NewEntry {
                    leaf_hash: hash,
                    identity: hash,
                    body: vec![0; 100],
                    extra: Vec::new(),
                    keys: Vec::new(),
                    promise: Vec::new(),
                }
            })
            .collect();
        let head = logstore::Head {
            size: size + 100,
            root: tlog::Hash([1; 32]),
            timestamp_ms: u64::from(round),
            signed: Arc::from(&b"signed"[..]),
        };
        let update = logstore::Update {
            entries,
            tiles: Vec::new(),
            head,
        };
        let patience = std::time::Duration::from_micros(u64::from(round) * 100);
        let _ = tokio::time::timeout(patience, batch.commit(Arc::new(update))).await;
    }
    assert!(size > 0, "no commit was ever reached");
}

#[tokio::test]
async fn a_reader_sees_what_is_committed_beside_the_writer_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    assert!(
        SqliteStore::open_read_only(&path).await.is_err(),
        "no file is made"
    );
    assert!(!path.exists());
    let store = SqliteStore::open(&path).await.unwrap();
    let reader = SqliteStore::open_read_only(&path).await.unwrap();
    let record = LogRecord {
        id: LogId(1),
        kind: LogKind::RekorV1,
        origin: "log.example".to_owned(),
        public_key: vec![1],
        state: LogState::Active,
        created_ms: 0,
    };
    store.create_log(&record).await.unwrap();
    assert_eq!(reader.logs().await.unwrap(), std::slice::from_ref(&record));
    let refused = reader.set_state(LogId(1), LogState::Frozen).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    reader.close().await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let alone = SqliteStore::open_read_only(&path).await.unwrap();
    assert_eq!(alone.logs().await.unwrap(), [record]);
}
