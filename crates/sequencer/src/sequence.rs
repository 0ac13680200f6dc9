//! The batch loop.
//!
//! One batch, and what a crash means at each point:
//!
//! 1. Take what is queued; lock the head; catch up. *Crash: nothing happened.*
//! 2. Sort out duplicates, give the rest their indices, sign the new head and the promises of the
//!    entries. *Crash: signatures that nobody saw are forgotten; the same size may get another root,
//!    but never a second published one.*
//! 3. Commit. *Crash: the entries are there or not; nobody was told either way.*
//! 4. Write the guard, then answer. *Crash before the guard: the database is ahead of it, which is
//!    allowed. After: as if all answers were lost on the way.*
//!
//! With a key that is far away all is signed between two locks instead ([`ahead`]).

mod ahead;
mod commit;
mod renew;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use logstore::{Batch, Known, LogState, NewEntry, StoreError, Update};
use tlog::Hash;
use tokio::sync::{mpsc, oneshot};

use self::commit::Outcome;
use crate::log::Shared;
use crate::promise::{self, Promises};
use crate::recent::Recent;
use crate::state::{self, State, SyncError};
use crate::view::View;
use crate::{AppendError, Format, SignedHead, TreeHead};

/// Bytes of entries after which a batch is closed: what one statement carries stays small.
const BATCH_BYTES: usize = 16 << 20;

/// Pauses between attempts to reach the store grow from this.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Attempts to begin a batch: a connection that died while idle is noticed by the first.
const BEGIN_ATTEMPTS: u32 = 3;

/// A submission in the queue.
pub(crate) struct Waiting<F: Format> {
    pub(crate) identity: Hash,
    pub(crate) pending: F::Pending,
    pub(crate) answer: oneshot::Sender<Result<Placed, AppendError>>,
}

/// A request for a head that is not older than this.
pub(crate) struct Renewal {
    pub(crate) max_age_ms: u64,
    pub(crate) answer: oneshot::Sender<Result<Arc<SignedHead>, AppendError>>,
}

/// Where a submission ended up, and a committed state that holds it.
pub(crate) struct Placed {
    pub(crate) index: u64,
    pub(crate) timestamp_ms: u64,
    pub(crate) duplicate: bool,
    /// Of a new entry; `None` for one that has to be looked up.
    pub(crate) leaf_hash: Option<Hash>,
    /// Of a new entry, as it is stored.
    pub(crate) promise: Vec<u8>,
    pub(crate) view: Arc<View>,
}

/// A submission that got an index in the batch at work, and those that are equal to it.
struct Assigned {
    identity: Hash,
    leaf_hash: Hash,
    index: u64,
    /// As it is stored, once it is signed.
    promise: Vec<u8>,
    answers: Vec<oneshot::Sender<Result<Placed, AppendError>>>,
}

/// A batch ready to be committed, and the state that it leads to.
struct SignedBatch {
    update: Arc<Update>,
    view: Arc<View>,
    /// Entries without the promise that they should have.
    unpromised: usize,
}

pub(crate) struct Sequencer<F: Format> {
    shared: Arc<Shared<F>>,
    state: State,
    recent: Recent,
    queue: mpsc::Receiver<Waiting<F>>,
    renewals: mpsc::Receiver<Renewal>,
    /// Taken from the queue, but left over by a full batch.
    carry: VecDeque<Waiting<F>>,
    label: String,
}

impl<F: Format> Sequencer<F> {
    pub(crate) fn new(
        shared: Arc<Shared<F>>,
        state: State,
        queue: mpsc::Receiver<Waiting<F>>,
        renewals: mpsc::Receiver<Renewal>,
    ) -> Self {
        let label = shared.record.id.0.to_string();
        Self {
            shared,
            state,
            recent: Recent::new(),
            queue,
            renewals,
            carry: VecDeque::new(),
            label,
        }
    }

    /// Runs until the last handle is gone and the queue is empty.
    pub(crate) async fn run(mut self) {
        let limit = self.shared.config.batch.max(1);
        let mut taken = Vec::new();
        loop {
            if let Ok(renewal) = self.renewals.try_recv() {
                self.renew(renewal).await;
            }
            if self.carry.is_empty() {
                // Idle: a lone entry starts a batch at once. Busy: whatever gathered meanwhile.
                tokio::select! {
                    biased;
                    count = self.queue.recv_many(&mut taken, limit) => {
                        if count == 0 {
                            return;
                        }
                    }
                    Some(renewal) = self.renewals.recv() => {
                        self.renew(renewal).await;
                        continue;
                    }
                }
                self.carry.extend(taken.drain(..));
            }
            while self.carry.len() < limit
                && let Ok(waiting) = self.queue.try_recv()
            {
                self.carry.push_back(waiting);
            }
            metrics::gauge!("log_queue_entries", "log" => self.label.clone()).set(f64::from(
                u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            ));
            if self.shared.signer.is_remote() {
                self.batch_signed_ahead().await;
            } else {
                self.batch().await;
            }
        }
    }

    /// One batch. Everything taken from `carry` is answered.
    async fn batch(&mut self) {
        let mut batch = match self.begin().await {
            Ok(batch) => batch,
            Err(error) => return self.fail_all(&error),
        };
        if batch.state() == LogState::Frozen {
            drop(batch);
            return self.fail_all(&AppendError::Frozen);
        }
        let known = match self.known(batch.as_mut()).await {
            Ok(known) => known,
            Err(error) => return self.fail_all(&unavailable(&error)),
        };
        let timestamp_ms = state::time(&self.shared.clock, &self.shared.record, batch.head());
        let (entries, assigned) = self.assign(&known, batch.head().size, timestamp_ms);
        if entries.is_empty() {
            return;
        }
        let started = Instant::now();
        let patience = match self.shared.signer.is_remote() {
            // The lock is held: whoever asks for the promise can wait for it better.
            true => Duration::ZERO,
            false => promise::PATIENCE,
        };
        let signed = match self.sign(entries, timestamp_ms, patience).await {
            Ok(signed) => signed,
            Err(error) => return self.fail(assigned, &error),
        };
        if let Err((error, assigned)) = self.append(batch, signed, assigned, started).await {
            self.fail(assigned, &error);
        }
    }

    /// Locks the head and catches up with it.
    async fn begin(&mut self) -> Result<Box<dyn Batch>, AppendError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            if let Some(reason) = self.shared.refusal.get() {
                return Err(AppendError::Refused(reason.clone()));
            }
            let error = match self.shared.store.begin(self.shared.record.id).await {
                Ok(mut batch) => match self.catch_up(batch.as_mut()).await {
                    Ok(()) => return Ok(batch),
                    Err(SyncError::Refuse(reason)) => return Err(self.shared.refuse(reason)),
                    Err(SyncError::Store(error)) => error,
                },
                Err(error) => error,
            };
            if attempt == BEGIN_ATTEMPTS {
                tracing::warn!(log = self.shared.record.id.0, %error, "no batch could begin");
                return Err(unavailable(&error));
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
    }

    async fn catch_up(&mut self, batch: &mut dyn Batch) -> Result<(), SyncError> {
        if self.state.catch_up(&self.shared.record, batch).await? {
            self.shared.publish(Arc::clone(self.state.view()));
        }
        Ok(())
    }

    /// Which of the queued submissions are in the log already.
    async fn known(&mut self, batch: &mut dyn Batch) -> Result<HashMap<Hash, Known>, StoreError> {
        let limit = self.shared.config.batch.max(1);
        let mut known = HashMap::new();
        let mut unknown = Vec::new();
        for waiting in self.carry.iter().take(limit) {
            match self.recent.get(&waiting.identity) {
                Some(recent) => {
                    known.insert(waiting.identity, *recent);
                }
                None => unknown.push(waiting.identity),
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let found = batch.known(&unknown).await?;
            known.extend(found.into_iter().map(|found| (found.identity, found)));
        }
        Ok(known)
    }

    /// Answers duplicates of what is in the log, and gives the others their places.
    fn assign(
        &mut self,
        known: &HashMap<Hash, Known>,
        first: u64,
        timestamp_ms: u64,
    ) -> (Vec<NewEntry>, Vec<Assigned>) {
        let limit = self.shared.config.batch.max(1);
        let mut entries: Vec<NewEntry> = Vec::new();
        let mut assigned: Vec<Assigned> = Vec::new();
        let mut places: HashMap<Hash, usize> = HashMap::new();
        let mut bytes = 0;
        let mut index = first;
        for _ in 0..limit {
            if bytes >= BATCH_BYTES {
                break;
            }
            let Some(Waiting {
                identity,
                pending,
                answer,
            }) = self.carry.pop_front()
            else {
                break;
            };
            if let Some(known) = known.get(&identity) {
                let _ = answer.send(Ok(self.duplicate(known)));
            } else if let Some(first) = places
                .get(&identity)
                .and_then(|place| assigned.get_mut(*place))
            {
                first.answers.push(answer);
            } else {
                let entry = self.shared.format.entry(pending, index, timestamp_ms);
                bytes += entry.body.len() + entry.extra.len();
                places.insert(identity, assigned.len());
                let leaf_hash = entry.leaf_hash;
                assigned.push(Assigned {
                    identity,
                    leaf_hash,
                    index,
                    promise: Vec::new(),
                    answers: vec![answer],
                });
                entries.push(entry);
                index += 1;
            }
        }
        (entries, assigned)
    }

    fn duplicate(&self, known: &Known) -> Placed {
        Placed {
            index: known.index,
            timestamp_ms: known.timestamp_ms,
            duplicate: true,
            leaf_hash: None,
            promise: Vec::new(),
            view: Arc::clone(self.state.view()),
        }
    }

    /// Grows the tree by these entries and signs its head, and their promises as far as `patience`
    /// goes.
    async fn sign(
        &mut self,
        mut entries: Vec<NewEntry>,
        timestamp_ms: u64,
        patience: Duration,
    ) -> Result<SignedBatch, AppendError> {
        let leaves = entries.iter().map(|entry| entry.leaf_hash);
        let before = Arc::clone(self.state.view());
        let (edge, filled, mut tiles) = state::grow(before.edge.clone(), leaves);
        let head = TreeHead {
            size: edge.size(),
            root: edge.root(),
            timestamp_ms,
        };
        let started = Instant::now();
        let (format, signer) = (&self.shared.format, &self.shared.signer);
        let first = before.head().size;
        let promises = Promises {
            format,
            signer,
            first,
            timestamp_ms,
        };
        let (unpromised, signed) = tokio::join!(
            promises.sign(&mut entries, patience),
            state::sign(format, signer, &head)
        );
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                tracing::warn!(log = self.shared.record.id.0, %error, "a head was not signed");
                return Err(AppendError::Unavailable(error.to_string()));
            }
        };
        metrics::histogram!("log_head_signature_seconds", "log" => self.label.clone())
            .record(started.elapsed());
        let view_tiles = filled.iter().cloned().collect();
        tiles.extend(filled);
        let update = Arc::new(Update {
            entries,
            tiles,
            head: state::to_store(&signed),
        });
        let view = Arc::new(View::grown(&before.edge, signed, edge, view_tiles));
        Ok(SignedBatch {
            update,
            view,
            unpromised,
        })
    }

    /// Commits and answers.
    async fn append(
        &mut self,
        batch: Box<dyn Batch>,
        signed: SignedBatch,
        mut assigned: Vec<Assigned>,
        started: Instant,
    ) -> Result<(), (AppendError, Vec<Assigned>)> {
        let SignedBatch {
            update,
            view,
            unpromised,
        } = signed;
        for (assigned, entry) in assigned.iter_mut().zip(&update.entries) {
            assigned.promise.clone_from(&entry.promise);
        }
        let timestamp_ms = update.head.timestamp_ms;
        match self.commit(batch, &update, &assigned).await {
            Ok(Outcome::Committed) => {
                if let Err(error) = self
                    .state
                    .advance(&self.shared.record, Arc::clone(&view))
                    .await
                {
                    return Err((self.unguarded(&error), assigned));
                }
                self.shared.publish(Arc::clone(&view));
                self.meter(assigned.len(), view.head().size, started);
                metrics::counter!("log_unsigned_promises_total", "log" => self.label.clone())
                    .increment(unpromised as u64);
                for assigned in assigned {
                    self.recent.insert(known_at(&assigned, timestamp_ms));
                    answer(assigned, timestamp_ms, &view);
                }
                // Nobody waits for this any more.
                self.shared.tiles.remember(&view).await;
                Ok(())
            }
            Ok(Outcome::Moved(known)) => self.settle(&known, assigned, timestamp_ms),
            Err(error) => Err((error, assigned)),
        }
    }

    /// Something is committed, but a roll-back behind it would not be noticed: stop.
    fn unguarded(&self, error: &crate::GuardError) -> AppendError {
        self.shared.refuse(format!(
            "{error}; nothing is signed without a roll-back guard"
        ))
    }

    fn fail(&self, assigned: Vec<Assigned>, error: &AppendError) {
        metrics::counter!("log_failed_entries_total", "log" => self.label.clone())
            .increment(assigned.len() as u64);
        for answer in assigned.into_iter().flat_map(|assigned| assigned.answers) {
            // A caller that has gone needs no answer, here and below.
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn fail_all(&mut self, error: &AppendError) {
        for waiting in self.carry.drain(..) {
            let _ = waiting.answer.send(Err(error.clone()));
        }
    }

    fn meter(&self, entries: usize, size: u64, started: Instant) {
        metrics::gauge!("log_size_entries", "log" => self.label.clone()).set(size as f64);
        metrics::histogram!("log_batch_entries", "log" => self.label.clone())
            .record(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)));
        metrics::histogram!("log_commit_seconds", "log" => self.label.clone())
            .record(started.elapsed());
        metrics::counter!("log_entries_total", "log" => self.label.clone())
            .increment(entries as u64);
    }
}

fn known_at(assigned: &Assigned, timestamp_ms: u64) -> Known {
    Known {
        identity: assigned.identity,
        index: assigned.index,
        timestamp_ms,
    }
}

/// Answers the first submission, and its equals as duplicates of it.
fn answer(mut assigned: Assigned, timestamp_ms: u64, view: &Arc<View>) {
    for (position, answer) in assigned.answers.into_iter().enumerate() {
        let _ = answer.send(Ok(Placed {
            index: assigned.index,
            timestamp_ms,
            duplicate: position > 0,
            leaf_hash: Some(assigned.leaf_hash),
            promise: match position {
                0 => std::mem::take(&mut assigned.promise),
                _ => Vec::new(),
            },
            view: Arc::clone(view),
        }));
    }
}

fn unavailable(error: &StoreError) -> AppendError {
    AppendError::Unavailable(error.to_string())
}
