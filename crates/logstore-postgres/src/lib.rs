//! The [`LogStore`] for servers: PostgreSQL, any number of processes.
//!
//! The lock of a batch is its log's row, `SELECT … FOR UPDATE`; PostgreSQL releases it with the
//! transaction, also when the process that holds it dies. There is no leader, no lease and no
//! clock involved: whoever gets the row writes next.
//!
//! A batch costs five round trips: begin, lock, look up identities, one statement that writes
//! everything, commit. Rows travel as arrays (`UNNEST`): one message a batch, no `COPY`.
//!
//! Needs PostgreSQL 13 or later, a primary, with `fsync` and `synchronous_commit` on. Behind a
//! connection pooler, session pooling: statements are prepared and sessions have settings. If the
//! database fails over, only a synchronous standby may take over: an asynchronous one has lost
//! entries that were acknowledged, and the roll-back guard will refuse it.

mod batch;
mod copy;
mod error;
mod index;
mod patience;
mod pool;
mod read;
mod schema;
mod session;
#[cfg(feature = "testing")]
pub mod testing;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use logstore::row;
use logstore::{
    Batch, Entry, EntryRecord, Head, IndexRow, Known, LogId, LogKind, LogRecord, LogState,
    LogStore, Order, Reader, SearchKey, StoreError, Update,
};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection, Postgres, Row as _};
use tlog::{Hash, TileId};

use crate::batch::PostgresBatch;

/// How long a request waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Said in full: a database may default to an isolation in which the row lock would fail instead of
/// showing the newest row.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Logs in one PostgreSQL database.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    patience: Duration,
}

impl PostgresStore {
    /// Connects to `postgres://…`, checks that the server keeps its promises, and brings the
    /// schema up to date. Keeps at most `max_connections`, unless the URL says another number
    /// (`?pool_max_conns=N`), and at least 2: one for batches.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let (url, given) = pool::take_size(url)?;
        let max_connections = given.unwrap_or(max_connections);
        let options: PgConnectOptions = url.parse().map_err(|error| {
            let reason = error::text(&error);
            StoreError::Address(format!("not a PostgreSQL URL: {reason}"))
        })?;
        let options = without_brackets(options)
            .application_name("sigkeep")
            .statement_cache_capacity(64)
            .disable_statement_logging();
        // On a connection of its own: what is wrong is said at once instead of after retries, and
        // a long migration meets no statement timeout.
        let mut connection = options.connect().await.map_err(|error| {
            let (server, reason) = (place(&options), error::text(&error));
            StoreError::Unavailable(format!("cannot connect to {server}: {reason}"))
        })?;
        session::check(&mut connection).await?;
        schema::migrate(&mut connection).await?;
        drop(connection);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(2))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for <= TRUSTED_IDLE {
                        return Ok(true);
                    }
                    let answer = sqlx::Connection::ping(connection);
                    let answer = tokio::time::timeout(patience::PING, answer).await;
                    Ok(answer.is_ok_and(|ping| ping.is_ok()))
                })
            })
            .after_connect(|connection, _| Box::pin(session::prepare(connection)))
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            patience: patience::DEFAULT,
        })
    }

    /// The same, with another limit to how long the server may be silent: 35 s unless changed, which
    /// is longer than its own limits.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// An IPv6 address as the resolver takes it: the driver leaves the URL's brackets around it.
fn without_brackets(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match address.map(str::to_owned) {
        Some(address) => options.host(&address),
        None => options,
    }
}

/// Where the database is and as whom it is asked, without the password.
fn place(options: &PgConnectOptions) -> String {
    let (user, host) = (options.get_username(), options.get_host());
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None if host.contains(':') => format!("[{host}]:{}", options.get_port()),
        None => format!("{host}:{}", options.get_port()),
    };
    // The server takes the user's name for that of a database that is not named.
    let database = options.get_database().unwrap_or(user);
    format!("database {database} on {host} as {user}")
}

/// A connection of the pool that is given back with the session.
struct PostgresReader {
    log: LogId,
    connection: PoolConnection<Postgres>,
    pool: PgPool,
    patience: Duration,
}

impl PostgresReader {
    /// A connection that has failed is closed instead of given back: to give it back, it would have
    /// to answer.
    fn checked<T>(&mut self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unavailable(_)) = read {
            self.connection.close_on_drop();
        }
        read
    }
}

#[async_trait::async_trait]
impl Reader for PostgresReader {
    async fn read(&mut self, indices: &[u64]) -> Result<(Head, Vec<Entry>), StoreError> {
        let read = read::head_and_entries(&mut self.connection, self.log, indices);
        let read = patience::answer(self.patience, read).await;
        self.checked(read)
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        let read = read::tiles(&mut self.connection, self.log, ids);
        let read = patience::answer(self.patience, read).await;
        self.checked(read)
    }

    fn is_needed_elsewhere(&self) -> bool {
        self.pool.num_idle() == 0 && self.pool.size() >= self.pool.options().get_max_connections()
    }
}

async fn insert_log(connection: &mut PgConnection, log: &LogRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log (id, kind, origin, public_key, state, created_ms,
                          size, root, timestamp_ms, signed)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, '')",
    )
    .bind(log.id.0)
    .bind(log.kind.as_str())
    .bind(log.origin.as_str())
    .bind(log.public_key.as_slice())
    .bind(log.state.as_str())
    .bind(row::to_integer(log.created_ms)?)
    .bind(tlog::empty_root().0.as_slice())
    .execute(connection)
    .await
    .map_err(error::store)?;
    Ok(())
}

#[async_trait::async_trait]
impl LogStore for PostgresStore {
    async fn create_log(&self, log: &LogRecord) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await.map_err(error::unavailable)?;
        insert_log(&mut connection, log).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, kind, origin, public_key, state, created_ms
             FROM log ORDER BY created_ms, id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(error::store)?;
        rows.iter()
            .map(|row| {
                Ok(LogRecord {
                    id: LogId(row.try_get("id").map_err(error::store)?),
                    kind: LogKind::from_row(row.try_get("kind").map_err(error::store)?)?,
                    origin: row.try_get("origin").map_err(error::store)?,
                    public_key: row.try_get("public_key").map_err(error::store)?,
                    state: LogState::from_row(row.try_get("state").map_err(error::store)?)?,
                    created_ms: row::from_integer(
                        row.try_get("created_ms").map_err(error::store)?,
                    )?,
                })
            })
            .collect()
    }

    async fn set_state(&self, log: LogId, state: LogState) -> Result<(), StoreError> {
        // Waits for the row lock, and so for the batch at work.
        let done = sqlx::query("UPDATE log SET state = $2 WHERE id = $1")
            .bind(log.0)
            .bind(state.as_str())
            .execute(&self.pool)
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
        let mut transaction = self
            .pool
            .begin_with(BEGIN)
            .await
            .map_err(error::unavailable)?;
        // The row lock: the batch at work has ended, and the next one finds a frozen log.
        let (_, state) = read::head(&mut transaction, from, read::Lock::ForUpdate).await?;
        if state != LogState::Active {
            return Err(StoreError::Refused(format!("log {from} is frozen already")));
        }
        sqlx::query("UPDATE log SET state = $2 WHERE id = $1")
            .bind(from.0)
            .bind(LogState::Frozen.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(error::store)?;
        insert_log(&mut transaction, to).await?;
        let batch = PostgresBatch {
            log: to.id,
            head: Head::unsigned(tlog::empty_root()),
            state: to.state,
            transaction,
            patience: self.patience,
        };
        Box::new(batch).commit(first).await
    }

    async fn head(&self, log: LogId) -> Result<Head, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(error::unavailable)?;
        read::head(&mut connection, log, read::Lock::None)
            .await
            .map(|(head, _)| head)
    }

    async fn begin(&self, log: LogId) -> Result<Box<dyn Batch>, StoreError> {
        let begin = async {
            let mut transaction = self
                .pool
                .begin_with(BEGIN)
                .await
                .map_err(error::unavailable)?;
            let (head, state) = read::head(&mut transaction, log, read::Lock::ForUpdate).await?;
            Ok(PostgresBatch {
                log,
                head,
                state,
                transaction,
                patience: self.patience,
            })
        };
        let batch = patience::answer(self.patience, begin).await?;
        Ok(Box::new(batch))
    }

    async fn entries(&self, log: LogId, start: u64, end: u64) -> Result<Vec<Entry>, StoreError> {
        read::entries(&self.pool, log, start, end).await
    }

    async fn index_of_leaf(&self, log: LogId, leaf: &Hash) -> Result<Option<u64>, StoreError> {
        read::index_of_leaf(&self.pool, log, leaf).await
    }

    async fn reader(&self, log: LogId) -> Result<Box<dyn Reader>, StoreError> {
        let connection = self.pool.acquire().await.map_err(error::unavailable)?;
        Ok(Box::new(PostgresReader {
            log,
            connection,
            pool: self.pool.clone(),
            patience: self.patience,
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
        index::search(&self.pool, log, key, range, order, limit).await
    }

    async fn indexed(&self, log: LogId) -> Result<u64, StoreError> {
        index::indexed(&self.pool, log).await
    }

    async fn index(
        &self,
        log: LogId,
        range: Range<u64>,
        keys: &[(u64, SearchKey)],
    ) -> Result<bool, StoreError> {
        index::add(&self.pool, log, range, keys).await
    }

    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        copy::records(&self.pool, log, start, end).await
    }

    async fn known(&self, log: LogId, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(error::unavailable)?;
        read::known(&mut connection, log, identities).await
    }

    async fn index_rows(
        &self,
        after: Option<&IndexRow>,
        limit: u32,
    ) -> Result<Vec<IndexRow>, StoreError> {
        copy::index_rows(&self.pool, after, limit).await
    }

    async fn index_has(&self, rows: &[IndexRow]) -> Result<Vec<bool>, StoreError> {
        copy::index_has(&self.pool, rows).await
    }

    async fn repair_index(
        &self,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), StoreError> {
        copy::repair_index(&self.pool, missing, surplus).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM log LIMIT 1")
            .execute(&self.pool)
            .await
            .map_err(error::unavailable)?;
        Ok(())
    }
}
