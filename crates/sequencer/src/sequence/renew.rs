//! Signing an idle log's head again, so that its time is recent (RFC 6962 section 3.5: a log has a
//! head no older than its maximum merge delay, whether or not anything was added).

use std::sync::Arc;

use logstore::Update;

use super::commit::Outcome;
use super::{Renewal, Sequencer};
use crate::state;
use crate::view::View;
use crate::{AppendError, Format, SignedHead, TreeHead};

impl<F: Format> Sequencer<F> {
    /// Answers one request. Others that wait find the head recent.
    pub(super) async fn renew(&mut self, renewal: Renewal) {
        let head = self.recent_head(renewal.max_age_ms).await;
        // A caller that has gone needs no answer.
        let _ = renewal.answer.send(head);
    }

    /// The head that is committed, signed again if it is too old: a batch without entries, under
    /// the same lock and the same compare-and-swap as any other.
    async fn recent_head(&mut self, max_age_ms: u64) -> Result<Arc<SignedHead>, AppendError> {
        let is_recent =
            |view: &View, now_ms: u64| now_ms.saturating_sub(view.head().timestamp_ms) < max_age_ms;
        if is_recent(self.state.view(), self.shared.clock.now_ms()) {
            return Ok(Arc::clone(&self.state.view().signed));
        }
        let batch = self.begin().await?;
        let view = Arc::clone(self.state.view());
        if is_recent(&view, self.shared.clock.now_ms()) {
            return Ok(Arc::clone(&view.signed));
        }
        let head = TreeHead {
            timestamp_ms: state::time(&self.shared.clock, &self.shared.record, batch.head()),
            ..*view.head()
        };
        let signed = state::sign(&self.shared.format, &self.shared.signer, &head)
            .await
            .map_err(|error| AppendError::Unavailable(error.to_string()))?;
        let update = Arc::new(Update {
            entries: Vec::new(),
            tiles: Vec::new(),
            head: state::to_store(&signed),
        });
        match self.commit(batch, &update, &[]).await? {
            Outcome::Committed => {
                let renewed = Arc::new(View::found(signed, view.edge.clone()));
                if let Err(error) = self
                    .state
                    .advance(&self.shared.record, Arc::clone(&renewed))
                    .await
                {
                    return Err(self.unguarded(&error));
                }
                self.shared.publish(renewed);
                metrics::counter!("log_heads_renewed_total", "log" => self.label.clone())
                    .increment(1);
            }
            // By another writer, or by this commit after all; caught up with either way.
            Outcome::Moved(_) => {}
        }
        Ok(Arc::clone(&self.state.view().signed))
    }
}
