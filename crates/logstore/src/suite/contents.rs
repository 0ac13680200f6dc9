//! Entries, identities, tiles and the search index.

use std::sync::Arc;

use super::{append, entry, hash, key, new_log, next_head, search};
use crate::{MAX_ENTRIES_READ, NewEntry, SharedStore, StoreError, Update};
use tlog::{Hash, TileId};

pub(super) async fn identities_are_unique_and_known(store: &SharedStore) {
    let log = new_log(store, 15).await;
    let first = append(store, log, (0..300).map(entry).collect()).await;
    let second = append(store, log, (300..310).map(entry).collect()).await;

    let mut batch = store.begin(log).await.unwrap();
    let asked: Vec<_> = (295..320)
        .chain([5])
        .map(|number| hash(b"identity", number))
        .collect();
    let mut known = batch.known(&asked).await.unwrap();
    known.sort_by_key(|known| known.index);
    let numbers: Vec<_> = known.iter().map(|known| known.index).collect();
    assert_eq!(numbers, [5].into_iter().chain(295..310).collect::<Vec<_>>());
    for known in &known {
        assert_eq!(known.identity, hash(b"identity", known.index));
        let head = if known.index < 300 { &first } else { &second };
        assert_eq!(known.timestamp_ms, head.timestamp_ms);
    }
    let all: Vec<_> = (0..1000).map(|number| hash(b"identity", number)).collect();
    assert_eq!(batch.known(&all).await.unwrap().len(), 310, "many at once");
    drop(batch);

    // A second entry with an identity of the log, and two with the same in one batch.
    for entries in [vec![entry(400), entry(7)], vec![entry(500), entry(500)]] {
        let batch = store.begin(log).await.unwrap();
        let head = next_head(batch.head(), entries.len());
        let update = Update {
            entries,
            tiles: Vec::new(),
            head,
        };
        let refused = batch.commit(Arc::new(update)).await;
        assert!(
            matches!(refused, Err(StoreError::Refused(_))),
            "{refused:?}"
        );
        assert_eq!(store.head(log).await.unwrap(), second);
        assert_eq!(store.entries(log, 310, 999).await.unwrap(), []);
    }
}

pub(super) async fn identities_are_per_log(store: &SharedStore) {
    let (one, two) = (new_log(store, 16).await, new_log(store, 17).await);
    append(store, one, vec![entry(1)]).await;
    append(store, two, vec![entry(2), entry(1)]).await;
    let mut batch = store.begin(two).await.unwrap();
    let known = batch.known(&[hash(b"identity", 1)]).await.unwrap();
    assert_eq!(
        known.iter().map(|known| known.index).collect::<Vec<_>>(),
        [1]
    );
}

pub(super) async fn leaf_hashes_are_found(store: &SharedStore) {
    let log = new_log(store, 18).await;
    let apart = entry(1);
    let same = NewEntry {
        leaf_hash: hash(b"both", 2),
        identity: hash(b"both", 2),
        ..entry(2)
    };
    // An identity that is another entry's leaf hash must not be mistaken for it.
    let crossed = NewEntry {
        leaf_hash: hash(b"leaf", 3),
        identity: hash(b"leaf", 1),
        ..entry(3)
    };
    append(store, log, vec![crossed, apart, same]).await;
    for (what, number, index) in [
        ("leaf", 3, Some(0)),
        ("leaf", 1, Some(1)),
        ("both", 2, Some(2)),
        ("identity", 1, None),
    ] {
        let found = store
            .index_of_leaf(log, &hash(what.as_bytes(), number))
            .await
            .unwrap();
        assert_eq!(found, index, "{what} {number}");
    }
    let stored = store.entries(log, 0, 3).await.unwrap();
    assert_eq!(stored[2].leaf_hash, hash(b"both", 2));
}

pub(super) async fn tiles_grow_in_place(store: &SharedStore) {
    let log = new_log(store, 19).await;
    let id = TileId { level: 0, index: 7 };
    let other = TileId {
        level: 2,
        index: u64::from(u32::MAX),
    };
    let full: Vec<Hash> = (0..256).map(|number| hash(b"tile", number)).collect();
    for width in [1, 2, 255, 256] {
        let batch = store.begin(log).await.unwrap();
        let head = next_head(batch.head(), 1);
        let tiles = vec![(id, full[..width].to_vec()), (other, full[..1].to_vec())];
        let entries = vec![entry(width as u64)];
        batch
            .commit(Arc::new(Update {
                entries,
                tiles,
                head,
            }))
            .await
            .unwrap();
        let absent = TileId { level: 1, index: 7 };
        let asked = [other, absent, id, other];
        let expected = [
            Some(full[..1].to_vec()),
            None,
            Some(full[..width].to_vec()),
            Some(full[..1].to_vec()),
        ];
        assert_eq!(store.tiles(log, &asked).await.unwrap(), expected);
        assert_eq!(
            store.begin(log).await.unwrap().tiles(&asked).await.unwrap(),
            expected
        );
    }
    for width in [0, 257] {
        let batch = store.begin(log).await.unwrap();
        let head = next_head(batch.head(), 1);
        let tiles = vec![(id, vec![full[0]; width])];
        let update = Update {
            entries: vec![entry(999)],
            tiles,
            head,
        };
        assert!(matches!(
            batch.commit(Arc::new(update)).await,
            Err(StoreError::Refused(_))
        ));
    }
}

pub(super) async fn hostile_ranges_are_harmless(store: &SharedStore) {
    let log = new_log(store, 25).await;
    append(store, log, (0..5).map(entry).collect()).await;
    for (start, end, count) in [
        (0, 0, 0),
        (3, 2, 0),
        (5, 9, 0),
        (2, u64::MAX, 3),
        (u64::MAX, u64::MAX, 0),
        (u64::MAX - 1, u64::MAX, 0),
        (u64::MAX, 0, 0),
        (i64::MAX as u64, u64::MAX, 0),
    ] {
        assert_eq!(
            store.entries(log, start, end).await.unwrap().len(),
            count,
            "{start}..{end}"
        );
    }
    let found = store.entries_at(log, &[u64::MAX, 4, i64::MAX as u64, 0, 4, 5]);
    let indices: Vec<_> = found
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.index)
        .collect();
    assert_eq!(indices, [4, 0, 4], "in the order asked for");
    assert_eq!(store.entries_at(log, &[]).await.unwrap(), []);
    let far = [u64::MAX, i64::MAX as u64].map(|index| TileId { level: 255, index });
    assert_eq!(store.tiles(log, &far).await.unwrap(), [None, None]);
}

pub(super) async fn a_reader_sees_a_head_and_the_entries_under_it(store: &SharedStore) {
    let log = new_log(store, 60).await;
    let mut reader = store.reader(log).await.unwrap();
    let empty = (store.head(log).await.unwrap(), Vec::new());
    assert_eq!(reader.read(&[0]).await.unwrap(), empty);
    for size in 1..4 {
        let head = append(store, log, vec![entry(size)]).await;
        let (seen, entries) = reader.read(&[0, size - 1, size]).await.unwrap();
        assert_eq!(seen, head, "the newest, through a session that is older");
        let bodies: Vec<_> = entries.into_iter().map(|entry| entry.body).collect();
        assert_eq!(bodies, [entry(1).body, entry(size).body]);
    }
}

pub(super) async fn a_large_batch_is_stored_whole(store: &SharedStore) {
    let log = new_log(store, 26).await;
    let entries: Vec<_> = (0..2500_u64)
        .map(|number| NewEntry {
            body: vec![number.to_be_bytes()[7]; 2000],
            keys: (0..4).map(|at| key(26_000_000 + number * 4 + at)).collect(),
            ..entry(number)
        })
        .collect();
    let head = append(store, log, entries.clone()).await;
    assert_eq!(store.head(log).await.unwrap(), head);
    let stored = store.entries(log, 0, 2500).await.unwrap();
    assert_eq!(stored.len(), 2500);
    for (stored, new) in stored.iter().zip(&entries) {
        assert_eq!((stored.leaf_hash, &stored.body), (new.leaf_hash, &new.body));
    }
    let last = search(store, log, key(26_000_000 + 9999), 9).await;
    assert_eq!(last, [2499]);
    // One entry of a few megabytes.
    let big = NewEntry {
        body: vec![7; 5 << 20],
        extra: vec![8; 1 << 20],
        ..entry(9999)
    };
    append(store, log, vec![big.clone()]).await;
    let stored = store.entries(log, 2500, 2501).await.unwrap();
    assert!(stored[0].body == big.body && stored[0].extra == big.extra);
}

pub(super) async fn reads_are_bounded(store: &SharedStore) {
    let log = new_log(store, 27).await;
    append(store, log, (0..MAX_ENTRIES_READ + 10).map(entry).collect()).await;
    let stored = store.entries(log, 3, u64::MAX).await.unwrap();
    assert_eq!(stored.len() as u64, MAX_ENTRIES_READ);
    assert_eq!(stored[0].index, 3);
}
