//! The right edge of a tree: the partial tile of every level, all that is needed to append.

use crate::{Hash, TileId};

/// The right edge of a tree of some size.
///
/// Holds, for every level, the hashes of the level's last, partial tile (never 256: a tile that
/// fills up is handed out by [`Edge::push`] and dropped).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
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

    /// The partial tiles (width above 0) that make the edge of a tree of `size` leaves.
    #[must_use]
    pub fn tiles_of(_size: u64) -> Vec<TileId> {
        unimplemented!()
    }

    /// Rebuilds an edge from stored tiles; `tile` returns the hashes of one of
    /// [`Self::tiles_of`] (a longer slice is cut: tiles are prefix-stable).
    pub fn load(_size: u64, _tile: impl FnMut(TileId) -> Vec<Hash>) -> Result<Self, EdgeError> {
        unimplemented!()
    }

    /// Leaves in the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        unimplemented!()
    }

    /// The edge tile at `id`, if it is one of this edge's partial tiles (width above 0).
    #[must_use]
    pub fn tile(&self, _id: TileId) -> Option<&[Hash]> {
        unimplemented!()
    }

    /// All partial tiles of width above 0.
    pub fn tiles(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        std::iter::empty()
    }

    /// Appends a leaf; `full` receives each tile (256 hashes) that this fills.
    pub fn push(&mut self, _leaf: Hash, _full: impl FnMut(TileId, Vec<Hash>)) {
        unimplemented!()
    }
}
