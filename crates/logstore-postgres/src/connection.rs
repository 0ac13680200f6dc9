//! Connections that are not waited for without end.
//!
//! A server whose machine lost its power, or whose packets a firewall drops, does not close its
//! connections: whoever waits for an answer would wait until the kernel gives up, a quarter of an
//! hour later. Its own limits ([`crate::session`]) do not help then. The driver gives a connection
//! back to the pool only after another answer, and the pool counts it as used until then.

use std::time::Duration;

use logstore::StoreError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Postgres};

use crate::error;

/// How long a server may be silent. Longer than any limit that it keeps by itself, so that it can say
/// what was wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(35);

/// How long an idle connection has to show that it still is one.
pub(crate) const PING: Duration = Duration::from_secs(2);

/// A connection of the pool, which is given back to it when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Taken out by `drop` only.
    pooled: Option<PoolConnection<Postgres>>,
    patience: Duration,
    /// Whether a statement was begun and its answer not seen.
    is_asking: bool,
    /// Whether a transaction was begun and not ended.
    in_transaction: bool,
}

impl Connection {
    /// Waits for a connection.
    pub(crate) async fn of(pool: &PgPool, patience: Duration) -> Result<Self, StoreError> {
        Ok(Self {
            pooled: Some(pool.acquire().await.map_err(error::unavailable)?),
            patience,
            is_asking: false,
            in_transaction: false,
        })
    }

    /// The result of a statement, or an error once the server was silent for too long; the connection
    /// is then closed.
    pub(crate) async fn ask<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let silent = || StoreError::Unavailable(silence(self.patience));
        let Some(pooled) = &mut self.pooled else {
            return Err(silent());
        };
        self.is_asking = true;
        match tokio::time::timeout(self.patience, statement(pooled)).await {
            Ok(answer) => {
                self.is_asking = false;
                answer
            }
            Err(_) => {
                pooled.close_on_drop();
                let error = silent();
                self.pooled = None;
                Err(error)
            }
        }
    }

    /// Begins a transaction; dropping the connection gives it up.
    pub(crate) async fn begin(&mut self, begin: &'static str) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.run(begin).await
    }

    /// Commits the transaction. After an error it may or may not have taken effect.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT")
            .await
            .map_err(|error| StoreError::Unknown(error.to_string()))?;
        self.in_transaction = false;
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        self.ask(async |connection| {
            sqlx::raw_sql(statement)
                .execute(connection)
                .await
                .map_err(error::unavailable)?;
            Ok(())
        })
        .await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (Some(mut pooled), Ok(runtime)) =
            (self.pooled.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        // Who gave up in the middle of a statement may have begun a transaction with it.
        let is_open = self.in_transaction || self.is_asking;
        let patience = if is_open { self.patience } else { PING };
        runtime.spawn(async move {
            let give_back = async {
                if is_open {
                    // If it fails, giving back does.
                    let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *pooled).await;
                }
                pooled.return_to_pool().await;
            };
            if tokio::time::timeout(patience, give_back).await.is_err() {
                pooled.close_on_drop();
            }
        });
    }
}

/// What a silence is called.
fn silence(patience: Duration) -> String {
    format!("the database was silent for {} s", patience.as_secs_f32())
}
