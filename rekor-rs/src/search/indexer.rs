//! Gives entries the search keys that they were written without.
//!
//! Entries from before a key came into use, and those of an older program that writes to the same
//! database, lack it. Each log has a watermark in the store, below which nothing is missing; whoever
//! needs such keys looks at it. Any number of processes may be at work: one of them moves it.

use std::sync::Weak;
use std::time::Duration;

use logstore::{LogId, LogKind, LogStore, StoreError};

use crate::entry::Stored;

/// Entries read at once. Bodies have up to a mebibyte, so not many.
const AT_ONCE: u64 = 64;

/// How often the watermarks are looked at when there is nothing to do.
const PAUSE: Duration = Duration::from_secs(3);

/// Indexes what is missing in any Rekor log, for as long as the store is in use.
pub(crate) async fn run(store: Weak<dyn LogStore>) {
    loop {
        let Some(store) = store.upgrade() else {
            return;
        };
        if let Err(error) = catch_up(store.as_ref()).await {
            tracing::warn!(%error, "the search index could not be brought up to date; trying again");
        }
        drop(store);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Moves every watermark to its log's head.
pub(crate) async fn catch_up(store: &dyn LogStore) -> Result<(), StoreError> {
    for record in store.logs().await? {
        if record.kind == LogKind::RekorV1 {
            index(store, record.id).await?;
        }
    }
    Ok(())
}

async fn index(store: &dyn LogStore, log: LogId) -> Result<(), StoreError> {
    let mut added = 0;
    loop {
        let done = store.indexed(log).await?;
        let size = store.head(log).await?.size;
        metrics::gauge!("rekor_search_index_lag", "log" => log.0.to_string())
            .set(size.saturating_sub(done) as f64);
        if done >= size {
            if added > 0 {
                tracing::info!(log = log.0, entries = added, "the search index is complete");
            }
            return Ok(());
        }
        if added == 0 {
            tracing::info!(
                log = log.0,
                done,
                size,
                "bringing the search index up to date"
            );
        }
        let end = size.min(done + AT_ONCE);
        let mut keys = Vec::new();
        for entry in store.entries(log, done, end).await? {
            let Some(stored) = Stored::parse(&entry.body, usize::MAX) else {
                // Nothing can be found of it by these keys, and nothing is missing.
                tracing::error!(
                    log = log.0,
                    index = entry.index,
                    "a stored body is malformed"
                );
                continue;
            };
            keys.extend(stored.late_keys().into_iter().map(|key| (entry.index, key)));
        }
        // Where somebody else was first, the next look shows how far.
        if store.index(log, done..end, &keys).await? {
            added += end - done;
        }
        tokio::task::yield_now().await;
    }
}
