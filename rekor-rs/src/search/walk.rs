//! The entries of a log that match, over all its trees.

use std::collections::VecDeque;
use std::ops::Range;

use logstore::{LogId, LogStore, Order, SearchKey, StoreError};

use super::scan::{Budget, Next, Scan, Span};

/// A tree of the log as a search sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its id.
    pub log: LogId,
    /// Number of its first entry, counted over all trees.
    pub offset: u64,
    /// Its entries.
    pub size: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The tree.
    pub log: LogId,
    /// The index in it.
    pub index: u64,
}

/// How a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An entry matches.
    Match(Position),
    /// There is no other.
    End,
    /// The budget is used up.
    Paused,
}

/// A search over trees.
#[derive(Clone, Debug)]
pub struct Walk {
    order: Order,
    scans: VecDeque<Scan>,
}

impl Walk {
    /// A walk over parts of trees, in the order in which they are to be gone through. Of each
    /// clause an entry must carry one key.
    #[must_use]
    pub fn new(parts: Vec<(LogId, Range<u64>)>, order: Order, clauses: &[Vec<SearchKey>]) -> Self {
        let scan = |(log, range)| Scan::new(Span { log, range, order }, clauses);
        Self {
            order,
            scans: parts.into_iter().map(scan).collect(),
        }
    }

    /// A walk over whole trees, oldest first.
    #[must_use]
    pub fn over(trees: &[Tree], clauses: &[Vec<SearchKey>]) -> Self {
        let whole = |tree: &Tree| (tree.log, 0..tree.size);
        Self::new(trees.iter().map(whole).collect(), Order::Ascending, clauses)
    }

    /// The next entry that matches.
    pub async fn next(
        &mut self,
        store: &dyn LogStore,
        budget: &mut Budget,
    ) -> Result<Step, StoreError> {
        while let Some(scan) = self.scans.front_mut() {
            match scan.next(store, budget).await? {
                Next::Match(index) => {
                    let log = scan.log();
                    return Ok(Step::Match(Position { log, index }));
                }
                Next::Paused => return Ok(Step::Paused),
                // The last one stays: it says where the walk ended.
                Next::End if self.scans.len() == 1 => return Ok(Step::End),
                Next::End => {
                    self.scans.pop_front();
                }
            }
        }
        Ok(Step::End)
    }

    /// Where to go on: everything before it, in the walk's order, was looked at.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let scan = self.scans.front()?;
        let rest = scan.rest();
        Some(Position {
            log: scan.log(),
            index: match self.order {
                Order::Ascending => rest.start,
                Order::Descending => rest.end,
            },
        })
    }
}
