use std::sync::Arc;
use std::time::Duration;

use clock::ManualClock;
use keys::{Algorithm, FileSigner};
use logstore::LogState;
use pki::certificate::Certificate;
use pki::sct::{CtEntry, signing_input};
use rekor_rs::ct::{CtConfig, Kind, OpenError};
use tlog::{Hash, leaf_hash, verify_inclusion};

use crate::ca::{Ca, NOW_MS, leaf};
use crate::place::{Database, Place, on_every_store};
use crate::server::{Server, accepting, bytes, hashes, open, p256};

on_every_store! {
    parallel_submissions_get_consecutive_indices_and_times_in_order,
    timestamps_do_not_follow_a_clock_that_steps_back,
    a_database_restored_to_an_older_state_is_refused,
    what_cannot_be_committed_is_not_promised,
    a_frozen_log_answers_reads_and_refuses_submissions_for_good,
}

/// The hash of the leaf that a promise for a precertificate is about.
fn promised_leaf(ca: &Ca, precertificate: &[u8], timestamp_ms: u64) -> Hash {
    let issuer_key_hash = crypto::sha256(Certificate::from_der(&ca.intermediate).unwrap().spki());
    let tbs = pki::precert::tbs_without_poison(precertificate).unwrap();
    let entry = CtEntry::Precert {
        issuer_key_hash,
        tbs: &tbs,
    };
    leaf_hash(&signing_input(entry, timestamp_ms, b"").unwrap())
}

/// Checks that every promise is kept under the newest head, and that no index is missing.
async fn verify_promises(server: &Server, ca: &Ca, promised: &[(Vec<u8>, u64)]) {
    let sth = server.sth().await;
    let size = sth["tree_size"].as_u64().unwrap();
    let root = Hash::try_from(bytes(&sth["sha256_root_hash"]).as_slice()).unwrap();
    let id = server.log.record().id;
    for (precertificate, timestamp_ms) in promised {
        let leaf = promised_leaf(ca, precertificate, *timestamp_ms);
        let index = server
            .store
            .index_of_leaf(id, &leaf)
            .await
            .unwrap()
            .unwrap();
        let (_, proof) = server
            .get(&format!(
                "get-entry-and-proof?leaf_index={index}&tree_size={size}"
            ))
            .await;
        verify_inclusion(index, size, &leaf, &hashes(&proof["audit_path"]), &root).unwrap();
    }
    let entries = server.store.entries(id, 0, size).await.unwrap();
    assert!(entries.iter().map(|entry| entry.index).eq(0..size));
    assert!(entries.is_sorted_by_key(|entry| entry.timestamp_ms));
}

async fn parallel_submissions_get_consecutive_indices_and_times_in_order(place: Place) {
    let ca = Arc::new(Ca::new().await);
    let server = Arc::new(Server::start(place, &ca).await);
    let submissions = (0..100).map(|_| {
        let (ca, server) = (Arc::clone(&ca), Arc::clone(&server));
        tokio::spawn(async move {
            let chain = ca.chain(ca.precertificate(&leaf()).await);
            server.clock.advance(Duration::from_millis(3));
            let (status, answer) = server.add_pre_chain(&chain).await;
            assert_eq!(status, 200, "{answer}");
            answer["timestamp"].as_u64().unwrap()
        })
    });
    let mut promised = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        promised.push(submission.await.unwrap());
    }
    assert_eq!(server.size().await, 100);
    let entries = server
        .store
        .entries(server.log.record().id, 0, 100)
        .await
        .unwrap();
    assert!(entries.iter().map(|entry| entry.index).eq(0..100));
    let times: Vec<u64> = entries.iter().map(|entry| entry.timestamp_ms).collect();
    assert!(times.is_sorted(), "{times:?}");
    promised.sort_unstable();
    assert_eq!(promised, times);
}

async fn timestamps_do_not_follow_a_clock_that_steps_back(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let submit = async || {
        let (status, answer) = server
            .add_pre_chain(&ca.chain(ca.precertificate(&leaf()).await))
            .await;
        assert_eq!(status, 200, "{answer}");
        answer["timestamp"].as_u64().unwrap()
    };
    assert_eq!(submit().await, NOW_MS);
    server.clock.set_ms(NOW_MS - 10_000);
    assert_eq!(submit().await, NOW_MS);
    assert_eq!(server.sth().await["timestamp"], NOW_MS);
    server.clock.set_ms(NOW_MS + 1);
    assert_eq!(submit().await, NOW_MS + 1);
}

#[tokio::test]
async fn keys_that_clients_cannot_verify_are_refused() {
    for algorithm in [Algorithm::EcdsaP384Sha384, Algorithm::Ed25519] {
        let ca = Ca::new().await;
        let database = Place::Sqlite.database().await;
        let signer = Arc::new(FileSigner::generate(algorithm).unwrap());
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let (store, guard) = (database.store().await, database.path("guard"));
        let opened = open(&store, &guard, signer, clock, accepting(&ca)).await;
        assert!(matches!(opened, Err(OpenError::Key { .. })), "{opened:?}");
    }
}

#[tokio::test]
async fn roots_must_be_certificate_authorities() {
    let ca = Ca::new().await;
    let not_a_ca = ca.certificate(&leaf()).await;
    for roots in [
        vec![],
        vec![b"garbage".to_vec()],
        vec![ca.root.clone(), not_a_ca],
    ] {
        let database = Place::Sqlite.database().await;
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let config = CtConfig {
            roots,
            ..CtConfig::default()
        };
        let (store, guard) = (database.store().await, database.path("guard"));
        let opened = open(&store, &guard, p256(), clock, config).await;
        assert!(matches!(opened, Err(OpenError::Roots(_))), "{opened:?}");
    }
}

async fn a_database_restored_to_an_older_state_is_refused(place: Place) {
    let ca = Ca::new().await;
    let original = place.database().await;
    let guard = original.path("guard");
    let signer = p256();
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let run = async |database: &Database, entries| -> Result<u64, OpenError> {
        let store = database.store().await;
        let log = open(
            &store,
            &guard,
            Arc::clone(&signer),
            Arc::clone(&clock),
            accepting(&ca),
        )
        .await?;
        let server = Server::serve(log, Arc::clone(&clock), store).await;
        server.fill(&ca, entries).await;
        Ok(server.size().await)
    };
    assert_eq!(run(&original, 2).await.unwrap(), 2);
    let backup = original.backup().await;
    assert_eq!(run(&original, 3).await.unwrap(), 5);
    let refusal = run(&backup, 0).await.unwrap_err().to_string();
    assert!(refusal.contains("roll"), "{refusal}");
}

/// Two replicas over one database: no index twice, no fork, no promise without its entry.
#[tokio::test(flavor = "multi_thread")]
async fn two_sequencers_write_one_log() {
    let ca = Arc::new(Ca::new().await);
    let database = Place::Postgres.database().await;
    let signer = p256();
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let mut replicas = Vec::new();
    for guard in ["one", "two"] {
        let store = database.store().await;
        let guard = database.path(guard);
        let log = open(
            &store,
            &guard,
            Arc::clone(&signer),
            Arc::clone(&clock),
            accepting(&ca),
        )
        .await
        .unwrap();
        replicas.push(Arc::new(
            Server::serve(log, Arc::clone(&clock), store).await,
        ));
    }
    let submissions = (0..80).map(|number: usize| {
        let (ca, server) = (Arc::clone(&ca), Arc::clone(&replicas[number % 2]));
        tokio::spawn(async move {
            server.clock.advance(Duration::from_millis(1));
            let precertificate = ca.precertificate(&leaf()).await;
            let (status, answer) = server
                .add_pre_chain(&ca.chain(precertificate.clone()))
                .await;
            assert_eq!(status, 200, "{answer}");
            (precertificate, answer["timestamp"].as_u64().unwrap())
        })
    });
    let mut promised = Vec::new();
    for submission in submissions.collect::<Vec<_>>() {
        promised.push(submission.await.unwrap());
    }
    for server in &replicas {
        assert_eq!(server.size().await, 80);
        verify_promises(server, &ca, &promised).await;
    }
    assert_eq!(replicas[0].sth().await, replicas[1].sth().await);
    // What one replica logged, the other knows.
    let (status, again) = replicas[1]
        .add_pre_chain(&ca.chain(promised[0].0.clone()))
        .await;
    assert_eq!(
        (status.as_u16(), again["timestamp"].as_u64()),
        (200, Some(promised[0].1))
    );
    assert_eq!(replicas[0].size().await, 80);
}

#[test]
fn what_was_promised_survives_an_abrupt_end_on_sqlite() {
    abrupt_ends(Place::Sqlite);
}

#[test]
fn what_was_promised_survives_an_abrupt_end_on_postgresql() {
    abrupt_ends(Place::Postgres);
}

/// Submits in parallel on runtimes that are dropped in the middle of everything.
fn abrupt_ends(place: Place) {
    let (signer, clock) = (p256(), Arc::new(ManualClock::at_ms(NOW_MS)));
    let first = tokio::runtime::Runtime::new().unwrap();
    let ca = Arc::new(first.block_on(Ca::new()));
    let database = first.block_on(place.database());
    let guard = database.path("guard");
    let mut promised: Vec<(Vec<u8>, u64)> = Vec::new();
    for round in 0..5 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let store = database.store().await;
            let opened = open(
                &store,
                &guard,
                Arc::clone(&signer),
                Arc::clone(&clock),
                accepting(&ca),
            )
            .await;
            let log = opened.unwrap();
            for _ in 0..20 {
                let (ca, log, send) = (Arc::clone(&ca), Arc::clone(&log), send.clone());
                tokio::spawn(async move {
                    loop {
                        let precertificate = ca.precertificate(&leaf()).await;
                        let chain = ca.chain(precertificate.clone());
                        let sct = log.add(&chain, Kind::Precertificate).await.unwrap();
                        let _ = send.send((precertificate, sct.timestamp_ms));
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(150 + 37 * round)).await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(send);
        promised.extend(receive.try_iter());
    }
    assert!(promised.len() > 20, "{}", promised.len());

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = database.store().await;
        let log = open(&store, &guard, signer, Arc::clone(&clock), accepting(&ca))
            .await
            .unwrap();
        let server = Server::serve(log, clock, store).await;
        verify_promises(&server, &ca, &promised).await;
        let size = server.size().await;
        server.fill(&ca, 1).await;
        assert_eq!(server.size().await, size + 1);
    });
}

async fn what_cannot_be_committed_is_not_promised(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    server.fill(&ca, 1).await;
    // Another process holds the lock on the head, and never lets go.
    let lock = server.store.begin(server.log.record().id).await.unwrap();
    let chain = ca.chain(ca.precertificate(&leaf()).await);
    let waiting = tokio::time::timeout(
        Duration::from_millis(300),
        server.log.add(&chain, Kind::Precertificate),
    );
    assert!(waiting.await.is_err(), "a promise without a commit");
    assert_eq!(server.size().await, 1);
    drop(lock);
    // The client gave up; the entry may have been written all the same, and only once.
    let (status, answer) = server.add_pre_chain(&chain).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.size().await, 2);
}

async fn a_frozen_log_answers_reads_and_refuses_submissions_for_good(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    server.fill(&ca, 1).await;
    server
        .store
        .set_state(server.log.record().id, LogState::Frozen)
        .await
        .unwrap();
    let (status, body) = server
        .add_pre_chain(&ca.chain(ca.precertificate(&leaf()).await))
        .await;
    assert_eq!(status, 403, "{body}");
    assert_eq!(server.size().await, 1);
}
