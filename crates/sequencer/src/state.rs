//! What a signer knows about its log, and every check that stands before a signature.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clock::SharedClock;
use keys::{SharedSigner, SignError};
use logstore::{Batch, Head, LogRecord, SharedStore, StoreError, Update};
use tlog::{Edge, Hash};

use crate::view::{View, extends, load_edge};
use crate::{Format, Guard, GuardMark, OpenError, SignedHead, TreeHead};

/// How long a key may take to sign; the log's lock may be held meanwhile.
const SIGN_TIMEOUT: Duration = Duration::from_secs(10);

/// How far the newest entry's time may lie ahead of the clock before it is worth a warning, in ms.
const SKEW_MS: u64 = 5_000;

/// The last committed state that this process has seen, and its guard.
#[derive(Debug)]
pub(crate) struct State {
    view: Arc<View>,
    guard: Guard,
    key: [u8; 32],
}

/// Why the state of the store cannot be built upon.
pub(crate) enum SyncError {
    /// The store failed; later may be better.
    Store(StoreError),
    /// The database is not a later state of the log: nothing may be signed.
    Refuse(String),
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl State {
    pub(crate) async fn open<F: Format>(
        store: &SharedStore,
        record: &LogRecord,
        format: &F,
        signer: &SharedSigner,
        mut guard: Guard,
        clock: &SharedClock,
    ) -> Result<Self, OpenError> {
        guard.lock().await?;
        let key = signer.public_key().key_id();
        if let Some(mark) = guard.mark()
            && (mark.log != record.id || mark.key != key)
        {
            return Err(crate::GuardError::Foreign {
                path: guard.path().to_owned(),
                log: mark.log,
            }
            .into());
        }
        let mut batch = store.begin(record.id).await?;
        let head = batch.head().clone();
        let edge = load_edge(batch.as_mut(), head.size).await?;
        if edge.root() != head.root {
            return Err(damaged(head.size).into());
        }
        match guard.mark() {
            Some(mark) => {
                let (old, new) = ((mark.size, mark.root), (head.size, head.root));
                if !extends(batch.as_mut(), old, new).await? {
                    let whose = format!("the guard file {}", guard.path().display());
                    return Err(OpenError::RolledBack(rolled_back(record, new, old, &whose)));
                }
            }
            None if head.size > 0 => tracing::warn!(
                log = record.id.0,
                size = head.size,
                guard = %guard.path().display(),
                "no roll-back guard: taking the head in the database as it is, which would not be \
                 noticed if it was rolled back; expected of a new replica, and only of one"
            ),
            None => {}
        }
        let tree = TreeHead {
            size: head.size,
            root: head.root,
            timestamp_ms: head.timestamp_ms,
        };
        let signed = if head.signed.is_empty() {
            let tree = TreeHead {
                timestamp_ms: time(clock, record, &head),
                ..tree
            };
            let signed = sign(format, signer, &tree).await?;
            let head = to_store(&signed);
            batch
                .commit(Arc::new(Update {
                    entries: Vec::new(),
                    tiles: Vec::new(),
                    head,
                }))
                .await?;
            signed
        } else {
            drop(batch);
            SignedHead {
                head: tree,
                signed: head.signed,
            }
        };
        let view = Arc::new(View::found(signed, edge));
        let mut state = Self { view, guard, key };
        state.write_guard(record).await?;
        Ok(state)
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Catches up with what other writers committed; true if there was something. Nothing is taken
    /// over that does not extend the tree that this process knows, which extends its guard's.
    pub(crate) async fn catch_up(
        &mut self,
        record: &LogRecord,
        batch: &mut dyn Batch,
    ) -> Result<bool, SyncError> {
        let head = batch.head().clone();
        let known = *self.view.head();
        let (old, new) = ((known.size, known.root), (head.size, head.root));
        if old == new && head.signed == self.view.signed.signed {
            return Ok(false);
        }
        if new.0 < old.0 || (new.0 == old.0 && new.1 != old.1) {
            return Err(SyncError::Refuse(rolled_back(
                record,
                new,
                old,
                "this process",
            )));
        }
        let edge = match load_edge(batch, head.size).await {
            Ok(edge) if edge.root() == head.root => edge,
            Ok(_) => return Err(SyncError::Refuse(damaged(head.size).to_string())),
            Err(StoreError::Corrupt(reason)) => return Err(SyncError::Refuse(reason)),
            Err(error) => return Err(error.into()),
        };
        if !extends(batch, old, new).await? {
            return Err(SyncError::Refuse(rolled_back(
                record,
                new,
                old,
                "this process",
            )));
        }
        let tree = TreeHead {
            size: head.size,
            root: head.root,
            timestamp_ms: head.timestamp_ms,
        };
        let signed = SignedHead {
            head: tree,
            signed: head.signed,
        };
        self.view = Arc::new(View::found(signed, edge));
        Ok(true)
    }

    /// Takes over what this process committed, and remembers it in the guard. Only after this may
    /// anybody learn of the head: a database rolled back behind it must be recognised.
    pub(crate) async fn advance(
        &mut self,
        record: &LogRecord,
        view: Arc<View>,
    ) -> Result<(), crate::GuardError> {
        self.view = view;
        self.write_guard(record).await
    }

    /// Remembers the newest known head in the guard.
    pub(crate) async fn write_guard(
        &mut self,
        record: &LogRecord,
    ) -> Result<(), crate::GuardError> {
        let head = self.view.head();
        let mark = GuardMark {
            log: record.id,
            key: self.key,
            size: head.size,
            root: head.root,
        };
        self.guard.write(mark).await
    }
}

/// The time of the next head: now, but never before the head it follows.
pub(crate) fn time(clock: &SharedClock, record: &LogRecord, head: &Head) -> u64 {
    let now = clock.now_ms();
    if head.timestamp_ms > now.saturating_add(SKEW_MS) {
        tracing::warn!(
            log = record.id.0,
            ahead_ms = head.timestamp_ms - now,
            "the newest entry's time lies in the future: this clock is behind, or another \
             replica's was ahead"
        );
    }
    now.max(head.timestamp_ms)
}

/// Signs a head. Callers sign what has new entries, an empty log's first head, or what is committed
/// already with a later time: never another root for a size that has one.
pub(crate) async fn sign<F: Format>(
    format: &F,
    signer: &SharedSigner,
    head: &TreeHead,
) -> Result<SignedHead, SignError> {
    let message = format.head_message(head);
    let signature = tokio::time::timeout(SIGN_TIMEOUT, signer.sign(&message))
        .await
        .map_err(|_| SignError::Unavailable("it did not answer in time".to_owned()))??;
    Ok(SignedHead {
        head: *head,
        signed: Arc::from(format.signed_head(head, &signature)),
    })
}

pub(crate) fn to_store(signed: &SignedHead) -> Head {
    let TreeHead {
        size,
        root,
        timestamp_ms,
    } = signed.head;
    Head {
        size,
        root,
        timestamp_ms,
        signed: Arc::clone(&signed.signed),
    }
}

/// A tile and its hashes.
type NewTile = (tlog::TileId, Vec<Hash>);

/// The edge of a tree after a batch, the tiles that it filled, and the tiles of the edge that
/// changed.
pub(crate) fn grow(
    mut edge: Edge,
    leaves: impl IntoIterator<Item = Hash>,
) -> (Edge, Vec<NewTile>, Vec<NewTile>) {
    let before: HashMap<_, _> = edge.tiles().map(|(id, tile)| (id, tile.len())).collect();
    let mut filled = Vec::new();
    for leaf in leaves {
        edge.push(leaf, |id, tile| filled.push((id, tile)));
    }
    let changed = edge
        .tiles()
        .filter(|(id, tile)| before.get(id) != Some(&tile.len()))
        .map(|(id, tile)| (id, tile.to_vec()))
        .collect();
    (edge, filled, changed)
}

fn damaged(size: u64) -> StoreError {
    StoreError::Corrupt(format!(
        "the stored tiles do not lead to the stored root of the tree of {size} leaves; \
         restore the database from an undamaged copy"
    ))
}

/// Why a database behind what was signed is refused, and the ways out.
pub(crate) fn rolled_back(
    record: &LogRecord,
    found: (u64, Hash),
    remembered: (u64, Hash),
    whose: &str,
) -> String {
    let what = if found.0 < remembered.0 {
        format!("holds a tree of only {} leaves", found.0)
    } else {
        format!(
            "holds a tree of {} leaves (root {:?}) that does not continue it",
            found.0, found.1
        )
    };
    format!(
        "log {} ({}): {whose} remembers that a tree of {} leaves (root {:?}) was signed, but the \
         database {what}. It was rolled back or replaced, for example by restoring an old backup \
         or by failing over to a replica that lagged. Signing on would fork the log, so nothing \
         will be signed. What to do: restore the newest database. If its newest entries are lost \
         for ever, freeze this log and create a new one with a new key. Only if every auditor, \
         monitor and witness confirms that none of them holds a head beyond the database's may \
         you stop all replicas, delete their guard files and start again.",
        record.id.0, record.origin, remembered.0, remembered.1,
    )
}
