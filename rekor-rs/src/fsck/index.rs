//! The search index against the entries.
//!
//! The index has one order (by key) and the log another, and neither fits in memory. So both are
//! summed up, by ranges of entries: a range whose sums are equal has neither a missing nor a surplus
//! row. Only ranges where they differ are looked at row by row.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use logstore::{EntryRecord, IndexRow, LogId, SharedStore, StoreError};

use super::finding::{Findings, Remedy, entry_place};
use crate::progress::Progress;

/// Ranges that a log is divided into, at most.
const RANGES: u64 = 4096;

/// Smallest range.
const MIN_WIDTH: u64 = 256;

/// Rows of the index read, looked up or repaired at once.
const ROWS: u32 = 4096;

/// Entries read at once.
const ENTRIES: u64 = 64;

/// What the index holds, or must hold, for a log: a sum and a count for each range of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) width: u64,
    pub(crate) ranges: BTreeMap<u64, (u128, u64)>,
}

impl Sums {
    /// Nothing, for a log of `size` entries.
    pub(crate) fn new(size: u64) -> Self {
        Self {
            width: size
                .div_ceil(RANGES)
                .next_multiple_of(MIN_WIDTH)
                .max(MIN_WIDTH),
            ranges: BTreeMap::new(),
        }
    }

    /// Nothing, with the same ranges.
    pub(crate) fn empty(&self) -> Self {
        Self {
            width: self.width,
            ranges: BTreeMap::new(),
        }
    }

    /// Adds the rows that an entry must have.
    pub(crate) fn add_record(&mut self, record: &EntryRecord) {
        for key in expected_keys(record) {
            self.add_row(&key, record.entry.index);
        }
    }

    fn add_row(&mut self, key: &[u8], index: u64) {
        let [digest, _] = halves(&crypto::sha256_concat(&[key, &index.to_be_bytes()]));
        let (sum, count) = self.ranges.entry(index / self.width).or_default();
        *sum = sum.wrapping_add(digest);
        *count += 1;
    }

    /// Adds what was summed up apart.
    pub(crate) fn add(&mut self, other: &Self) {
        for (range, (other_sum, other_count)) in &other.ranges {
            let (sum, count) = self.ranges.entry(*range).or_default();
            *sum = sum.wrapping_add(*other_sum);
            *count += other_count;
        }
    }

    /// Ranges in which two logs differ.
    fn differing(&self, other: &Self) -> Vec<u64> {
        let all: BTreeSet<u64> = self
            .ranges
            .keys()
            .chain(other.ranges.keys())
            .copied()
            .collect();
        all.into_iter()
            .filter(|range| self.range(*range) != other.range(*range))
            .collect()
    }

    fn range(&self, range: u64) -> (u128, u64) {
        self.ranges.get(&range).copied().unwrap_or_default()
    }
}

fn halves(digest: &[u8; 32]) -> [u128; 2] {
    let (a, b) = digest.split_at(16);
    [a, b].map(|half| {
        half.iter()
            .fold(0, |sum, &byte| sum << 8 | u128::from(byte))
    })
}

/// The keys that an entry must be found by.
fn expected_keys(record: &EntryRecord) -> BTreeSet<logstore::SearchKey> {
    record.keys.iter().copied().collect()
}

/// A log whose entries were summed up.
#[derive(Debug)]
pub(crate) struct Summed {
    pub(crate) log: LogId,
    /// Entries that were summed up.
    pub(crate) size: u64,
    pub(crate) sums: Sums,
}

/// How far the pass over the index has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    /// The last row read.
    pub(crate) after: Option<IndexRow>,
    /// Rows read.
    pub(crate) rows: u64,
    /// What the index holds, by log.
    pub(crate) sums: BTreeMap<LogId, Sums>,
    /// What was found.
    pub(crate) findings: Findings,
    /// Rows that were added and removed.
    pub(crate) repaired: u64,
}

/// The index of a database, with what to do about it.
pub(crate) struct Check<'a> {
    pub(crate) store: &'a SharedStore,
    /// Logs whose entries were summed up.
    pub(crate) logs: &'a [Summed],
    /// All logs of the database.
    pub(crate) all: &'a [LogId],
    /// Whether to repair it.
    pub(crate) repair: bool,
}

impl Check<'_> {
    /// Reads the whole index, then looks closer where it differs. `step` is told after every page.
    pub(crate) async fn run(
        &self,
        scan: &mut Scan,
        progress: &Progress,
        mut step: impl FnMut(&Scan) -> std::io::Result<()>,
    ) -> Result<(), super::Error> {
        loop {
            let rows = self.store.index_rows(scan.after.as_ref(), ROWS).await?;
            let Some(last) = rows.last() else { break };
            scan.after = Some(*last);
            scan.rows += rows.len() as u64;
            let (mut surplus, mut newer) = (Vec::new(), Vec::new());
            for row in &rows {
                let IndexRow { log, index, .. } = *row;
                match self.logs.iter().find(|summed| summed.log == log) {
                    Some(summed) if index >= summed.size => newer.push(*row),
                    Some(summed) => scan
                        .sums
                        .entry(log)
                        .or_insert_with(|| summed.sums.empty())
                        .add_row(&row.key, index),
                    None if self.all.contains(&log) => {}
                    None => surplus.push(*row),
                }
            }
            surplus.extend(self.beyond(newer).await?);
            self.report(scan, &[], &surplus).await?;
            progress.rows(scan.rows);
            step(scan)?;
        }
        for summed in self.logs {
            let found = scan
                .sums
                .get(&summed.log)
                .cloned()
                .unwrap_or_else(|| summed.sums.empty());
            let differing = summed.sums.differing(&found);
            if !differing.is_empty() {
                let surplus_in = self.missing(scan, summed, &found, &differing).await?;
                self.surplus(scan, summed, &surplus_in).await?;
            }
        }
        Ok(())
    }

    /// Looks up every row that the entries of some ranges must have. Returns the ranges in which the
    /// index has more.
    async fn missing(
        &self,
        scan: &mut Scan,
        summed: &Summed,
        found: &Sums,
        ranges: &[u64],
    ) -> Result<BTreeSet<u64>, super::Error> {
        let mut more = BTreeSet::new();
        for &range in ranges {
            let mut present = 0;
            let end = summed.size.min((range + 1) * summed.sums.width);
            let mut next = range * summed.sums.width;
            while next < end {
                let until = end.min(next + ENTRIES);
                let rows: Vec<IndexRow> = self
                    .records(summed.log, next, until)
                    .await?
                    .iter()
                    .flat_map(|record| rows_of(summed.log, record))
                    .collect();
                let has = self.store.index_has(&rows).await?;
                present += has.iter().filter(|&&has| has).count() as u64;
                let missing = rows.iter().zip(has).filter(|(_, has)| !has);
                let missing: Vec<IndexRow> = missing.map(|(row, _)| *row).collect();
                self.report(scan, &missing, &[]).await?;
                next = until;
            }
            let (_, count) = found.range(range);
            if count != present {
                more.insert(range);
            }
        }
        Ok(more)
    }

    /// Reads the index again for rows in these ranges that no entry has.
    async fn surplus(
        &self,
        scan: &mut Scan,
        summed: &Summed,
        ranges: &BTreeSet<u64>,
    ) -> Result<(), super::Error> {
        let mut after: Option<IndexRow> = None;
        while !ranges.is_empty() {
            let rows = self.store.index_rows(after.as_ref(), ROWS).await?;
            let Some(last) = rows.last() else { break };
            after = Some(*last);
            let mut by_entry: BTreeMap<u64, Vec<IndexRow>> = BTreeMap::new();
            for row in rows {
                let IndexRow { log, index, .. } = row;
                if log == summed.log
                    && index < summed.size
                    && ranges.contains(&(index / summed.sums.width))
                {
                    by_entry.entry(index).or_default().push(row);
                }
            }
            let mut surplus = Vec::new();
            for (index, rows) in by_entry {
                // Rows of an entry that is lost are all that is left of it.
                if let Some(record) = self.records(summed.log, index, index + 1).await?.first() {
                    let keys = expected_keys(record);
                    surplus.extend(rows.into_iter().filter(|row| !keys.contains(&row.key)));
                }
            }
            self.report(scan, &[], &surplus).await?;
        }
        Ok(())
    }

    /// Of these rows of entries that were not summed up, those of entries that do not exist. A row
    /// that could be read was committed with a head beyond it.
    async fn beyond(&self, newer: Vec<IndexRow>) -> Result<Vec<IndexRow>, StoreError> {
        let mut sizes = BTreeMap::new();
        for log in newer.iter().map(|row| row.log) {
            if let Entry::Vacant(size) = sizes.entry(log) {
                size.insert(self.store.head(log).await?.size);
            }
        }
        let beyond = |row: &IndexRow| sizes.get(&row.log).is_none_or(|size| row.index >= *size);
        Ok(newer.into_iter().filter(beyond).collect())
    }

    /// Entries, without those that are malformed: that was said before.
    async fn records(
        &self,
        log: LogId,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        match self.store.records(log, start, end).await {
            Err(StoreError::Corrupt(_)) => {}
            other => return other,
        }
        let mut records = Vec::new();
        for index in start..end {
            match self.store.records(log, index, index + 1).await {
                Err(StoreError::Corrupt(_)) => {}
                other => records.extend(other?),
            }
        }
        Ok(records)
    }

    /// Says which rows are missing and surplus, and repairs them.
    async fn report(
        &self,
        scan: &mut Scan,
        missing: &[IndexRow],
        surplus: &[IndexRow],
    ) -> Result<(), super::Error> {
        if missing.is_empty() && surplus.is_empty() {
            return Ok(());
        }
        let absent = missing.iter().map(|row| (row, "is missing"));
        let extra = surplus.iter().map(|row| (row, "belongs to no entry"));
        for (row, problem) in absent.chain(extra) {
            let IndexRow { log, index, .. } = *row;
            scan.findings.add(
                format!("search index of log {log}, {}", entry_place(index)),
                format!("the row with the key {} {problem}", hex::encode(row.key)),
                Remedy::RepairIndex,
            );
        }
        if self.repair {
            self.store.repair_index(missing, surplus).await?;
            scan.repaired += (missing.len() + surplus.len()) as u64;
        }
        Ok(())
    }
}

fn rows_of(log: LogId, record: &EntryRecord) -> impl Iterator<Item = IndexRow> {
    let index = record.entry.index;
    expected_keys(record)
        .into_iter()
        .map(move |key| IndexRow { key, log, index })
}
