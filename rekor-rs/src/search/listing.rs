//! One page of entries, in order.
//!
//! A page is bounded in entries, in bytes, and in reads: one that finds little among much comes back
//! short, or empty, with the place where the next goes on.

use std::ops::Range;

use logstore::{Entry, LogId, LogStore, Order, SearchKey, StoreError};
use wire::rekor::listing::{ListedEntry, ListedSigner};
use wire::rekor::{EntryId, Operator, encode_base64};

use super::{
    Budget, Cursor, CursorError, Position, SearchError, Step, Term, Tree, Walk, issuer_key,
    kind_key,
};
use crate::entry::Stored;
use crate::error::entry_location;

/// Most entries of a page.
pub(crate) const MAX_LIMIT: u64 = 1000;

/// Longest page, in bytes, if it has more than one entry.
const MAX_BYTES: usize = 1 << 20;

/// Reads of a page: of 512 rows of the index, or of 16 entries.
const READS: u32 = 256;

/// Entries read at once.
const AT_ONCE: usize = 16;

/// Digests and signers of an entry that are shown.
const MAX_SHOWN: usize = 16;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Identities, hashes and keys.
    pub(crate) terms: Vec<Term>,
    /// Whether an entry has to carry all or any of them.
    pub(crate) operator: Operator,
    /// The OIDC issuer of a signer.
    pub(crate) issuer: Option<String>,
    /// The kind of entry.
    pub(crate) kind: Option<String>,
    /// One shard.
    pub(crate) tree: Option<LogId>,
    /// Not before, in ms since the Unix epoch.
    pub(crate) since_ms: Option<u64>,
    /// Before, in ms since the Unix epoch.
    pub(crate) until_ms: Option<u64>,
}

impl Filter {
    fn clauses(&self) -> Vec<Vec<SearchKey>> {
        let keys = self.terms.iter().map(|term| term.keys.clone());
        let mut clauses: Vec<Vec<SearchKey>> = match self.operator {
            Operator::Or if !self.terms.is_empty() => vec![keys.flatten().collect()],
            Operator::And | Operator::Or => keys.collect(),
        };
        clauses.extend(self.late_keys().map(|key| vec![key]));
        clauses
    }

    /// Keys that entries may lack until they are indexed again.
    fn late_keys(&self) -> impl Iterator<Item = SearchKey> {
        let issuer = self.issuer.as_deref().map(issuer_key);
        issuer
            .into_iter()
            .chain(self.kind.as_deref().and_then(kind_key))
    }

    /// Start of a digest of the question, whatever the order of its terms.
    pub(crate) fn digest(&self) -> [u8; 8] {
        let mut lines: Vec<String> = self
            .terms
            .iter()
            .map(|term| format!("{}={}", term.parameter, term.value.to_lowercase()))
            .collect();
        lines.sort_unstable();
        let Self {
            operator,
            issuer,
            kind,
            tree,
            since_ms,
            until_ms,
            ..
        } = self;
        let tree = tree.map(|log| log.0);
        lines.push(format!(
            "{operator:?} {issuer:?} {kind:?} {tree:?} {since_ms:?} {until_ms:?}"
        ));
        let digest = crypto::sha256(lines.join("\n").as_bytes());
        digest.first_chunk().copied().unwrap_or_default()
    }
}

/// A page.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The entries, as JSON, with commas between them.
    pub(crate) entries: Vec<u8>,
    /// Whether there are others, or may be.
    pub(crate) more: bool,
    /// Where to go on.
    pub(crate) next: Option<Cursor>,
}

/// Lists entries of `trees` (oldest first) that match, from `cursor` on.
pub(crate) async fn list(
    store: &dyn LogStore,
    trees: &[Tree],
    filter: &Filter,
    order: Order,
    cursor: Option<Cursor>,
    limit: usize,
    with_body: bool,
) -> Result<Listing, SearchError> {
    let parts = parts(store, trees, filter, order, cursor).await?;
    if filter.late_keys().next().is_some() {
        check_indexed(store, &parts).await?;
    }
    let mut page = Page {
        filter,
        order,
        with_body,
        limit,
        count: 0,
        entries: Vec::new(),
        next: None,
    };
    let mut walk = Walk::new(parts, order, &filter.clauses());
    let mut budget = Budget::of(READS);
    let more = loop {
        if page.count >= limit {
            break walk.next(store, &mut budget).await? != Step::End;
        }
        let wanted = AT_ONCE.min(limit - page.count);
        let mut found = Vec::with_capacity(wanted);
        let mut last = None;
        while found.len() < wanted && last.is_none() {
            match walk.next(store, &mut budget).await? {
                Step::Match(position) => found.push(position),
                Step::End => last = Some(false),
                Step::Paused => last = Some(true),
            }
        }
        if page.add(store, trees, &found, &mut budget).await? == Room::None {
            break true;
        }
        if let Some(more) = last {
            page.next = walk.position();
            break more;
        }
    };
    // Newest first, the end is the end; oldest first, there will be others.
    let next = page.next.filter(|_| more || order == Order::Ascending);
    Ok(Listing {
        entries: page.entries,
        more,
        next: next.map(|position| Cursor {
            order,
            position,
            filter: filter.digest(),
        }),
    })
}

/// The parts of trees that are left to look at, in the order in which they are.
async fn parts(
    store: &dyn LogStore,
    trees: &[Tree],
    filter: &Filter,
    order: Order,
    cursor: Option<Cursor>,
) -> Result<Vec<(LogId, Range<u64>)>, SearchError> {
    let mut trees: Vec<Tree> = trees
        .iter()
        .filter(|tree| filter.tree.is_none_or(|only| only == tree.log))
        .copied()
        .collect();
    if order == Order::Descending {
        trees.reverse();
    }
    let mut begun = None;
    if let Some(cursor) = cursor {
        let place = trees
            .iter()
            .position(|tree| tree.log == cursor.position.log);
        trees.drain(..place.ok_or(CursorError)?);
        begun = Some(cursor.position.index);
    }
    let mut parts = Vec::with_capacity(trees.len());
    for tree in trees {
        let range = match (begun.take(), order) {
            (Some(index), Order::Ascending) => index.min(tree.size)..tree.size,
            (Some(index), Order::Descending) => 0..index.min(tree.size),
            (None, _) => 0..tree.size,
        };
        parts.push((tree.log, within(store, tree.log, range, filter).await?));
    }
    Ok(parts)
}

/// The part of a range whose entries are of the time that is asked for.
async fn within(
    store: &dyn LogStore,
    log: LogId,
    range: Range<u64>,
    filter: &Filter,
) -> Result<Range<u64>, StoreError> {
    let start = match filter.since_ms {
        Some(ms) => first_at(store, log, range.clone(), ms).await?,
        None => range.start,
    };
    let end = match filter.until_ms {
        Some(ms) => first_at(store, log, start..range.end, ms).await?,
        None => range.end,
    };
    Ok(start..end)
}

/// The first entry that is not of before a time: time never runs backwards in a log.
async fn first_at(
    store: &dyn LogStore,
    log: LogId,
    range: Range<u64>,
    ms: u64,
) -> Result<u64, StoreError> {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        let entry = store.entries_at(log, &[middle]).await?;
        let entry = entry.first().ok_or_else(|| missing(log, middle))?;
        if entry.timestamp_ms < ms {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(start)
}

async fn check_indexed(
    store: &dyn LogStore,
    parts: &[(LogId, Range<u64>)],
) -> Result<(), SearchError> {
    for (log, range) in parts {
        let done = store.indexed(*log).await?;
        if done < range.end {
            return Err(SearchError::Indexing {
                log: log.0,
                done,
                size: range.end,
            });
        }
    }
    Ok(())
}

/// Whether a page takes more.
#[derive(PartialEq, Eq)]
enum Room {
    Left,
    None,
}

/// A page as it grows.
struct Page<'a> {
    filter: &'a Filter,
    order: Order,
    with_body: bool,
    limit: usize,
    count: usize,
    entries: Vec<u8>,
    /// Everything before it is on the page, or does not match.
    next: Option<Position>,
}

impl Page<'_> {
    async fn add(
        &mut self,
        store: &dyn LogStore,
        trees: &[Tree],
        found: &[Position],
        budget: &mut Budget,
    ) -> Result<Room, SearchError> {
        for same_log in found.chunk_by(|a, b| a.log == b.log) {
            let Some(Position { log, index: first }) = same_log.first().copied() else {
                continue;
            };
            if !budget.spend() {
                self.next = Some(self.before(log, first));
                return Ok(Room::None);
            }
            let offset = trees.iter().find(|tree| tree.log == log);
            let offset = offset.map_or(0, |tree| tree.offset);
            let indices: Vec<u64> = same_log.iter().map(|position| position.index).collect();
            let read = store.entries_at(log, &indices).await?;
            if read.len() != indices.len() {
                return Err(missing(log, first).into());
            }
            for entry in read {
                let Some(printed) = self.print(log, offset, &entry) else {
                    self.next = Some(self.after(log, entry.index));
                    continue;
                };
                let full = self.entries.len() + printed.len() > MAX_BYTES && self.count > 0;
                if full || self.count >= self.limit {
                    self.next = Some(self.before(log, entry.index));
                    return Ok(Room::None);
                }
                if self.count > 0 {
                    self.entries.push(b',');
                }
                self.entries.extend_from_slice(&printed);
                self.count += 1;
                self.next = Some(self.after(log, entry.index));
            }
        }
        Ok(Room::Left)
    }

    /// Where a page goes on that begins with this entry.
    fn before(&self, log: LogId, index: u64) -> Position {
        match self.order {
            Order::Ascending => Position { log, index },
            Order::Descending => Position {
                log,
                index: index + 1,
            },
        }
    }

    /// Where a page goes on that ends with this entry.
    fn after(&self, log: LogId, index: u64) -> Position {
        match self.order {
            Order::Ascending => Position {
                log,
                index: index + 1,
            },
            Order::Descending => Position { log, index },
        }
    }

    /// The entry, unless it is of another kind than asked for. One that cannot be read (an imported
    /// log may have such) is listed with nothing but its place: the page must not fail for it.
    fn print(&self, log: LogId, offset: u64, entry: &Entry) -> Option<Vec<u8>> {
        let index = entry.index;
        let stored = Stored::parse(&entry.body, MAX_SHOWN).unwrap_or_default();
        if self
            .filter
            .kind
            .as_ref()
            .is_some_and(|kind| *kind != stored.kind)
        {
            return None;
        }
        let id = EntryId {
            tree: log.0,
            uuid: entry.leaf_hash.0,
        };
        let signers = stored.signers.into_iter().map(|signer| ListedSigner {
            identities: signer.identities.into_iter().take(MAX_SHOWN).collect(),
            issuer: signer.issuer,
            key: signer.key,
        });
        let listed = ListedEntry {
            api_version: stored.version,
            body: self.with_body.then(|| encode_base64(&entry.body)),
            entry: entry_location(id),
            hashes: stored.hashes,
            integrated_time: entry.timestamp_ms / 1000,
            kind: stored.kind,
            log_index: offset + index,
            signers: signers.collect(),
            tree_id: log.0.to_string(),
            uuid: id.to_string(),
        };
        Some(wire::rekor::print_json(&listed))
    }
}

fn missing(log: LogId, index: u64) -> StoreError {
    StoreError::Corrupt(format!(
        "entry {index} of log {log} is below the head and missing"
    ))
}
