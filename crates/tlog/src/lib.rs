//! The arithmetic of transparency logs: RFC 6962 trees over tiles, inclusion and consistency
//! proofs, signed notes and checkpoints. Pure: no I/O, no clock.

mod edge;
mod hash;
pub mod note;
mod proof;
mod tile;

pub mod checkpoint;

pub use edge::{Edge, EdgeError};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use proof::{MissingTile, ProofError, Plan, consistency, inclusion, subtree_root, verify_consistency, verify_inclusion};
pub use tile::{TileId, TILE_WIDTH};
