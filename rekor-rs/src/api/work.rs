//! Where verification runs.
//!
//! A P-256 signature over a digest takes about 75 µs, less than waking another thread and coming
//! back costs on a busy machine, so [cheap](Submission::is_cheap) submissions are verified where
//! they are. Everything else (long envelopes, many signatures) goes to the blocking pool, with at
//! most one job a core, so that it delays the cheap ones by a constant factor only. The length of
//! the queue before the pool is bounded by the limit on request bodies, which a waiting submission
//! still holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::entry::{self, EntryError, Purpose, Submission, Verified};
use crate::error::RequestError;

/// The bounded pool.
#[derive(Debug)]
pub(super) struct Work {
    jobs: Arc<Semaphore>,
    /// Kinds that are not appended. They can still be looked up.
    disabled: BTreeSet<String>,
}

impl Work {
    pub(super) fn new(disabled: BTreeSet<String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            jobs: Arc::new(Semaphore::new(cores)),
            disabled,
        }
    }

    /// Verifies the submission that `json` is.
    pub(super) async fn verify(
        &self,
        json: &Bytes,
        purpose: Purpose,
        limits: entry::Limits,
    ) -> Result<Verified, RequestError> {
        let submission = Submission::parse(json)?;
        if purpose == Purpose::Insert && self.disabled.contains(submission.kind()) {
            return Err(EntryError::KindNotEnabled(submission.kind().to_owned()).into());
        }
        if submission.is_cheap() {
            return Ok(submission.verify(purpose, &limits)?);
        }
        let job = self
            .jobs
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| RequestError::Overloaded)?;
        // The bytes are reference-counted; only the small outer object is parsed again.
        let json = json.clone();
        let verified = tokio::task::spawn_blocking(move || -> Result<Verified, EntryError> {
            let _job = job;
            Submission::parse(&json)?.verify(purpose, &limits)
        });
        Ok(verified
            .await
            .map_err(|_| RequestError::Internal("verification was cut off"))??)
    }
}
