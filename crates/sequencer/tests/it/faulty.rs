//! A store that fails on demand, at every point where a real one can.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use logstore::{
    Batch, Entry, EntryRecord, Head, IndexRow, Known, LogId, LogRecord, LogState, LogStore, Order,
    Reader, Restoration, SearchKey, SharedStore, StoreError, Update,
};
use tlog::{Hash, TileId};
use tokio::sync::Semaphore;

/// What happens to one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It takes effect; the answer is lost.
    CommittedUnknown,
    /// It does not take effect; nobody says so.
    LostUnknown,
    /// The connection died before.
    Unavailable,
    /// The store refuses the batch.
    Refused,
    /// It finds another head.
    HeadMoved,
}

/// A store in front of another.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Mutex<SharedStore>,
    commits: Mutex<VecDeque<Option<Fault>>>,
    begins: Mutex<u32>,
    batches: AtomicU64,
    tile_reads: Arc<AtomicU64>,
    reads: Arc<Mutex<ReadFaults>>,
    /// Permits to commit, if commits are being held up.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

/// What is wrong with reading.
#[derive(Debug, Default)]
struct ReadFaults {
    /// How many of the next questions fail.
    failing: u32,
    /// An entry whose row is damaged.
    damaged: Option<u64>,
}

impl Faulty {
    pub(crate) fn new(inner: SharedStore) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(inner),
            commits: Mutex::default(),
            begins: Mutex::new(0),
            batches: AtomicU64::new(0),
            tile_reads: Arc::default(),
            reads: Arc::default(),
            gate: Mutex::new(None),
        })
    }

    /// From now on, another database.
    pub(crate) fn replace(&self, inner: SharedStore) {
        *self.inner.lock().unwrap() = inner;
    }

    /// What happens to the next commits.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.commits
            .lock()
            .unwrap()
            .extend(faults.into_iter().map(Some));
    }

    /// What happens to the commit of a batch, after some whose commits are left alone.
    pub(crate) fn plan_after(&self, others: usize, fault: Fault) {
        let mut commits = self.commits.lock().unwrap();
        commits.extend(std::iter::repeat_n(None, others));
        commits.push_back(Some(fault));
    }

    /// How many of the next beginnings fail.
    pub(crate) fn fail_begins(&self, count: u32) {
        *self.begins.lock().unwrap() = count;
    }

    /// Holds commits up until permits are added to the semaphore.
    pub(crate) fn hold_commits(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    /// Commits that were tried.
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::SeqCst)
    }

    /// How many of the next questions of readers fail, as if the connection had died.
    pub(crate) fn fail_reads(&self, count: u32) {
        self.reads.lock().unwrap().failing = count;
    }

    /// Damages the row of an entry.
    pub(crate) fn damage(&self, index: u64) {
        self.reads.lock().unwrap().damaged = Some(index);
    }

    /// Reads of tiles outside of batches.
    pub(crate) fn tile_reads(&self) -> u64 {
        self.tile_reads.load(Ordering::SeqCst)
    }

    fn inner(&self) -> SharedStore {
        Arc::clone(&self.inner.lock().unwrap())
    }
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    tile_reads: Arc<AtomicU64>,
    faults: Arc<Mutex<ReadFaults>>,
}

#[async_trait::async_trait]
impl Reader for FaultyReader {
    async fn read(&mut self, indices: &[u64]) -> Result<(Head, Vec<Entry>), StoreError> {
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.failing > 0 {
                faults.failing -= 1;
                return Err(StoreError::Unavailable("planned".to_owned()));
            }
            if faults.damaged.is_some_and(|index| indices.contains(&index)) {
                return Err(StoreError::Corrupt("planned".to_owned()));
            }
        }
        self.inner.read(indices).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        self.tile_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.tiles(ids).await
    }

    fn is_needed_elsewhere(&self) -> bool {
        self.inner.is_needed_elsewhere()
    }
}

struct FaultyBatch {
    inner: Box<dyn Batch>,
    fault: Option<Fault>,
    gate: Option<Arc<Semaphore>>,
}

#[async_trait::async_trait]
impl LogStore for Faulty {
    async fn create_log(&self, log: &LogRecord) -> Result<(), StoreError> {
        self.inner().create_log(log).await
    }

    async fn logs(&self) -> Result<Vec<LogRecord>, StoreError> {
        self.inner().logs().await
    }

    async fn set_state(&self, log: LogId, state: LogState) -> Result<(), StoreError> {
        self.inner().set_state(log, state).await
    }

    async fn rotate(
        &self,
        from: LogId,
        to: &LogRecord,
        first: Arc<Update>,
    ) -> Result<(), StoreError> {
        self.inner().rotate(from, to, first).await
    }

    async fn head(&self, log: LogId) -> Result<Head, StoreError> {
        self.inner().head(log).await
    }

    async fn begin(&self, log: LogId) -> Result<Box<dyn Batch>, StoreError> {
        {
            let mut failing = self.begins.lock().unwrap();
            if *failing > 0 {
                *failing -= 1;
                return Err(StoreError::Unavailable("planned".to_owned()));
            }
        }
        let inner = self.inner().begin(log).await?;
        self.batches.fetch_add(1, Ordering::SeqCst);
        let fault = self.commits.lock().unwrap().pop_front().flatten();
        Ok(Box::new(FaultyBatch {
            inner,
            fault,
            gate: self.gate.lock().unwrap().clone(),
        }))
    }

    async fn entries(&self, log: LogId, start: u64, end: u64) -> Result<Vec<Entry>, StoreError> {
        self.inner().entries(log, start, end).await
    }

    async fn index_of_leaf(&self, log: LogId, leaf: &Hash) -> Result<Option<u64>, StoreError> {
        self.inner().index_of_leaf(log, leaf).await
    }

    async fn reader(&self, log: LogId) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(FaultyReader {
            inner: self.inner().reader(log).await?,
            tile_reads: Arc::clone(&self.tile_reads),
            faults: Arc::clone(&self.reads),
        }))
    }

    async fn search(
        &self,
        log: LogId,
        key: &SearchKey,
        range: std::ops::Range<u64>,
        order: Order,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        self.inner().search(log, key, range, order, limit).await
    }

    async fn indexed(&self, log: LogId) -> Result<u64, StoreError> {
        self.inner().indexed(log).await
    }

    async fn index(
        &self,
        log: LogId,
        range: std::ops::Range<u64>,
        keys: &[(u64, SearchKey)],
    ) -> Result<bool, StoreError> {
        self.inner().index(log, range, keys).await
    }

    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        self.inner().records(log, start, end).await
    }

    async fn known(&self, log: LogId, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        self.inner().known(log, identities).await
    }

    async fn index_rows(
        &self,
        after: Option<&IndexRow>,
        limit: u32,
    ) -> Result<Vec<IndexRow>, StoreError> {
        self.inner().index_rows(after, limit).await
    }

    async fn index_has(&self, rows: &[IndexRow]) -> Result<Vec<bool>, StoreError> {
        self.inner().index_has(rows).await
    }

    async fn repair_index(
        &self,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), StoreError> {
        self.inner().repair_index(missing, surplus).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner().ping().await
    }
}

#[async_trait::async_trait]
impl Batch for FaultyBatch {
    fn head(&self) -> &Head {
        self.inner.head()
    }

    fn state(&self) -> LogState {
        self.inner.state()
    }

    async fn known(&mut self, identities: &[Hash]) -> Result<Vec<Known>, StoreError> {
        self.inner.known(identities).await
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        self.inner.tiles(ids).await
    }

    async fn restore(self: Box<Self>, restoration: Arc<Restoration>) -> Result<(), StoreError> {
        self.inner.restore(restoration).await
    }

    async fn commit(self: Box<Self>, update: Arc<Update>) -> Result<(), StoreError> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        match self.fault {
            None => self.inner.commit(update).await,
            Some(Fault::CommittedUnknown) => {
                self.inner.commit(update).await?;
                Err(StoreError::Unknown("planned".to_owned()))
            }
            Some(Fault::LostUnknown) => Err(StoreError::Unknown("planned".to_owned())),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("planned".to_owned())),
            Some(Fault::Refused) => Err(StoreError::Refused("planned".to_owned())),
            Some(Fault::HeadMoved) => Err(StoreError::HeadMoved),
        }
    }
}
