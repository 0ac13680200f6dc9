//! Signed tree heads.

use std::sync::Arc;

use sequencer::{Format, SignedHead, TreeHead};
use tokio::sync::Mutex;

use super::error::Error;
use super::format::Rfc6962;

/// Age at which a head without new entries is signed again, in ms. A log promises a head no older
/// than its maximum merge delay, customarily a day (RFC 6962 section 3.5).
pub(super) const REFRESH_MS: u64 = 12 * 60 * 60 * 1000;

/// A head that was signed again with a later time; its size and root are those of a committed one.
#[derive(Debug, Default)]
pub(super) struct Refreshed(Mutex<Option<Arc<SignedHead>>>);

impl Refreshed {
    /// `committed` if it is recent, else the same size and root signed at `now_ms`.
    pub(super) async fn fresh(
        &self,
        committed: Arc<SignedHead>,
        now_ms: u64,
        signer: &keys::SharedSigner,
    ) -> Result<Arc<SignedHead>, Error> {
        let is_recent = |head: &TreeHead| now_ms.saturating_sub(head.timestamp_ms) < REFRESH_MS;
        if is_recent(&committed.head) {
            return Ok(committed);
        }
        // Held while signing: one signature for all who ask.
        let mut refreshed = self.0.lock().await;
        if let Some(known) = refreshed.as_ref()
            && known.head.size == committed.head.size
            && known.head.root == committed.head.root
            && is_recent(&known.head)
        {
            return Ok(Arc::clone(known));
        }
        let head = TreeHead {
            timestamp_ms: now_ms,
            ..committed.head
        };
        let signature = signer.sign(&Rfc6962.head_message(&head)).await?;
        let fresh = Arc::new(SignedHead {
            head,
            signed: Rfc6962.signed_head(&head, &signature).into(),
        });
        *refreshed = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}
