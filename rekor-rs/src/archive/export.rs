//! Writing an export, or bringing one up to date.
//!
//! Full tiles never change, so only those that are not there are written. The checkpoint comes last:
//! before, it still is that of the earlier, smaller export, whose tiles are all there. An export that
//! was interrupted is gone on with.

use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use keys::SharedSigner;
use logstore::{EntryRecord, Head, LogKind, LogRecord, SharedStore, StoreError};
use tlog::{Hash, TILE_WIDTH, TileId};

use super::bundle::{self, RestoreLine};
use super::{ArchiveError, Layout, LogFile, MAX_SMALL, checkpoint};
use crate::ct::Logged;
use crate::files;
use crate::progress::Progress;
use crate::promise::Promise;

/// Tiles of entries that are written at once.
const PARALLEL: usize = 4;

/// Entries read at once.
const AT_ONCE: u64 = 64;

const WIDTH: u64 = TILE_WIDTH as u64;

/// How to export a log.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Signs the promises that are not kept with their entries, with the number of the log's first
    /// entry over all shards. Left out, there are none.
    pub promises: Option<(SharedSigner, u64)>,
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// The log.
    pub id: String,
    /// Entries in the export.
    pub size: u64,
    /// How many of them were there before.
    pub before: u64,
    /// Where it is.
    pub directory: PathBuf,
}

/// Exports a log into a directory, which may hold an older export of it.
pub async fn export(
    store: &SharedStore,
    record: &LogRecord,
    directory: &Path,
    options: &Options,
) -> Result<Exported, ArchiveError> {
    let head = store.head(record.id).await?;
    let note = checkpoint::print(record, &head).map_err(|reason| {
        ArchiveError::Refused(format!(
            "log {}: {reason}; start the service once",
            record.id
        ))
    })?;
    let stated = checkpoint::open(record, &note).map(|stated| (stated.size, stated.root));
    if stated.as_ref() != Ok(&(head.size, head.root)) {
        return Err(ArchiveError::Refused(format!(
            "log {}: the stored checkpoint is not the head's; run `fsck`",
            record.id
        )));
    }
    let export = Export {
        store,
        record,
        head: &head,
        layout: Layout::new(directory),
        options,
    };
    let before = export.begin(directory).await?;
    let progress = Progress::new(format!("exporting log {}", record.id), head.size, before);
    let (first, last) = (before / WIDTH, head.size.div_ceil(WIDTH));
    let mut tiles = stream::iter(first..last)
        .map(|index| export.tile(index))
        .buffered(PARALLEL);
    let mut done = first;
    while tiles.try_next().await?.is_some() {
        done += 1;
        progress.rows((done * WIDTH).min(head.size));
    }
    drop(tiles);
    export.upper_tiles(before).await?;
    write(export.layout.checkpoint(), note.into_bytes()).await?;
    export.remove_partial(before);
    Ok(Exported {
        id: record.id.to_string(),
        size: head.size,
        before,
        directory: directory.to_owned(),
    })
}

/// An export under way.
struct Export<'a> {
    store: &'a SharedStore,
    record: &'a LogRecord,
    head: &'a Head,
    layout: Layout,
    options: &'a Options,
}

impl Export<'_> {
    /// Finds out what is there, and that it is of this log. Returns its size.
    async fn begin(&self, directory: &Path) -> Result<u64, ArchiveError> {
        let file = |path: PathBuf, reason: String| ArchiveError::File { path, reason };
        let (path, new) = (self.layout.log(), LogFile::new(self.record)?);
        let read = |path: &Path| {
            files::read(path, MAX_SMALL).map_err(|error| file(path.to_owned(), error.to_string()))
        };
        match read(&path)? {
            None => {
                std::fs::create_dir_all(directory)
                    .map_err(|error| file(directory.to_owned(), error.to_string()))?;
                let text = serde_json::to_vec_pretty(&new).unwrap_or_default();
                write(path, text).await?;
            }
            Some(text) if serde_json::from_slice::<LogFile>(&text).ok().as_ref() == Some(&new) => {}
            Some(_) => {
                return Err(file(
                    path,
                    format!(
                        "this is not an export of log {}; choose another directory",
                        self.record.id
                    ),
                ));
            }
        }
        let path = self.layout.checkpoint();
        let Some(note) = read(&path)? else {
            return Ok(0);
        };
        let old = checkpoint::open(self.record, &String::from_utf8_lossy(&note))
            .map_err(|reason| file(path.clone(), reason))?;
        match self.continues(&old).await? {
            true => Ok(old.size),
            false => Err(file(
                path,
                format!(
                    "the database (log {}, {} entries) does not continue the export of {} entries: it \
                     was rolled back or damaged; run `fsck`, and keep this export",
                    self.record.id, self.head.size, old.size
                ),
            )),
        }
    }

    /// Whether the tree in the database extends that of an older export.
    async fn continues(&self, old: &Head) -> Result<bool, StoreError> {
        let (size, root) = (self.head.size, self.head.root);
        if old.size == 0 {
            return Ok(true);
        }
        let Some(plan) = tlog::consistency(old.size, size) else {
            return Ok(false);
        };
        let found = self.store.tiles(self.record.id, plan.tiles()).await?;
        let tile = |id: TileId| {
            let place = plan.tiles().iter().position(|known| *known == id)?;
            found.get(place)?.as_deref()
        };
        let proof = plan
            .evaluate(tile)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(tlog::verify_consistency(old.size, size, &proof, &old.root, &root).is_ok())
    }

    /// Writes what there is for one tile of leaves, unless it is there.
    async fn tile(&self, index: u64) -> Result<(), ArchiveError> {
        let size = self.head.size;
        let id = TileId { level: 0, index };
        let (Some(tile), Some(entries), restore) = (
            self.layout.tile(id, size),
            self.layout.entries(self.record.kind, index, size),
            self.layout.restore(index, size),
        ) else {
            return Ok(());
        };
        // The tile is written after its entries.
        if id.width(size) == TILE_WIDTH && tile.exists() {
            return Ok(());
        }
        let hashes = self.hashes(id).await?;
        let records = self.records(index, &hashes).await?;
        if self.record.kind == LogKind::Ct {
            self.certificates(entries, &records).await?;
        } else {
            let bodies = bundle::print_bodies(&records);
            let mut lines = Vec::new();
            for record in &records {
                let line = RestoreLine::new(record, bodies.is_none());
                lines.extend(serde_json::to_vec(&line).unwrap_or_default());
                lines.push(b'\n');
            }
            if let Some(restore) = restore {
                write(restore, lines).await?;
            }
            if let Some(bodies) = bodies {
                write(entries, bodies).await?;
            }
        }
        write(tile, logstore::row::tile_to_bytes(&hashes)).await
    }

    /// A tile's hashes, as many as the tree has.
    async fn hashes(&self, id: TileId) -> Result<Vec<Hash>, ArchiveError> {
        let width = id.width(self.head.size);
        let tile = self
            .store
            .tiles(self.record.id, &[id])
            .await?
            .into_iter()
            .next()
            .flatten();
        let mut hashes = tile.unwrap_or_default();
        if hashes.len() < width {
            return Err(self.damaged(format!(
                "tile {id:?} holds {} hashes of {width}",
                hashes.len()
            )));
        }
        hashes.truncate(width);
        Ok(hashes)
    }

    /// The entries of a tile of leaves, compared with their hashes. Their promises are signed if they
    /// are to be.
    async fn records(&self, index: u64, hashes: &[Hash]) -> Result<Vec<EntryRecord>, ArchiveError> {
        let start = index * WIDTH;
        let end = start + hashes.len() as u64;
        let mut records = Vec::with_capacity(hashes.len());
        loop {
            let next = start + records.len() as u64;
            if next >= end {
                break;
            }
            let read = self
                .store
                .records(self.record.id, next, end.min(next + AT_ONCE))
                .await?;
            if read.is_empty() {
                return Err(self.damaged(format!("entry {next} is missing")));
            }
            records.extend(read);
        }
        for (place, (record, hash)) in (start..).zip(records.iter_mut().zip(hashes)) {
            let entry = &record.entry;
            if entry.index != place || tlog::leaf_hash(&entry.body) != *hash {
                return Err(self.damaged(format!("entry {place} is not what its tile says")));
            }
            if let Some((signer, offset)) = &self.options.promises
                && entry.promise.is_empty()
            {
                record.entry.promise = promise(signer, *offset, record).await?;
            }
        }
        Ok(records)
    }

    /// Writes a tile of certificates and their issuers.
    async fn certificates(
        &self,
        path: PathBuf,
        records: &[EntryRecord],
    ) -> Result<(), ArchiveError> {
        let mut data = Vec::new();
        for record in records {
            let entry = &record.entry;
            let wrong = |reason: &str| self.damaged(format!("entry {}: {reason}", entry.index));
            let logged = Logged::parse(&entry.body, &entry.extra).map_err(wrong)?;
            bundle::print_tile_leaf(&logged, &mut data).map_err(wrong)?;
            for certificate in logged.chain {
                let path = self.layout.issuer(&crypto::sha256(certificate));
                if !path.exists() {
                    write(path, certificate.to_vec()).await?;
                }
            }
        }
        write(path, data).await
    }

    /// Writes the tiles above level 0 that are not in the export of `before` entries.
    async fn upper_tiles(&self, before: u64) -> Result<(), ArchiveError> {
        for level in 1..8_u8 {
            let below = |size: u64| size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            let (first, last) = (below(before) / WIDTH, below(self.head.size).div_ceil(WIDTH));
            for index in first..last {
                let id = TileId { level, index };
                let Some(path) = self.layout.tile(id, self.head.size) else {
                    continue;
                };
                let is_there = id.width(self.head.size) == TILE_WIDTH && path.exists();
                if !is_there {
                    let hashes = self.hashes(id).await?;
                    write(path, logstore::row::tile_to_bytes(&hashes)).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes the partial tiles that the export of `before` entries ended with, and that this one
    /// does not end with. Left behind, they would do no harm.
    fn remove_partial(&self, before: u64) {
        let size = self.head.size;
        let index = before / WIDTH;
        let layout = &self.layout;
        let of = |size| {
            let mut paths = vec![layout.entries(self.record.kind, index, size)];
            paths.push(layout.restore(index, size));
            paths.extend((0..8_u8).map(|level| {
                let index = before.checked_shr(8 * u32::from(level)).unwrap_or(0) / WIDTH;
                layout.tile(TileId { level, index }, size)
            }));
            paths
        };
        for (old, new) in of(before).into_iter().zip(of(size)) {
            if let Some(old) = old.filter(|old| Some(old) != new.as_ref()) {
                let _ = std::fs::remove_file(&old);
                // Fails while another width is in it.
                let _ = old.parent().map(std::fs::remove_dir);
            }
        }
    }

    fn damaged(&self, what: String) -> ArchiveError {
        ArchiveError::Refused(format!(
            "log {}: {what}; run `fsck`, which says what to do",
            self.record.id
        ))
    }
}

/// Signs the promise of an entry.
async fn promise(
    signer: &SharedSigner,
    offset: u64,
    record: &EntryRecord,
) -> Result<Vec<u8>, ArchiveError> {
    let entry = &record.entry;
    let log_index = offset.saturating_add(entry.index);
    let log_id = hex::encode(signer.public_key().key_id());
    let payload = Promise::payload(&entry.body, entry.timestamp_ms, &log_id, log_index);
    let signature = signer.sign(&payload).await?;
    Ok(Promise {
        log_index,
        signature,
    }
    .encode())
}

/// Writes a file with the directories above it, not on the threads that wait for the database.
async fn write(path: PathBuf, content: Vec<u8>) -> Result<(), ArchiveError> {
    let to = path.clone();
    tokio::task::spawn_blocking(move || {
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        files::replace(&to, &content)
    })
    .await
    .map_err(std::io::Error::other)
    .and_then(|written| written)
    .map_err(|error| ArchiveError::File {
        path,
        reason: error.to_string(),
    })
}
