//! Tiles: 256 hashes of one level, the unit in which a tree is stored (C2SP tlog-tiles).

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;

/// Where a tile is: level 0 holds leaf hashes; entry `i` of tile `n` of level `l` is the root of
/// leaves `[(256n+i)·256^l, (256n+i+1)·256^l)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// Level, 0 to 7 for trees below 2^64 leaves.
    pub level: u8,
    /// Position in the level.
    pub index: u64,
}
