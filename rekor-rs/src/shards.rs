//! The shards of a Rekor v1 log in their order, and how a running service follows a rotation.
//!
//! A rotation (`rekor-rs log rotate`) is one transaction in the database: it freezes the shard that
//! takes entries and creates the next one. Nobody tells the services that run on the database; they
//! look:
//!
//! - a write that meets a frozen shard, which has written nothing, goes on to the next shard;
//! - a read that would say "there is none", or that depends on which shard is the newest, looks
//!   first, so that what one replica acknowledged is found through every other;
//! - and once a second, so that the next shard is open before it is asked for.
//!
//! The next shard's key is the one of the next entry of `logs` in the configuration. It is opened
//! when the service starts; a configuration that names it only later is read again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use clock::SharedClock;
use keys::SharedSigner;
use logstore::{LogKind, LogRecord, LogState, SharedStore, StoreError};
use sequencer::{AppendError, Guard, Log};

use crate::coalesce::Coalesced;
use crate::config::{Config, Kind, LogConfig};
use crate::entry::Verified;
use crate::error::Error;
use crate::format::RekorV1;
use crate::promise;
use crate::service::{guard_path, open_key};
use crate::shard::{Outcome, Shard, ShardError};

/// How often a service looks whether the log was rotated when nobody makes it look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All shards, as of one moment. The last takes entries, unless the log has ended.
#[derive(Debug)]
pub(crate) struct ShardList {
    earlier: Vec<Arc<Shard>>,
    active: Arc<Shard>,
}

impl ShardList {
    /// The newest shard.
    pub(crate) fn active(&self) -> &Shard {
        &self.active
    }

    /// The shards before it, oldest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &Shard> {
        self.earlier.iter().map(AsRef::as_ref)
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Shard> {
        self.earlier
            .iter()
            .chain(std::iter::once(&self.active))
            .map(AsRef::as_ref)
    }

    /// The shard with a tree id.
    pub(crate) fn by_tree(&self, tree: i64) -> Option<&Shard> {
        self.iter().find(|shard| shard.id().0 == tree)
    }

    /// The shard that an entry's number over all shards lies in or, beyond the end, the newest.
    pub(crate) fn by_index(&self, index: u64) -> Option<&Shard> {
        self.iter().rev().find(|shard| shard.offset() <= index)
    }

    /// This list and the shard after it.
    fn followed_by(&self, next: Shard) -> Self {
        let mut earlier = self.earlier.clone();
        earlier.push(Arc::clone(&self.active));
        Self {
            earlier,
            active: Arc::new(next),
        }
    }
}

/// A log that the configuration names, with its key.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    pub(crate) log: LogConfig,
    pub(crate) signer: SharedSigner,
}

impl Configured {
    /// Whether a record is that of this shard.
    fn is(&self, record: &LogRecord) -> bool {
        record.kind == LogKind::RekorV1
            && record.public_key == self.signer.public_key().spki_der()
            && self.log.id.is_none_or(|id| record.id.0 == id)
    }
}

/// The shards of a running service.
#[derive(Debug)]
pub(crate) struct Shards {
    config: Config,
    store: SharedStore,
    clock: SharedClock,
    list: RwLock<Arc<ShardList>>,
    looks: Coalesced<Result<(), StoreError>>,
    look: tokio::sync::Mutex<Look>,
    /// Why this service cannot take entries since the last rotation, if it cannot.
    behind: Mutex<Option<String>>,
}

/// What looking for a rotation needs and remembers.
#[derive(Debug)]
struct Look {
    /// The keys that wait for a rotation, in their order.
    next: VecDeque<Configured>,
    /// When the configuration was last read again.
    read: Option<Instant>,
}

impl Shards {
    /// Opens the shards that exist, in their order; `next` wait for a rotation. `None` if there is
    /// no shard.
    pub(crate) async fn open(
        config: &Config,
        existing: Vec<(Configured, LogRecord)>,
        next: Vec<Configured>,
        store: SharedStore,
        clock: SharedClock,
    ) -> Result<Option<Arc<Self>>, Error> {
        let mut list: Option<ShardList> = None;
        for (shard, record) in existing {
            let offset = match &list {
                None => 0,
                Some(list) => end_of(list.active()).await?,
            };
            if shard.signer.can_sign() {
                promise::check_numbers(&store, record.id, offset).await;
            } else {
                promise::check_copy(&store, &record, offset).await?;
            }
            let log = open_log(config, &shard.signer, record, offset, &store, &clock).await?;
            let shard = Shard::new(log, Arc::clone(&store), offset);
            list = Some(match list {
                None => ShardList {
                    earlier: Vec::new(),
                    active: Arc::new(shard),
                },
                Some(list) => list.followed_by(shard),
            });
        }
        let Some(list) = list else { return Ok(None) };
        prepared(next.len());
        let shards = Arc::new(Self {
            config: config.clone(),
            store,
            clock,
            list: RwLock::new(Arc::new(list)),
            looks: Coalesced::default(),
            look: tokio::sync::Mutex::new(Look {
                next: next.into(),
                read: None,
            }),
            behind: Mutex::default(),
        });
        let watched = Arc::downgrade(&shards);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(shards) = watched.upgrade() else {
                    return;
                };
                // Whoever asks meets the same error and says so.
                let _ = shards.newest().await;
            }
        });
        Ok(Some(shards))
    }

    /// The shards that this service knows.
    pub(crate) fn list(&self) -> Arc<ShardList> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why this service cannot take entries since the last rotation, if it cannot.
    pub(crate) fn behind(&self) -> Option<String> {
        let behind = self.behind.lock();
        behind.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The shards of some moment after the call. Any number of readers share a look.
    pub(crate) async fn newest(&self) -> Result<Arc<ShardList>, StoreError> {
        let look = async {
            let mut look = self.look.lock().await;
            self.follow(&mut look).await
        };
        self.looks.ask(look).await?;
        Ok(self.list())
    }

    /// Appends to the shard that takes entries. A frozen shard has written nothing, so the same
    /// entry may go to the one that follows it.
    pub(crate) async fn append(&self, verified: Verified) -> Result<Outcome, ShardError> {
        let mut list = self.list();
        loop {
            match list.active().append(verified.clone()).await {
                Err(frozen @ ShardError::Append(AppendError::Frozen)) => {
                    let newest = self.newest().await?;
                    if newest.active().id() == list.active().id() {
                        return Err(frozen);
                    }
                    list = newest;
                }
                outcome => return outcome,
            }
        }
    }

    /// Opens whatever rotations have created.
    async fn follow(&self, look: &mut Look) -> Result<(), StoreError> {
        let records = self.store.logs().await?;
        loop {
            let list = self.list();
            let active = list.active().id();
            let has_ended = records
                .iter()
                .any(|record| record.id == active && record.state == LogState::Frozen);
            if !has_ended {
                self.keeps_up();
                return Ok(());
            }
            let Some((shard, record)) = self.successor(look, &list, &records).await else {
                return Ok(());
            };
            let tree = record.id.0;
            let offset = end_of(list.active()).await?;
            match open_log(
                &self.config,
                &shard.signer,
                record,
                offset,
                &self.store,
                &self.clock,
            )
            .await
            {
                Ok(log) => {
                    let next = Shard::new(log, Arc::clone(&self.store), offset);
                    tracing::info!(from = active.0, to = tree, offset, "the log was rotated");
                    metrics::counter!("log_rotations_followed_total").increment(1);
                    let list = Arc::new(list.followed_by(next));
                    *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
                    // Not before: a request that goes away half-way must leave the key waiting.
                    look.next.pop_front();
                    prepared(look.next.len());
                }
                Err(error) => {
                    self.falls_behind(format!(
                        "the log was rotated to shard {tree}, which does not open here: {error}"
                    ));
                    return Ok(());
                }
            }
        }
    }

    /// The shard that follows the last of `list`, with its record, if there is one and its key is
    /// at hand.
    async fn successor(
        &self,
        look: &mut Look,
        list: &ShardList,
        records: &[LogRecord],
    ) -> Option<(Configured, LogRecord)> {
        let origin = &list.active().record().origin;
        let is_unknown = |record: &&LogRecord| {
            record.kind == LogKind::RekorV1 && list.by_tree(record.id.0).is_none()
        };
        // A log of the same name that takes entries, while ours is frozen, is ours.
        let waiting = records
            .iter()
            .filter(is_unknown)
            .find(|record| record.state == LogState::Active && record.origin == *origin);
        let of_next = |look: &Look| {
            let next = look.next.front()?;
            records
                .iter()
                .filter(is_unknown)
                .find(|r| next.is(r))
                .cloned()
        };
        let mut found = of_next(look);
        if found.is_none()
            && let Some(waiting) = waiting
        {
            // Opening a key may take long; a flood of writes must not make that of each of them.
            if look.read.is_none_or(|read| read.elapsed() >= LOOK_EVERY) {
                look.read = Some(Instant::now());
                match self.read_again().await {
                    Ok(read) => {
                        // Instead of what an earlier reading found.
                        look.next.retain(|next| self.was_configured(&next.log));
                        look.next.extend(read);
                    }
                    Err(error) => tracing::warn!(%error, "the configuration cannot be read again"),
                }
                found = of_next(look);
            }
            if found.is_none() {
                self.falls_behind(format!(
                    "the log was rotated to shard {}, and the next shard in the configuration \
                     (`logs`) is not that one: add it with its key",
                    waiting.id
                ));
            }
        }
        Some((look.next.front()?.clone(), found?))
    }

    /// The shards that the configuration file names and did not when the service started.
    async fn read_again(&self) -> Result<Vec<Configured>, Error> {
        let Some(path) = &self.config.source else {
            return Ok(Vec::new());
        };
        let config = Config::load(path)?;
        let mut next = Vec::new();
        for (place, log) in config.logs.iter().enumerate() {
            if log.kind == Kind::RekorV1 && !self.was_configured(log) {
                let signer = open_key(&config, log, place).await?;
                let log = log.clone();
                next.push(Configured { log, signer });
            }
        }
        Ok(next)
    }

    /// Whether the configuration named this log when the service started.
    fn was_configured(&self, log: &LogConfig) -> bool {
        self.config.logs.iter().any(|old| old.key == log.key)
    }

    fn keeps_up(&self) {
        self.note(None);
    }

    fn falls_behind(&self, reason: String) {
        if self.behind().as_ref() != Some(&reason) {
            tracing::error!("{reason}");
        }
        self.note(Some(reason));
    }

    fn note(&self, behind: Option<String>) {
        let value = if behind.is_some() { 1.0 } else { 0.0 };
        metrics::gauge!("log_rotation_missed").set(value);
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }
}

/// Says how many keys wait for a rotation.
fn prepared(next: usize) {
    let next = u32::try_from(next).unwrap_or(u32::MAX);
    metrics::gauge!("log_shards_prepared").set(f64::from(next));
}

/// Number of the first entry after a frozen shard.
async fn end_of(shard: &Shard) -> Result<u64, StoreError> {
    Ok(shard.offset() + shard.head().await?.head.size)
}

/// Refuses a key that clients of Rekor v1 cannot use.
pub(crate) fn check_key(signer: &SharedSigner, log: &str) -> Result<(), Error> {
    if signer.algorithm() == keys::Algorithm::EcdsaP256Sha256 {
        return Ok(());
    }
    Err(Error::Mismatch(format!(
        "the key of {log} is not ECDSA P-256; clients of Rekor v1 take no other"
    )))
}

/// Opens the shard whose first entry has the number `offset`.
async fn open_log(
    config: &Config,
    signer: &SharedSigner,
    record: LogRecord,
    offset: u64,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<Arc<Log<RekorV1>>, Error> {
    let id = record.id.0;
    check_key(signer, &format!("log {id}"))?;
    let guard = Guard::open(&guard_path(&config.guard_dir, record.id))?;
    let format = RekorV1::new(&record.origin, id, signer.public_key(), offset);
    Log::open(
        Arc::clone(store),
        record,
        format,
        Arc::clone(signer),
        guard,
        Arc::clone(clock),
        sequencer::LogConfig::default(),
    )
    .await
    .map_err(|source| Error::Log { id, source })
}
