//! Taking over a log that was kept elsewhere: its leaves in their order, their times, its tree id, and
//! what its key signed. Old bundles and entry ids stay valid.
//!
//! The log arrives frozen: its next entries go to another shard. Nothing is taken on trust but the key:
//!
//! - every entry has the leaf hash that its name or tile says, and where there is a promise for it, it
//!   is the log's;
//! - the entries make the root of the log's own signed checkpoint. Only then is that checkpoint stored,
//!   and until then the log is not served.
//!
//! Entries are committed some hundreds at a time, so an import that was interrupted goes on where it
//! stopped, and a copy of a log that has grown is brought up to date.

mod remote;
mod terms;

use std::path::Path;
use std::sync::Arc;

use logstore::{
    EntryRecord, Head, LogKind, LogRecord, LogState, NewEntry, Restoration, RestoredEntry,
    SharedStore, StoreError,
};
use serde::Serialize;
use tlog::{Edge, Hash, TileId};

use crate::archive::{Archive, ArchiveError};
use crate::fsck::{self, LogReport, Source};
use crate::progress::Progress;
use crate::promise::Promise;

pub use remote::{PARALLEL, Remote};

/// Entries of one transaction.
const BATCH: u64 = 512;

/// Why a log was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The export was read and is damaged.
    #[error("the export is damaged: {first} (and {more} more); `verify-export` lists them all")]
    Damaged {
        /// The first finding.
        first: String,
        /// How many others there are.
        more: u64,
    },
    /// The check of the export failed.
    #[error(transparent)]
    Check(#[from] fsck::Error),
    /// The other log did not answer, or not as it must.
    #[error("{0}")]
    Source(String),
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The log.
    pub id: String,
    /// Its name.
    pub origin: String,
    /// Its entries.
    pub size: u64,
    /// How many of them were there before.
    pub before: u64,
    /// How many entries its own promises count before its first: those of the shards before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_index: Option<u64>,
    /// Its public key, PEM.
    pub public_key: String,
}

/// Imports an export. With `key`, DER, the log must have that key.
pub async fn from_archive(
    store: &SharedStore,
    directory: &Path,
    key: Option<&[u8]>,
) -> Result<Imported, ImportError> {
    let archive = Archive::open(directory, key)?;
    let report = verify(&archive).await?;
    if let Some(first) = report.findings.list.first() {
        return Err(ImportError::Damaged {
            first: format!("{}: {}", first.place, first.problem),
            more: report.findings.count - 1,
        });
    }
    run(store, &archive, archive.record(), archive.head()).await
}

/// Verifies an export. With `key`, DER, nothing else is trusted.
pub async fn verify_archive(directory: &Path, key: &[u8]) -> Result<LogReport, ImportError> {
    let archive = Archive::open(directory, Some(key))?;
    verify(&archive).await
}

async fn verify(archive: &Archive) -> Result<LogReport, ImportError> {
    Ok(fsck::check_copy(archive, archive.record(), archive.head()).await?)
}

/// Copies a log from its source, up to a signed head.
pub(crate) async fn run(
    store: &SharedStore,
    source: &dyn Source,
    record: &LogRecord,
    target: &Head,
) -> Result<Imported, ImportError> {
    let (mut head, mut edge) = begin(store, record, target).await?;
    let before = head.size;
    let progress = Progress::new(format!("importing log {}", record.id), target.size, before);
    let mut first_index = None;
    while head.size < target.size {
        let end = target.size.min(head.size + BATCH);
        let records = source.records(head.size, end).await?;
        let found = records
            .iter()
            .zip(head.size..)
            .all(|(record, index)| record.entry.index == index);
        if records.is_empty() || !found {
            return Err(ImportError::Source(format!(
                "entry {} is missing at the source",
                head.size
            )));
        }
        first_index = first_index.or_else(|| {
            let mut entries = records.iter().map(|record| &record.entry);
            entries.find_map(Promise::first_number)
        });
        head = restore(store, record, &head, &mut edge, records).await?;
        progress.rows(head.size);
    }
    if head.root != target.root {
        return Err(ImportError::Refused(format!(
            "the {} entries of log {} make the root {}, and its checkpoint says {}: they are not the \
             entries of that log, and nothing was signed for them. Remove the log's rows from the tables \
             entry, tile, search_key and log, and import from a source that tells the truth",
            target.size, record.id, head.root, target.root
        )));
    }
    finish(store, record, &head, target).await?;
    let key = crypto::PublicKey::from_spki_der(&record.public_key)
        .map_err(|error| ImportError::Refused(error.to_string()))?;
    Ok(Imported {
        id: record.id.to_string(),
        origin: record.origin.clone(),
        size: target.size,
        before,
        first_index,
        public_key: key.to_pem(),
    })
}

/// Creates the log, or finds how far an earlier import came.
async fn begin(
    store: &SharedStore,
    record: &LogRecord,
    target: &Head,
) -> Result<(Head, Edge), ImportError> {
    let known = store
        .logs()
        .await?
        .into_iter()
        .find(|known| known.id == record.id);
    match known {
        None => {
            let record = LogRecord {
                state: LogState::Frozen,
                ..record.clone()
            };
            store.create_log(&record).await?;
        }
        Some(known) => {
            let same = (known.kind, &known.origin, &known.public_key)
                == (record.kind, &record.origin, &record.public_key);
            if !same {
                return Err(ImportError::Refused(format!(
                    "the database has another log with the id {}",
                    record.id
                )));
            }
            if known.state != LogState::Frozen {
                return Err(ImportError::Refused(format!(
                    "log {} takes entries in this database; freeze it before entries are restored into it",
                    record.id
                )));
            }
        }
    }
    let head = store.head(record.id).await?;
    if head.size > target.size {
        return Err(ImportError::Refused(format!(
            "the database has {} entries of log {}, the source only {}",
            head.size, record.id, target.size
        )));
    }
    let ids = Edge::tiles_of(head.size);
    let found = store.tiles(record.id, &ids).await?;
    let mut tiles: std::collections::HashMap<TileId, Vec<Hash>> = ids
        .into_iter()
        .zip(found)
        .map(|(id, tile)| (id, tile.unwrap_or_default()))
        .collect();
    let edge = Edge::load(head.size, |id| tiles.remove(&id).unwrap_or_default())
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if edge.root() != head.root {
        return Err(ImportError::Refused(format!(
            "what is there of log {} is damaged; run `fsck`",
            record.id
        )));
    }
    Ok((head, edge))
}

/// Writes some entries; returns the head after them.
async fn restore(
    store: &SharedStore,
    record: &LogRecord,
    head: &Head,
    edge: &mut Edge,
    records: Vec<EntryRecord>,
) -> Result<Head, ImportError> {
    let mut tiles = Vec::new();
    let mut timestamp_ms = head.timestamp_ms;
    let mut entries = Vec::with_capacity(records.len());
    for EntryRecord {
        entry,
        identity,
        keys,
    } in records
    {
        edge.push(entry.leaf_hash, |id, tile| tiles.push((id, tile)));
        timestamp_ms = timestamp_ms.max(entry.timestamp_ms);
        entries.push(RestoredEntry {
            timestamp_ms: entry.timestamp_ms,
            entry: NewEntry {
                leaf_hash: entry.leaf_hash,
                identity,
                keys: terms::keys(record.kind, &entry.body, &entry.extra, keys),
                body: entry.body,
                extra: entry.extra,
                promise: entry.promise,
            },
        });
    }
    tiles.extend(edge.tiles().map(|(id, tile)| (id, tile.to_vec())));
    let next = Head {
        size: edge.size(),
        root: edge.root(),
        timestamp_ms,
        // What is signed for fewer entries is not signed for these.
        signed: Arc::from([]),
    };
    let batch = store.begin(record.id).await?;
    if batch.head() != head {
        return Err(ImportError::Refused(format!(
            "another import of log {} is at work",
            record.id
        )));
    }
    let restoration = Restoration {
        entries,
        tiles,
        head: next.clone(),
    };
    batch.restore(Arc::new(restoration)).await?;
    Ok(next)
}

/// Stores what the log's key signed for all of it.
async fn finish(
    store: &SharedStore,
    record: &LogRecord,
    head: &Head,
    target: &Head,
) -> Result<(), ImportError> {
    if head.signed == target.signed {
        return Ok(());
    }
    let timestamp_ms = match record.kind {
        // Part of what is signed.
        LogKind::Ct => target.timestamp_ms,
        LogKind::RekorV1 | LogKind::RekorV2 => head.timestamp_ms.max(target.timestamp_ms),
    };
    let batch = store.begin(record.id).await?;
    let restoration = Restoration {
        entries: Vec::new(),
        tiles: Vec::new(),
        head: Head {
            timestamp_ms,
            signed: Arc::clone(&target.signed),
            ..head.clone()
        },
    };
    batch.restore(Arc::new(restoration)).await?;
    Ok(())
}
