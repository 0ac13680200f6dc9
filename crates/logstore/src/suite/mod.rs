//! The behaviour that every [`LogStore`](crate::LogStore) must show.
//!
//! A store's integration test makes a [`Subject`] and calls [`run`]; a failed expectation panics
//! with the name of the check. The suite writes no trees: tiles and roots are whatever it likes,
//! because a store must not care.

// Compiled for tests only, which are its only input: it panics so that they fail.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod batches;
mod contents;
mod copies;
mod index;
mod rotation;

use std::sync::Arc;

use tlog::{Hash, TileId};

use crate::{
    Head, LogId, LogKind, LogRecord, LogState, NewEntry, Order, SearchKey, SharedStore, StoreError,
    Update,
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

pub use index::an_older_programs_entries_stay_above_the_watermark;

/// Runs every check. `store` must be empty.
pub async fn run(subject: &dyn Subject) {
    let store = subject.reopen().await;
    logs_are_listed_and_ids_are_unique(&store).await;
    an_unknown_log_is_reported_by_every_method(&store).await;
    batches::an_empty_log_has_an_unsigned_head(&store).await;
    batches::a_batch_is_visible_whole(&store).await;
    batches::a_dropped_batch_leaves_nothing_and_frees_the_lock(&store).await;
    batches::batches_of_a_log_exclude_each_other(&store, &store, 100).await;
    if let Some(another) = subject.another().await {
        batches::batches_of_a_log_exclude_each_other(&store, &another, 101).await;
        batches::what_one_store_commits_the_other_sees(&store, &another).await;
    }
    batches::batches_of_different_logs_do_not_wait(&store).await;
    contents::identities_are_unique_and_known(&store).await;
    contents::identities_are_per_log(&store).await;
    contents::leaf_hashes_are_found(&store).await;
    contents::tiles_grow_in_place(&store).await;
    index::search_is_ordered_and_limited(&store).await;
    index::search_keeps_to_its_log_and_range(&store).await;
    index::the_watermark_is_at_the_head_and_only_moves_up(&store).await;
    batches::a_frozen_log_takes_no_entries(&store).await;
    rotation::a_rotation_freezes_one_log_and_creates_another(&store).await;
    rotation::a_refused_rotation_changes_nothing(&store).await;
    rotation::a_rotation_waits_for_the_batch_at_work(&store, 120).await;
    if let Some(another) = subject.another().await {
        rotation::of_two_rotations_one_takes_effect(&store, &another).await;
    }
    batches::heads_that_do_not_follow_are_refused(&store).await;
    batches::a_refused_batch_changes_nothing(&store).await;
    contents::hostile_ranges_are_harmless(&store).await;
    contents::a_reader_sees_a_head_and_the_entries_under_it(&store).await;
    contents::a_large_batch_is_stored_whole(&store).await;
    contents::reads_are_bounded(&store).await;
    copies::a_record_is_all_that_was_written(&store).await;
    copies::identities_are_looked_up_without_the_lock(&store).await;
    copies::the_search_index_is_read_whole_and_repaired(&store).await;
    copies::what_is_restored_keeps_its_times_and_promises(&store).await;
    copies::only_frozen_logs_are_restored(&store).await;
    store.ping().await.unwrap();
    drop(store);
    batches::what_was_committed_survives_reopening(subject).await;
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

/// The first entries of a log with a key.
async fn search(store: &SharedStore, log: LogId, key: SearchKey, limit: u32) -> Vec<u64> {
    store
        .search(log, &key, 0..u64::MAX, Order::Ascending, limit)
        .await
        .unwrap()
}

fn entry(number: u64) -> NewEntry {
    NewEntry {
        leaf_hash: hash(b"leaf", number),
        identity: hash(b"identity", number),
        body: format!("body {number}").into_bytes(),
        extra: Vec::new(),
        keys: Vec::new(),
        promise: Vec::new(),
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
    let error = store.head(none).await.unwrap_err();
    assert_eq!(error.to_string(), "no log has the id 404");
    assert!(missing(error));
    assert!(missing(store.begin(none).await.err().unwrap()));
    assert!(missing(
        store.set_state(none, LogState::Frozen).await.unwrap_err()
    ));
    let (next, first) = rotation::successor(405);
    assert!(missing(store.rotate(none, &next, first).await.unwrap_err()));
    assert!(missing(store.indexed(none).await.unwrap_err()));
    for indices in [&[][..], &[0]] {
        let mut reader = store.reader(none).await.unwrap();
        assert!(missing(reader.read(indices).await.unwrap_err()));
    }
    // Reading what is not there is not an error.
    assert_eq!(search(store, none, key(0), 9).await, []);
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
