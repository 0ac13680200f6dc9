//! How long a server may be silent.
//!
//! A server whose machine lost its power, or whose packets a firewall drops, does not close its
//! connections: whoever waits for an answer would wait for ever. Its own limits ([`crate::session`])
//! do not help then.

use std::time::Duration;

use logstore::StoreError;

/// Longer than any limit that the server keeps by itself, so that it can say what was wrong.
pub(crate) const DEFAULT: Duration = Duration::from_secs(35);

/// How long an idle connection has to show that it still is one.
pub(crate) const PING: Duration = Duration::from_secs(2);

/// The result of a statement, or an error in its place once the server was silent for too long. The
/// connection must not be used again.
pub(crate) async fn answer<T>(
    patience: Duration,
    statement: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = |_| Err(StoreError::Unavailable(silence(patience)));
    tokio::time::timeout(patience, statement)
        .await
        .unwrap_or_else(silent)
}

/// What a silence is called.
pub(crate) fn silence(patience: Duration) -> String {
    format!("the database was silent for {} s", patience.as_secs_f32())
}
