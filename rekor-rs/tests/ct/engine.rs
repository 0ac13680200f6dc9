use std::sync::Arc;

use clock::ManualClock;
use keys::{Algorithm, FileSigner};
use logstore::LogState;
use rekor_rs::ct::{CtConfig, OpenError};
use tlog::{leaf_hash, verify_inclusion};

use crate::ca::{Ca, NOW_MS, leaf};
use crate::server::{Server, accepting, bytes, hashes, open, p256, sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn parallel_submissions_get_consecutive_indices_and_times_in_order() {
    let ca = Arc::new(Ca::new().await);
    let server = Arc::new(Server::start(&ca).await);
    let submissions = (0..100).map(|_| {
        let (ca, server) = (Arc::clone(&ca), Arc::clone(&server));
        tokio::spawn(async move {
            let chain = ca.chain(ca.precertificate(&leaf()).await);
            server.clock.advance(std::time::Duration::from_millis(3));
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

#[tokio::test]
async fn timestamps_do_not_follow_a_clock_that_steps_back() {
    let ca = Ca::new().await;
    let server = Server::start(&ca).await;
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
        let directory = tempfile::tempdir().unwrap();
        let store = sqlite(directory.path()).await;
        let signer = Arc::new(FileSigner::generate(algorithm).unwrap());
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let opened = open(
            &store,
            &directory.path().join("guard"),
            signer,
            clock,
            accepting(&ca),
        )
        .await;
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
        let directory = tempfile::tempdir().unwrap();
        let store = sqlite(directory.path()).await;
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let config = CtConfig {
            roots,
            ..CtConfig::default()
        };
        let opened = open(
            &store,
            &directory.path().join("guard"),
            p256(),
            clock,
            config,
        )
        .await;
        assert!(matches!(opened, Err(OpenError::Roots(_))), "{opened:?}");
    }
}

#[tokio::test]
async fn a_database_restored_to_an_older_state_is_refused() {
    let ca = Ca::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.db");
    let guard = directory.path().join("guard");
    let signer = p256();
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let run = async |entries| {
        let store = sqlite(directory.path()).await;
        let opened = open(
            &store,
            &guard,
            Arc::clone(&signer),
            Arc::clone(&clock),
            accepting(&ca),
        )
        .await;
        let server = Server::serve(opened?, Arc::clone(&clock), store).await;
        server.fill(&ca, entries).await;
        Ok(server.size().await)
    };
    assert_eq!(
        run(2).await.map_err(|error: OpenError| error.to_string()),
        Ok(2)
    );
    settle(&path).await;
    let backup = std::fs::read(&path).unwrap();
    assert_eq!(run(3).await.map_err(|error| error.to_string()), Ok(5));
    settle(&path).await;
    std::fs::write(&path, backup).unwrap();
    let refusal = run(0).await.unwrap_err().to_string();
    assert!(refusal.contains("roll"), "{refusal}");
}

/// Waits until nothing has the database open any more, and its write-ahead log is part of it.
async fn settle(path: &std::path::Path) {
    for _ in 0..500 {
        if let Ok(store) = logstore_sqlite::SqliteStore::open(path).await {
            drop(store);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if !path.with_extension("db-wal").exists() {
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the database is still open");
}

#[test]
fn what_was_promised_survives_the_death_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let signer = p256();
    let clock = Arc::new(ManualClock::at_ms(NOW_MS));
    let ca = Arc::new(tokio::runtime::Runtime::new().unwrap().block_on(Ca::new()));
    let guard = directory.path().join("guard");
    let mut promised: Vec<(Vec<u8>, u64)> = Vec::new();
    for round in 0..5 {
        // A runtime that is dropped in the middle of everything: no destructor waits for a batch.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let store = reopened(directory.path()).await;
            let log = open(
                &store,
                &guard,
                Arc::clone(&signer),
                Arc::clone(&clock),
                accepting(&ca),
            )
            .await
            .unwrap();
            for _ in 0..20 {
                let (ca, log, send) = (Arc::clone(&ca), Arc::clone(&log), send.clone());
                tokio::spawn(async move {
                    loop {
                        let precertificate = ca.precertificate(&leaf()).await;
                        let chain = ca.chain(precertificate.clone());
                        let sct = log
                            .add(&chain, rekor_rs::ct::Kind::Precertificate)
                            .await
                            .unwrap();
                        let _ = send.send((precertificate, sct.timestamp_ms));
                    }
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(60 + 37 * round)).await;
        });
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        drop(send);
        promised.extend(receive.try_iter());
    }
    assert!(promised.len() > 20, "{}", promised.len());

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = reopened(directory.path()).await;
        let log = open(&store, &guard, signer, Arc::clone(&clock), accepting(&ca))
            .await
            .unwrap();
        let server = Server::serve(log, clock, store).await;
        let sth = server.sth().await;
        let size = sth["tree_size"].as_u64().unwrap();
        assert!(size >= promised.len() as u64);
        let root = tlog::Hash::try_from(bytes(&sth["sha256_root_hash"]).as_slice()).unwrap();
        let issuer = pki::certificate::Certificate::from_der(&ca.intermediate).unwrap();
        let issuer_key_hash = crypto::sha256(issuer.spki());
        for (precertificate, timestamp_ms) in &promised {
            let tbs = pki::precert::tbs_without_poison(precertificate).unwrap();
            let entry = pki::sct::CtEntry::Precert {
                issuer_key_hash,
                tbs: &tbs,
            };
            let leaf = leaf_hash(&pki::sct::signing_input(entry, *timestamp_ms, b"").unwrap());
            let index = server
                .store
                .index_of_leaf(server.log.record().id, &leaf)
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
        // Nothing is missing in between.
        let entries = server
            .store
            .entries(server.log.record().id, 0, size)
            .await
            .unwrap();
        assert!(entries.iter().map(|entry| entry.index).eq(0..size));
        server.fill(&ca, 1).await;
        assert_eq!(server.size().await, size + 1);
    });
}

/// The store, as soon as the last round's connections are gone.
async fn reopened(directory: &std::path::Path) -> logstore::SharedStore {
    for _ in 0..500 {
        if let Ok(store) = logstore_sqlite::SqliteStore::open(&directory.join("logs.db")).await {
            return Arc::new(store);
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the database is still open");
}

#[tokio::test]
async fn a_frozen_log_answers_reads_and_refuses_submissions_for_good() {
    let ca = Ca::new().await;
    let server = Server::start(&ca).await;
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
