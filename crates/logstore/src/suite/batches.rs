//! Exclusion, atomicity, durability, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use super::{Subject, append, entry, hash, key, new_log, next_head, search};
use crate::{Head, LogState, NewEntry, SharedStore, StoreError, Update};
use tlog::{Hash, TileId};

pub(super) async fn an_empty_log_has_an_unsigned_head(store: &SharedStore) {
    let log = new_log(store, 10).await;
    let head = store.head(log).await.unwrap();
    assert_eq!(head, Head::unsigned(tlog::empty_root()));
    let mut batch = store.begin(log).await.unwrap();
    assert_eq!(batch.head(), &head);
    assert_eq!(batch.state(), LogState::Active);
    assert_eq!(batch.known(&[]).await.unwrap(), []);
    assert_eq!(batch.known(&[hash(b"identity", 1)]).await.unwrap(), []);
    assert_eq!(
        batch.tiles(&[]).await.unwrap(),
        Vec::<Option<Vec<Hash>>>::new()
    );
    // A signature over the same head, as the first one of a log.
    let signed = Head {
        timestamp_ms: 5,
        signed: Arc::from(&b"first"[..]),
        ..head.clone()
    };
    let update = Update {
        entries: Vec::new(),
        tiles: Vec::new(),
        head: signed.clone(),
    };
    batch.commit(Arc::new(update)).await.unwrap();
    assert_eq!(store.head(log).await.unwrap(), signed);
    assert_eq!(store.entries(log, 0, 1).await.unwrap(), []);
}

pub(super) async fn a_batch_is_visible_whole(store: &SharedStore) {
    let log = new_log(store, 11).await;
    let mut entries: Vec<_> = (0..3).map(entry).collect();
    entries[1].extra = vec![0, 1, 254, 255];
    entries[1].body = Vec::new();
    entries[2].keys = vec![key(1_100_000)];
    entries[2].promise = vec![255, 0];
    let tile = (TileId { level: 0, index: 0 }, vec![hash(b"tile", 0); 3]);
    let batch = store.begin(log).await.unwrap();
    let before = batch.head().clone();
    let head = next_head(&before, 3);
    assert_eq!(
        store.head(log).await.unwrap(),
        before,
        "a reader does not wait for a batch"
    );
    let update = Update {
        entries: entries.clone(),
        tiles: vec![tile.clone()],
        head: head.clone(),
    };
    batch.commit(Arc::new(update)).await.unwrap();

    assert_eq!(store.head(log).await.unwrap(), head);
    let stored = store.entries(log, 0, 3).await.unwrap();
    assert_eq!(stored.len(), 3);
    for ((index, stored), new) in (0..).zip(&stored).zip(&entries) {
        assert_eq!(stored.index, index);
        assert_eq!(stored.timestamp_ms, head.timestamp_ms);
        assert_eq!(stored.leaf_hash, new.leaf_hash);
        assert_eq!((&stored.body, &stored.extra), (&new.body, &new.extra));
        assert_eq!(stored.promise, new.promise);
    }
    assert_eq!(store.tiles(log, &[tile.0]).await.unwrap(), [Some(tile.1)]);
    assert_eq!(search(store, log, key(1_100_000), 9).await, [2]);
}

pub(super) async fn a_dropped_batch_leaves_nothing_and_frees_the_lock(store: &SharedStore) {
    let log = new_log(store, 12).await;
    for _ in 0..20 {
        let mut batch = store.begin(log).await.unwrap();
        batch.known(&[hash(b"identity", 1)]).await.unwrap();
        drop(batch);
    }
    // Given up while it waits for the lock.
    let held = store.begin(log).await.unwrap();
    for _ in 0..3 {
        let waited = tokio::time::timeout(Duration::from_millis(30), store.begin(log)).await;
        assert!(waited.is_err(), "a second batch began");
    }
    drop(held);
    append(store, log, vec![entry(0)]).await;
    assert_eq!(store.head(log).await.unwrap().size, 1);
}

pub(super) async fn batches_of_a_log_exclude_each_other(
    one: &SharedStore,
    two: &SharedStore,
    id: i64,
) {
    const WRITERS: u64 = 6;
    const BATCHES: u64 = 15;
    let log = new_log(one, id).await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(if writer % 2 == 0 { one } else { two });
        tasks.push(tokio::spawn(async move {
            for batch in 0..BATCHES {
                append(&store, log, vec![entry(writer * 1000 + batch)]).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one.head(log).await.unwrap().size, WRITERS * BATCHES);
    let entries = one.entries(log, 0, u64::MAX).await.unwrap();
    let indices: Vec<_> = entries.iter().map(|entry| entry.index).collect();
    assert_eq!(indices, (0..WRITERS * BATCHES).collect::<Vec<_>>());
}

pub(super) async fn what_one_store_commits_the_other_sees(one: &SharedStore, two: &SharedStore) {
    let log = new_log(one, 102).await;
    for number in 0..10 {
        let (writer, reader) = if number % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        let head = append(writer, log, vec![entry(number)]).await;
        assert_eq!(reader.head(log).await.unwrap(), head);
        let mut batch = reader.begin(log).await.unwrap();
        assert_eq!(batch.head(), &head);
        let known = batch.known(&[hash(b"identity", number)]).await.unwrap();
        assert_eq!(known.len(), 1);
    }
    two.set_state(log, LogState::Frozen).await.unwrap();
    assert_eq!(one.begin(log).await.unwrap().state(), LogState::Frozen);
}

pub(super) async fn batches_of_different_logs_do_not_wait(store: &SharedStore) {
    let (one, two) = (new_log(store, 13).await, new_log(store, 14).await);
    let held = store.begin(one).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), append(store, two, vec![entry(0)]))
        .await
        .unwrap_or_else(|_| panic!("a batch of one log waits for another log's"));
    drop(held);
}

pub(super) async fn a_frozen_log_takes_no_entries(store: &SharedStore) {
    let log = new_log(store, 22).await;
    let head = append(store, log, vec![entry(1)]).await;
    let open = store.begin(log).await.unwrap();
    let freezer = tokio::spawn({
        let store = Arc::clone(store);
        async move { store.set_state(log, LogState::Frozen).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(
        !freezer.is_finished(),
        "a log was frozen under a batch at work"
    );
    drop(open);
    freezer.await.unwrap().unwrap();

    let batch = store.begin(log).await.unwrap();
    assert_eq!(batch.state(), LogState::Frozen);
    let next = next_head(batch.head(), 1);
    let update = Update {
        entries: vec![entry(2)],
        tiles: Vec::new(),
        head: next,
    };
    assert!(matches!(
        batch.commit(Arc::new(update)).await,
        Err(StoreError::Refused(_))
    ));
    assert_eq!(store.head(log).await.unwrap(), head);
    assert_eq!(
        store.entries(log, 0, 9).await.unwrap().len(),
        1,
        "still readable"
    );
    store.set_state(log, LogState::Active).await.unwrap();
    append(store, log, vec![entry(2)]).await;
}

pub(super) async fn heads_that_do_not_follow_are_refused(store: &SharedStore) {
    let log = new_log(store, 23).await;
    let head = append(store, log, vec![entry(1), entry(2)]).await;
    let good = next_head(&head, 1);
    let bad = [
        Head {
            size: head.size,
            ..good.clone()
        },
        Head {
            size: head.size + 2,
            ..good.clone()
        },
        Head {
            size: u64::MAX,
            ..good.clone()
        },
        Head {
            timestamp_ms: head.timestamp_ms - 1,
            ..good.clone()
        },
        Head {
            timestamp_ms: u64::MAX,
            ..good.clone()
        },
    ];
    for bad in bad {
        let batch = store.begin(log).await.unwrap();
        let update = Update {
            entries: vec![entry(3)],
            tiles: Vec::new(),
            head: bad,
        };
        assert!(matches!(
            batch.commit(Arc::new(update)).await,
            Err(StoreError::Refused(_))
        ));
    }
    // Another root for the same size.
    let batch = store.begin(log).await.unwrap();
    let fork = Head {
        root: hash(b"fork", 1),
        ..head.clone()
    };
    let update = Update {
        entries: Vec::new(),
        tiles: Vec::new(),
        head: fork,
    };
    assert!(matches!(
        batch.commit(Arc::new(update)).await,
        Err(StoreError::Refused(_))
    ));
    assert_eq!(store.head(log).await.unwrap(), head);
}

pub(super) async fn a_refused_batch_changes_nothing(store: &SharedStore) {
    let log = new_log(store, 24).await;
    let head = append(store, log, vec![entry(1)]).await;
    let batch = store.begin(log).await.unwrap();
    let fresh = NewEntry {
        keys: vec![key(2_400_000)],
        ..entry(2)
    };
    let update = Update {
        entries: vec![fresh, entry(1)],
        tiles: vec![(TileId { level: 0, index: 0 }, vec![hash(b"tile", 1)])],
        head: next_head(&head, 2),
    };
    assert!(batch.commit(Arc::new(update)).await.is_err());
    assert_eq!(store.head(log).await.unwrap(), head);
    assert_eq!(store.entries(log, 0, 9).await.unwrap().len(), 1);
    assert_eq!(
        store
            .tiles(log, &[TileId { level: 0, index: 0 }])
            .await
            .unwrap(),
        [None]
    );
    assert_eq!(search(store, log, key(2_400_000), 9).await, []);
    assert_eq!(
        store.index_of_leaf(log, &hash(b"leaf", 2)).await.unwrap(),
        None
    );
    append(store, log, vec![entry(2)]).await;
}

pub(super) async fn what_was_committed_survives_reopening(subject: &dyn Subject) {
    let store = subject.reopen().await;
    let log = new_log(&store, 28).await;
    let tile = (TileId { level: 0, index: 0 }, vec![hash(b"tile", 1); 2]);
    let head = {
        let batch = store.begin(log).await.unwrap();
        let head = next_head(batch.head(), 2);
        let keyed = NewEntry {
            keys: vec![key(28_000_000)],
            ..entry(2)
        };
        let update = Update {
            entries: vec![entry(1), keyed],
            tiles: vec![tile.clone()],
            head: head.clone(),
        };
        batch.commit(Arc::new(update)).await.unwrap();
        head
    };
    // Begun and abandoned by the closing.
    let batch = store.begin(log).await.unwrap();
    drop(batch);
    let logs = store.logs().await.unwrap();
    drop(store);

    let store = subject.reopen().await;
    assert_eq!(store.logs().await.unwrap(), logs);
    assert_eq!(store.head(log).await.unwrap(), head);
    assert_eq!(store.entries(log, 0, 9).await.unwrap().len(), 2);
    assert_eq!(store.tiles(log, &[tile.0]).await.unwrap(), [Some(tile.1)]);
    assert_eq!(search(&store, log, key(28_000_000), 9).await, [1]);
    let mut batch = store.begin(log).await.unwrap();
    assert_eq!(batch.known(&[hash(b"identity", 1)]).await.unwrap().len(), 1);
}
