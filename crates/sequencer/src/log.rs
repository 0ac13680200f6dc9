//! A log that accepts entries and proves them.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use clock::SharedClock;
use keys::SharedSigner;
use logstore::{Entry, LogId, LogRecord, Reader, SharedStore, StoreError};
use tlog::Hash;
use tokio::sync::{mpsc, oneshot};

use crate::reader::Readers;
use crate::sequence::{Renewal, Sequencer, Waiting};
use crate::state::State;
use crate::view::{Tiles, View};
use crate::{AppendError, Appended, Format, Guard, HeadError, SignedHead, TreeHead};

/// Requests for a recent head that may wait; all are answered by one signature.
const RENEWALS: usize = 1024;

/// Bounds of a log's queue and batches.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Entries that may wait; beyond, [`AppendError::Overloaded`].
    pub queue: usize,
    /// Most entries in one batch.
    pub batch: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            queue: 4096,
            batch: 1024,
        }
    }
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] logstore::StoreError),
    /// The guard file failed.
    #[error(transparent)]
    Guard(#[from] crate::GuardError),
    /// The database was rolled back, or it is another log's.
    #[error("{0}")]
    RolledBack(String),
    /// The first head could not be signed.
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    /// The signer's key is not the log's.
    #[error("the key given for log {log} is not the key that the log was created with")]
    WrongKey {
        /// The log.
        log: LogId,
    },
}

/// A log that accepts entries and proves them. Cheap to share; the batch loop is a task that ends
/// with the last handle, after the entries that are already queued.
pub struct Log<F: Format> {
    shared: Arc<Shared<F>>,
    queue: mpsc::Sender<Waiting<F>>,
    renewals: mpsc::Sender<Renewal>,
}

/// What handles and the batch loop share.
pub(crate) struct Shared<F> {
    pub(crate) store: SharedStore,
    pub(crate) record: LogRecord,
    pub(crate) format: F,
    pub(crate) signer: SharedSigner,
    pub(crate) clock: SharedClock,
    pub(crate) config: LogConfig,
    pub(crate) readers: Readers,
    pub(crate) tiles: Tiles,
    pub(crate) refusal: OnceLock<String>,
    view: RwLock<Arc<View>>,
}

impl<F> Shared<F> {
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, view: Arc<View>) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Reads through a session. A head behind the one that this process knows stops the log.
    pub(crate) async fn read(
        &self,
        reader: &mut dyn Reader,
        indices: &[u64],
    ) -> Result<(Arc<SignedHead>, Vec<Entry>), StoreError> {
        // Before the read: the view may move on while the store answers, never the store behind it.
        let view = self.view();
        let (head, entries) = reader.read(indices).await?;
        let known = view.head();
        if head.size < known.size || (head.size == known.size && head.root != known.root) {
            let reason = crate::state::rolled_back(
                &self.record,
                (head.size, head.root),
                (known.size, known.root),
                "this process",
            );
            self.refuse(reason.clone());
            return Err(StoreError::Corrupt(reason));
        }
        if head.signed == view.signed.signed {
            return Ok((Arc::clone(&view.signed), entries));
        }
        let head = SignedHead {
            head: TreeHead {
                size: head.size,
                root: head.root,
                timestamp_ms: head.timestamp_ms,
            },
            signed: head.signed,
        };
        Ok((Arc::new(head), entries))
    }

    /// Stops the log for good: nothing is signed until an operator has looked.
    pub(crate) fn refuse(&self, reason: String) -> AppendError {
        tracing::error!(log = self.record.id.0, "the log stops: {reason}");
        metrics::gauge!("log_refusing", "log" => self.record.id.0.to_string()).set(1.0);
        AppendError::Refused(self.refusal.get_or_init(|| reason).clone())
    }
}

impl<F: Format> std::fmt::Debug for Log<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("record", &self.shared.record)
            .field("head", self.shared.view().head())
            .finish_non_exhaustive()
    }
}

impl<F: Format> Log<F> {
    /// Opens a log: loads the edge, recomputes the root, compares with the stored head and the
    /// guard, signs the empty head of a new log, and starts the batch loop.
    ///
    /// A guard that remembers nothing adopts the stored head, with a warning unless the log is
    /// empty: that is what a new replica looks like. A deleted guard looks the same, which is why
    /// the way out of a refused roll-back is to delete it.
    pub async fn open(
        store: SharedStore,
        record: LogRecord,
        format: F,
        signer: SharedSigner,
        guard: Guard,
        clock: SharedClock,
        config: LogConfig,
    ) -> Result<Arc<Self>, OpenError> {
        if signer.public_key().spki_der() != record.public_key {
            return Err(OpenError::WrongKey { log: record.id });
        }
        let state = State::open(&store, &record, &format, &signer, guard, &clock).await?;
        let (queue, receiver) = mpsc::channel(config.queue.max(1));
        let (renewals, asked) = mpsc::channel(RENEWALS);
        let (readers, requests) = Readers::new();
        let shared = Arc::new(Shared {
            tiles: Tiles::new(readers.clone()),
            readers,
            store,
            record,
            format,
            signer,
            clock,
            config,
            refusal: OnceLock::new(),
            view: RwLock::new(Arc::clone(state.view())),
        });
        tokio::spawn(Sequencer::new(Arc::clone(&shared), state, receiver, asked).run());
        requests.serve(&shared);
        Ok(Arc::new(Self {
            shared,
            queue,
            renewals,
        }))
    }

    /// The log, as it was when opened.
    #[must_use]
    pub fn record(&self) -> &LogRecord {
        &self.shared.record
    }

    /// How it writes leaves and heads.
    #[must_use]
    pub fn format(&self) -> &F {
        &self.shared.format
    }

    /// The key that signs its heads.
    #[must_use]
    pub fn signer(&self) -> &SharedSigner {
        &self.shared.signer
    }

    /// Appends an entry and waits until it is durable and covered by a signed head.
    ///
    /// Dropping the future does not take the entry back.
    pub async fn append(&self, pending: F::Pending) -> Result<Appended, AppendError> {
        if let Some(reason) = self.refusal() {
            return Err(AppendError::Refused(reason));
        }
        let identity = self.shared.format.identity(&pending);
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { identity, pending, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                metrics::counter!("log_overloaded_total", "log" => self.shared.record.id.0.to_string())
                    .increment(1);
                AppendError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => ended(),
        })?;
        let placed = answered.await.map_err(|_| ended())??;

        let view = placed.view;
        let head = view.head();
        let unavailable = |error: StoreError| AppendError::Unavailable(error.to_string());
        let plan = tlog::inclusion(placed.index, head.size)
            .ok_or_else(|| AppendError::Unavailable("an entry beyond its own head".to_owned()))?;
        let (leaf_hash, proof) = match placed.leaf_hash {
            Some(leaf_hash) => (leaf_hash, view.prove_new(&plan)),
            None => {
                let leaf_hash = self.shared.tiles.leaf(&view, placed.index).await;
                (leaf_hash.map_err(unavailable)?, None)
            }
        };
        let proof = match proof {
            Some(proof) => proof,
            None => {
                let proof = self.shared.tiles.prove(&view, head.size, &plan).await;
                proof.map_err(unavailable)?
            }
        };
        // A proof that does not verify must not leave: it means that stored tiles are damaged.
        tlog::verify_inclusion(placed.index, head.size, &leaf_hash, &proof, &head.root).map_err(
            |error| {
                self.shared.refuse(format!(
                    "the inclusion proof of entry {} does not verify ({error}): the stored tiles \
                     are damaged; restore the database from an undamaged copy",
                    placed.index
                ))
            },
        )?;
        Ok(Appended {
            index: placed.index,
            timestamp_ms: placed.timestamp_ms,
            duplicate: placed.duplicate,
            leaf_hash,
            head: Arc::clone(&view.signed),
            proof,
            promise: placed.promise,
        })
    }

    /// The newest committed head, whoever committed it: of the time of this call, or later.
    pub async fn head(&self) -> Result<Arc<SignedHead>, StoreError> {
        self.shared.readers.entry(None).await.map(|(head, _)| head)
    }

    /// The newest head, as [`Self::head`], and the entry at `index` with its inclusion proof, if the
    /// head covers it. An entry that the head covers and that is not there is
    /// [`StoreError::Corrupt`].
    pub async fn entry(
        &self,
        index: u64,
    ) -> Result<(Arc<SignedHead>, Option<(Entry, Vec<Hash>)>), StoreError> {
        let (head, entry) = self.shared.readers.entry(Some(index)).await?;
        let Some(plan) = tlog::inclusion(index, head.head.size) else {
            return Ok((head, None));
        };
        let Some(entry) = entry else {
            return Err(StoreError::Corrupt(format!(
                "entry {index} of log {} is below the head and missing",
                self.shared.record.id
            )));
        };
        let view = self.shared.view();
        let proof = self
            .shared
            .tiles
            .prove(&view, head.head.size, &plan)
            .await?;
        Ok((head, Some((entry, proof))))
    }

    /// The newest committed head, at most `max_age_ms` old: an older one is signed again, with the
    /// same size and root and the time of now, and committed like any other, so that every replica
    /// gives the same answer and none an earlier time than another before it.
    pub async fn recent_head(&self, max_age_ms: u64) -> Result<Arc<SignedHead>, HeadError> {
        let head = self.head().await?;
        let now_ms = self.shared.clock.now_ms();
        if now_ms.saturating_sub(head.head.timestamp_ms) < max_age_ms {
            return Ok(head);
        }
        if let Some(reason) = self.refusal() {
            return Err(AppendError::Refused(reason).into());
        }
        let (answer, answered) = oneshot::channel();
        let renewal = Renewal { max_age_ms, answer };
        self.renewals
            .try_send(renewal)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => ended(),
            })?;
        Ok(answered.await.map_err(|_| ended())??)
    }

    /// Inclusion proof of leaf `index` in the tree of `size` leaves; `None` unless
    /// `index < size <= ` the newest size.
    pub async fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<Option<Vec<Hash>>, logstore::StoreError> {
        let Some(plan) = tlog::inclusion(index, size) else {
            return Ok(None);
        };
        self.prove(size, &plan).await
    }

    /// Consistency proof between two sizes; `None` unless `old <= new <= ` the newest size.
    pub async fn consistency_proof(
        &self,
        old: u64,
        new: u64,
    ) -> Result<Option<Vec<Hash>>, logstore::StoreError> {
        let Some(plan) = tlog::consistency(old, new) else {
            return Ok(None);
        };
        self.prove(new, &plan).await
    }

    async fn prove(
        &self,
        size: u64,
        plan: &tlog::Plan,
    ) -> Result<Option<Vec<Hash>>, logstore::StoreError> {
        let view = self.shared.view();
        // The view lags only behind other writers.
        if size > view.head().size && size > self.head().await?.head.size {
            return Ok(None);
        }
        self.shared.tiles.prove(&view, size, plan).await.map(Some)
    }

    /// Why the log has stopped itself, if it has.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.shared.refusal.get().cloned()
    }
}

fn ended() -> AppendError {
    AppendError::Unavailable("the log's batch loop has ended".to_owned())
}
