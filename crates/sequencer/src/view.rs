//! One committed state of a tree, and proofs from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use logstore::{Batch, StoreError};
use tlog::{Edge, Hash, Memo, Plan, TILE_WIDTH, TileId, TileTree};

use crate::reader::Readers;
use crate::{SignedHead, TreeHead};

/// A tile in memory, hashed and shared.
pub(crate) type Tile = Arc<TileTree>;

/// Full tiles of a log that are kept in memory: 2048 of 16 KiB are 32 MiB, which covers half a
/// million leaves. Only who reads that much of a log fills it.
const CACHED_TILES: u64 = 2048;

/// One committed state: its signed head, its edge, and the tiles that its batch filled. Proofs for
/// the entries of that batch need nothing else.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) signed: Arc<SignedHead>,
    pub(crate) edge: Edge,
    filled: HashMap<TileId, Vec<Hash>>,
    /// The edge and what was filled, hashed when they are first read.
    tiles: OnceLock<HashMap<TileId, Tile>>,
    /// What the proofs of the batch share. Never used for other entries: it would grow with them.
    memo: Mutex<Memo>,
}

impl View {
    /// A state that was found in the store.
    pub(crate) fn found(signed: SignedHead, edge: Edge) -> Self {
        Self {
            signed: Arc::new(signed),
            edge,
            filled: HashMap::new(),
            tiles: OnceLock::new(),
            memo: Mutex::default(),
        }
    }

    /// A state that a batch leads to, from the tree that ends in the edge `before`.
    pub(crate) fn grown(
        before: &Edge,
        signed: SignedHead,
        edge: Edge,
        filled: HashMap<TileId, Vec<Hash>>,
    ) -> Self {
        let mut memo = Memo::default();
        memo.learn(before);
        memo.learn(&edge);
        Self {
            signed: Arc::new(signed),
            edge,
            filled,
            tiles: OnceLock::new(),
            memo: Mutex::new(memo),
        }
    }

    /// Carries out a plan for an entry of the batch that led to this view, from memory alone;
    /// `None` if it is another entry's.
    pub(crate) fn prove_new(&self, plan: &Plan) -> Option<Vec<Hash>> {
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        plan.evaluate_with(&mut memo, |id| {
            self.edge
                .tile(id)
                .or_else(|| self.filled.get(&id).map(AsRef::as_ref))
        })
        .ok()
    }

    /// A tile of the edge, or one that the batch filled.
    fn tile(&self, id: TileId) -> Option<&Tile> {
        let tiles = self.tiles.get_or_init(|| {
            let filled = self.filled.iter().map(|(id, tile)| (*id, tile.as_slice()));
            let tiles = self.edge.tiles().chain(filled);
            tiles.map(|(id, tile)| (id, hashed(tile))).collect()
        });
        tiles.get(&id)
    }

    pub(crate) fn head(&self) -> &TreeHead {
        &self.signed.head
    }
}

/// Reads tiles; remembers full ones, which never change.
#[derive(Debug)]
pub(crate) struct Tiles {
    readers: Readers,
    full: moka::future::Cache<TileId, Tile>,
}

impl Tiles {
    pub(crate) fn new(readers: Readers) -> Self {
        Self {
            readers,
            full: moka::future::Cache::new(CACHED_TILES),
        }
    }

    /// Remembers the tiles that the view's batch filled.
    pub(crate) async fn remember(&self, view: &View) {
        for id in view.filled.keys() {
            if let Some(tile) = view.tile(*id) {
                self.full.insert(*id, Arc::clone(tile)).await;
            }
        }
    }

    /// Tiles of which at least the hashes that exist in the tree of `size` leaves are present.
    async fn fetch(
        &self,
        view: &View,
        size: u64,
        ids: &[TileId],
    ) -> Result<HashMap<TileId, Tile>, StoreError> {
        let mut tiles = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            // The edge of an older view may be too short for a larger tree.
            let known = (view.head().size >= size)
                .then(|| view.tile(*id))
                .flatten()
                .cloned();
            let known = match known {
                Some(tile) => Some(tile),
                None => self.full.get(id).await,
            };
            match known {
                Some(tile) => _ = tiles.insert(*id, tile),
                None => missing.push(*id),
            }
        }
        if missing.is_empty() {
            return Ok(tiles);
        }
        let found = self.readers.tiles(missing.clone()).await?;
        for (id, tile) in missing.into_iter().zip(found) {
            let Some(tile) = tile.as_deref().map(hashed) else {
                continue;
            };
            if tile.entries().len() == TILE_WIDTH {
                self.full.insert(id, Arc::clone(&tile)).await;
            }
            tiles.insert(id, tile);
        }
        Ok(tiles)
    }

    /// Carries out a plan for the tree of `size` leaves.
    pub(crate) async fn prove(
        &self,
        view: &View,
        size: u64,
        plan: &Plan,
    ) -> Result<Vec<Hash>, StoreError> {
        let tiles = self.fetch(view, size, plan.tiles()).await?;
        plan.evaluate_trees(|id| tiles.get(&id).map(AsRef::as_ref))
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// The hash of leaf `index`, which must be below the view's size.
    pub(crate) async fn leaf(&self, view: &View, index: u64) -> Result<Hash, StoreError> {
        let width = TILE_WIDTH as u64;
        let id = TileId {
            level: 0,
            index: index / width,
        };
        let tiles = self.fetch(view, view.head().size, &[id]).await?;
        usize::try_from(index % width)
            .ok()
            .and_then(|at| tiles.get(&id)?.entries().get(at).copied())
            .ok_or_else(|| StoreError::Corrupt(format!("tile {id:?} lacks leaf {index}")))
    }
}

/// Loads the edge of the tree of `size` leaves from the tiles under a batch's lock.
pub(crate) async fn load_edge(batch: &mut dyn Batch, size: u64) -> Result<Edge, StoreError> {
    let ids = Edge::tiles_of(size);
    let found = batch.tiles(&ids).await?;
    let mut tiles: HashMap<TileId, Vec<Hash>> = ids
        .into_iter()
        .zip(found)
        .map(|(id, tile)| (id, tile.unwrap_or_default()))
        .collect();
    Edge::load(size, |id| tiles.remove(&id).unwrap_or_default())
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Whether the tree `new` extends the tree `old`, proven from the tiles under a batch's lock.
pub(crate) async fn extends(
    batch: &mut dyn Batch,
    old: (u64, Hash),
    new: (u64, Hash),
) -> Result<bool, StoreError> {
    if old.0 == 0 {
        return Ok(true);
    }
    let Some(plan) = tlog::consistency(old.0, new.0) else {
        return Ok(false);
    };
    let found = batch.tiles(plan.tiles()).await?;
    let tiles: HashMap<TileId, Vec<Hash>> = plan
        .tiles()
        .iter()
        .zip(found)
        .filter_map(|(id, tile)| Some((*id, tile?)))
        .collect();
    let proof = plan
        .evaluate(|id| tiles.get(&id).map(AsRef::as_ref))
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(tlog::verify_consistency(old.0, new.0, &proof, &old.1, &new.1).is_ok())
}

/// Hashes a tile.
fn hashed(tile: &[Hash]) -> Tile {
    Arc::new(TileTree::new(tile))
}
