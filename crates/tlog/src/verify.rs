//! Verification of inclusion and consistency proofs (RFC 9162 sections 2.1.3.2 and 2.1.4.2).
//!
//! Sizes, indices and proofs come from whoever claims something: nothing here overflows,
//! allocates, or works longer than 64 steps, whatever they are.

use crate::Hash;
use crate::hash::{empty_root, node_hash};

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

/// Verifies that the leaf with hash `leaf` is at `index` in the tree of `size` leaves with `root`.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    require(inclusion_root(index, size, leaf, proof)? == *root)
}

/// The root that an inclusion proof leads to.
pub fn inclusion_root(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Shape);
    }
    // Below the point where the paths of this leaf and of the last one meet there is a sibling
    // on every level; above it only on the left, where the index has a 1.
    let last = size - 1;
    let inner = u64::BITS - (index ^ last).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    if proof.len() != (inner + border) as usize {
        return Err(ProofError::Shape);
    }
    let (inner, border) = proof
        .split_at_checked(inner as usize)
        .ok_or(ProofError::Shape)?;
    let hash = inner
        .iter()
        .zip(0_u32..)
        .fold(*leaf, |hash, (sibling, level)| {
            if index >> level & 1 == 0 {
                node_hash(&hash, sibling)
            } else {
                node_hash(sibling, &hash)
            }
        });
    Ok(border
        .iter()
        .fold(hash, |hash, sibling| node_hash(sibling, &hash)))
}

/// Verifies that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves
/// with `new_root`.
///
/// The empty tree is a prefix of every tree; its root is [`empty_root`] and its proof is empty.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Shape);
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(ProofError::Shape);
        }
        require(old > 0 || *old_root == empty_root())?;
        return require(old < new || old_root == new_root);
    }

    // Both positions start at the last node of the old tree that is complete in the new one.
    let skipped = (old - 1).trailing_ones();
    let mut old_at = (old - 1) >> skipped;
    let mut new_at = (new - 1) >> skipped;
    let mut siblings = proof.iter();
    // If that node is all of the old tree, its hash is not repeated in the proof.
    let first = if old_at == 0 {
        old_root
    } else {
        siblings.next().ok_or(ProofError::Shape)?
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in siblings {
        if new_at == 0 {
            return Err(ProofError::Shape);
        }
        if old_at & 1 == 1 || old_at == new_at {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            // On the way up, levels without a left sibling have none in the proof. The position is
            // not 0 here: it is odd or equal to the other one, which is not.
            let skipped = old_at.trailing_zeros();
            old_at >>= skipped;
            new_at >>= skipped;
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        old_at >>= 1;
        new_at >>= 1;
    }
    if new_at != 0 {
        return Err(ProofError::Shape);
    }
    require(old_hash == *old_root && new_hash == *new_root)
}

fn require(roots_agree: bool) -> Result<(), ProofError> {
    if roots_agree {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}
