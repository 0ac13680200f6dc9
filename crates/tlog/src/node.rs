//! Complete subtrees, and where tiles hold them.

use std::collections::HashMap;

use crate::hash::node_hash;
use crate::tile::TILE_HEIGHT;
use crate::{Edge, Hash, MissingTile, TILE_WIDTH, TileId};

/// The complete subtree over leaves `[index·2^height, (index+1)·2^height)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) height: u32,
    pub(crate) index: u64,
}

impl Node {
    /// The tile whose entries lie at or below this node, less than 8 levels down.
    pub(crate) fn tile(self) -> TileId {
        TileId {
            level: (self.height / TILE_HEIGHT) as u8,
            index: self.first_entry() / TILE_WIDTH as u64,
        }
    }

    /// This node's first entry in the tile level below it. A node is aligned to its width, which
    /// is at most 128, so that all its entries are in one tile.
    fn first_entry(self) -> u64 {
        self.index << (self.height % TILE_HEIGHT)
    }

    fn children(self) -> [Self; 2] {
        let left = Self {
            height: self.height - 1,
            index: self.index << 1,
        };
        [
            left,
            Self {
                index: left.index | 1,
                ..left
            },
        ]
    }
}

/// The complete subtrees, largest first, that make up leaves `[start, end)`.
///
/// `start` must be aligned to a power of two that is not below `end - start`, as it is for every
/// subtree that the recursions of RFC 6962 meet.
pub(crate) fn subtrees(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = start;
    while at < end {
        let height = (end - at).ilog2();
        nodes.push(Node {
            height,
            index: at >> height,
        });
        at += 1 << height;
    }
    nodes
}

/// Hashes of complete subtrees that were computed on the way, for the next proof in the same tree.
///
/// Complete subtrees never change, so a memo stays valid while the log grows. It grows by up to
/// 255 hashes a tile: make one for a batch of proofs, then drop it.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    interior: HashMap<Node, Hash>,
}

impl Memo {
    /// Takes over what an edge of the log knows.
    ///
    /// With the edges before and after a batch, proofs for the leaves of the batch hash nothing
    /// that is older than the batch.
    pub fn learn(&mut self, edge: &Edge) {
        self.interior.extend(edge.complete_subtrees());
    }

    /// The root of a complete subtree.
    pub(crate) fn root<'a>(
        &mut self,
        node: Node,
        tile: &impl Fn(TileId) -> Option<&'a [Hash]>,
    ) -> Result<Hash, MissingTile> {
        let id = node.tile();
        if node.height.is_multiple_of(TILE_HEIGHT) {
            let entry = (node.first_entry() % TILE_WIDTH as u64) as usize;
            return tile(id)
                .and_then(|hashes| hashes.get(entry))
                .copied()
                .ok_or(MissingTile(id));
        }
        if let Some(hash) = self.interior.get(&node) {
            return Ok(*hash);
        }
        // At most seven levels deep.
        let [left, right] = node.children();
        let hash = node_hash(&self.root(left, tile)?, &self.root(right, tile)?);
        self.interior.insert(node, hash);
        Ok(hash)
    }
}
