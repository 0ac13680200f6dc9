//! Where a check that was interrupted goes on.
//!
//! The file is replaced as a whole, so that it is always the state of some moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use logstore::{Head, IndexRow, LogId};
use serde::{Deserialize, Serialize};
use tlog::Hash;

use super::chunk::Moment;
use super::finding::Findings;
use super::index::{Scan, Sums};
use super::tree::Tree;
use super::walk::Walk;
use crate::files;

/// How often the state is written.
const EVERY: Duration = Duration::from_secs(5);

/// Largest state that is read.
const MAX_LENGTH: u64 = 64 << 20;

/// Form of the file.
const VERSION: u32 = 2;

/// The state of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) version: u32,
    pub(crate) logs: BTreeMap<i64, SavedLog>,
    pub(crate) index: Option<SavedScan>,
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            version: VERSION,
            logs: BTreeMap::new(),
            index: None,
        }
    }
}

/// How far a log was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedLog {
    size: u64,
    root: String,
    timestamp_ms: u64,
    signed: String,
    pub(crate) done: bool,
    next: u64,
    filled: Vec<u64>,
    open: Vec<String>,
    last_ms: u64,
    vouched: bool,
    sums: SavedSums,
    findings: Findings,
}

/// Sums; the 128-bit numbers are text.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedSums {
    width: u64,
    ranges: BTreeMap<u64, (String, u64)>,
}

/// How far the index was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedScan {
    after: Option<(String, i64, u64)>,
    rows: u64,
    sums: BTreeMap<i64, SavedSums>,
    findings: Findings,
    repaired: u64,
}

impl SavedLog {
    /// The state of a log under this head.
    pub(crate) fn new(head: &Head, walk: &Walk, done: bool) -> Self {
        let (filled, open) = walk.tree.parts();
        Self {
            size: head.size,
            root: hex::encode(head.root.0),
            timestamp_ms: head.timestamp_ms,
            signed: hex::encode(&head.signed),
            done,
            next: walk.next,
            filled: filled.to_vec(),
            open: open
                .iter()
                .map(|tile| hex::encode(logstore::row::tile_to_bytes(tile)))
                .collect(),
            last_ms: walk.last.ms,
            vouched: walk.last.vouched,
            sums: SavedSums::new(&walk.sums),
            findings: walk.findings.clone(),
        }
    }

    /// The head that the check is of, and how far it came. `None` if this is no such state.
    pub(crate) fn resume(&self) -> Option<(Head, Walk)> {
        let head = Head {
            size: self.size,
            root: hash(&self.root)?,
            timestamp_ms: self.timestamp_ms,
            signed: hex::decode(&self.signed).ok()?.into(),
        };
        let tile = |text: &String| {
            let bytes = hex::decode(text).ok()?;
            let (hashes, rest) = bytes.as_chunks::<32>();
            rest.is_empty()
                .then(|| hashes.iter().copied().map(Hash).collect())
        };
        let open: Vec<Vec<Hash>> = self.open.iter().map(tile).collect::<Option<_>>()?;
        if open.len() != self.filled.len() || self.next > self.size {
            return None;
        }
        let walk = Walk {
            next: self.next,
            tree: Tree::resume(self.filled.clone(), open),
            last: Moment {
                ms: self.last_ms,
                vouched: self.vouched,
            },
            sums: self.sums.resume()?,
            findings: self.findings.clone(),
        };
        Some((head, walk))
    }
}

impl SavedSums {
    fn new(sums: &Sums) -> Self {
        let ranges = sums.ranges.iter();
        Self {
            width: sums.width,
            ranges: ranges
                .map(|(range, (sum, count))| (*range, (format!("{sum:x}"), *count)))
                .collect(),
        }
    }

    fn resume(&self) -> Option<Sums> {
        let mut ranges = BTreeMap::new();
        for (range, (sum, count)) in &self.ranges {
            ranges.insert(*range, (u128::from_str_radix(sum, 16).ok()?, *count));
        }
        (self.width > 0).then_some(Sums {
            width: self.width,
            ranges,
        })
    }
}

impl SavedScan {
    pub(crate) fn new(scan: &Scan) -> Self {
        let sums = scan.sums.iter();
        Self {
            after: scan
                .after
                .map(|row| (hex::encode(row.key), row.log.0, row.index)),
            rows: scan.rows,
            sums: sums
                .map(|(log, sums)| (log.0, SavedSums::new(sums)))
                .collect(),
            findings: scan.findings.clone(),
            repaired: scan.repaired,
        }
    }

    pub(crate) fn resume(&self) -> Option<Scan> {
        let after = match &self.after {
            None => None,
            Some((key, log, index)) => Some(IndexRow {
                key: hex::decode(key).ok()?.try_into().ok()?,
                log: LogId(*log),
                index: *index,
            }),
        };
        let mut sums = BTreeMap::new();
        for (log, saved) in &self.sums {
            sums.insert(LogId(*log), saved.resume()?);
        }
        Some(Scan {
            after,
            rows: self.rows,
            sums,
            findings: self.findings.clone(),
            repaired: self.repaired,
        })
    }
}

fn hash(text: &str) -> Option<Hash> {
    Some(Hash(hex::decode(text).ok()?.try_into().ok()?))
}

/// Writes the state to its file now and then; nowhere without a file.
pub(crate) struct Saver<'a> {
    path: Option<&'a Path>,
    last: Instant,
}

impl<'a> Saver<'a> {
    /// The state is kept at `path`.
    pub(crate) fn new(path: Option<&'a Path>) -> Self {
        Self {
            path,
            last: Instant::now(),
        }
    }

    /// The state of a check that was interrupted, or the beginning of one.
    pub(crate) fn load(&self) -> Result<Saved, String> {
        let Some(path) = self.path else {
            return Ok(Saved::default());
        };
        let unusable =
            |reason: &str| format!("{}: {reason}; remove it to begin again", path.display());
        let text = files::read(path, MAX_LENGTH).map_err(|error| unusable(&error.to_string()))?;
        let Some(text) = text else {
            return Ok(Saved::default());
        };
        match serde_json::from_slice::<Saved>(&text) {
            Ok(saved) if saved.version == VERSION => Ok(saved),
            _ => Err(unusable("not the state of a check")),
        }
    }

    /// Writes the state if it is time to.
    pub(crate) fn save(&mut self, state: impl FnOnce() -> Saved) -> std::io::Result<()> {
        match self.path {
            Some(path) if self.last.elapsed() >= EVERY => {
                self.last = Instant::now();
                files::replace(path, &serde_json::to_vec(&state())?)
            }
            _ => Ok(()),
        }
    }

    /// Writes the state.
    pub(crate) fn save_now(&self, state: &Saved) -> std::io::Result<()> {
        match self.path {
            Some(path) => files::replace(path, &serde_json::to_vec(state)?),
            None => Ok(()),
        }
    }

    /// Removes the file: the check is complete.
    pub(crate) fn finish(&self) -> std::io::Result<()> {
        match self.path {
            Some(path) if path.exists() => std::fs::remove_file(path),
            _ => Ok(()),
        }
    }
}
