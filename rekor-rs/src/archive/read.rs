//! Reading an export.

use std::path::{Path, PathBuf};

use logstore::{Entry, EntryRecord, Head, Known, LogKind, LogRecord, StoreError};
use tlog::{Hash, TILE_WIDTH, TileId};

use super::bundle::{self, RestoreLine, TileLeaf};
use super::{ArchiveError, Layout, LogFile, MAX_SMALL, checkpoint};
use crate::ct::{self, Logged};
use crate::files;
use crate::fsck::Source;

/// Longest file of entries. 256 bodies of a mebibyte, in base64, with their attestations.
const MAX_ENTRIES: u64 = 1 << 29;

/// Longest certificate of a chain.
const MAX_CERTIFICATE: u64 = 1 << 24;

const WIDTH: u64 = TILE_WIDTH as u64;

/// An export whose checkpoint was verified; nothing else was.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    layout: Layout,
    record: LogRecord,
    head: Head,
}

impl Archive {
    /// Opens an export of a log whose key, DER, is known from elsewhere. Without that, the key is
    /// what the export says.
    pub(crate) fn open(directory: &Path, key: Option<&[u8]>) -> Result<Self, ArchiveError> {
        let layout = Layout::new(directory);
        let fail = |path: PathBuf, reason: String| ArchiveError::File { path, reason };
        let read = |path: PathBuf| match files::read(&path, MAX_SMALL) {
            Ok(Some(content)) => Ok(content),
            Ok(None) => Err(fail(
                path,
                "there is none: this is not a whole export".to_owned(),
            )),
            Err(error) => Err(fail(path, error.to_string())),
        };
        let log: LogFile = serde_json::from_slice(&read(layout.log())?)
            .map_err(|error| fail(layout.log(), error.to_string()))?;
        let mut record = log.record().map_err(|reason| fail(layout.log(), reason))?;
        if let Some(key) = key {
            record.public_key = key.to_vec();
        }
        let note = read(layout.checkpoint())?;
        let head = checkpoint::open(&record, &String::from_utf8_lossy(&note))
            .map_err(|reason| fail(layout.checkpoint(), reason))?;
        Ok(Self {
            layout,
            record,
            head,
        })
    }

    /// The log.
    pub(crate) fn record(&self) -> &LogRecord {
        &self.record
    }

    /// The signed head. Its time is that of a CT log's head, else 0.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The entries of a tile of leaves.
    fn bundle(&self, index: u64) -> Result<Vec<EntryRecord>, StoreError> {
        let size = self.head.size;
        let width = TileId { level: 0, index }.width(size);
        let Some(path) = self.layout.entries(self.record.kind, index, size) else {
            return Ok(Vec::new());
        };
        let start = index * WIDTH;
        let wrong = |path: &Path, reason: &str| corrupt(path, reason);
        if self.record.kind == LogKind::Ct {
            let data = required(&path, MAX_ENTRIES)?;
            let leaves = bundle::parse_tile_leaves(&data, width).map_err(|e| wrong(&path, e))?;
            return (start..)
                .zip(leaves)
                .map(|(index, leaf)| self.certificate(index, &leaf))
                .collect();
        }
        let Some(restore) = self.layout.restore(index, size) else {
            return Ok(Vec::new());
        };
        let text = required(&restore, MAX_ENTRIES)?;
        let lines: Vec<RestoreLine> = serde_json::Deserializer::from_slice(&text)
            .into_iter()
            .take(width + 1)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&restore, &error.to_string()))?;
        if lines.len() != width {
            return Err(wrong(&restore, &format!("it must have {width} lines")));
        }
        let bundle = optional(&path, MAX_ENTRIES)?;
        let bodies: Vec<Vec<u8>> = match &bundle {
            Some(bundle) => bundle::parse_bodies(bundle, width)
                .map_err(|e| wrong(&path, e))?
                .into_iter()
                .map(<[u8]>::to_vec)
                .collect(),
            None => lines
                .iter()
                .map(RestoreLine::body)
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(&path, "it is missing"))?,
        };
        (start..)
            .zip(lines.iter().zip(bodies))
            .map(|(index, (line, body))| line.record(index, body).map_err(|e| wrong(&restore, e)))
            .collect()
    }

    /// The entry that a `TileLeaf` and the certificates of its chain make.
    fn certificate(&self, index: u64, leaf: &TileLeaf<'_>) -> Result<EntryRecord, StoreError> {
        let mut chain = Vec::new();
        for fingerprint in leaf.chain {
            let path = self.layout.issuer(fingerprint);
            let certificate = required(&path, MAX_CERTIFICATE)?;
            if crypto::sha256(&certificate) != *fingerprint {
                return Err(corrupt(
                    &path,
                    "it is not the certificate of that fingerprint",
                ));
            }
            chain.push(certificate);
        }
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let precertificate = leaf.entry.is_precertificate.then_some(leaf.submitted);
        let extra = ct::extra_data(precertificate, &chain)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let body = Logged::leaf(&leaf.entry);
        Ok(EntryRecord {
            entry: Entry {
                index,
                leaf_hash: tlog::leaf_hash(&body),
                timestamp_ms: leaf.entry.timestamp_ms,
                body,
                extra,
                promise: Vec::new(),
            },
            identity: Hash(crypto::sha256(leaf.submitted)),
            keys: Vec::new(),
        })
    }

    fn read_tile(&self, id: TileId) -> Result<Option<Vec<Hash>>, StoreError> {
        let Some(path) = self.layout.tile(id, self.head.size) else {
            return Ok(None);
        };
        match optional(&path, (TILE_WIDTH * 32) as u64)? {
            None => Ok(None),
            Some(bytes) => logstore::row::tile_from_bytes(&bytes).map(Some),
        }
    }
}

#[async_trait::async_trait]
impl Source for Archive {
    async fn records(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError> {
        let archive = self.clone();
        blocking(move || {
            let mut records = Vec::new();
            for index in start / WIDTH..end.min(archive.head.size).div_ceil(WIDTH) {
                let bundle = archive.bundle(index)?;
                let wanted = |record: &EntryRecord| (start..end).contains(&record.entry.index);
                records.extend(bundle.into_iter().filter(wanted));
            }
            Ok(records)
        })
        .await
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        let (archive, ids) = (self.clone(), ids.to_vec());
        blocking(move || ids.into_iter().map(|id| archive.read_tile(id)).collect()).await
    }

    /// Files have no such index.
    async fn known(&self, _identities: &[Hash]) -> Result<Option<Vec<Known>>, StoreError> {
        Ok(None)
    }

    fn at_once(&self) -> u64 {
        WIDTH
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
}

fn optional(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    files::read(path, limit).map_err(|error| corrupt(path, &error.to_string()))
}

fn required(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    optional(path, limit)?.ok_or_else(|| corrupt(path, "it is missing"))
}

fn corrupt(path: &Path, reason: &str) -> StoreError {
    StoreError::Corrupt(format!("{}: {reason}", path.display()))
}
