//! The search index and its watermark.

use std::sync::Arc;

use super::{append, entry, key, new_log, next_head, search};
use crate::{LogId, LogStore, NewEntry, Order, SharedStore, Update};

pub(super) async fn search_is_ordered_and_limited(store: &SharedStore) {
    let (one, two) = (new_log(store, 20).await, new_log(store, 21).await);
    let shared = key(2_000_000);
    let keyed = |number: u64| NewEntry {
        keys: vec![shared, key(3_000_000 + number), key(4_000_000 + number)],
        ..entry(number)
    };
    append(store, two, (0..5).map(keyed).collect()).await;
    append(store, one, (0..100).map(keyed).collect()).await;
    append(store, one, (100..103).map(keyed).collect()).await;
    let all: Vec<u64> = (0..103).collect();
    assert_eq!(search(store, one, shared, 1000).await, all);
    assert_eq!(search(store, one, shared, 7).await, all[..7]);
    assert_eq!(search(store, one, shared, 0).await, []);
    assert_eq!(search(store, one, shared, u32::MAX).await, all);
    assert_eq!(search(store, two, shared, 1000).await, all[..5]);
    assert_eq!(search(store, one, key(5), 10).await, []);
    assert_eq!(search(store, one, key(4_000_003), 10).await, [3]);
}

pub(super) async fn search_keeps_to_its_log_and_range(store: &SharedStore) {
    let (log, other) = (new_log(store, 29).await, new_log(store, 30).await);
    let shared = key(29_000_000);
    // Every third entry has the key.
    let keyed = |number: u64| NewEntry {
        keys: if number.is_multiple_of(3) {
            vec![shared]
        } else {
            Vec::new()
        },
        ..entry(number)
    };
    append(store, log, (0..40).map(keyed).collect()).await;
    append(store, other, (0..40).map(keyed).collect()).await;
    let cases: [(u64, u64, Order, u32, &[u64]); 8] = [
        (0, 10, Order::Ascending, 99, &[0, 3, 6, 9]),
        (0, 9, Order::Descending, 99, &[6, 3, 0]),
        (1, u64::MAX, Order::Ascending, 2, &[3, 6]),
        (0, u64::MAX, Order::Descending, 2, &[39, 36]),
        (39, 40, Order::Descending, 9, &[39]),
        (4, 4, Order::Ascending, 9, &[]),
        (9, 3, Order::Descending, 9, &[]),
        (u64::MAX - 1, u64::MAX, Order::Ascending, 9, &[]),
    ];
    for (start, end, order, limit, expected) in cases {
        let found = store.search(log, &shared, start..end, order, limit).await;
        assert_eq!(found.unwrap(), expected, "{start}..{end} {order:?}");
    }
}

pub(super) async fn the_watermark_is_at_the_head_and_only_moves_up(store: &SharedStore) {
    let log = new_log(store, 31).await;
    assert_eq!(store.indexed(log).await.unwrap(), 0);
    append(store, log, (0..10).map(entry).collect()).await;
    assert_eq!(store.indexed(log).await.unwrap(), 10);
    let late = key(31_000_000);
    // Not from where it is, beyond the head, backwards.
    for (start, end) in [(0, 10), (10, 11), (10, 9), (10, u64::MAX)] {
        let range = start..end;
        let moved = store.index(log, range.clone(), &[(3, late)]).await;
        assert!(!moved.unwrap(), "{range:?}");
        assert_eq!(store.indexed(log).await.unwrap(), 10);
    }
    assert_eq!(search(store, log, late, 9).await, [], "nothing was added");
    // Nothing to move over; keys that are there already do no harm.
    for _ in 0..2 {
        let keys = [(7, late), (3, late)];
        assert!(store.index(log, 10..10, &keys).await.unwrap());
    }
    assert_eq!(search(store, log, late, 9).await, [3, 7]);
    append(store, log, vec![entry(10)]).await;
    assert_eq!(store.indexed(log).await.unwrap(), 11);
}

/// For a store whose log has three entries from before there was a watermark.
pub async fn an_older_programs_entries_stay_above_the_watermark(store: &dyn LogStore, log: LogId) {
    // A batch does not move a watermark that is not at the head.
    let batch = store.begin(log).await.unwrap();
    let update = Update {
        entries: vec![entry(3)],
        tiles: Vec::new(),
        head: next_head(batch.head(), 1),
    };
    batch.commit(Arc::new(update)).await.unwrap();
    assert_eq!(store.indexed(log).await.unwrap(), 0);
    let late = key(32_000_000);
    assert!(store.index(log, 0..2, &[(1, late)]).await.unwrap());
    assert!(
        !store.index(log, 0..2, &[(0, late)]).await.unwrap(),
        "two at work"
    );
    assert_eq!(store.indexed(log).await.unwrap(), 2);
    assert!(store.index(log, 2..4, &[(3, late)]).await.unwrap());
    let found = store.search(log, &late, 0..9, Order::Ascending, 9).await;
    assert_eq!(found.unwrap(), [1, 3]);
    // At the head, it follows.
    let batch = store.begin(log).await.unwrap();
    let update = Update {
        entries: vec![entry(4)],
        tiles: Vec::new(),
        head: next_head(batch.head(), 1),
    };
    batch.commit(Arc::new(update)).await.unwrap();
    assert_eq!(store.indexed(log).await.unwrap(), 5);
}
