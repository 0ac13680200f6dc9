//! The behaviour that every [`LogStore`](crate::LogStore) must show.
//!
//! A store's integration test makes a [`Subject`] and calls [`run`]; a failed expectation panics
//! with the name of the check. The suite writes no trees: tiles and roots are whatever it likes,
//! because a store must not care.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use tlog::{Hash, TileId};

use crate::{
    Head, LogId, LogKind, LogRecord, LogState, MAX_ENTRIES_READ, NewEntry, Position, SearchKey,
    SharedStore, StoreError, Update,
};

/// A store under test.
#[async_trait::async_trait]
pub trait Subject: Send + Sync {
    /// Another store over the same data: another replica, where the kind of store has such.
    /// `None` if only one store may be open at a time.
    async fn another(&self) -> Option<SharedStore>;

    /// Closes the store (all handles to it are gone) and opens it again.
    async fn reopen(&self) -> SharedStore;
}

/// Runs every check. `store` must be empty.
pub async fn run(subject: &dyn Subject) {
    let store = subject.reopen().await;
    logs_are_listed_and_ids_are_unique(&store).await;
    an_unknown_log_is_reported_by_every_method(&store).await;
    an_empty_log_has_an_unsigned_head(&store).await;
    a_batch_is_visible_whole(&store).await;
    a_dropped_batch_leaves_nothing_and_frees_the_lock(&store).await;
    batches_of_a_log_exclude_each_other(&store, &store, 100).await;
    if let Some(another) = subject.another().await {
        batches_of_a_log_exclude_each_other(&store, &another, 101).await;
        what_one_store_commits_the_other_sees(&store, &another).await;
    }
    batches_of_different_logs_do_not_wait(&store).await;
    identities_are_unique_and_known(&store).await;
    identities_are_per_log(&store).await;
    leaf_hashes_are_found(&store).await;
    tiles_grow_in_place(&store).await;
    search_is_ordered_and_limited(&store).await;
    a_frozen_log_takes_no_entries(&store).await;
    heads_that_do_not_follow_are_refused(&store).await;
    a_refused_batch_changes_nothing(&store).await;
    hostile_ranges_are_harmless(&store).await;
    a_large_batch_is_stored_whole(&store).await;
    reads_are_bounded(&store).await;
    store.ping().await.unwrap();
    drop(store);
    what_was_committed_survives_reopening(subject).await;
}

/// Adds entries to a log whose head is known to the caller's test; returns the new head.
async fn append(store: &SharedStore, log: LogId, entries: Vec<NewEntry>) -> Head {
    let batch = store.begin(log).await.unwrap();
    let head = next_head(batch.head(), entries.len());
    batch
        .commit(Arc::new(Update {
            entries,
            tiles: Vec::new(),
            head: head.clone(),
        }))
        .await
        .unwrap();
    head
}

fn next_head(head: &Head, added: usize) -> Head {
    let size = head.size + added as u64;
    Head {
        size,
        root: hash(b"root", size),
        timestamp_ms: head.timestamp_ms + 1,
        signed: Arc::from(format!("signed {size} at {}", head.timestamp_ms + 1).into_bytes()),
    }
}

fn hash(what: &[u8], number: u64) -> Hash {
    let mut hash = [0; 32];
    for (at, byte) in hash
        .iter_mut()
        .zip(what.iter().chain(&number.to_be_bytes()))
    {
        *at = *byte;
    }
    // Spread over the index as real hashes are.
    hash[31] = number.wrapping_mul(101).to_be_bytes()[7];
    hash.rotate_left(31 - (number % 7) as usize);
    Hash(hash)
}

fn key(number: u64) -> SearchKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn entry(number: u64) -> NewEntry {
    NewEntry {
        leaf_hash: hash(b"leaf", number),
        identity: hash(b"identity", number),
        body: format!("body {number}").into_bytes(),
        extra: Vec::new(),
        keys: Vec::new(),
    }
}

async fn new_log(store: &SharedStore, id: i64) -> LogId {
    let record = LogRecord {
        id: LogId(id),
        kind: LogKind::RekorV1,
        origin: format!("log.example/{id}"),
        public_key: vec![1, 2, 3],
        state: LogState::Active,
        created_ms: 1000 + u64::try_from(id).unwrap(),
    };
    store.create_log(&record).await.unwrap();
    record.id
}

async fn logs_are_listed_and_ids_are_unique(store: &SharedStore) {
    assert_eq!(store.logs().await.unwrap(), []);
    let kinds = [LogKind::Ct, LogKind::RekorV1, LogKind::RekorV2];
    let mut expected = Vec::new();
    for (id, kind) in (1..).zip(kinds) {
        let record = LogRecord {
            id: LogId(i64::MAX - id),
            kind,
            origin: format!("ursprung-{id}-ü"),
            public_key: vec![0, 255, u8::try_from(id).unwrap()],
            state: if id == 2 {
                LogState::Frozen
            } else {
                LogState::Active
            },
            created_ms: u64::try_from(id).unwrap(),
        };
        store.create_log(&record).await.unwrap();
        let again = LogRecord {
            origin: "other".to_owned(),
            ..record.clone()
        };
        assert!(matches!(
            store.create_log(&again).await,
            Err(StoreError::Refused(_))
        ));
        expected.push(record);
    }
    assert_eq!(
        store.logs().await.unwrap(),
        expected,
        "oldest first, as created"
    );
    store
        .set_state(expected[0].id, LogState::Frozen)
        .await
        .unwrap();
    expected[0].state = LogState::Frozen;
    assert_eq!(store.logs().await.unwrap(), expected);
    let negative = LogRecord {
        id: LogId(-1),
        ..expected[0].clone()
    };
    assert!(matches!(
        store.create_log(&negative).await,
        Err(StoreError::Refused(_))
    ));
}

async fn an_unknown_log_is_reported_by_every_method(store: &SharedStore) {
    let none = LogId(404);
    let missing = |error| matches!(error, StoreError::NoSuchLog(LogId(404)));
    assert!(missing(store.head(none).await.unwrap_err()));
    assert!(missing(store.begin(none).await.err().unwrap()));
    assert!(missing(
        store.set_state(none, LogState::Frozen).await.unwrap_err()
    ));
    // Reading what is not there is not an error.
    assert_eq!(store.entries(none, 0, 10).await.unwrap(), []);
    assert_eq!(
        store.index_of_leaf(none, &hash(b"leaf", 0)).await.unwrap(),
        None
    );
    assert_eq!(
        store
            .tiles(none, &[TileId { level: 0, index: 0 }])
            .await
            .unwrap(),
        [None]
    );
}

async fn an_empty_log_has_an_unsigned_head(store: &SharedStore) {
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

async fn a_batch_is_visible_whole(store: &SharedStore) {
    let log = new_log(store, 11).await;
    let mut entries: Vec<_> = (0..3).map(entry).collect();
    entries[1].extra = vec![0, 1, 254, 255];
    entries[1].body = Vec::new();
    entries[2].keys = vec![key(1_100_000)];
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
    }
    assert_eq!(store.tiles(log, &[tile.0]).await.unwrap(), [Some(tile.1)]);
    assert_eq!(
        store.search(&key(1_100_000), 9).await.unwrap(),
        [Position { log, index: 2 }]
    );
}

async fn a_dropped_batch_leaves_nothing_and_frees_the_lock(store: &SharedStore) {
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

async fn batches_of_a_log_exclude_each_other(one: &SharedStore, two: &SharedStore, id: i64) {
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

async fn what_one_store_commits_the_other_sees(one: &SharedStore, two: &SharedStore) {
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

async fn batches_of_different_logs_do_not_wait(store: &SharedStore) {
    let (one, two) = (new_log(store, 13).await, new_log(store, 14).await);
    let held = store.begin(one).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), append(store, two, vec![entry(0)]))
        .await
        .unwrap_or_else(|_| panic!("a batch of one log waits for another log's"));
    drop(held);
}

async fn identities_are_unique_and_known(store: &SharedStore) {
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

async fn identities_are_per_log(store: &SharedStore) {
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

async fn leaf_hashes_are_found(store: &SharedStore) {
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

async fn tiles_grow_in_place(store: &SharedStore) {
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

async fn search_is_ordered_and_limited(store: &SharedStore) {
    let (one, two) = (new_log(store, 20).await, new_log(store, 21).await);
    let shared = key(2_000_000);
    let keyed = |number: u64| NewEntry {
        keys: vec![shared, key(3_000_000 + number), key(4_000_000 + number)],
        ..entry(number)
    };
    append(store, two, (0..5).map(keyed).collect()).await;
    append(store, one, (0..100).map(keyed).collect()).await;
    append(store, one, (100..103).map(keyed).collect()).await;
    let found = store.search(&shared, 1000).await.unwrap();
    let expected: Vec<_> = (0..103)
        .map(|index| Position { log: one, index })
        .chain((0..5).map(|index| Position { log: two, index }))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.search(&shared, 7).await.unwrap(), expected[..7]);
    assert_eq!(store.search(&shared, 0).await.unwrap(), []);
    assert_eq!(store.search(&shared, u32::MAX).await.unwrap(), expected);
    assert_eq!(store.search(&key(5), 10).await.unwrap(), []);
    let [_, second] = [one, two].map(|log| Position { log, index: 3 });
    assert!(
        store
            .search(&key(4_000_003), 10)
            .await
            .unwrap()
            .contains(&second)
    );
}

async fn a_frozen_log_takes_no_entries(store: &SharedStore) {
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

async fn heads_that_do_not_follow_are_refused(store: &SharedStore) {
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

async fn a_refused_batch_changes_nothing(store: &SharedStore) {
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
    assert_eq!(store.search(&key(2_400_000), 9).await.unwrap(), []);
    assert_eq!(
        store.index_of_leaf(log, &hash(b"leaf", 2)).await.unwrap(),
        None
    );
    append(store, log, vec![entry(2)]).await;
}

async fn hostile_ranges_are_harmless(store: &SharedStore) {
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
    let far = [u64::MAX, i64::MAX as u64].map(|index| TileId { level: 255, index });
    assert_eq!(store.tiles(log, &far).await.unwrap(), [None, None]);
}

async fn a_large_batch_is_stored_whole(store: &SharedStore) {
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
    let last = store.search(&key(26_000_000 + 9999), 9).await.unwrap();
    assert_eq!(last, [Position { log, index: 2499 }]);
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

async fn reads_are_bounded(store: &SharedStore) {
    let log = new_log(store, 27).await;
    append(store, log, (0..MAX_ENTRIES_READ + 10).map(entry).collect()).await;
    let stored = store.entries(log, 3, u64::MAX).await.unwrap();
    assert_eq!(stored.len() as u64, MAX_ENTRIES_READ);
    assert_eq!(stored[0].index, 3);
}

async fn what_was_committed_survives_reopening(subject: &dyn Subject) {
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
    assert_eq!(
        store.search(&key(28_000_000), 9).await.unwrap(),
        [Position { log, index: 1 }]
    );
    let mut batch = store.begin(log).await.unwrap();
    assert_eq!(batch.known(&[hash(b"identity", 1)]).await.unwrap().len(), 1);
}
