//! A check that is interrupted.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use logstore::{
    Entry, EntryRecord, Head, Known, LogId, LogKind, LogRecord, LogState, SearchKey, StoreError,
};
use tlog::{Edge, Hash, TileId};

use super::entry::Examiner;
use super::state::SavedLog;
use super::walk::{Expected, Walk};
use super::{Error, Source};

/// A log in memory that cannot be read from some entry on.
struct Memory {
    records: Vec<EntryRecord>,
    tiles: HashMap<TileId, Vec<Hash>>,
    root: Hash,
    fails_from: AtomicU64,
    lowest_read: AtomicU64,
}

impl Memory {
    fn new(size: u64) -> Self {
        let (mut edge, mut tiles) = (Edge::new(), HashMap::new());
        let mut records = Vec::new();
        for index in 0..size {
            let body = format!("body {index}");
            let leaf_hash = tlog::leaf_hash(body.as_bytes());
            edge.push(leaf_hash, |id, tile| drop(tiles.insert(id, tile)));
            records.push(EntryRecord {
                entry: Entry {
                    index,
                    leaf_hash,
                    timestamp_ms: index,
                    body: body.into_bytes(),
                    extra: Vec::new(),
                    promise: Vec::new(),
                },
                identity: leaf_hash,
                keys: vec![SearchKey::from(u128::from(index).to_be_bytes())],
            });
        }
        tiles.extend(edge.tiles().map(|(id, tile)| (id, tile.to_vec())));
        Self {
            records,
            tiles,
            root: edge.root(),
            fails_from: AtomicU64::new(u64::MAX),
            lowest_read: AtomicU64::new(u64::MAX),
        }
    }

    fn head(&self) -> Head {
        Head {
            size: self.records.len() as u64,
            root: self.root,
            timestamp_ms: 5000,
            signed: (*b"signed").into(),
        }
    }
}

#[async_trait::async_trait]
impl Source for Memory {
    async fn records(&self, start: u64, end: u64) -> Result<Vec<EntryRecord>, StoreError> {
        if end > self.fails_from.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("for a while".to_owned()));
        }
        self.lowest_read.fetch_min(start, Ordering::Relaxed);
        Ok(self.records[start as usize..end as usize].to_vec())
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<Hash>>>, StoreError> {
        Ok(ids.iter().map(|id| self.tiles.get(id).cloned()).collect())
    }

    async fn known(&self, _identities: &[Hash]) -> Result<Option<Vec<Known>>, StoreError> {
        Ok(None)
    }
}

async fn run(
    source: &Memory,
    walk: &mut Walk,
    step: impl FnMut(&Walk) -> std::io::Result<()>,
) -> Result<(), Error> {
    let record = LogRecord {
        id: LogId(1),
        kind: LogKind::RekorV2,
        origin: "rekor.test".to_owned(),
        public_key: Vec::new(),
        state: LogState::Active,
        created_ms: 0,
    };
    let head = source.head();
    let expected = Expected {
        size: head.size,
        root: head.root,
        marks: &BTreeMap::new(),
    };
    walk.run(source, &Examiner::new(&record), &expected, step)
        .await
}

#[tokio::test]
async fn a_check_goes_on_where_it_was_interrupted() {
    let source = Memory::new(70_000);
    let head = source.head();
    source.fails_from.store(66_000, Ordering::Relaxed);
    let mut walk = Walk::new(head.size);
    walk.findings
        .add("entry 0", "found before", super::Remedy::RestoreEntry);
    let mut saved = String::new();
    let interrupted = run(&source, &mut walk, |walk| {
        saved = serde_json::to_string(&SavedLog::new(&head, walk, false))?;
        Ok(())
    });
    assert!(matches!(
        interrupted.await,
        Err(Error::Store(StoreError::Unavailable(_)))
    ));

    let resumed: SavedLog = serde_json::from_str(&saved).unwrap();
    let (resumed_head, mut walk) = resumed.resume().unwrap();
    assert_eq!(resumed_head, head);
    let next = walk.next;
    assert!((60_000..66_000).contains(&next), "{next}");
    source.fails_from.store(u64::MAX, Ordering::Relaxed);
    source.lowest_read.store(u64::MAX, Ordering::Relaxed);
    run(&source, &mut walk, |_| Ok(())).await.unwrap();
    assert_eq!(source.lowest_read.load(Ordering::Relaxed), next);
    assert_eq!(walk.findings.list.len(), 1, "{:?}", walk.findings);

    let mut whole = Walk::new(head.size);
    run(&source, &mut whole, |_| Ok(())).await.unwrap();
    assert_eq!(whole.sums, walk.sums);
    assert!(whole.findings.is_empty(), "{:?}", whole.findings);
}

#[tokio::test]
async fn one_damaged_hash_is_one_finding_on_every_level() {
    let mut source = Memory::new(66_000);
    for (level, index) in [(0, 3), (0, 257), (1, 0), (1, 1), (2, 0)] {
        let id = TileId { level, index };
        let intact = source.tiles[&id].clone();
        let mut damaged = intact.clone();
        damaged[0].0[7] ^= 1;
        source.tiles.insert(id, damaged);
        let mut walk = Walk::new(66_000);
        run(&source, &mut walk, |_| Ok(())).await.unwrap();
        assert_eq!(walk.findings.count, 1, "{id:?}: {:?}", walk.findings);
        assert_eq!(walk.findings.list[0].place, super::finding::tile_place(id));
        assert_eq!(walk.findings.list[0].remedy, super::Remedy::RestoreTile);
        source.tiles.insert(id, intact);
    }
    // An entry in a full tile, and one at the edge.
    for index in [100_usize, 65_990] {
        let intact = source.records[index].clone();
        source.records[index].entry.body = source.records[index + 1].entry.body.clone();
        let mut walk = Walk::new(66_000);
        run(&source, &mut walk, |_| Ok(())).await.unwrap();
        assert_eq!(walk.findings.count, 1, "{:?}", walk.findings);
        assert_eq!(walk.findings.list[0].place, format!("entry {index}"));
        source.records[index] = intact;
    }
}
