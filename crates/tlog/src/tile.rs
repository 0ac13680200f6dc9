//! Tiles: 256 hashes of one level, the unit in which a tree is stored (C2SP tlog-tiles).

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;

/// Levels of the tree between one tile level and the next: a full tile is the last 8 levels of a
/// subtree of `2^8` entries.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// Tile levels of any tree of less than 2^64 leaves.
pub(crate) const TILE_LEVELS: u8 = 8;

/// Where a tile is: level 0 holds leaf hashes; entry `i` of tile `n` of level `l` is the root of
/// leaves `[(256n+i)·256^l, (256n+i+1)·256^l)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// Level, 0 to 7 for trees below 2^64 leaves.
    pub level: u8,
    /// Position in the level.
    pub index: u64,
}

impl TileId {
    /// Hashes that this tile holds in a tree of `size` leaves: 0 (it does not exist) to 256.
    #[must_use]
    pub fn width(self, size: u64) -> usize {
        let entries = size
            .checked_shr(u32::from(self.level) * TILE_HEIGHT)
            .unwrap_or(0);
        let width = TILE_WIDTH as u64;
        let before = self.index.saturating_mul(width);
        entries.saturating_sub(before).min(width) as usize
    }

    /// The last, partial tile of `level` in a tree of `size` leaves, and its width (below 256).
    pub(crate) fn partial(level: u8, size: u64) -> (Self, usize) {
        let entries = size
            .checked_shr(u32::from(level) * TILE_HEIGHT)
            .unwrap_or(0);
        let id = Self {
            level,
            index: entries >> TILE_HEIGHT,
        };
        (id, (entries % TILE_WIDTH as u64) as usize)
    }
}

/// A tile as it is named in URLs, below the log's prefix and `tile/`: `<level>/<index>` for full
/// tiles, `<level>/<index>.p/<width>` for partial ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    /// Which tile. Its level is 0 to 63; above 7 no tile exists.
    pub tile: TileId,
    /// How many hashes.
    pub width: Width,
}

/// An entry bundle as it is named in URLs, below the log's prefix and `tile/entries/`:
/// `<index>` for full bundles, `<index>.p/<width>` for partial ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BundlePath {
    /// Position of the level-0 tile with the same leaves.
    pub index: u64,
    /// How many entries.
    pub width: Width,
}

/// How many hashes or entries of a tile are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// All 256.
    Full,
    /// The first ones; 1 to 255.
    Partial(std::num::NonZeroU8),
}

impl Width {
    /// The number, 1 to 256.
    #[must_use]
    pub const fn get(self) -> usize {
        match self {
            Self::Full => TILE_WIDTH,
            Self::Partial(width) => width.get() as usize,
        }
    }
}

/// Not the name of a tile, or not its one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed tile path")]
pub struct PathError;

impl std::str::FromStr for TilePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let (level, rest) = path.split_once('/').ok_or(PathError)?;
        let level = canonical_number(level)
            .filter(|&level| level <= 63)
            .ok_or(PathError)?;
        let BundlePath { index, width } = rest.parse()?;
        Ok(Self {
            tile: TileId {
                level: level as u8,
                index,
            },
            width,
        })
    }
}

impl std::str::FromStr for BundlePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let (index, width) = match path.split_once(".p/") {
            None => (path, Width::Full),
            Some((index, width)) => {
                let width = canonical_number(width).and_then(|width| u8::try_from(width).ok());
                let width = width.and_then(std::num::NonZeroU8::new).ok_or(PathError)?;
                (index, Width::Partial(width))
            }
        };
        Ok(Self {
            index: parse_index(index).ok_or(PathError)?,
            width,
        })
    }
}

impl std::fmt::Display for TilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bundle = BundlePath {
            index: self.tile.index,
            width: self.width,
        };
        write!(f, "{}/{bundle}", self.tile.level)
    }
}

impl std::fmt::Display for BundlePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        match self.width {
            Width::Full => Ok(()),
            Width::Partial(width) => write!(f, ".p/{width}"),
        }
    }
}

/// Groups of three digits, all but the last prefixed `x`; the first of several is not `x000`.
fn parse_index(path: &str) -> Option<u64> {
    let (high, low) = match path.rsplit_once('/') {
        Some((high, low)) => (Some(high), low),
        None => (None, path),
    };
    let mut index = 0;
    if let Some(high) = high {
        for group in high.split('/') {
            index = append_group(index, group.strip_prefix('x')?)?;
            if index == 0 {
                return None;
            }
        }
    }
    append_group(index, low)
}

fn append_group(index: u64, group: &str) -> Option<u64> {
    if group.len() != 3 || !group.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    index.checked_mul(1000)?.checked_add(group.parse().ok()?)
}

/// A decimal number without sign or leading zeros.
pub(crate) fn canonical_number(text: &str) -> Option<u64> {
    let is_canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    // An empty text or one above u64 does not parse.
    is_canonical.then(|| text.parse().ok()).flatten()
}
