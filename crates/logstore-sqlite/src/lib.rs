//! The embedded [`LogStore`]: one SQLite file, one process.
//!
//! Write-ahead log with `synchronous=FULL`: a commit returns after an fsync. One connection
//! writes; readers have their own and see the last committed state. A batch holds its log's lock
//! in memory and opens its transaction only to commit, so that logs that share the file do not
//! wait for each other's signatures.
//!
//! The lock in memory is enough because a second process cannot open the file: `<file>.lock` is
//! held (`flock`) as long as the store lives.

mod batch;
mod copy;
mod error;
mod index;
mod lock;
mod read;
mod schema;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logstore::row;
use logstore::{
    Batch, Entry, EntryRecord, Head, IndexRow, Known, LogId, LogRecord, LogState, LogStore, Order,
    Reader, SearchKey, StoreError, Update,
};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, Sqlite, SqliteConnection};
use tlog::{Hash, TileId};

use crate::batch::{Change, SqliteBatch};
use crate::error::unavailable;
use crate::lock::FileLock;

/// Connections that read. Reads are short; more would only fight for the same two or four cores.
const READERS: u32 = 4;

/// How long a statement waits for the file, which only a checkpoint or a backup tool can hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Logs in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    /// Makes batches of one log exclude each other.
    locks: Mutex<HashMap<LogId, LogLock>>,
    path: PathBuf,
    // Last: unlocks after the connections are gone. None of a store that only reads.
    file_lock: Option<Arc<FileLock>>,
}

/// The one connection that writes.
type Writer = Arc<tokio::sync::Mutex<SqliteConnection>>;

/// Held from the beginning of a batch to its end.
type LogLock = Arc<tokio::sync::Mutex<()>>;

impl SqliteStore {
    /// Opens or creates the database file at `path` and brings its schema up to date.
    ///
    /// Fails if another process, or another store of this one, has the file open.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = Arc::new(FileLock::acquire(path)?);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(512)
            .disable_statement_logging();
        let mut writer = options
            .connect()
            .await
            .map_err(|error| open_failed(path, &error))?;
        schema::migrate(&mut writer).await?;
        schema::check_durable(&mut writer).await?;
        let options = options.create_if_missing(false).read_only(true);
        Ok(Self::over(path, writer, options, Some(lock)))
    }

    /// Opens the database file at `path` for reading, also while another process has it open for
    /// writing. Every change is refused.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = options
            .connect()
            .await
            .map_err(|error| open_failed(path, &error))?;
        schema::check_current(&mut connection).await?;
        Ok(Self::over(path, connection, options, None))
    }

    fn over(
        path: &Path,
        writer: SqliteConnection,
        readers: SqliteConnectOptions,
        file_lock: Option<Arc<FileLock>>,
    ) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(readers);
        Self {
            readers,
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            locks: Mutex::default(),
            path: path.to_owned(),
            file_lock,
        }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock_of(&self, log: LogId) -> LogLock {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(log).or_default())
    }
}

fn open_failed(path: &Path, error: &sqlx::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
}

/// A connection of the readers that is given back with the session.
struct SqliteReader {
    log: LogId,
    connection: PoolConnection<Sqlite>,
    readers: SqlitePool,
}

#[async_trait::async_trait]
impl Reader for SqliteReader {
    async fn read(&mut self, indices: &[u64]) -> Result<(Head, Vec<Entry>), StoreError> {
        read::head_and_entries(&mut self.connection, self.log, indices).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        read::tiles(&mut self.connection, self.log, ids).await
    }

    fn is_needed_elsewhere(&self) -> bool {
        self.readers.num_idle() == 0 && self.readers.size() >= READERS
    }
}

async fn insert_log(writer: &mut SqliteConnection, log: &LogRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log (id, kind, origin, public_key, state, created_ms,
                          size, root, timestamp_ms, signed)
         VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0, x'')",
    )
    .bind(log.id.0)
    .bind(log.kind.as_str())
    .bind(log.origin.as_str())
    .bind(log.public_key.as_slice())
    .bind(log.state.as_str())
    .bind(row::to_integer(log.created_ms)?)
    .bind(tlog::empty_root().0.as_slice())
    .execute(writer)
    .await
    .map_err(error::store)?;
    Ok(())
}

async fn rotate(
    writer: &mut SqliteConnection,
    from: LogId,
    to: &LogRecord,
    first: Arc<Update>,
) -> Result<(), StoreError> {
    let unsigned = Head::unsigned(tlog::empty_root());
    first.check(&unsigned, to.state)?;
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(unavailable)?;
    let state: Option<String> = sqlx::query("SELECT state FROM log WHERE id = ?")
        .bind(from.0)
        .fetch_optional(&mut *transaction)
        .await
        .and_then(|row| row.map(|row| row.try_get(0)).transpose())
        .map_err(error::store)?;
    let state = state.ok_or(StoreError::NoSuchLog(from))?;
    if LogState::from_row(&state)? != LogState::Active {
        return Err(StoreError::Refused(format!("log {from} is frozen already")));
    }
    sqlx::query("UPDATE log SET state = ? WHERE id = ?")
        .bind(LogState::Frozen.as_str())
        .bind(from.0)
        .execute(&mut *transaction)
        .await
        .map_err(error::store)?;
    insert_log(&mut transaction, to).await?;
    batch::write(&mut transaction, to.id, &unsigned, &Change::Update(first)).await?;
    transaction
        .commit()
        .await
        .map_err(|error| StoreError::Unknown(error.to_string()))
}

#[async_trait::async_trait]
impl LogStore for SqliteStore {
    async fn create_log(&self, log: &LogRecord) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        insert_log(&mut writer, log).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, kind, origin, public_key, state, created_ms
             FROM log ORDER BY created_ms, id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(unavailable)?;
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
                let (id, kind, origin, public_key, state, created_ms) =
                    get().map_err(error::store)?;
                LogRecord::from_row(id, kind, origin, public_key, state, created_ms)
            })
            .collect()
    }

    async fn set_state(&self, log: LogId, state: LogState) -> Result<(), StoreError> {
        // After the batch at work: a frozen log is frozen when this returns.
        let lock = self.lock_of(log);
        let _held = lock.lock().await;
        let mut writer = self.writer.lock().await;
        let done = sqlx::query("UPDATE log SET state = ? WHERE id = ?")
            .bind(state.as_str())
            .bind(log.0)
            .execute(&mut *writer)
            .await
            .map_err(error::store)?;
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::NoSuchLog(log))
        }
    }

    async fn rotate(
        &self,
        from: LogId,
        to: &LogRecord,
        first: Arc<Update>,
    ) -> Result<(), StoreError> {
        let held = self.lock_of(from).lock_owned().await;
        let (writer, file_lock) = (Arc::clone(&self.writer), self.file_lock.clone());
        let to = to.clone();
        // A task of its own, as for a batch: a caller that gives up leaves no half transaction.
        let task = tokio::spawn(async move {
            let mut writer = writer.lock().await;
            let result = rotate(&mut writer, from, &to, first).await;
            drop((writer, held, file_lock));
            result
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unknown(error.to_string())))
    }

    async fn head(&self, log: LogId) -> Result<Head, StoreError> {
        read::head(&self.readers, log).await.map(|(head, _)| head)
    }

    async fn begin(&self, log: LogId) -> Result<Box<dyn Batch>, StoreError> {
        let held = self.lock_of(log).lock_owned().await;
        let (head, state) = read::head(&self.readers, log).await?;
        Ok(Box::new(SqliteBatch {
            log,
            head,
            state,
            readers: self.readers.clone(),
            writer: Arc::clone(&self.writer),
            held,
            file_lock: self.file_lock.clone(),
        }))
    }

    async fn entries(&self, log: LogId, start: u64, end: u64) -> Result<Vec<Entry>, StoreError> {
        read::entries(&self.readers, log, start, end).await
    }

    async fn index_of_leaf(&self, log: LogId, leaf: &Hash) -> Result<Option<u64>, StoreError> {
        read::index_of_leaf(&self.readers, log, leaf).await
    }

    async fn reader(&self, log: LogId) -> Result<Box<dyn Reader>, StoreError> {
        let connection = self.readers.acquire().await.map_err(unavailable)?;
        Ok(Box::new(SqliteReader {
            log,
            connection,
            readers: self.readers.clone(),
        }))
    }

    async fn search(
        &self,
        log: LogId,
        key: &SearchKey,
        range: Range<u64>,
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        index::search(&self.readers, log, key, range, order, limit).await
    }

    async fn indexed(&self, log: LogId) -> Result<u64, StoreError> {
        index::indexed(&self.readers, log).await
    }

    async fn index(
        &self,
        log: LogId,
        range: Range<u64>,
        keys: &[(u64, SearchKey)],
    ) -> Result<bool, StoreError> {
        let (writer, keys) = (Arc::clone(&self.writer), keys.to_vec());
        let file_lock = self.file_lock.clone();
        // A task of its own, as a batch's: half a transaction must not stay on the connection.
        let task = tokio::spawn(async move {
            let mut writer = writer.lock().await;
            let added = index::add(&mut writer, log, range, keys).await;
            drop(writer);
            drop(file_lock);
            added
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        copy::records(&self.readers, log, start, end).await
    }

    async fn known(&self, log: LogId, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        read::known(&self.readers, log, identities).await
    }

    async fn index_rows(
        &self,
        after: Option<&IndexRow>,
        limit: u32,
    ) -> Result<Vec<IndexRow>, StoreError> {
        copy::index_rows(&self.readers, after, limit).await
    }

    async fn index_has(&self, rows: &[IndexRow]) -> Result<Vec<bool>, StoreError> {
        copy::index_has(&self.readers, rows).await
    }

    async fn repair_index(
        &self,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        copy::repair_index(&mut writer, missing, surplus).await
    }

    /// Moves the write-ahead log into the database file, so that a copy of this one file holds
    /// everything. A reader that is still at work keeps that from being complete.
    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        if self.file_lock.is_none() {
            return Ok(());
        }
        let mut writer = self.writer.lock().await;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *writer)
            .await
            .map_err(error::store)?;
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT count(*) FROM log LIMIT 1")
            .execute(&self.readers)
            .await
            .map_err(unavailable)?;
        Ok(())
    }
}
