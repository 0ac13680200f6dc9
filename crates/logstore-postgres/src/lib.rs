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
mod connection;
mod copy;
mod error;
mod index;
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
    Batch, Entry, EntryRecord, Head, IndexRow, Known, LogId, LogRecord, LogState, LogStore, Order,
    Reader, SearchKey, StoreError, Update,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection};
use tlog::{Hash, TileId};

use crate::batch::PostgresBatch;
use crate::connection::Connection;

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
                    let answer = tokio::time::timeout(connection::PING, answer).await;
                    Ok(answer.is_ok_and(|ping| ping.is_ok()))
                })
            })
            .after_connect(|connection, _| Box::pin(session::prepare(connection)))
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            patience: connection::PATIENCE,
        })
    }

    /// The same, with another limit to how long the server may be silent: 35 s unless changed, which
    /// is longer than its own limits.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn connection(&self) -> Result<Connection, StoreError> {
        Connection::of(&self.pool, self.patience).await
    }

    /// Puts one question.
    async fn ask<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connection().await?.ask(statement).await
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
    connection: Connection,
    pool: PgPool,
}

#[async_trait::async_trait]
impl Reader for PostgresReader {
    async fn read(&mut self, indices: &[u64]) -> Result<(Head, Vec<Entry>), StoreError> {
        let read = async |c: &mut _| read::head_and_entries(c, self.log, indices).await;
        self.connection.ask(read).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        let read = async |c: &mut _| read::tiles(c, self.log, ids).await;
        self.connection.ask(read).await
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

async fn set_state(
    connection: &mut PgConnection,
    log: LogId,
    state: LogState,
) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE log SET state = $2 WHERE id = $1")
        .bind(log.0)
        .bind(state.as_str())
        .execute(connection)
        .await
        .map_err(error::store)?;
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::NoSuchLog(log))
    }
}

#[async_trait::async_trait]
impl LogStore for PostgresStore {
    async fn create_log(&self, log: &LogRecord) -> Result<(), StoreError> {
        self.ask(async |c| insert_log(c, log).await).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        self.ask(async |c| read::logs(c).await).await
    }

    async fn set_state(&self, log: LogId, state: LogState) -> Result<(), StoreError> {
        // Waits for the row lock, and so for the batch at work.
        self.ask(async |c| set_state(c, log, state).await).await
    }

    async fn rotate(
        &self,
        from: LogId,
        to: &LogRecord,
        first: Arc<Update>,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        connection.begin(BEGIN).await?;
        let change = async |c: &mut PgConnection| {
            // The row lock: the batch at work has ended, and the next one finds a frozen log.
            let (_, state) = read::head(c, from, read::Lock::ForUpdate).await?;
            if state != LogState::Active {
                return Err(StoreError::Refused(format!("log {from} is frozen already")));
            }
            set_state(c, from, LogState::Frozen).await?;
            insert_log(c, to).await
        };
        connection.ask(change).await?;
        let batch = PostgresBatch {
            log: to.id,
            head: Head::unsigned(tlog::empty_root()),
            state: to.state,
            connection,
        };
        Box::new(batch).commit(first).await
    }

    async fn head(&self, log: LogId) -> Result<Head, StoreError> {
        let (head, _) = self
            .ask(async |c| read::head(c, log, read::Lock::None).await)
            .await?;
        Ok(head)
    }

    async fn begin(&self, log: LogId) -> Result<Box<dyn Batch>, StoreError> {
        let mut connection = self.connection().await?;
        connection.begin(BEGIN).await?;
        let lock = async |c: &mut _| read::head(c, log, read::Lock::ForUpdate).await;
        let (head, state) = connection.ask(lock).await?;
        Ok(Box::new(PostgresBatch {
            log,
            head,
            state,
            connection,
        }))
    }

    async fn entries(&self, log: LogId, start: u64, end: u64) -> Result<Vec<Entry>, StoreError> {
        self.ask(async |c| read::entries(c, log, start, end).await)
            .await
    }

    async fn index_of_leaf(&self, log: LogId, leaf: &Hash) -> Result<Option<u64>, StoreError> {
        self.ask(async |c| read::index_of_leaf(c, log, leaf).await)
            .await
    }

    async fn reader(&self, log: LogId) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(PostgresReader {
            log,
            connection: self.connection().await?,
            pool: self.pool.clone(),
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
        self.ask(async |c| index::search(c, log, key, range, order, limit).await)
            .await
    }

    async fn indexed(&self, log: LogId) -> Result<u64, StoreError> {
        self.ask(async |c| index::indexed(c, log).await).await
    }

    async fn index(
        &self,
        log: LogId,
        range: Range<u64>,
        keys: &[(u64, SearchKey)],
    ) -> Result<bool, StoreError> {
        self.ask(async |c| index::add(c, log, range, keys).await)
            .await
    }

    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        self.ask(async |c| copy::records(c, log, start, end).await)
            .await
    }

    async fn known(&self, log: LogId, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        self.ask(async |c| read::known(c, log, identities).await)
            .await
    }

    async fn index_rows(
        &self,
        after: Option<&IndexRow>,
        limit: u32,
    ) -> Result<Vec<IndexRow>, StoreError> {
        self.ask(async |c| copy::index_rows(c, after, limit).await)
            .await
    }

    async fn index_has(&self, rows: &[IndexRow]) -> Result<Vec<bool>, StoreError> {
        self.ask(async |c| copy::index_has(c, rows).await).await
    }

    async fn repair_index(
        &self,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), StoreError> {
        self.ask(async |c| copy::repair_index(c, missing, surplus).await)
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.ask(async |c| {
            let ping = sqlx::query("SELECT 1 FROM log LIMIT 1").execute(c).await;
            ping.map_err(error::unavailable)?;
            Ok(())
        })
        .await
    }
}
