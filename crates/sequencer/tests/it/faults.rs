//! Failures of the store and the key, at every point.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keys::{Algorithm, FileSigner, SharedSigner, SignError, Signer};
use logstore::SharedStore;
use sequencer::{AppendError, Log, LogConfig};
use tokio::task::JoinHandle;

use crate::faulty::{Fault, Faulty};
use crate::support::{
    LOG, Place, Plain, Setup, append_numbers, check, check_whole, on_every_store,
};

on_every_store!(
    a_commit_of_unknown_outcome_is_resolved,
    waiters_of_an_overtaken_batch_learn_what_is_in_the_log,
    a_store_that_fails_briefly_is_not_noticed,
    a_store_that_stays_away_is_reported_and_recovers,
    a_refused_batch_fails_and_the_next_succeeds,
    a_head_moved_under_the_lock_stops_the_log,
    a_key_that_fails_writes_nothing,
    while_one_batch_commits_the_next_gathers,
    a_full_queue_is_refused_before_any_work,
    batches_are_bounded_in_entries,
    proofs_of_new_entries_need_no_reads,
);

async fn start(place: &Place, setup: &Setup) -> (Arc<Faulty>, SharedStore, Arc<Log<Plain>>) {
    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    (faulty, store, log)
}

fn spawn(
    log: &Arc<Log<Plain>>,
    body: Vec<u8>,
) -> JoinHandle<Result<sequencer::Appended, AppendError>> {
    let log = Arc::clone(log);
    tokio::spawn(async move { log.append(body).await })
}

async fn a_commit_of_unknown_outcome_is_resolved(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    let cases: [&[Fault]; 6] = [
        &[Fault::CommittedUnknown],
        &[Fault::LostUnknown],
        &[
            Fault::LostUnknown,
            Fault::LostUnknown,
            Fault::CommittedUnknown,
        ],
        &[Fault::Unavailable],
        &[Fault::Unavailable, Fault::CommittedUnknown],
        &[],
    ];
    for (number, faults) in (0_u8..).zip(cases) {
        faulty.plan(faults.iter().copied());
        let appended = log.append(vec![number]).await.unwrap();
        assert_eq!(
            (appended.index, appended.duplicate),
            (u64::from(number), false)
        );
        check(&setup, &[number], &appended);
        assert_eq!(log.head().await.unwrap(), appended.head);
        let guard = std::fs::read_to_string(place.guard()).unwrap();
        assert!(
            guard.contains(&format!("size {} root", number + 1)),
            "{guard}"
        );
    }
    assert_eq!(check_whole(&store).await.len(), 6);
    drop(log);
    // And the guard is where the database is.
    setup.open(&store, &place.guard()).await.unwrap();
}

async fn waiters_of_an_overtaken_batch_learn_what_is_in_the_log(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    append_numbers(&log, 0..3).await;
    let replica = setup
        .open(&store, &place.path("other guard"))
        .await
        .unwrap();
    for (round, fault) in (0_u8..).zip([Fault::CommittedUnknown, Fault::LostUnknown]) {
        // The commit fails; before the log can look again, the replica moves the head on.
        let gate = faulty.hold_commits();
        faulty.plan([fault]);
        let interrupted = spawn(&log, vec![round, 1]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let overtaking = spawn(&replica, vec![round, 2]);
        let equal = spawn(&replica, vec![round, 3]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.add_permits(1000);
        // Who gets the lock first is the database's choice: both orders must be right.
        let interrupted = interrupted.await.unwrap();
        for (body, appended) in [(2, overtaking.await.unwrap()), (3, equal.await.unwrap())] {
            check(&setup, &[round, body], &appended.unwrap());
        }
        let bodies = check_whole(&store).await;
        let there = bodies.iter().position(|body| *body == [round, 1]);
        match interrupted {
            Ok(appended) => {
                assert_eq!(there, Some(usize::try_from(appended.index).unwrap()));
                check(&setup, &[round, 1], &appended);
            }
            Err(AppendError::Unavailable(_)) => {
                assert_eq!(
                    (there, fault),
                    (None, Fault::LostUnknown),
                    "it had happened"
                );
            }
            Err(error) => panic!("{error}"),
        }
        let again = log.append(vec![round, 1]).await.unwrap();
        assert_eq!(again.duplicate, there.is_some());
    }
}

async fn a_store_that_fails_briefly_is_not_noticed(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    faulty.fail_begins(2);
    append_numbers(&log, 0..1).await;
    // Also while a commit is being resolved.
    faulty.plan([Fault::CommittedUnknown]);
    let interrupted = spawn(&log, b"interrupted".to_vec());
    faulty.fail_begins(0);
    interrupted.await.unwrap().unwrap();
    assert_eq!(check_whole(&store).await.len(), 2);
}

async fn a_store_that_stays_away_is_reported_and_recovers(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    append_numbers(&log, 0..2).await;
    faulty.fail_begins(u32::MAX);
    for _ in 0..2 {
        let failed = log.append(b"x".to_vec()).await;
        assert!(
            matches!(failed, Err(AppendError::Unavailable(_))),
            "{failed:?}"
        );
    }
    faulty.fail_begins(0);
    let appended = log.append(b"x".to_vec()).await.unwrap();
    assert_eq!((appended.index, appended.duplicate), (2, false));
    assert_eq!(log.refusal(), None);
    check_whole(&store).await;
}

async fn a_refused_batch_fails_and_the_next_succeeds(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    append_numbers(&log, 0..2).await;
    faulty.plan([Fault::Refused]);
    assert!(matches!(
        log.append(b"x".to_vec()).await,
        Err(AppendError::Unavailable(_))
    ));
    let appended = log.append(b"x".to_vec()).await.unwrap();
    assert_eq!((appended.index, appended.duplicate), (2, false));
    check_whole(&store).await;
}

async fn a_head_moved_under_the_lock_stops_the_log(place: Place) {
    let setup = Setup::new();
    let (faulty, _store, log) = start(&place, &setup).await;
    faulty.plan([Fault::HeadMoved]);
    assert!(matches!(
        log.append(b"x".to_vec()).await,
        Err(AppendError::Refused(_))
    ));
    assert!(matches!(
        log.append(b"y".to_vec()).await,
        Err(AppendError::Refused(_))
    ));
    assert!(log.refusal().is_some());
}

/// A key that can be made to fail.
#[derive(Debug)]
struct Fragile(FileSigner, AtomicBool);

#[async_trait::async_trait]
impl Signer for Fragile {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(SignError::Unavailable("planned".to_owned()));
        }
        self.0.sign(message).await
    }
}

async fn a_key_that_fails_writes_nothing(place: Place) {
    let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let fragile = Arc::new(Fragile(key, AtomicBool::new(false)));
    let signer: SharedSigner = fragile.clone();
    let setup = Setup::with_signer(signer);
    let (_faulty, store, log) = start(&place, &setup).await;
    append_numbers(&log, 0..2).await;
    let before = store.head(LOG).await.unwrap();
    fragile.1.store(true, Ordering::SeqCst);
    assert!(matches!(
        log.append(b"x".to_vec()).await,
        Err(AppendError::Unavailable(_))
    ));
    // What needs no signature is answered.
    assert!(
        log.append(0_u32.to_be_bytes().to_vec())
            .await
            .unwrap()
            .duplicate
    );
    assert_eq!(store.head(LOG).await.unwrap(), before);
    fragile.1.store(false, Ordering::SeqCst);
    let appended = log.append(b"x".to_vec()).await.unwrap();
    assert_eq!((appended.index, appended.duplicate), (2, false));
    check_whole(&store).await;
}

async fn while_one_batch_commits_the_next_gathers(place: Place) {
    let setup = Setup::new();
    let (faulty, store, log) = start(&place, &setup).await;
    let before = faulty.batches();
    let gate = faulty.hold_commits();
    let first = spawn(&log, b"first".to_vec());
    // The lone entry is in its own batch already, without any wait for company.
    while faulty.batches() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let later: Vec<_> = (0..50_u8).map(|number| spawn(&log, vec![number])).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(faulty.batches(), before + 1, "two batches at once");
    assert!(!first.is_finished(), "acknowledged before the commit");
    gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().head.head.size, 1);
    for later in later {
        assert_eq!(
            later.await.unwrap().unwrap().head.head.size,
            51,
            "one head for all"
        );
    }
    assert_eq!(faulty.batches(), before + 2);
    assert_eq!(check_whole(&store).await.len(), 51);
}

async fn a_full_queue_is_refused_before_any_work(place: Place) {
    let setup = Setup {
        config: LogConfig { queue: 8, batch: 4 },
        ..Setup::new()
    };
    let (faulty, store, log) = start(&place, &setup).await;
    let before = faulty.batches();
    let gate = faulty.hold_commits();
    let first = spawn(&log, b"first".to_vec());
    while faulty.batches() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut waiting = Vec::new();
    for number in 0..8_u8 {
        // Queued in order: polled once here, finished later.
        let mut append = Box::pin({
            let log = Arc::clone(&log);
            async move { log.append(vec![number]).await }
        });
        assert!(
            tokio::time::timeout(Duration::ZERO, &mut append)
                .await
                .is_err()
        );
        waiting.push(append);
    }
    for number in 100..110_u8 {
        assert!(matches!(
            log.append(vec![number]).await,
            Err(AppendError::Overloaded)
        ));
    }
    gate.add_permits(100);
    first.await.unwrap().unwrap();
    let mut indices = HashSet::new();
    for append in waiting {
        indices.insert(append.await.unwrap().index);
    }
    assert_eq!(indices, (1..9).collect());
    let bodies = check_whole(&store).await;
    assert!(
        bodies
            .iter()
            .all(|body| !matches!(body.as_slice(), [100..110]))
    );
    log.append(vec![100]).await.unwrap();
}

async fn batches_are_bounded_in_entries(place: Place) {
    let setup = Setup {
        config: LogConfig {
            queue: 100,
            batch: 7,
        },
        ..Setup::new()
    };
    let (faulty, store, log) = start(&place, &setup).await;
    let gate = faulty.hold_commits();
    let tasks: Vec<_> = (0..50_u8).map(|number| spawn(&log, vec![number])).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(100);
    let mut sizes = std::collections::BTreeSet::from([0]);
    for task in tasks {
        sizes.insert(task.await.unwrap().unwrap().head.head.size);
    }
    let sizes: Vec<_> = sizes.into_iter().collect();
    assert!(
        sizes.windows(2).all(|pair| pair[1] - pair[0] <= 7),
        "{sizes:?}"
    );
    check_whole(&store).await;
}

async fn proofs_of_new_entries_need_no_reads(place: Place) {
    let setup = Setup::new();
    let (faulty, _store, log) = start(&place, &setup).await;
    // Batches that begin, end and cross at the edges of tiles.
    for count in [1_u16, 255, 1, 300, 200, 11, 256] {
        let tasks: Vec<_> = (0..count)
            .map(|number| [count.to_be_bytes(), number.to_be_bytes(), [1; 2]].concat())
            .map(|body| (body.clone(), spawn(&log, body)))
            .collect();
        for (body, task) in tasks {
            check(&setup, &body, &task.await.unwrap().unwrap());
        }
        if count == 1 {
            append_numbers(&log, u32::from(count)..20).await;
        }
    }
    assert_eq!(faulty.tile_reads(), 0);
}
