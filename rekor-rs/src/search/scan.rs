//! The entries of one tree that match, in order.
//!
//! What matches is said by clauses: of each, an entry must carry one key. Each key's entries are read
//! from the index in order, a few hundred at a time; a clause is the union of its keys, and the
//! clauses are intersected by letting each skip to where the one that is farthest ahead stands. So a
//! rare term makes a search cheap, whatever it is combined with. No clauses match everything.

use std::collections::VecDeque;
use std::ops::Range;

use logstore::{LogId, LogStore, Order, SearchKey, StoreError};

/// Rows of the index that one read returns.
const ROWS: u32 = 512;

/// Reads that a search may make before it pauses.
#[derive(Clone, Copy, Debug)]
pub struct Budget(u32);

impl Budget {
    /// A budget of so many reads.
    #[must_use]
    pub const fn of(reads: u32) -> Self {
        Self(reads)
    }

    /// Takes one read, if there is one left.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        left.is_some()
    }
}

/// Part of a tree, seen in one direction. *Places* count from where the search begins, whatever
/// the direction.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) log: LogId,
    pub(super) range: Range<u64>,
    pub(super) order: Order,
}

impl Span {
    fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    fn index_at(&self, place: u64) -> u64 {
        match self.order {
            Order::Ascending => self.range.start + place,
            Order::Descending => self.range.end - 1 - place,
        }
    }

    fn place_of(&self, index: u64) -> u64 {
        match self.order {
            Order::Ascending => index - self.range.start,
            Order::Descending => self.range.end - 1 - index,
        }
    }

    /// The indices from a place on.
    fn from(&self, place: u64) -> Range<u64> {
        match self.order {
            Order::Ascending => self.range.start.saturating_add(place)..self.range.end,
            Order::Descending => self.range.start..self.range.end.saturating_sub(place),
        }
    }
}

/// How a search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An entry matches: its index.
    Match(u64),
    /// There is no other.
    End,
    /// The budget is used up.
    Paused,
}

/// A search of a span.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    span: Span,
    clauses: Vec<Clause>,
    /// No place before it is left to look at.
    place: u64,
}

impl Scan {
    pub(super) fn new(span: Span, clauses: &[Vec<SearchKey>]) -> Self {
        let clause = |keys: &Vec<SearchKey>| Clause(keys.iter().map(Stream::of).collect());
        Self {
            span,
            clauses: clauses.iter().map(clause).collect(),
            place: 0,
        }
    }

    pub(super) fn log(&self) -> LogId {
        self.span.log
    }

    /// What is left to look at.
    pub(super) fn rest(&self) -> Range<u64> {
        self.span.from(self.place)
    }

    pub(super) async fn next(
        &mut self,
        store: &dyn LogStore,
        budget: &mut Budget,
    ) -> Result<Next, StoreError> {
        while self.place < self.span.len() {
            let mut highest = self.place;
            for clause in &mut self.clauses {
                match clause.first(highest, &self.span, store, budget).await? {
                    First::At(place) => highest = place,
                    First::None => highest = self.span.len(),
                    First::Paused => {
                        self.place = highest;
                        return Ok(Next::Paused);
                    }
                }
                if highest >= self.span.len() {
                    break;
                }
            }
            if highest == self.place {
                self.place += 1;
                return Ok(Next::Match(self.span.index_at(highest)));
            }
            // Nothing before it can match: some clause has nothing there.
            self.place = highest;
        }
        Ok(Next::End)
    }
}

enum First {
    At(u64),
    None,
    Paused,
}

#[derive(Clone, Debug)]
struct Clause(Vec<Stream>);

impl Clause {
    /// The first place, not before `place`, that one of the keys has.
    async fn first(
        &mut self,
        place: u64,
        span: &Span,
        store: &dyn LogStore,
        budget: &mut Budget,
    ) -> Result<First, StoreError> {
        let mut first: Option<u64> = None;
        for stream in &mut self.0 {
            match stream.first(place, span, store, budget).await? {
                First::At(found) => {
                    first = Some(first.map_or(found, |first| first.min(found)));
                }
                First::None => {}
                First::Paused => return Ok(First::Paused),
            }
        }
        Ok(first.map_or(First::None, First::At))
    }
}

/// The places that have one key.
#[derive(Clone, Debug)]
struct Stream {
    key: SearchKey,
    read: VecDeque<u64>,
    /// Where to read on; none if there is nothing more.
    more_from: Option<u64>,
}

impl Stream {
    fn of(key: &SearchKey) -> Self {
        Self {
            key: *key,
            read: VecDeque::new(),
            more_from: Some(0),
        }
    }

    async fn first(
        &mut self,
        place: u64,
        span: &Span,
        store: &dyn LogStore,
        budget: &mut Budget,
    ) -> Result<First, StoreError> {
        while self.read.front().is_some_and(|read| *read < place) {
            self.read.pop_front();
        }
        if let Some(first) = self.read.front() {
            return Ok(First::At(*first));
        }
        let Some(from) = self.more_from else {
            return Ok(First::None);
        };
        if !budget.spend() {
            return Ok(First::Paused);
        }
        let range = span.from(from.max(place));
        let found = store
            .search(span.log, &self.key, range, span.order, ROWS)
            .await?;
        self.more_from = match found.last() {
            Some(last) if u32::try_from(found.len()).is_ok_and(|rows| rows >= ROWS) => {
                Some(span.place_of(*last) + 1)
            }
            _ => None,
        };
        self.read = found
            .into_iter()
            .map(|index| span.place_of(index))
            .collect();
        Ok(self
            .read
            .front()
            .map_or(First::None, |first| First::At(*first)))
    }
}
