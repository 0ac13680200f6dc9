//! Reading everything, repairing the index, and restoring.

use std::sync::Arc;

use super::{append, entry, hash, key, new_log, next_head};
use crate::{
    Head, IndexRow, LogId, LogState, NewEntry, Restoration, RestoredEntry, SharedStore, StoreError,
};
use tlog::{Hash, TileId};

fn keyed(number: u64, keys: &[u64]) -> NewEntry {
    NewEntry {
        extra: vec![9; 3],
        keys: keys.iter().map(|&number| key(number)).collect(),
        ..entry(number)
    }
}

fn row(number: u64, log: LogId, index: u64) -> IndexRow {
    IndexRow {
        key: key(number),
        log,
        index,
    }
}

pub(super) async fn a_record_is_all_that_was_written(store: &SharedStore) {
    let log = new_log(store, 40).await;
    let same = NewEntry {
        identity: hash(b"leaf", 2),
        ..keyed(2, &[])
    };
    append(store, log, vec![keyed(1, &[40_002, 40_001, 40_002]), same]).await;
    let records = store.records(log, 0, 9).await.unwrap();
    let served = store.entries(log, 0, 9).await.unwrap();
    assert_eq!(records.len(), 2);
    for (record, served) in records.iter().zip(&served) {
        assert_eq!(&record.entry, served);
        assert_eq!(record.entry.promise, [0; 0]);
    }
    assert_eq!(records[0].identity, hash(b"identity", 1));
    assert_eq!(records[0].keys, [key(40_001), key(40_002)]);
    assert_eq!(records[1].identity, records[1].entry.leaf_hash);
    assert!(records[1].keys.is_empty());
    assert_eq!(store.records(log, 1, 2).await.unwrap(), records[1..]);
    assert_eq!(store.records(log, 2, u64::MAX).await.unwrap(), []);
    assert_eq!(store.records(LogId(404), 0, 9).await.unwrap(), []);
}

pub(super) async fn identities_are_looked_up_without_the_lock(store: &SharedStore) {
    let log = new_log(store, 41).await;
    append(store, log, (0..300).map(entry).collect()).await;
    let held = store.begin(log).await.unwrap();
    let asked: Vec<Hash> = (290..310).map(|number| hash(b"identity", number)).collect();
    let mut known = store.known(log, &asked).await.unwrap();
    known.sort_by_key(|known| known.index);
    let found: Vec<_> = known
        .iter()
        .map(|known| (known.identity, known.index))
        .collect();
    let expected: Vec<_> = (290..300)
        .map(|number| (hash(b"identity", number), number))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.known(log, &[]).await.unwrap(), []);
    drop(held);
}

/// All rows of some logs, read in pages.
async fn index(store: &SharedStore, logs: &[LogId], page: u32) -> Vec<IndexRow> {
    let mut rows: Vec<IndexRow> = Vec::new();
    loop {
        let read = store.index_rows(rows.last(), page).await.unwrap();
        if read.is_empty() {
            break;
        }
        assert!(read.len() <= page as usize);
        rows.extend(read);
    }
    assert!(rows.is_sorted_by(|a, b| a < b), "in order, each once");
    rows.retain(|row| logs.contains(&row.log));
    rows
}

pub(super) async fn the_search_index_is_read_whole_and_repaired(store: &SharedStore) {
    let (one, two) = (new_log(store, 42).await, new_log(store, 43).await);
    // One key in both logs, more often than a page is long.
    append(
        store,
        one,
        (0..30)
            .map(|number| keyed(number, &[42_000, 42_001 + number]))
            .collect(),
    )
    .await;
    append(store, two, vec![keyed(0, &[42_000])]).await;
    let mut expected: Vec<IndexRow> = (0..30)
        .flat_map(|number| [row(42_000, one, number), row(42_001 + number, one, number)])
        .chain([row(42_000, two, 0)])
        .collect();
    expected.sort_unstable();
    for page in [7, 4096] {
        assert_eq!(index(store, &[one, two], page).await, expected);
    }
    let asked = [
        row(42_000, two, 0),
        row(42_000, two, 1),
        row(42_030, one, 29),
    ];
    assert_eq!(store.index_has(&asked).await.unwrap(), [true, false, true]);
    assert_eq!(store.index_has(&[]).await.unwrap(), [false; 0]);

    let (missing, surplus) = ([row(42_999, one, 3)], [row(42_000, one, 5)]);
    for _ in 0..2 {
        store.repair_index(&missing, &surplus).await.unwrap();
        let mut repaired = expected.clone();
        repaired.retain(|row| *row != surplus[0]);
        repaired.extend(missing);
        repaired.sort_unstable();
        assert_eq!(index(store, &[one, two], 4096).await, repaired);
    }
    store.repair_index(&surplus, &missing).await.unwrap();
    assert_eq!(index(store, &[one, two], 4096).await, expected);
}

fn restoration(head: &Head, entries: Vec<RestoredEntry>) -> Restoration {
    Restoration {
        tiles: vec![(TileId { level: 0, index: 0 }, vec![hash(b"tile", 1)])],
        head: next_head(head, entries.len()),
        entries,
    }
}

fn restored(number: u64, timestamp_ms: u64) -> RestoredEntry {
    RestoredEntry {
        entry: NewEntry {
            promise: format!("promise {number}").into_bytes(),
            ..keyed(number, &[44_000 + number])
        },
        timestamp_ms,
    }
}

pub(super) async fn what_is_restored_keeps_its_times_and_promises(store: &SharedStore) {
    let log = new_log(store, 44).await;
    store.set_state(log, LogState::Frozen).await.unwrap();
    let times = [5_000, 3_000, 4_000];
    let entries = (0..)
        .zip(times)
        .map(|(number, ms)| restored(number, ms))
        .collect();
    let batch = store.begin(log).await.unwrap();
    let restoration = restoration(batch.head(), entries);
    batch.restore(Arc::new(restoration.clone())).await.unwrap();

    assert_eq!(store.head(log).await.unwrap(), restoration.head);
    let stored = store.entries(log, 0, 9).await.unwrap();
    assert_eq!(stored.len(), 3);
    for (entry, new) in stored.iter().zip(&restoration.entries) {
        assert_eq!(entry.timestamp_ms, new.timestamp_ms);
        assert_eq!(entry.promise, new.entry.promise);
        assert_eq!(
            (&entry.body, &entry.extra),
            (&new.entry.body, &new.entry.extra)
        );
    }
    assert_eq!(
        store.index_has(&[row(44_001, log, 1)]).await.unwrap(),
        [true]
    );
    let tile = store
        .tiles(log, &[TileId { level: 0, index: 0 }])
        .await
        .unwrap();
    assert_eq!(tile, [Some(vec![hash(b"tile", 1)])]);
    assert!(store.begin(log).await.unwrap().state() == LogState::Frozen);

    // A promise is optional, and the head's signature may come last.
    let batch = store.begin(log).await.unwrap();
    let mut unpromised = restored(7, 1);
    unpromised.entry.promise.clear();
    let more = self::restoration(batch.head(), vec![unpromised]);
    batch.restore(Arc::new(more)).await.unwrap();
    assert_eq!(store.entries(log, 3, 4).await.unwrap()[0].promise, [0; 0]);
    let batch = store.begin(log).await.unwrap();
    let last = Restoration {
        entries: Vec::new(),
        tiles: Vec::new(),
        head: Head {
            signed: Arc::from(&b"last"[..]),
            ..batch.head().clone()
        },
    };
    batch.restore(Arc::new(last.clone())).await.unwrap();
    assert_eq!(store.head(log).await.unwrap(), last.head);
}

pub(super) async fn only_frozen_logs_are_restored(store: &SharedStore) {
    let log = new_log(store, 45).await;
    let batch = store.begin(log).await.unwrap();
    let change = restoration(batch.head(), vec![restored(0, 1)]);
    let refused = batch.restore(Arc::new(change.clone())).await;
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );

    store.set_state(log, LogState::Frozen).await.unwrap();
    let batch = store.begin(log).await.unwrap();
    batch.restore(Arc::new(change)).await.unwrap();
    let before = store.head(log).await.unwrap();
    // An identity that is taken, and a head that does not follow.
    let again = restoration(&before, vec![restored(0, 1)]);
    let jump = Restoration {
        head: next_head(&before, 5),
        ..restoration(&before, vec![restored(1, 1)])
    };
    for change in [again, jump] {
        let batch = store.begin(log).await.unwrap();
        let refused = batch.restore(Arc::new(change)).await;
        assert!(
            matches!(refused, Err(StoreError::Refused(_))),
            "{refused:?}"
        );
        assert_eq!(store.head(log).await.unwrap(), before);
        assert_eq!(store.entries(log, 1, 9).await.unwrap(), []);
    }
}
