//! What a check found, and what to do about it.

use serde::{Deserialize, Serialize};
use tlog::{TILE_WIDTH, TileId, TilePath, Width};

/// Findings that are kept; beyond, they are only counted.
const MAX_FINDINGS: usize = 1000;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where: `entry 5`, `tile 0/000`, `head`, …
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// What to do.
    pub remedy: Remedy,
}

/// What to do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The entry's own bytes are lost here.
    RestoreEntry,
    /// The entries can be trusted, what is computed from them cannot.
    RestoreTile,
    /// It cannot be told which of the two is right.
    RestoreBoth,
    /// The head, or everything.
    RestoreDatabase,
    /// The search index.
    RepairIndex,
    /// The unique index, or a duplicate in the log.
    Duplicate,
    /// A log that was signed further than the database goes.
    RolledBack,
    /// A restoration that has not come to its end.
    FinishImport,
    /// Another key, name or guard file than the log's.
    CheckConfiguration,
    /// A copy that was damaged on its way.
    CopyAgain,
}

impl Remedy {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::RestoreEntry => {
                "take this row of the table `entry` from a backup, a replica of the database or an \
                 export that `fsck` finds undamaged"
            }
            Self::RestoreTile => {
                "the entries are intact: take this row of the table `tile` from a backup or a replica \
                 of the database"
            }
            Self::RestoreBoth => {
                "restore the database from a copy that `fsck` finds undamaged, no older than the \
                 roll-back guard"
            }
            Self::RestoreDatabase => {
                "stop the service and restore the database from a copy that `fsck` finds undamaged, no \
                 older than the roll-back guard"
            }
            Self::RepairIndex => "run `fsck --repair-index`",
            Self::Duplicate => {
                "rebuild the unique index of the table `entry` (REINDEX); a leaf that is twice in the \
                 signed tree stays, and is served by its lower number"
            }
            Self::RolledBack => {
                "do not sign: restore the newest database; SECURITY.md says what to do when it is lost"
            }
            Self::FinishImport => "run the same `import` again: it goes on where it stopped",
            Self::CheckConfiguration => {
                "compare the log's key, origin and guard file with the configuration that created it"
            }
            Self::CopyAgain => {
                "run `export` again into an empty directory, from a database that `fsck` finds undamaged"
            }
        }
    }
}

/// Findings of one log, or of what belongs to none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub list: Vec<Finding>,
}

impl Findings {
    /// Adds one.
    pub(crate) fn add(&mut self, place: impl ToString, problem: impl Into<String>, remedy: Remedy) {
        self.push(Finding {
            place: place.to_string(),
            problem: problem.into(),
            remedy,
        });
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.count += 1;
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        }
    }

    /// Adds those of a part that was looked at apart.
    pub(crate) fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = MAX_FINDINGS.saturating_sub(self.list.len());
        self.list.extend(other.list.into_iter().take(room));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// `entry 5`.
pub(crate) fn entry_place(index: u64) -> String {
    format!("entry {index}")
}

/// `tile 0/x001/234`, as the tile is named in URLs.
pub(crate) fn tile_place(tile: TileId) -> String {
    let path = TilePath {
        tile,
        width: Width::Full,
    };
    format!("tile {path}")
}

/// The number of the first entry below an entry of a tile.
pub(crate) fn first_below(tile: TileId, place: usize) -> u64 {
    let width = TILE_WIDTH as u64;
    let entry = tile
        .index
        .saturating_mul(width)
        .saturating_add(place as u64);
    entry.saturating_mul(width.saturating_pow(u32::from(tile.level)))
}
