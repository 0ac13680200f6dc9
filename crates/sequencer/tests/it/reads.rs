//! Reads share questions to the store, and nobody can tell.

use std::sync::Arc;
use std::time::Duration;

use logstore::{SharedStore, StoreError};
use logstore_postgres::PostgresStore;

use crate::faulty::Faulty;
use crate::support::{Place, Setup, append_numbers, on_every_store};

on_every_store!(
    every_reader_gets_its_own_entry_and_a_head_of_its_time,
    readers_are_answered_while_sessions_come_and_go,
    a_session_that_died_since_its_last_answer_is_replaced,
    a_damaged_entry_fails_those_who_ask_for_it,
);

async fn every_reader_gets_its_own_entry_and_a_head_of_its_time(place: Place) {
    let setup = Setup::new();
    let (_store, log) = setup.start(&place).await;
    append_numbers(&log, 0..300).await;
    let writer = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { append_numbers(&log, 300..330).await })
    };
    let mut readers = Vec::new();
    for reader in 0..40_u32 {
        let log = Arc::clone(&log);
        readers.push(tokio::spawn(async move {
            for turn in 0..30_u32 {
                let number = (reader * 7 + turn * 13) % 300;
                let before = log.head().await.unwrap().head.size;
                let (head, entry) = log.entry(number.into()).await.unwrap();
                assert!(head.head.size >= before, "heads do not go back");
                let (entry, proof) = entry.unwrap();
                assert_eq!(entry.body, number.to_be_bytes());
                let (size, root) = (head.head.size, head.head.root);
                tlog::verify_inclusion(number.into(), size, &entry.leaf_hash, &proof, &root)
                    .unwrap();
                let (head, none) = log.entry(u64::MAX).await.unwrap();
                assert!(none.is_none() && head.head.size >= size);
            }
        }));
    }
    for reader in readers {
        reader.await.unwrap();
    }
    writer.await.unwrap();
    assert_eq!(log.head().await.unwrap().head.size, 330);
}

/// A lane gives its connection back when nobody asked for 100 ms; here all ask at that moment.
async fn readers_are_answered_while_sessions_come_and_go(place: Place) {
    let setup = Setup::new();
    let (_store, log) = setup.start(&place).await;
    append_numbers(&log, 0..10).await;
    let readers: Vec<_> = (0..8_u64)
        .map(|reader| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                for _ in 0..15 {
                    let read = tokio::time::timeout(Duration::from_secs(10), log.entry(reader));
                    assert!(read.await.unwrap().unwrap().1.is_some());
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
}

async fn a_session_that_died_since_its_last_answer_is_replaced(place: Place) {
    let setup = Setup::new();
    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 0..3).await;
    let head = log.head().await.unwrap();
    // Neither the session that was kept nor a new one: the store is away.
    faulty.fail_reads(2);
    assert!(matches!(log.head().await, Err(StoreError::Unavailable(_))));
    faulty.fail_reads(0);
    for _ in 0..20 {
        assert_eq!(log.head().await.unwrap(), head);
    }
    // Only who meets a lane that has kept none.
    let mut noticed = 0;
    for _ in 0..20 {
        faulty.fail_reads(1);
        noticed += u32::from(log.head().await.is_err());
        log.head().await.unwrap();
    }
    assert!(noticed < 10, "{noticed}");
}

async fn a_damaged_entry_fails_those_who_ask_for_it(place: Place) {
    let setup = Setup::new();
    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 0..10).await;
    faulty.damage(3);
    let readers: Vec<_> = (0..60_u64)
        .map(|reader| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { (reader % 10, log.entry(reader % 10).await) })
        })
        .collect();
    for reader in readers {
        match reader.await.unwrap() {
            (3, read) => assert!(matches!(read, Err(StoreError::Corrupt(_)))),
            (index, read) => assert_eq!(read.unwrap().1.unwrap().0.index, index),
        }
    }
    assert_eq!(log.refusal(), None);
}

/// Those who read may hold all connections, but not for longer than a question.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_find_a_connection_in_the_smallest_pool_while_many_read() {
    let place = Place::postgres().await;
    let database = place.database.as_ref().unwrap();
    let store: SharedStore = Arc::new(PostgresStore::connect(database.url(), 2).await.unwrap());
    let setup = Setup::new();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 0..10).await;
    let readers: Vec<_> = (0..16_u64)
        .map(|reader| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                loop {
                    log.entry(reader % 10).await.unwrap();
                }
            })
        })
        .collect();
    let writes = append_numbers(&log, 10..40);
    tokio::time::timeout(Duration::from_secs(60), writes)
        .await
        .unwrap();
    for reader in readers {
        assert!(!reader.is_finished(), "all are still answered");
        reader.abort();
    }
}
