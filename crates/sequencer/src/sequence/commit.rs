//! Committing, and what becomes of a commit that was interrupted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logstore::{Batch, Known, LogState, StoreError, Update};
use tlog::Hash;

use super::{Assigned, FIRST_PAUSE, Sequencer, answer, known_at, unavailable};
use crate::state::SyncError;
use crate::{AppendError, Format};

/// How long an interrupted commit is pursued before its waiters are told that it is unknown.
const RESOLVE_FOR: Duration = Duration::from_secs(10);

/// How a commit ended.
pub(super) enum Outcome {
    /// The batch is durable.
    Committed,
    /// The head has moved: by this batch, by others, or by both. These are in the log.
    Moved(Vec<Known>),
}

impl<F: Format> Sequencer<F> {
    /// Commits, and pursues a commit whose outcome is not known until it is.
    pub(super) async fn commit(
        &mut self,
        mut batch: Box<dyn Batch>,
        update: &Arc<Update>,
        assigned: &[Assigned],
    ) -> Result<Outcome, AppendError> {
        let base = batch.head().clone();
        let mut interrupted: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut error = match batch.commit(Arc::clone(update)).await {
                Ok(()) => return Ok(Outcome::Committed),
                Err(StoreError::HeadMoved) => {
                    return Err(self.shared.refuse(
                        "the log's head changed while its lock was held: something else writes \
                         to the database"
                            .to_owned(),
                    ));
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Unknown(_))) => error,
                Err(error) => {
                    tracing::error!(log = self.shared.record.id.0, %error, "a batch was refused");
                    return Err(unavailable(&error));
                }
            };
            let started = *interrupted.get_or_insert_with(Instant::now);
            metrics::counter!("log_interrupted_commits_total", "log" => self.label.clone())
                .increment(1);
            tracing::warn!(log = self.shared.record.id.0, %error, "a commit was interrupted");
            // Before anything else, the head, under the lock: whoever holds it may still commit.
            batch = loop {
                match self.shared.store.begin(self.shared.record.id).await {
                    Ok(batch) => break batch,
                    Err(again) => error = again,
                }
                if started.elapsed() > RESOLVE_FOR {
                    // The next batch will find out; these waiters cannot be told more than this.
                    return Err(unavailable(&error));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            };
            if *batch.head() != base {
                return self.find(batch.as_mut(), assigned).await;
            }
            if batch.state() == LogState::Frozen {
                // Nothing was written, and nothing will be.
                return Err(AppendError::Frozen);
            }
            if started.elapsed() > RESOLVE_FOR {
                return Err(unavailable(&error));
            }
            // It did not happen, and the lock is held again: the same bytes, the same signature.
        }
    }

    /// The head has moved since the interrupted commit: what of the batch is in the log?
    async fn find(
        &mut self,
        batch: &mut dyn Batch,
        assigned: &[Assigned],
    ) -> Result<Outcome, AppendError> {
        match self.catch_up(batch).await {
            Ok(()) => {}
            Err(SyncError::Refuse(reason)) => return Err(self.shared.refuse(reason)),
            Err(SyncError::Store(error)) => return Err(unavailable(&error)),
        }
        if let Err(error) = self.state.write_guard(&self.shared.record).await {
            return Err(self.unguarded(&error));
        }
        let mut identities: Vec<Hash> = assigned.iter().map(|assigned| assigned.identity).collect();
        identities.sort_unstable();
        batch
            .known(&identities)
            .await
            .map(Outcome::Moved)
            .map_err(|error| unavailable(&error))
    }

    /// Answers the waiters of an interrupted batch, each according to what is in the log.
    pub(super) fn settle(
        &mut self,
        known: &[Known],
        assigned: Vec<Assigned>,
        timestamp_ms: u64,
    ) -> Result<(), (AppendError, Vec<Assigned>)> {
        let known: HashMap<Hash, Known> =
            known.iter().map(|known| (known.identity, *known)).collect();
        let view = Arc::clone(self.state.view());
        let mut lost = Vec::new();
        for assigned in assigned {
            match known.get(&assigned.identity) {
                Some(found) if *found == known_at(&assigned, timestamp_ms) => {
                    answer(assigned, timestamp_ms, &view);
                }
                Some(found) => {
                    for answer in assigned.answers {
                        let _ = answer.send(Ok(self.duplicate(found)));
                    }
                }
                None => lost.push(assigned),
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let error = AppendError::Unavailable("the database lost the connection".to_owned());
        Err((error, lost))
    }
}
