//! The right edge of a tree: the partial tile of every level, all that is needed to append.

use crate::hash::{empty_root, fold_right, node_hash};
use crate::node::{Node, subtrees};
use crate::tile::{TILE_HEIGHT, TILE_LEVELS};
use crate::{Hash, TILE_WIDTH, TileId};

/// The right edge of a tree of some size.
///
/// Holds, for every level, the hashes of the level's last, partial tile (never 256: a tile that
/// fills up is handed out by [`Edge::push`] and dropped). Appending a leaf costs one hash on
/// average beside the leaf's own, the root one for every 1 in the binary size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// By tile level; the last is not empty.
    levels: Vec<Vec<Hash>>,
    /// The complete subtrees that make up the tree, largest first: one for each 1 in `size`.
    subtrees: Vec<Hash>,
}

/// Stored tiles do not make the edge of a tree of the stated size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile {tile:?} holds {found} hashes where a tree of {size} leaves has {expected}")]
pub struct EdgeError {
    /// The tile.
    pub tile: TileId,
    /// Size of the tree.
    pub size: u64,
    /// Hashes it must hold.
    pub expected: usize,
    /// Hashes that were found.
    pub found: usize,
}

impl Edge {
    /// The edge of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The partial tiles (width above 0) that make the edge of a tree of `size` leaves, from
    /// level 0 upwards.
    #[must_use]
    pub fn tiles_of(size: u64) -> Vec<TileId> {
        (0..TILE_LEVELS)
            .map(|level| TileId::partial(level, size))
            .filter_map(|(id, width)| (width > 0).then_some(id))
            .collect()
    }

    /// Rebuilds an edge from stored tiles; `tile` returns the hashes of one of
    /// [`Self::tiles_of`] (a longer slice is cut: tiles are prefix-stable).
    ///
    /// Only lengths are checked: compare [`Self::root`] with the root that was signed.
    pub fn load(size: u64, mut tile: impl FnMut(TileId) -> Vec<Hash>) -> Result<Self, EdgeError> {
        let mut levels = Vec::new();
        for level in
            (0..TILE_LEVELS).take_while(|&level| size >> (u32::from(level) * TILE_HEIGHT) > 0)
        {
            let (id, expected) = TileId::partial(level, size);
            let mut hashes = if expected > 0 { tile(id) } else { Vec::new() };
            if hashes.len() < expected {
                return Err(EdgeError {
                    tile: id,
                    size,
                    expected,
                    found: hashes.len(),
                });
            }
            hashes.truncate(expected);
            levels.push(hashes);
        }
        let subtrees = levels
            .iter()
            .rev()
            .flat_map(|hashes| complete_subtrees(hashes))
            .collect();
        Ok(Self {
            size,
            levels,
            subtrees,
        })
    }

    /// Leaves in the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(self.subtrees.iter().copied()).unwrap_or_else(empty_root)
    }

    /// The edge tile at `id`, if it is one of this edge's partial tiles (width above 0).
    #[must_use]
    pub fn tile(&self, id: TileId) -> Option<&[Hash]> {
        let hashes = self.levels.get(usize::from(id.level))?;
        let (last, _) = TileId::partial(id.level, self.size);
        (last == id && !hashes.is_empty()).then_some(hashes)
    }

    /// All partial tiles of width above 0, from level 0 upwards.
    pub fn tiles(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        self.levels
            .iter()
            .zip(0_u8..)
            .filter(|(hashes, _)| !hashes.is_empty())
            .map(|(hashes, level)| {
                let (id, _) = TileId::partial(level, self.size);
                (id, hashes.as_slice())
            })
    }

    /// Appends a leaf; `full` receives each tile (256 hashes) that this fills.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(TileId, Vec<Hash>)) {
        // As in a binary counter: each trailing 1 of the old size is a complete subtree that the
        // new one merges with. Every eighth merge makes an entry of the next tile level.
        let merges = self.size.trailing_ones();
        self.size += 1;
        let mut subtree = leaf;
        self.push_entry(0, subtree, &mut full);
        for height in 1..=merges {
            // There is one subtree for each 1.
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            subtree = node_hash(&left, &subtree);
            if height.is_multiple_of(TILE_HEIGHT) {
                self.push_entry((height / TILE_HEIGHT) as u8, subtree, &mut full);
            }
        }
        self.subtrees.push(subtree);
    }

    /// The complete subtrees that make up the tree, with their roots.
    pub(crate) fn complete_subtrees(&self) -> impl Iterator<Item = (Node, Hash)> {
        subtrees(0, self.size)
            .into_iter()
            .zip(self.subtrees.iter().copied())
    }

    fn push_entry(&mut self, level: u8, hash: Hash, full: &mut impl FnMut(TileId, Vec<Hash>)) {
        let position = usize::from(level);
        if self.levels.len() <= position {
            self.levels.resize_with(position + 1, Vec::new);
        }
        let Some(hashes) = self.levels.get_mut(position) else {
            return;
        };
        hashes.push(hash);
        if hashes.len() == TILE_WIDTH {
            let (next, _) = TileId::partial(level, self.size);
            full(
                TileId {
                    level,
                    index: next.index - 1,
                },
                std::mem::take(hashes),
            );
        }
    }
}

/// The roots of the complete subtrees, largest first, over the entries of a partial tile.
fn complete_subtrees(hashes: &[Hash]) -> Vec<Hash> {
    let mut rest = hashes;
    let mut roots = Vec::new();
    while let Some(height) = rest.len().checked_ilog2() {
        let (subtree, after) = rest.split_at(1 << height);
        roots.extend(complete_root(subtree));
        rest = after;
    }
    roots
}

/// The root over a power of two of entries; `None` over none.
fn complete_root(hashes: &[Hash]) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .filter_map(|pair| pair.first().zip(pair.last()))
            .map(|(left, right)| node_hash(left, right))
            .collect();
    }
    row.first().copied()
}
