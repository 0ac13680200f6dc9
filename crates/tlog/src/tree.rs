//! A tile with everything that can be hashed from it alone.

use crate::node::Node;
use crate::tile::TILE_HEIGHT;
use crate::{Hash, TILE_WIDTH, node_hash};

/// A tile and the roots of all complete subtrees over its entries: at most 510 hashes, 16 KiB.
///
/// A proof takes at most eight hashes from a tile, each the root of up to 128 entries. Who proves
/// from a tile more than once hashes less by keeping its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileTree {
    /// Entries of the tile.
    width: usize,
    /// The entries, then the roots of every two of them, of every four, to 128.
    rows: Box<[Hash]>,
}

impl TileTree {
    /// Hashes a tile of at most 256 entries; more are left out.
    #[must_use]
    pub fn new(entries: &[Hash]) -> Self {
        let entries = entries.get(..TILE_WIDTH).unwrap_or(entries);
        let mut rows = Vec::with_capacity(entries.len() * 2);
        rows.extend_from_slice(entries);
        let mut row = 0..rows.len();
        for _ in 1..TILE_HEIGHT {
            let parents: Vec<Hash> = rows
                .get(row)
                .unwrap_or_default()
                .as_chunks()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
            row = rows.len()..rows.len() + parents.len();
            rows.extend(parents);
        }
        Self {
            width: entries.len(),
            rows: rows.into(),
        }
    }

    /// The entries of the tile.
    #[must_use]
    pub fn entries(&self) -> &[Hash] {
        self.rows.get(..self.width).unwrap_or_default()
    }

    /// The root of a complete subtree whose entries are in this tile; `None` if some are not.
    pub(crate) fn root(&self, node: Node) -> Option<&Hash> {
        let height = node.height % TILE_HEIGHT;
        let row: usize = (0..height).map(|below| self.width >> below).sum();
        let entry = (node.index % (TILE_WIDTH as u64 >> height)) as usize;
        (entry < self.width >> height)
            .then(|| self.rows.get(row + entry))
            .flatten()
    }
}
