//! A tile as it is stored and as it was computed, and which of the two was signed.

use logstore::StoreError;
use tlog::{Hash, TILE_WIDTH, TileId};

use super::finding::{Findings, Remedy, entry_place, first_below, tile_place};
use super::source::{self, Source};
use super::tree;

const WIDTH: u64 = TILE_WIDTH as u64;

/// Which of two versions of a tile is the signed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Computed,
    Stored,
    Unknown,
}

/// A tile as computed and as stored, each filled up from the other where it has nothing.
pub(super) struct Versions {
    id: TileId,
    pub(super) computed: Vec<Hash>,
    pub(super) stored: Vec<Hash>,
    /// Where they differ.
    pub(super) differ: Vec<usize>,
    /// Where an entry is missing.
    missing: Vec<usize>,
}

impl Versions {
    pub(super) fn new(id: TileId, computed: Vec<Option<Hash>>, stored: Vec<Hash>) -> Self {
        let at = |place: usize| stored.get(place).copied();
        let zero = Hash::default();
        let pairs: Vec<(Hash, Hash)> = (0..)
            .zip(&computed)
            .map(|(place, &computed)| {
                let one = computed.or(at(place)).unwrap_or(zero);
                (one, at(place).or(computed).unwrap_or(zero))
            })
            .collect();
        let places = |is: &dyn Fn(usize) -> bool| (0..computed.len()).filter(|&p| is(p)).collect();
        Self {
            id,
            differ: places(&|place| pairs.get(place).is_some_and(|(one, other)| one != other)),
            missing: places(&|place| computed.get(place).is_some_and(Option::is_none)),
            computed: pairs.iter().map(|pair| pair.0).collect(),
            stored: pairs.iter().map(|pair| pair.1).collect(),
        }
    }

    /// Asks the tile above.
    pub(super) async fn verdict(&self, source: &dyn Source) -> Result<Verdict, StoreError> {
        let above = TileId {
            level: self.id.level + 1,
            index: self.id.index / WIDTH,
        };
        let place = usize::try_from(self.id.index % WIDTH).unwrap_or(usize::MAX);
        let above = source::tile(source, above).await?;
        let root = above
            .ok()
            .flatten()
            .and_then(|tile| tile.get(place).copied());
        Ok(match root {
            Some(root) => self.verdict_by(root, tree::root_of),
            None => Verdict::Unknown,
        })
    }

    /// Which of them has this root.
    pub(super) fn verdict_by(&self, root: Hash, root_of: impl Fn(&[Hash]) -> Hash) -> Verdict {
        if root_of(&self.computed) == root {
            Verdict::Computed
        } else if root_of(&self.stored) == root {
            Verdict::Stored
        } else {
            Verdict::Unknown
        }
    }

    pub(super) fn right(&self, verdict: Verdict) -> &[Hash] {
        match verdict {
            Verdict::Stored => &self.stored,
            Verdict::Computed | Verdict::Unknown => &self.computed,
        }
    }

    pub(super) fn report(&self, verdict: Verdict, findings: &mut Findings) {
        for &place in &self.differ {
            let (computed, stored) = (self.computed.get(place), self.stored.get(place));
            let (Some(computed), Some(stored)) = (computed, stored) else {
                continue;
            };
            // Said already, and the tile fills the gap.
            if self.missing.contains(&place) {
                continue;
            }
            let index = first_below(self.id, place);
            let (tile, below) = (tile_place(self.id), entry_place(index));
            match (verdict, self.id.level) {
                (Verdict::Stored, 0) => findings.add(
                    below,
                    format!("its leaf hash is {computed}, and {stored} is what was signed"),
                    Remedy::RestoreEntry,
                ),
                (Verdict::Computed, 0) => findings.add(
                    tile,
                    format!(
                        "its hash {place} is {stored}, and {below} has {computed}, which was \
                         signed"
                    ),
                    Remedy::RestoreTile,
                ),
                (Verdict::Computed, _) => findings.add(
                    tile,
                    format!(
                        "its hash {place} is {stored}, and what lies below (from {below}) makes \
                         {computed}, which was signed"
                    ),
                    Remedy::RestoreTile,
                ),
                _ => findings.add(
                    tile,
                    format!(
                        "its hash {place} is {stored}, and what lies below (from {below}) makes \
                         {computed}; which of them was signed is not known"
                    ),
                    Remedy::RestoreBoth,
                ),
            }
        }
    }
}

/// Reads a tile and cuts it to `width`; says if it cannot be read or is too short.
pub(super) async fn read_tile(
    source: &dyn Source,
    id: TileId,
    width: usize,
    findings: &mut Findings,
) -> Result<Vec<Hash>, StoreError> {
    let mut stored = match source::tile(source, id).await? {
        Ok(Some(stored)) => stored,
        Ok(None) => {
            findings.add(tile_place(id), "it is missing", Remedy::RestoreTile);
            return Ok(Vec::new());
        }
        Err(problem) => {
            findings.add(tile_place(id), problem, Remedy::RestoreTile);
            return Ok(Vec::new());
        }
    };
    if stored.len() < width {
        findings.add(
            tile_place(id),
            format!("it holds {} hashes and must hold {width}", stored.len()),
            Remedy::RestoreTile,
        );
    }
    stored.truncate(width);
    Ok(stored)
}
