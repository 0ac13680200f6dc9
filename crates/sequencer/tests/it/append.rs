//! Appending, duplicates, proofs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use clock::ManualClock;
use logstore::LogState;
use sequencer::{AppendError, OpenError};
use tlog::leaf_hash;

use crate::support::{
    LOG, Place, Setup, append_numbers, check, check_signed, check_whole, on_every_store,
};

on_every_store!(
    an_entry_is_answered_with_its_proof_under_a_signed_head,
    concurrent_entries_get_contiguous_indices_and_valid_proofs,
    a_duplicate_gets_the_originals_place_and_a_fresh_proof,
    equal_entries_at_once_are_one_entry,
    a_frozen_log_takes_nothing,
    time_never_runs_backwards,
    entries_in_the_queue_survive_the_last_handle,
    reopening_signs_nothing_again,
    proofs_between_all_sizes_verify,
    another_key_is_refused,
);

async fn an_entry_is_answered_with_its_proof_under_a_signed_head(place: Place) {
    let setup = Setup::new();
    let (_store, log) = setup.start(&place).await;
    let empty = log.head().await.unwrap();
    assert_eq!((empty.head.size, empty.head.root), (0, tlog::empty_root()));
    check_signed(&setup, &empty.head, &empty.signed);
    // Past the first full tile.
    for number in 0..300_u32 {
        let body = number.to_be_bytes().to_vec();
        let appended = log.append(body.clone()).await.unwrap();
        assert_eq!(
            (appended.index, appended.duplicate),
            (u64::from(number), false)
        );
        assert_eq!(
            appended.head.head.size,
            u64::from(number) + 1,
            "a lone entry is a batch"
        );
        check(&setup, &body, &appended);
        assert_eq!(log.head().await.unwrap(), appended.head);
    }
}

async fn concurrent_entries_get_contiguous_indices_and_valid_proofs(place: Place) {
    let setup = Arc::new(Setup::new());
    let (store, log) = setup.start(&place).await;
    let mut tasks = Vec::new();
    for client in 0..64_u32 {
        let (log, setup) = (Arc::clone(&log), Arc::clone(&setup));
        tasks.push(tokio::spawn(async move {
            let mut indices = Vec::new();
            for number in 0..20_u32 {
                let body = [client.to_be_bytes(), number.to_be_bytes()].concat();
                let appended = log.append(body.clone()).await.unwrap();
                check(&setup, &body, &appended);
                indices.push(appended.index);
            }
            assert!(indices.is_sorted());
            indices
        }));
    }
    let mut indices = HashSet::new();
    for task in tasks {
        indices.extend(task.await.unwrap());
    }
    assert_eq!(indices, (0..64 * 20).collect());
    check_whole(&store).await;
}

async fn a_duplicate_gets_the_originals_place_and_a_fresh_proof(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let original = log.append(b"same".to_vec()).await.unwrap();
    append_numbers(&log, 0..300).await;
    let recent = log.append(b"same".to_vec()).await.unwrap();
    drop((store, log));
    // From the store, not from memory.
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 300..310).await;
    let stored = log.append(b"same".to_vec()).await.unwrap();
    for (again, size) in [(recent, 301), (stored, 311)] {
        assert!(again.duplicate);
        assert_eq!(
            (again.index, again.timestamp_ms),
            (0, original.timestamp_ms)
        );
        assert_eq!(
            again.head.head.size, size,
            "the newest head, not the original's"
        );
        check(&setup, b"same", &again);
    }
    assert_eq!(check_whole(&store).await.len(), 311);
}

async fn equal_entries_at_once_are_one_entry(place: Place) {
    let setup = Arc::new(Setup::new());
    let (store, log) = setup.start(&place).await;
    for round in 0..10_u32 {
        let tasks: Vec<_> = (0..40_u32)
            .map(|client| {
                let log = Arc::clone(&log);
                // Four bodies, each ten times.
                let body = [round.to_be_bytes(), (client % 4).to_be_bytes()].concat();
                tokio::spawn(async move { (body.clone(), log.append(body).await.unwrap()) })
            })
            .collect();
        let mut firsts = 0;
        let mut places = HashSet::new();
        for task in tasks {
            let (body, appended) = task.await.unwrap();
            check(&setup, &body, &appended);
            firsts += u32::from(!appended.duplicate);
            places.insert((body, appended.index, appended.timestamp_ms));
        }
        assert_eq!((firsts, places.len()), (4, 4));
    }
    assert_eq!(check_whole(&store).await.len(), 40);
}

async fn a_frozen_log_takes_nothing(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let before = log.append(b"before".to_vec()).await.unwrap();
    store.set_state(LOG, LogState::Frozen).await.unwrap();
    for body in [b"after".to_vec(), b"before".to_vec()] {
        assert!(matches!(log.append(body).await, Err(AppendError::Frozen)));
    }
    assert_eq!(log.head().await.unwrap(), before.head);
    assert_eq!(log.inclusion_proof(0, 1).await.unwrap(), Some(vec![]));
    drop(log);
    let log = setup.open(&store, &place.guard()).await.unwrap();
    assert_eq!(
        log.head().await.unwrap(),
        before.head,
        "it opens, to be read"
    );
}

async fn time_never_runs_backwards(place: Place) {
    let clock = Arc::new(ManualClock::at_ms(1_000_000));
    let setup = Setup {
        clock: clock.clone(),
        ..Setup::new()
    };
    let (store, log) = setup.start(&place).await;
    let mut last = 0;
    for (body, now) in (0_u8..).zip([2_000_000, 1_500_000, 0, 2_000_000, 2_000_001]) {
        clock.set_ms(now);
        let appended = log.append(vec![body]).await.unwrap();
        assert!(appended.timestamp_ms >= last.max(now));
        assert_eq!(appended.timestamp_ms, appended.head.head.timestamp_ms);
        last = appended.timestamp_ms;
    }
    assert_eq!(last, 2_000_001);
    drop(log);
    clock.set_ms(5);
    let log = setup.open(&store, &place.guard()).await.unwrap();
    assert_eq!(log.append(vec![99]).await.unwrap().timestamp_ms, last);
}

async fn entries_in_the_queue_survive_the_last_handle(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    for number in 0..100_u32 {
        // Polled once, which queues it; then its caller goes away.
        let append = log.append(number.to_be_bytes().to_vec());
        let _ = tokio::time::timeout(Duration::ZERO, append).await;
    }
    drop(log);
    // Opening waits until the batch loop has let go of the guard.
    let log = setup.open(&store, &place.guard()).await.unwrap();
    assert_eq!(log.head().await.unwrap().head.size, 100);
    assert_eq!(check_whole(&store).await.len(), 100);
}

async fn reopening_signs_nothing_again(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let empty = log.head().await.unwrap();
    drop((store, log));
    let (store, log) = setup.start(&place).await;
    assert_eq!(log.head().await.unwrap(), empty);
    append_numbers(&log, 0..5).await;
    let head = log.head().await.unwrap();
    // Only duplicates: nothing to sign either.
    append_numbers(&log, 0..5).await;
    assert_eq!(log.head().await.unwrap(), head);
    drop((store, log));
    let (_store, log) = setup.start(&place).await;
    assert_eq!(log.head().await.unwrap(), head);
}

async fn proofs_between_all_sizes_verify(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let mut roots = vec![tlog::empty_root()];
    let mut tasks = Vec::new();
    let mut edge = tlog::Edge::new();
    for number in 0..520_u32 {
        let body = number.to_be_bytes().to_vec();
        edge.push(leaf_hash(&body), |_, _| {});
        roots.push(edge.root());
        tasks.push(log.append(body));
        if tasks.len() == 40 {
            for task in tasks.drain(..) {
                task.await.unwrap();
            }
        }
    }
    // With the tiles of the appends in memory, and from the store alone.
    for reopened in [false, true] {
        let log = if reopened {
            setup
                .open(&store, &place.path("another guard"))
                .await
                .unwrap()
        } else {
            Arc::clone(&log)
        };
        for size in (1..=520_u64).step_by(37).chain([256, 257, 512, 520]) {
            for other in [0, 1, 100, 255, 256, 300, size - 1] {
                if other >= size {
                    continue;
                }
                let root = |size: u64| &roots[usize::try_from(size).unwrap()];
                let leaf = leaf_hash(&u32::try_from(other).unwrap().to_be_bytes());
                let proof = log.inclusion_proof(other, size).await.unwrap().unwrap();
                tlog::verify_inclusion(other, size, &leaf, &proof, root(size)).unwrap();
                if other == 0 {
                    continue;
                }
                let proof = log.consistency_proof(other, size).await.unwrap().unwrap();
                tlog::verify_consistency(other, size, &proof, root(other), root(size)).unwrap();
            }
        }
        for (index, size) in [
            (0, 0),
            (520, 520),
            (5, 5),
            (0, 521),
            (520, 521),
            (0, u64::MAX),
        ] {
            assert_eq!(
                log.inclusion_proof(index, size).await.unwrap(),
                None,
                "{index} {size}"
            );
        }
        for (old, new) in [(5, 4), (0, 521), (520, 521), (1, u64::MAX)] {
            assert_eq!(
                log.consistency_proof(old, new).await.unwrap(),
                None,
                "{old} {new}"
            );
        }
    }
}

async fn another_key_is_refused(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    drop(log);
    let other = Setup {
        record: setup.record.clone(),
        ..Setup::new()
    };
    let opened = other.open(&store, &place.path("new guard")).await;
    assert!(matches!(opened, Err(OpenError::WrongKey { log: LOG })));
}
