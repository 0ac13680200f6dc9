//! The entries of one tile, read and looked at one by one.

use std::collections::BTreeMap;

use logstore::{EntryRecord, StoreError};
use tlog::{Hash, TILE_WIDTH, TileId};

use super::entry::Examiner;
use super::finding::{Findings, Remedy, entry_place};
use super::index::Sums;
use super::source::Source;
use super::versions::read_tile;

const WIDTH: u64 = TILE_WIDTH as u64;

/// When an entry was sequenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// In ms since the Unix epoch.
    pub(crate) ms: u64,
    /// Whether the log's key vouches for it.
    pub(crate) vouched: bool,
}

impl Moment {
    /// Whether the next entry may have been sequenced at `next`. Times that nobody vouches for never
    /// decrease; a log that was copied from elsewhere may have others, which its promises vouch for.
    pub(super) fn may_precede(self, next: Self) -> bool {
        self.ms <= next.ms || (self.vouched && next.vouched)
    }
}

/// The entries of one tile of level 0, examined.
pub(super) struct Chunk {
    pub(super) tile: TileId,
    /// Leaf hashes as computed; `None` where an entry is missing.
    pub(super) computed: Vec<Option<Hash>>,
    /// The stored tile, if it can be read.
    pub(super) stored: Vec<Hash>,
    pub(super) first: Option<Moment>,
    pub(super) last: Option<Moment>,
    /// Whether the times in it may follow each other.
    pub(super) in_time: bool,
    pub(super) records: Sums,
    pub(super) findings: Findings,
}

/// Reads the entries of one tile of level 0 and looks at each.
pub(super) async fn examine(
    source: &dyn Source,
    examiner: &Examiner,
    index: u64,
    end: u64,
    sums: Sums,
) -> Result<Chunk, StoreError> {
    let tile = TileId { level: 0, index };
    let start = index * WIDTH;
    let mut chunk = Chunk {
        tile,
        computed: Vec::new(),
        stored: Vec::new(),
        first: None,
        last: None,
        in_time: true,
        records: sums,
        findings: Findings::default(),
    };
    let width = usize::try_from(end - start).unwrap_or(TILE_WIDTH);
    chunk.stored = read_tile(source, tile, width, &mut chunk.findings).await?;
    let mut next = start;
    while next < end {
        let until = end.min(next + source.at_once());
        let records = read(source, next, until, &mut chunk.findings).await?;
        unique(source, &records, &mut chunk.findings).await?;
        let examiner = examiner.clone();
        // Hashing and JSON: not on the threads that wait for the database.
        chunk = tokio::task::spawn_blocking(move || {
            chunk.look(&examiner, next, until, &records);
            chunk
        })
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        next = until;
    }
    Ok(chunk)
}

impl Chunk {
    fn look(&mut self, examiner: &Examiner, start: u64, end: u64, records: &[EntryRecord]) {
        let mut records = records.iter().peekable();
        for index in start..end {
            let Some(record) = records.next_if(|record| record.entry.index == index) else {
                self.computed.push(None);
                let known = usize::try_from(index % WIDTH)
                    .ok()
                    .and_then(|at| self.stored.get(at));
                let problem = match known {
                    Some(hash) => format!("it is missing; its leaf hash was {hash}"),
                    None => "it is missing".to_owned(),
                };
                self.findings
                    .add(entry_place(index), problem, Remedy::RestoreEntry);
                continue;
            };
            let examined = examiner.examine(record, &mut self.findings);
            let (computed, row) = (examined.leaf_hash, record.entry.leaf_hash);
            let stored = usize::try_from(index % WIDTH)
                .ok()
                .and_then(|at| self.stored.get(at));
            // Where the tile disagrees, too, the comparison with it says what is wrong.
            if row != computed && stored == Some(&computed) {
                let problem =
                    format!("its row says that its leaf hash is {row}, its bytes have {computed}");
                self.findings
                    .add(entry_place(index), problem, Remedy::RestoreEntry);
            }
            self.computed.push(Some(examined.leaf_hash));
            let time = Moment {
                ms: record.entry.timestamp_ms,
                vouched: examined.vouched,
            };
            self.in_time &= self.last.is_none_or(|last| last.may_precede(time));
            self.first.get_or_insert(time);
            self.last = Some(time);
            self.records.add_record(record);
        }
    }
}

/// Reads entries; where one of them is malformed, the others by themselves.
async fn read(
    source: &dyn Source,
    start: u64,
    end: u64,
    findings: &mut Findings,
) -> Result<Vec<EntryRecord>, StoreError> {
    match source.records(start, end).await {
        Err(StoreError::Corrupt(_)) => {}
        other => return other,
    }
    let mut records = Vec::new();
    for index in start..end {
        match source.records(index, index + 1).await {
            Ok(read) => records.extend(read),
            Err(StoreError::Corrupt(reason)) => {
                findings.add(entry_place(index), reason, Remedy::RestoreEntry);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// Whether the unique index finds each of these entries, and no other in its place.
async fn unique(
    source: &dyn Source,
    records: &[EntryRecord],
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let identities: Vec<Hash> = records.iter().map(|record| record.identity).collect();
    let Some(known) = source.known(&identities).await? else {
        return Ok(());
    };
    let mut found: BTreeMap<Hash, Vec<u64>> = BTreeMap::new();
    for known in known {
        found.entry(known.identity).or_default().push(known.index);
    }
    for record in records {
        let index = record.entry.index;
        let at = found
            .get(&record.identity)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let place = entry_place(index);
        if let Some(other) = at.iter().find(|&&other| other != index) {
            let problem = format!(
                "it is the same as {}: both are {}",
                entry_place(*other),
                record.identity
            );
            findings.add(place, problem, Remedy::Duplicate);
        } else if at.is_empty() {
            let problem = "the unique index does not find it, so it could be logged twice";
            findings.add(place, problem, Remedy::Duplicate);
        }
    }
    Ok(())
}
