//! Heads of idle logs that are signed again.

use std::sync::Arc;
use std::time::Duration;

use clock::ManualClock;
use logstore::{LogState, SharedStore};
use sequencer::{AppendError, HeadError};

use crate::ahead::Remote;
use crate::faulty::{Fault, Faulty};
use crate::support::{
    LOG, Place, Setup, append_numbers, check_signed, check_whole, on_every_store,
};

on_every_store!(
    an_idle_head_is_signed_again_when_it_is_too_old,
    any_number_of_askers_cost_one_signature,
    every_replica_gives_the_renewed_head,
    an_interrupted_renewal_is_resolved,
    a_renewal_without_the_key_fails_and_changes_nothing,
);

const HOUR_MS: u64 = 3_600_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(1_000_000))
}

fn setup(clock: &Arc<ManualClock>) -> Setup {
    Setup {
        clock: clock.clone(),
        ..Setup::new()
    }
}

async fn an_idle_head_is_signed_again_when_it_is_too_old(place: Place) {
    let clock = clock();
    let setup = setup(&clock);
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..3).await;
    let first = log.head().await.unwrap();
    clock.advance(Duration::from_secs(3599));
    assert_eq!(log.recent_head(HOUR_MS).await.unwrap(), first);

    clock.advance(Duration::from_secs(1));
    let second = log.recent_head(HOUR_MS).await.unwrap();
    assert_eq!(
        (second.head.size, second.head.root),
        (first.head.size, first.head.root)
    );
    assert_eq!(second.head.timestamp_ms, 1_000_000 + HOUR_MS);
    check_signed(&setup, &second.head, &second.signed);
    assert_eq!(log.head().await.unwrap(), second, "it is the head now");
    assert_eq!(store.head(LOG).await.unwrap().signed, second.signed);

    // The tree goes on from it, here and after a restart; a frozen log's head is renewed, too.
    append_numbers(&log, 3..5).await;
    drop((store, log));
    let (store, log) = setup.start(&place).await;
    store.set_state(LOG, LogState::Frozen).await.unwrap();
    clock.advance(Duration::from_secs(7200));
    let third = log.recent_head(HOUR_MS).await.unwrap();
    assert_eq!(
        (third.head.size, third.head.timestamp_ms),
        (5, 1_000_000 + 3 * HOUR_MS)
    );
    check_whole(&store).await;
}

async fn any_number_of_askers_cost_one_signature(place: Place) {
    let clock = clock();
    let remote = Remote::new();
    let setup = Setup {
        clock: clock.clone(),
        ..Setup::with_signer(remote.clone())
    };
    let (_store, log) = setup.start(&place).await;
    append_numbers(&log, 0..1).await;
    clock.advance(Duration::from_secs(7200));
    let before = remote.signatures();
    let askers: Vec<_> = (0..50)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.recent_head(HOUR_MS).await.unwrap() })
        })
        .collect();
    let renewed = log.recent_head(HOUR_MS).await.unwrap();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), renewed);
    }
    assert_eq!(remote.signatures(), before + 1);
}

async fn every_replica_gives_the_renewed_head(place: Place) {
    let clock = clock();
    let setup = setup(&clock);
    let (store, log) = setup.start(&place).await;
    append_numbers(&log, 0..300).await;
    let replica = setup
        .open(&store, &place.path("other guard"))
        .await
        .unwrap();
    clock.advance(Duration::from_secs(7200));
    let renewed = log.recent_head(HOUR_MS).await.unwrap();
    assert_eq!(replica.recent_head(HOUR_MS).await.unwrap(), renewed);
    append_numbers(&replica, 300..301).await;
    append_numbers(&log, 301..302).await;
    assert_eq!((log.refusal(), replica.refusal()), (None, None));
    check_whole(&store).await;
}

async fn an_interrupted_renewal_is_resolved(place: Place) {
    let clock = clock();
    let setup = setup(&clock);
    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    append_numbers(&log, 0..2).await;
    for fault in [
        Fault::CommittedUnknown,
        Fault::LostUnknown,
        Fault::Unavailable,
    ] {
        clock.advance(Duration::from_secs(7200));
        faulty.plan([fault]);
        let renewed = log.recent_head(HOUR_MS).await.unwrap();
        check_signed(&setup, &renewed.head, &renewed.signed);
        assert_eq!(log.head().await.unwrap(), renewed, "{fault:?}");
    }
    append_numbers(&log, 2..3).await;
    check_whole(&store).await;
}

async fn a_renewal_without_the_key_fails_and_changes_nothing(place: Place) {
    let clock = clock();
    let remote = Remote::new();
    let setup = Setup {
        clock: clock.clone(),
        ..Setup::with_signer(remote.clone())
    };
    let (_store, log) = setup.start(&place).await;
    append_numbers(&log, 0..1).await;
    let head = log.head().await.unwrap();
    clock.advance(Duration::from_secs(7200));
    remote.fail(true);
    let failed = log.recent_head(HOUR_MS).await;
    assert!(
        matches!(failed, Err(HeadError::Renew(AppendError::Unavailable(_)))),
        "{failed:?}"
    );
    assert_eq!(log.head().await.unwrap(), head);
    remote.fail(false);
    let renewed = log.recent_head(HOUR_MS).await.unwrap();
    assert!(renewed.head.timestamp_ms > head.head.timestamp_ms);
}
