//! Batches of a key that is far away (a KMS, an HSM).
//!
//! Its signature may take longer than everything else in a batch, so the log's lock is not held
//! meanwhile, and other replicas go on:
//!
//! 1. Lock the head; catch up; look up duplicates; unlock. *Crash: nothing happened.*
//! 2. Assign places after that head, and sign the new head and the promises of the entries, with no
//!    lock. *Crash: signatures that nobody saw are forgotten.*
//! 3. Lock again. If the head is still the same, commit: what was signed follows from it. If it has
//!    moved, the signatures are thrown away and the entries start again. *Nothing was written.*
//!
//! A head is released after the commit that stores it, here as everywhere, so there are never two
//! published roots for one size. A replica that keeps losing the race to faster ones signs the head
//! of its third attempt under the lock, which nobody can win from it, and no promises.

use std::collections::HashMap;
use std::time::Instant;

use logstore::LogState;
use tlog::Hash;

use super::{Assigned, Sequencer, Waiting, unavailable};
use crate::{AppendError, Format};
use crate::{promise, state};

/// Signatures that may be lost to other replicas before one is made under the lock.
const ATTEMPTS: u32 = 2;

/// What became of an attempt.
enum Attempt {
    /// Everything taken from the queue is answered.
    Answered,
    /// Somebody else was faster; the entries are back in the queue.
    Overtaken,
}

impl<F: Format> Sequencer<F> {
    /// One batch. Everything taken from `carry` is answered.
    pub(super) async fn batch_signed_ahead(&mut self) {
        for _ in 0..ATTEMPTS {
            match self.attempt().await {
                Attempt::Answered => return,
                Attempt::Overtaken => {
                    metrics::counter!("log_overtaken_batches_total", "log" => self.label.clone())
                        .increment(1);
                }
            }
        }
        self.batch().await;
    }

    async fn attempt(&mut self) -> Attempt {
        let mut batch = match self.begin().await {
            Ok(batch) => batch,
            Err(error) => return self.answer_all(&error),
        };
        if batch.state() == LogState::Frozen {
            drop(batch);
            return self.answer_all(&AppendError::Frozen);
        }
        let known = match self.known(batch.as_mut()).await {
            Ok(known) => known,
            Err(error) => return self.answer_all(&unavailable(&error)),
        };
        let base = batch.head().clone();
        drop(batch);

        let timestamp_ms = state::time(&self.shared.clock, &self.shared.record, &base);
        let limit = self.shared.config.batch.max(1);
        // A place is final only with the commit: what goes into it is kept until then.
        let kept: HashMap<Hash, F::Pending> = self
            .carry
            .iter()
            .take(limit)
            .filter(|waiting| !known.contains_key(&waiting.identity))
            .map(|waiting| (waiting.identity, waiting.pending.clone()))
            .collect();
        let (entries, assigned) = self.assign(&known, base.size, timestamp_ms);
        if entries.is_empty() {
            return Attempt::Answered;
        }
        let started = Instant::now();
        let signed = match self.sign(entries, timestamp_ms, promise::PATIENCE).await {
            Ok(signed) => signed,
            Err(error) => {
                self.fail(assigned, &error);
                return Attempt::Answered;
            }
        };
        let batch = match self.begin().await {
            Ok(batch) => batch,
            Err(error) => {
                self.fail(assigned, &error);
                return Attempt::Answered;
            }
        };
        if batch.state() == LogState::Frozen {
            drop(batch);
            self.fail(assigned, &AppendError::Frozen);
            return Attempt::Answered;
        }
        if *batch.head() != base {
            drop(batch);
            self.put_back(assigned, &kept);
            return Attempt::Overtaken;
        }
        if let Err((error, assigned)) = self.append(batch, signed, assigned, started).await {
            self.fail(assigned, &error);
        }
        Attempt::Answered
    }

    fn answer_all(&mut self, error: &AppendError) -> Attempt {
        self.fail_all(error);
        Attempt::Answered
    }

    /// Puts entries back to the front of the queue, in their order.
    fn put_back(&mut self, assigned: Vec<Assigned>, kept: &HashMap<Hash, F::Pending>) {
        for Assigned {
            identity, answers, ..
        } in assigned.into_iter().rev()
        {
            let Some(pending) = kept.get(&identity) else {
                continue;
            };
            for answer in answers.into_iter().rev() {
                self.carry.push_front(Waiting {
                    identity,
                    pending: pending.clone(),
                    answer,
                });
            }
        }
    }
}
