//! Rotation: one log ends where another begins.

use std::sync::Arc;

use super::{append, entry, hash, new_log, next_head};
use crate::{Head, LogId, LogKind, LogRecord, LogState, SharedStore, StoreError, Update};

/// A log that does not exist yet, and its first batch.
pub(super) fn successor(id: i64) -> (LogRecord, Arc<Update>) {
    let record = LogRecord {
        id: LogId(id),
        kind: LogKind::RekorV1,
        origin: format!("log.example/{id}"),
        public_key: vec![4, 5, 6],
        state: LogState::Active,
        created_ms: 1_000_000,
    };
    let first = Update {
        entries: vec![entry(1)],
        tiles: vec![(tlog::TileId { level: 0, index: 0 }, vec![hash(b"leaf", 1)])],
        head: next_head(&Head::unsigned(tlog::empty_root()), 1),
    };
    (record, Arc::new(first))
}

async fn rotate(store: &SharedStore, from: LogId, to: i64) -> Result<(), StoreError> {
    let (record, first) = successor(to);
    store.rotate(from, &record, first).await
}

async fn state(store: &SharedStore, log: LogId) -> Option<LogState> {
    let logs = store.logs().await.unwrap();
    logs.iter()
        .find(|record| record.id == log)
        .map(|record| record.state)
}

fn refused(result: &Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::Refused(_))), "{result:?}");
}

pub(super) async fn a_rotation_freezes_one_log_and_creates_another(store: &SharedStore) {
    let log = new_log(store, 110).await;
    let head = append(store, log, vec![entry(1)]).await;
    rotate(store, log, 111).await.unwrap();
    assert_eq!(state(store, log).await, Some(LogState::Frozen));
    assert_eq!(store.head(log).await.unwrap(), head);

    let (next, first) = successor(111);
    let logs = store.logs().await.unwrap();
    assert!(logs.contains(&next), "as it was given");
    assert_eq!(store.head(next.id).await.unwrap(), first.head);
    let entries = store.entries(next.id, 0, 9).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].body, entry(1).body);
    let (id, hashes) = &first.tiles[0];
    assert_eq!(
        store.tiles(next.id, &[*id]).await.unwrap(),
        [Some(hashes.clone())]
    );
    append(store, next.id, vec![entry(2)]).await;
}

pub(super) async fn a_refused_rotation_changes_nothing(store: &SharedStore) {
    let log = new_log(store, 112).await;
    let taken = new_log(store, 113).await;
    refused(&rotate(store, log, taken.0).await);
    assert_eq!(state(store, log).await, Some(LogState::Active));
    append(store, log, vec![entry(1)]).await;

    // A first batch that does not begin an empty log.
    let (record, first) = successor(114);
    let first = Update {
        head: next_head(&first.head, 1),
        ..(*first).clone()
    };
    refused(&store.rotate(log, &record, Arc::new(first)).await);
    assert_eq!(state(store, log).await, Some(LogState::Active));
    assert_eq!(state(store, record.id).await, None);

    store.set_state(log, LogState::Frozen).await.unwrap();
    refused(&rotate(store, log, 114).await);
    assert_eq!(state(store, LogId(114)).await, None);
}

pub(super) async fn a_rotation_waits_for_the_batch_at_work(store: &SharedStore, id: i64) {
    let log = new_log(store, id).await;
    let open = store.begin(log).await.unwrap();
    let rotation = tokio::spawn({
        let store = Arc::clone(store);
        async move { rotate(&store, log, id + 1).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert!(!rotation.is_finished(), "rotated under a batch at work");
    assert_eq!(state(store, LogId(id + 1)).await, None);
    drop(open);
    rotation.await.unwrap().unwrap();
    assert_eq!(
        store.begin(log).await.unwrap().state(),
        LogState::Frozen,
        "the next batch finds it frozen"
    );
}

pub(super) async fn of_two_rotations_one_takes_effect(one: &SharedStore, another: &SharedStore) {
    let log = new_log(one, 130).await;
    let (first, second) = tokio::join!(rotate(one, log, 131), rotate(another, log, 132));
    assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    let created = [state(one, LogId(131)).await, state(one, LogId(132)).await];
    assert_eq!(
        created.map(|state| state.is_some()),
        [first.is_ok(), second.is_ok()]
    );
}
