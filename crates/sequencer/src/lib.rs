//! The batch loop: group commit over a [`logstore::LogStore`], generic over what a log's leaves
//! and heads look like.

mod guard;
mod log;
mod promise;
mod reader;
mod recent;
mod sequence;
mod state;
mod view;

pub use guard::{Guard, GuardError, GuardMark};
pub use log::{Log, LogConfig, OpenError};

use std::sync::Arc;

use logstore::{NewEntry, Update};
use tlog::Hash;

/// Size, root and time of a tree: what a head signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// In ms since the Unix epoch.
    pub timestamp_ms: u64,
}

/// How one kind of log writes its leaves and heads.
pub trait Format: Send + Sync + 'static {
    /// A verified submission that waits for its place.
    type Pending: Clone + Send + 'static;

    /// What makes two submissions the same entry.
    fn identity(&self, pending: &Self::Pending) -> Hash;

    /// The entry at its place, without its promise. Cheap: it runs under the lock.
    fn entry(&self, pending: Self::Pending, index: u64, timestamp_ms: u64) -> NewEntry;

    /// The bytes that the log's key signs to promise that it keeps an entry at its place; `None` in
    /// a kind of log whose promises are not kept with the entries.
    fn promise_message(&self, entry: &NewEntry, index: u64, timestamp_ms: u64) -> Option<Vec<u8>>;

    /// What is stored of the signature of a promise.
    fn promise(&self, index: u64, signature: Vec<u8>) -> Vec<u8>;

    /// The bytes that the log's key signs for a head.
    fn head_message(&self, head: &TreeHead) -> Vec<u8>;

    /// What is stored and served for a signed head.
    fn signed_head(&self, head: &TreeHead, signature: &[u8]) -> Vec<u8>;
}

/// A head with the bytes that commit to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Size, root and time.
    pub head: TreeHead,
    /// As [`Format::signed_head`] made them.
    pub signed: Arc<[u8]>,
}

/// The answer to an append: durable, proven.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Index in the log.
    pub index: u64,
    /// When it was sequenced (the first time, for a duplicate), in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// Whether the entry was there before.
    pub duplicate: bool,
    /// The leaf hash. For a duplicate, that of the entry in the log.
    pub leaf_hash: Hash,
    /// A signed head that covers the entry.
    pub head: Arc<SignedHead>,
    /// Inclusion proof under that head.
    pub proof: Vec<Hash>,
    /// The promise, as it is stored. Empty for a duplicate, and where none was signed.
    pub promise: Vec<u8>,
}

/// What a new log begins with: these entries under its first signed head. For a log that comes into
/// being with them in one transaction, by [`logstore::LogStore::rotate`]: what its entries are
/// promised is known only then, so they have no promises.
pub async fn first_batch<F: Format>(
    format: &F,
    signer: &keys::SharedSigner,
    entries: Vec<F::Pending>,
    timestamp_ms: u64,
) -> Result<Update, keys::SignError> {
    let entries: Vec<NewEntry> = (0..)
        .zip(entries)
        .map(|(index, pending)| format.entry(pending, index, timestamp_ms))
        .collect();
    let leaves = entries.iter().map(|entry| entry.leaf_hash);
    let (edge, filled, mut tiles) = state::grow(tlog::Edge::new(), leaves);
    tiles.extend(filled);
    let head = TreeHead {
        size: edge.size(),
        root: edge.root(),
        timestamp_ms,
    };
    let signed = state::sign(format, signer, &head).await?;
    Ok(Update {
        entries,
        tiles,
        head: state::to_store(&signed),
    })
}

/// Why there is no head of the age that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The store did not say which head is the newest.
    #[error(transparent)]
    Store(#[from] logstore::StoreError),
    /// The newest head is too old and could not be signed again.
    #[error(transparent)]
    Renew(#[from] AppendError),
}

/// Why an append was not acknowledged, or a head not signed again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The queue is full; nothing was done.
    #[error("the log is overloaded")]
    Overloaded,
    /// The log is frozen.
    #[error("the log is frozen")]
    Frozen,
    /// The store or the key failed. The entry may have been written; sending it again is safe.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log stopped itself: see the message.
    #[error("the log refuses to sign: {0}")]
    Refused(String),
}
