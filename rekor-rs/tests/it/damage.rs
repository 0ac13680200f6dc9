//! What a disk, a bug or an intruder does to a database, in its own language.

use logstore::{Head, LogId};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tlog::{Hash, TileId};

use crate::stack::{Stack, unique_hashedrekord};

/// A way into the database beside the store.
pub(crate) struct Intruder {
    database: String,
    pub(crate) log: LogId,
}

impl Intruder {
    /// Of the stack's only log.
    pub(crate) async fn new(stack: &Stack) -> Self {
        Self {
            database: stack.database.clone(),
            log: stack.store.logs().await.unwrap()[0].id,
        }
    }

    /// Runs a statement. `LOG` in it is the log's id.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.replace("LOG", &self.log.0.to_string()));
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.database).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.database).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    fn is_sqlite(&self) -> bool {
        self.database.starts_with("sqlite:")
    }

    /// A literal of bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let digits = hex::encode(bytes);
        match self.is_sqlite() {
            true => format!("x'{digits}'"),
            false => format!("'\\x{digits}'::bytea"),
        }
    }

    pub(crate) async fn set_body(&self, index: u64, body: &[u8]) {
        let body = self.bytes(body);
        self.run(&format!(
            "UPDATE entry SET body = {body} WHERE log = LOG AND idx = {index}"
        ))
        .await;
    }

    pub(crate) async fn set_tile(&self, id: TileId, hashes: &[Hash]) {
        let hashes = self.bytes(&logstore::row::tile_to_bytes(hashes));
        let TileId { level, index } = id;
        self.run(&format!(
            "UPDATE tile SET hashes = {hashes} WHERE log = LOG AND level = {level} AND idx = {index}"
        ))
        .await;
    }

    pub(crate) async fn set_head(&self, head: &Head) {
        let (root, signed) = (self.bytes(&head.root.0), self.bytes(&head.signed));
        self.run(&format!(
            "UPDATE log SET size = {}, root = {root}, signed = {signed}, timestamp_ms = {} WHERE id = LOG",
            head.size, head.timestamp_ms
        ))
        .await;
    }

    /// Moves an entry to another place.
    pub(crate) async fn move_entry(&self, from: u64, to: u64) {
        self.run(&format!(
            "UPDATE entry SET idx = {to} WHERE log = LOG AND idx = {from}"
        ))
        .await;
    }
}

/// Adds entries, some at a time.
pub(crate) async fn fill(stack: &Stack, count: usize) {
    let entries: Vec<_> = (0..count).map(|_| unique_hashedrekord()).collect();
    for some in entries.chunks(32) {
        let submitted =
            futures::future::join_all(some.iter().map(|entry| stack.submit(entry))).await;
        assert!(submitted.iter().all(|response| response.status() == 201));
    }
}
