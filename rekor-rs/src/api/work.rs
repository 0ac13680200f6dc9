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
use crate::policy::{self, Signers};

/// The bounded pool.
#[derive(Debug)]
pub(super) struct Work {
    jobs: Arc<Semaphore>,
    /// Kinds that are not appended. They can still be looked up.
    disabled: BTreeSet<String>,
    /// Whose signatures are appended, if not anybody's.
    signers: Option<Arc<Signers>>,
}

impl Work {
    pub(super) fn new(disabled: BTreeSet<String>, signers: Option<Arc<Signers>>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            jobs: Arc::new(Semaphore::new(cores)),
            disabled,
            signers,
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
        // What is looked up is in the log already, whoever signed it.
        let signers = self.signers.as_ref().filter(|_| purpose == Purpose::Insert);
        if submission.is_cheap() {
            return verify(submission, purpose, &limits, signers.map(Arc::as_ref));
        }
        let job = self
            .jobs
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| RequestError::Overloaded)?;
        // The bytes are reference-counted; only the small outer object is parsed again.
        let (json, signers) = (json.clone(), signers.cloned());
        let verified = tokio::task::spawn_blocking(move || -> Result<Verified, RequestError> {
            let _job = job;
            verify(
                Submission::parse(&json)?,
                purpose,
                &limits,
                signers.as_deref(),
            )
        });
        verified
            .await
            .map_err(|_| RequestError::Internal("verification was cut off"))?
    }
}

fn verify(
    submission: Submission<'_>,
    purpose: Purpose,
    limits: &entry::Limits,
    signers: Option<&Signers>,
) -> Result<Verified, RequestError> {
    let verified = submission.verify(purpose, limits)?;
    if let Some(signers) = signers {
        signers
            .check(&verified)
            .inspect_err(|refusal| policy::note(refusal, "a signer"))?;
    }
    Ok(verified)
}
