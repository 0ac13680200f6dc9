//! The arithmetic of transparency logs: RFC 6962 trees over tiles, inclusion and consistency
//! proofs, signed notes and checkpoints. Pure: no I/O, no clock.

pub mod checkpoint;
mod edge;
mod hash;
mod node;
pub mod note;
mod proof;
mod tile;
mod tree;
mod verify;

pub use edge::{Edge, EdgeError};
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use node::Memo;
pub use proof::{MissingTile, Plan, consistency, inclusion, subtree_root};
pub use tile::{BundlePath, PathError, TILE_WIDTH, TileId, TilePath, Width};
pub use tree::TileTree;
pub use verify::{ProofError, inclusion_root, verify_consistency, verify_inclusion};
