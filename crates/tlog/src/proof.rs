//! Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2).

use crate::hash::fold_right;
use crate::node::{Memo, Node, subtrees};
use crate::{Hash, TileId, TileTree};

/// Which tiles a proof needs, and how it is computed from them.
///
/// Two steps, so that this crate does no I/O: fetch [`Plan::tiles`], then [`Plan::evaluate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One run of complete subtrees for each hash of the result.
    hashes: Vec<Vec<Node>>,
    tiles: Vec<TileId>,
}

/// A tile that [`Plan::evaluate`] needed was absent or too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile {0:?} is missing or incomplete")]
pub struct MissingTile(pub TileId);

impl Plan {
    fn new(hashes: Vec<Vec<Node>>) -> Self {
        let mut tiles: Vec<TileId> = hashes.iter().flatten().map(|node| node.tile()).collect();
        tiles.sort_unstable();
        tiles.dedup();
        Self { hashes, tiles }
    }

    /// The tiles needed, without repetition.
    #[must_use]
    pub fn tiles(&self) -> &[TileId] {
        &self.tiles
    }

    /// Computes the proof; `tile` returns at least the hashes that exist at the tree's size.
    pub fn evaluate<'a>(
        &self,
        tile: impl Fn(TileId) -> Option<&'a [Hash]>,
    ) -> Result<Vec<Hash>, MissingTile> {
        self.evaluate_with(&mut Memo::default(), tile)
    }

    /// As [`Self::evaluate`], for many proofs of one log: what they share is hashed once.
    pub fn evaluate_with<'a>(
        &self,
        memo: &mut Memo,
        tile: impl Fn(TileId) -> Option<&'a [Hash]>,
    ) -> Result<Vec<Hash>, MissingTile> {
        self.fold(|node| memo.root(node, &tile))
    }

    /// As [`Self::evaluate`], from tiles that are hashed already.
    pub fn evaluate_trees<'a>(
        &self,
        tree: impl Fn(TileId) -> Option<&'a TileTree>,
    ) -> Result<Vec<Hash>, MissingTile> {
        self.fold(|node| {
            let id = node.tile();
            tree(id)
                .and_then(|tree| tree.root(node))
                .copied()
                .ok_or(MissingTile(id))
        })
    }

    /// The proof, from the roots of its complete subtrees.
    fn fold(
        &self,
        mut root: impl FnMut(Node) -> Result<Hash, MissingTile>,
    ) -> Result<Vec<Hash>, MissingTile> {
        let mut proof = Vec::with_capacity(self.hashes.len());
        for nodes in &self.hashes {
            let roots: Vec<Hash> = nodes
                .iter()
                .map(|&node| root(node))
                .collect::<Result<_, _>>()?;
            // No run is empty.
            proof.extend(fold_right(roots.into_iter()));
        }
        Ok(proof)
    }
}

/// Plans the proof that leaf `index` is in the tree of `size` leaves; `None` unless `index < size`.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Option<Plan> {
    if index >= size {
        return None;
    }
    let mut siblings = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            siblings.push(subtrees(middle, end));
            end = middle;
        } else {
            siblings.push(subtrees(start, middle));
            start = middle;
        }
    }
    // Found from the root downwards; a proof goes upwards.
    siblings.reverse();
    Some(Plan::new(siblings))
}

/// Plans the proof that the tree of `old` leaves is a prefix of that of `new`; `None` unless
/// `old <= new`. Empty if `old` is 0 or equals `new`.
#[must_use]
pub fn consistency(old: u64, new: u64) -> Option<Plan> {
    if old > new {
        return None;
    }
    let mut siblings = Vec::new();
    if old > 0 {
        let (mut start, mut end) = (0, new);
        while end != old {
            let middle = start + split(end - start);
            if old <= middle {
                siblings.push(subtrees(middle, end));
                end = middle;
            } else {
                siblings.push(subtrees(start, middle));
                start = middle;
            }
        }
        // `[start, old)` is where the old tree ends. If that is all of the old tree, the verifier
        // has its hash.
        if start > 0 {
            siblings.push(subtrees(start, end));
        }
    }
    siblings.reverse();
    Some(Plan::new(siblings))
}

/// Plans the root of the tree of `size` leaves (one hash; none for size 0).
#[must_use]
pub fn subtree_root(size: u64) -> Plan {
    Plan::new(if size == 0 {
        Vec::new()
    } else {
        vec![subtrees(0, size)]
    })
}

/// The largest power of two below `size`, which is above 1.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}
