//! One pass over a log's entries: every leaf hash, every tile and the root are computed again and
//! compared with what is stored.
//!
//! Where a tile and its entries disagree, the tile above knows which of them is right: it holds the
//! tile's root. The right ones are built upon, so that one damaged byte is one finding and not one on
//! every level up to the root.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use logstore::StoreError;
use tlog::{Hash, TILE_WIDTH, TileId};

use super::chunk::{Chunk, Moment, examine};
use super::entry::Examiner;
use super::finding::{Findings, Remedy, tile_place};
use super::index::Sums;
use super::source::Source;
use super::tree::{self, Tree};
use super::versions::{Verdict, Versions, read_tile};

/// Tiles of entries that are read and examined at once.
const PARALLEL: usize = 4;

const WIDTH: u64 = TILE_WIDTH as u64;

/// How far a pass has come.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Entries that were looked at; a multiple of 256 until the end.
    pub(crate) next: u64,
    /// The tree over them.
    pub(crate) tree: Tree,
    /// When the newest entry so far was sequenced.
    pub(crate) last: Moment,
    /// What the search index must hold.
    pub(crate) sums: Sums,
    /// What was found.
    pub(crate) findings: Findings,
}

/// A tree that is known to have been signed, or is claimed to.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Who says so, for people.
    pub(crate) whose: String,
    /// The root that the tree of some size has according to it.
    pub(crate) root: Hash,
}

/// What a pass compares with.
pub(crate) struct Expected<'a> {
    /// Entries in all.
    pub(crate) size: u64,
    /// Their root, signed.
    pub(crate) root: Hash,
    /// Other trees, by their size.
    pub(crate) marks: &'a BTreeMap<u64, Vec<Mark>>,
}

impl Walk {
    /// At the beginning of a log of `size` entries.
    pub(crate) fn new(size: u64) -> Self {
        Self {
            next: 0,
            tree: Tree::default(),
            last: Moment::default(),
            sums: Sums::new(size),
            findings: Findings::default(),
        }
    }

    /// Goes on to the end. `step` is told after every tile how far it is, and may end the pass.
    pub(crate) async fn run(
        &mut self,
        source: &dyn Source,
        examiner: &Examiner,
        expected: &Expected<'_>,
        mut step: impl FnMut(&Self) -> std::io::Result<()>,
    ) -> Result<(), super::Error> {
        // At the end, and only there, it is no multiple of the width.
        let (first, last) = (self.next.div_ceil(WIDTH), expected.size.div_ceil(WIDTH));
        let shape = self.sums.empty();
        let mut chunks = stream::iter(first..last)
            .map(|index| {
                let end = expected.size.min((index + 1) * WIDTH);
                examine(source, examiner, index, end, shape.clone())
            })
            .buffered(PARALLEL);
        while let Some(chunk) = chunks.try_next().await? {
            let width = chunk.computed.len() as u64;
            self.take(source, chunk, expected).await?;
            self.next = (self.next + width).min(expected.size);
            step(self)?;
        }
        drop(chunks);
        self.finish(source, expected).await
    }

    /// Adds a tile of entries to the tree.
    async fn take(
        &mut self,
        source: &dyn Source,
        chunk: Chunk,
        expected: &Expected<'_>,
    ) -> Result<(), StoreError> {
        self.findings.append(chunk.findings);
        self.sums.add(&chunk.records);
        if let (Some(first), Some(last)) = (chunk.first, chunk.last) {
            if !chunk.in_time || !self.last.may_precede(first) {
                self.findings.add(
                    tile_place(chunk.tile).replace("tile", "entries of tile"),
                    "the time of an entry lies before that of the entry before it",
                    Remedy::RestoreEntry,
                );
            }
            self.last = last;
        }

        let versions = Versions::new(chunk.tile, chunk.computed, chunk.stored);
        let is_last = versions.computed.len() < TILE_WIDTH;
        let hashes = if versions.differ.is_empty() {
            versions.computed.clone()
        } else {
            let verdict = match is_last {
                // What is above the last tile is the root.
                true => versions.verdict_by(expected.root, |hashes| self.tree.root_with(hashes)),
                false => versions.verdict(source).await?,
            };
            versions.report(verdict, &mut self.findings);
            versions.right(verdict).to_vec()
        };
        self.check_marks(&hashes, expected);
        let mut filled = None;
        for hash in hashes {
            filled = self.tree.push(0, hash);
        }
        while let Some((id, hashes)) = filled {
            filled = self.tree.push(id.level + 1, tree::root_of(&hashes));
            if let Some((above, computed)) = &mut filled {
                // Level 0 was compared already.
                let settled = self.compare(source, *above, computed).await?;
                *computed = settled;
            }
        }
        Ok(())
    }

    /// Compares a tile above level 0 that was filled; returns the right one.
    async fn compare(
        &mut self,
        source: &dyn Source,
        id: TileId,
        computed: &[Hash],
    ) -> Result<Vec<Hash>, StoreError> {
        let stored = read_tile(source, id, computed.len(), &mut self.findings).await?;
        let computed = computed.iter().copied().map(Some).collect();
        let versions = Versions::new(id, computed, stored);
        if versions.differ.is_empty() {
            return Ok(versions.computed);
        }
        let verdict = versions.verdict(source).await?;
        versions.report(verdict, &mut self.findings);
        Ok(versions.right(verdict).to_vec())
    }

    /// Compares the trees whose size lies within these leaves, which come next.
    fn check_marks(&mut self, leaves: &[Hash], expected: &Expected<'_>) {
        let end = self.next + leaves.len() as u64;
        let due = expected.marks.range(self.next + 1..=end);
        for (&size, marks) in due {
            let within = usize::try_from(size - self.next).unwrap_or(usize::MAX);
            let root = self.tree.root_with(leaves.get(..within).unwrap_or(leaves));
            for mark in marks.iter().filter(|mark| mark.root != root) {
                self.findings.add(
                    &mark.whose,
                    format!(
                        "a tree of {size} entries was signed with the root {}, and the entries here \
                         make {root}",
                        mark.root
                    ),
                    Remedy::RestoreDatabase,
                );
            }
        }
    }

    /// Compares the tiles at the edge, and the root.
    async fn finish(
        &mut self,
        source: &dyn Source,
        expected: &Expected<'_>,
    ) -> Result<(), super::Error> {
        let root = self.tree.root_with(&[]);
        let agrees = root == expected.root;
        let partial: Vec<(TileId, Vec<Hash>)> = self
            .tree
            .partial()
            .filter(|(id, _)| id.level > 0)
            .map(|(id, hashes)| (id, hashes.to_vec()))
            .collect();
        for (id, computed) in partial {
            let stored = read_tile(source, id, computed.len(), &mut self.findings).await?;
            let computed = computed.into_iter().map(Some).collect();
            let versions = Versions::new(id, computed, stored);
            if !versions.differ.is_empty() {
                let verdict = if agrees {
                    Verdict::Computed
                } else {
                    Verdict::Unknown
                };
                versions.report(verdict, &mut self.findings);
            }
        }
        if !agrees {
            self.findings.add(
                "head",
                format!(
                    "the {} entries make the root {root}, the head says {}",
                    expected.size, expected.root
                ),
                Remedy::RestoreDatabase,
            );
        }
        Ok(())
    }
}
