//! Inclusion and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2).

use crate::{Hash, TileId};

/// Which tiles a proof needs, and how it is computed from them.
///
/// Two steps, so that this crate does no I/O: fetch [`Plan::tiles`], then [`Plan::evaluate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {}

/// A tile that [`Plan::evaluate`] needed was absent or too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile {0:?} is missing or incomplete")]
pub struct MissingTile(pub TileId);

impl Plan {
    /// The tiles needed, without repetition.
    #[must_use]
    pub fn tiles(&self) -> &[TileId] {
        &[]
    }

    /// Computes the proof; `tile` returns at least the hashes that exist at the tree's size.
    pub fn evaluate<'a>(&self, _tile: impl Fn(TileId) -> Option<&'a [Hash]>) -> Result<Vec<Hash>, MissingTile> {
        unimplemented!()
    }
}

/// Plans the proof that leaf `index` is in the tree of `size` leaves; `None` unless `index < size`.
#[must_use]
pub fn inclusion(_index: u64, _size: u64) -> Option<Plan> {
    unimplemented!()
}

/// Plans the proof that the tree of `old` leaves is a prefix of that of `new`; `None` unless
/// `old <= new`. Empty if `old` is 0 or equals `new`.
#[must_use]
pub fn consistency(_old: u64, _new: u64) -> Option<Plan> {
    unimplemented!()
}

/// Plans the root of the tree of `size` leaves (one hash; none for size 0).
#[must_use]
pub fn subtree_root(_size: u64) -> Plan {
    unimplemented!()
}

/// A proof does not prove what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Wrong number of hashes for these sizes, or sizes out of order.
    #[error("the proof has the wrong shape for these tree sizes")]
    Shape,
    /// The hashes lead to another root.
    #[error("the proof leads to another root hash")]
    RootMismatch,
}

/// Verifies an inclusion proof.
pub fn verify_inclusion(_index: u64, _size: u64, _leaf: &Hash, _proof: &[Hash], _root: &Hash) -> Result<(), ProofError> {
    unimplemented!()
}

/// Verifies a consistency proof.
pub fn verify_consistency(_old: u64, _new: u64, _proof: &[Hash], _old_root: &Hash, _new_root: &Hash) -> Result<(), ProofError> {
    unimplemented!()
}
