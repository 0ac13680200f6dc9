//! RFC 6962 trees by another implementation than the one that wrote them: rs_merkle, with the SHA-256
//! that it brings. A mistake in `tlog` or in its library for hashing cannot hide in both.
//!
//! The tree is built tile by tile and holds 255 hashes a level, whatever its size:
//!
//! ```text
//! level 2 │ entry = root of a full tile of level 1
//! level 1 │ entry = root of a full tile of level 0
//! level 0 │ entry = leaf hash
//! ```

use rs_merkle::algorithms::Sha256;
use rs_merkle::{Hasher, MerkleTree};
use tlog::{Hash, TILE_WIDTH, TileId};

/// RFC 6962 section 2.1. Leaves come as hashes.
#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Sha256::hash(data)
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => Sha256::hash(&[&[1], left.as_slice(), right].concat()),
            None => *left,
        }
    }
}

/// The hash of a leaf with these bytes.
pub(crate) fn leaf_hash(body: &[u8]) -> Hash {
    Hash(Sha256::hash(&[&[0], body].concat()))
}

/// The root of the tree over these entries; that of the empty tree over none.
pub(crate) fn root_of(entries: &[Hash]) -> Hash {
    let entries: Vec<[u8; 32]> = entries.iter().map(|entry| entry.0).collect();
    let root = MerkleTree::<Rfc6962>::from_leaves(&entries).root();
    Hash(root.unwrap_or_else(|| Sha256::hash(b"")))
}

/// A tree that grows by tiles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// Tiles that were filled, by level.
    filled: Vec<u64>,
    /// The open tile of each level.
    open: Vec<Vec<Hash>>,
}

impl Tree {
    /// Takes a tree up again from its open tiles.
    pub(crate) fn resume(filled: Vec<u64>, open: Vec<Vec<Hash>>) -> Self {
        Self { filled, open }
    }

    /// Tiles filled and open tiles, by level.
    pub(crate) fn parts(&self) -> (&[u64], &[Vec<Hash>]) {
        (&self.filled, &self.open)
    }

    /// Adds an entry to a level; returns the tile that this fills. Its root is an entry of the next
    /// level, which is the caller's to add.
    pub(crate) fn push(&mut self, level: u8, entry: Hash) -> Option<(TileId, Vec<Hash>)> {
        let place = usize::from(level);
        if self.open.len() <= place {
            self.open.resize_with(place + 1, Vec::new);
            self.filled.resize(place + 1, 0);
        }
        let (open, filled) = (self.open.get_mut(place)?, self.filled.get_mut(place)?);
        open.push(entry);
        if open.len() < TILE_WIDTH {
            return None;
        }
        let id = TileId {
            level,
            index: *filled,
        };
        *filled += 1;
        Some((id, std::mem::take(open)))
    }

    /// The tiles that are not full, from level 0 upwards.
    pub(crate) fn partial(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        (0..)
            .zip(self.filled.iter().zip(&self.open))
            .filter(|(_, (_, open))| !open.is_empty())
            .map(|(level, (&index, open))| (TileId { level, index }, open.as_slice()))
    }

    /// The root of the tree with `leaves` after what is there (less than a tile in all). A level's
    /// open tile and the root of what lies below it are the entries of one small tree: RFC 6962
    /// splits both at the same place.
    pub(crate) fn root_with(&self, leaves: &[Hash]) -> Hash {
        let mut below: Option<Hash> = None;
        for (level, open) in self.open.iter().enumerate() {
            let mut entries = open.clone();
            if level == 0 {
                entries.extend_from_slice(leaves);
            }
            entries.extend(below);
            if !entries.is_empty() {
                below = Some(root_of(&entries));
            }
        }
        match below {
            Some(root) => root,
            None => root_of(leaves),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Hash {
        leaf_hash(number.to_string().as_bytes())
    }

    fn push(tree: &mut Tree, leaf: Hash) -> Vec<(TileId, Vec<Hash>)> {
        let mut filled = Vec::new();
        let mut next = tree.push(0, leaf);
        while let Some((id, hashes)) = next {
            next = tree.push(id.level + 1, root_of(&hashes));
            filled.push((id, hashes));
        }
        filled
    }

    /// Roots published for trees of these sizes, whose leaf i is the decimal number i.
    #[test]
    fn roots_are_the_published_ones() {
        let published = [
            (1, "db3426e878068d28"),
            (2, "cb00989d94a569c0"),
            (3, "725d5230db68f557"),
            (255, "32f85bcaa87d7bcd"),
            (256, "828515d033c19d8c"),
            (257, "1eda049a4351d86f"),
            (65535, "74f13a0e1a756893"),
            (65536, "f025d06ed804859f"),
            (65537, "dc8795a25fd4bd52"),
            (70000, "1a4cdfcb66374a0c"),
        ];
        let mut tree = Tree::default();
        let mut size = 0;
        for (published_size, root) in published {
            while size < published_size {
                push(&mut tree, leaf(size));
                size += 1;
            }
            assert_eq!(&tree.root_with(&[]).to_string()[..16], root, "{size}");
        }
        assert_eq!(Tree::default().root_with(&[]), tlog::empty_root());
    }

    #[test]
    fn tiles_and_roots_are_those_of_the_other_implementation() {
        let (mut tree, mut edge) = (Tree::default(), tlog::Edge::new());
        for number in 0..66_000 {
            let mut expected = Vec::new();
            edge.push(leaf(number), |id, tile| expected.push((id, tile)));
            assert_eq!(push(&mut tree, leaf(number)), expected);
            if !(600..=65_500).contains(&number) {
                assert_eq!(tree.root_with(&[]), edge.root(), "{number}");
            }
        }
        let partial: Vec<_> = tree.partial().collect();
        assert_eq!(partial, edge.tiles().collect::<Vec<_>>());
    }

    #[test]
    fn leaves_may_be_ahead_of_the_tree() {
        let mut tree = Tree::default();
        let leaves: Vec<Hash> = (0..100).map(leaf).collect();
        assert_eq!(tree.root_with(&leaves), root_of(&leaves));
        for number in 0..256 {
            push(&mut tree, leaf(number));
        }
        let mut whole = tree.clone();
        leaves.iter().for_each(|&leaf| drop(push(&mut whole, leaf)));
        assert_eq!(tree.root_with(&leaves), whole.root_with(&[]));
    }
}
