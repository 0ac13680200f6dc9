//! What every session must promise, and how it is set up.

use logstore::StoreError;
use sqlx::{PgConnection, Row as _};

use crate::error;

/// Settings of every session, in ms where they are times.
///
/// A statement or a wait for the row lock ends before the callers' patience does; a process that
/// hangs between its lock and its commit loses the lock. Every statement here looks up by key: it is
/// planned once, and a plan made while the tables were small must not scan them for ever. To forbid
/// scans is to give them a price (up to PostgreSQL 17), which makes the server compile the few
/// statements over tiny tables to machine code, every time, for 15 ms: so that is off.
const SETTINGS: &str = "SET statement_timeout = 30000;
     SET lock_timeout = 10000;
     SET idle_in_transaction_session_timeout = 30000;
     SET enable_seqscan = off;
     SET jit = off;
     SET plan_cache_mode = force_generic_plan;
     SET client_min_messages = warning";

/// Why a server is not used.
fn objection(synchronous_commit: &str, fsync: &str, standby: bool) -> Option<String> {
    if standby {
        return Some("the server is a standby: connect to the primary".to_owned());
    }
    let (setting, remedy) = if synchronous_commit == "off" {
        (
            "synchronous_commit",
            "ALTER DATABASE … SET synchronous_commit = on, also for the role",
        )
    } else if fsync == "off" {
        ("fsync", "set it in postgresql.conf")
    } else {
        return None;
    };
    Some(format!(
        "the server runs with {setting} = off, so that a crash loses entries that were \
         acknowledged; switch it on ({remedy})"
    ))
}

/// Checks that a commit means what the log promises.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT current_setting('synchronous_commit'), current_setting('fsync'),
                pg_is_in_recovery()",
    )
    .fetch_one(connection)
    .await
    .map_err(error::unavailable)?;
    let synchronous_commit: String = row.try_get(0).map_err(error::store)?;
    let fsync: String = row.try_get(1).map_err(error::store)?;
    let standby: bool = row.try_get(2).map_err(error::store)?;
    match objection(&synchronous_commit, &fsync, standby) {
        None => Ok(()),
        Some(reason) => Err(StoreError::Unavailable(reason)),
    }
}

/// Sets up a new connection of the pool; the settings may have changed since the last one.
pub(crate) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    check(connection)
        .await
        .map_err(|error| sqlx::Error::Configuration(error.to_string().into()))?;
    sqlx::raw_sql(SETTINGS).execute(connection).await?;
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    // Test code: no outside input reaches it.
    #![allow(clippy::unwrap_used)]

    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn a_statement_that_can_only_scan_is_not_compiled_to_machine_code() {
        let database = crate::testing::server().await.database().await;
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        prepare(&mut connection).await.unwrap();
        let jit = sqlx::query("SHOW jit").fetch_one(&mut connection).await;
        assert_eq!(jit.unwrap().get::<String, _>(0), "off");
        sqlx::raw_sql("CREATE TABLE tiny (id int); INSERT INTO tiny VALUES (1)")
            .execute(&mut connection)
            .await
            .unwrap();
        let plan = sqlx::query("EXPLAIN ANALYZE SELECT id FROM tiny ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let lines: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(lines.iter().any(|line| line.contains("Seq Scan")));
        assert!(!lines.iter().any(|line| line.contains("JIT")), "{lines:?}");
    }
}
