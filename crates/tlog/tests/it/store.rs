//! A log in memory: full tiles in a map, the edge beside them.

use std::collections::HashMap;

use tlog::{Edge, Hash, Plan, TileId, leaf_hash};

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) edge: Edge,
    pub(crate) tiles: HashMap<TileId, Vec<Hash>>,
}

impl Log {
    /// Leaf `i` is the decimal of `i`.
    pub(crate) fn of_size(size: u64) -> Self {
        let mut log = Self::default();
        log.grow(size);
        log
    }

    pub(crate) fn grow(&mut self, size: u64) {
        for index in self.edge.size()..size {
            self.push(leaf(index));
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        self.edge.push(leaf, |id, hashes| {
            assert_eq!(hashes.len(), tlog::TILE_WIDTH);
            assert!(
                self.tiles.insert(id, hashes).is_none(),
                "{id:?} filled twice"
            );
        });
    }

    pub(crate) fn tile(&self, id: TileId) -> Option<&[Hash]> {
        self.tiles
            .get(&id)
            .map(Vec::as_slice)
            .or_else(|| self.edge.tile(id))
    }

    /// Evaluates a plan for the tree of `size` leaves, with tiles cut to what existed then.
    pub(crate) fn evaluate(&self, plan: &Plan, size: u64) -> Vec<Hash> {
        let proof = plan.evaluate(|id| {
            assert!(plan.tiles().contains(&id), "{id:?} was not planned");
            Some(&self.tile(id)?[..id.width(size)])
        });
        proof.unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        self.evaluate(&tlog::inclusion(index, size).unwrap(), size)
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        self.evaluate(&tlog::consistency(old, new).unwrap(), new)
    }

    pub(crate) fn root(&self, size: u64) -> Hash {
        let roots = self.evaluate(&tlog::subtree_root(size), size);
        roots.first().copied().unwrap_or_else(tlog::empty_root)
    }
}

pub(crate) fn leaf(index: u64) -> Hash {
    leaf_hash(index.to_string().as_bytes())
}

pub(crate) fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(leaf).collect()
}
