//! Tokens that are unplugged, stuck, damaged or exchanged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keys::SignError;

use super::softhsm::with_token;
use super::{refused, verifies};
use crate::process::block_on;

#[test]
fn lost_sessions_are_replaced_without_an_error() {
    with_token(
        "faults::lost_sessions_are_replaced_without_an_error",
        |hsm| {
            block_on(async {
                let signer = hsm.key("k").await;
                for round in 0..5 {
                    signer.sign(b"before").await.unwrap();
                    let signed = hsm.count("signatures");
                    // Out and in again while nobody signs; the next slot list ends all sessions.
                    hsm.fault("unplugged");
                    let other = keys::open(&hsm.uri("object=k"), None).await;
                    assert!(other.is_err());
                    hsm.repair("unplugged");
                    let signature = signer.sign(b"after").await.unwrap();
                    assert!(verifies(&signer, b"after", &signature));
                    assert_eq!(hsm.count("signatures"), signed + 1, "round {round}");
                }
            });
        },
    );
}

#[test]
fn an_unplugged_token_is_unavailable_and_recovers_without_a_restart() {
    with_token(
        "faults::an_unplugged_token_is_unavailable_and_recovers_without_a_restart",
        |hsm| {
            block_on(async {
                let signer = hsm.key("k").await;
                for _ in 0..2 {
                    hsm.fault("unplugged");
                    for _ in 0..10 {
                        let started = Instant::now();
                        let error = signer.sign(b"message").await.unwrap_err();
                        assert!(matches!(error, SignError::Unavailable(_)), "{error}");
                        assert!(started.elapsed() < Duration::from_secs(1));
                    }
                    hsm.repair("unplugged");
                    let signature = signer.sign(b"message").await.unwrap();
                    assert!(verifies(&signer, b"message", &signature));
                }
            });
        },
    );
}

#[test]
fn a_token_that_comes_back_with_another_key_is_refused() {
    with_token(
        "faults::a_token_that_comes_back_with_another_key_is_refused",
        |hsm| {
            hsm.tool(&[
                "--keypairgen",
                "--key-type",
                "EC:prime256v1",
                "--id",
                "01",
                "--label",
                "k",
            ]);
            block_on(async {
                let signer = keys::open(&hsm.uri("object=k"), None).await.unwrap();
                signer.sign(b"message").await.unwrap();
                let signed = hsm.count("signatures");
                hsm.fault("unplugged");
                signer.sign(b"message").await.unwrap_err();
                for kind in ["privkey", "pubkey"] {
                    hsm.tool(&["--delete-object", "--type", kind, "--id", "01"]);
                }
                hsm.tool(&[
                    "--keypairgen",
                    "--key-type",
                    "EC:prime256v1",
                    "--id",
                    "01",
                    "--label",
                    "k",
                ]);
                hsm.repair("unplugged");
                let error = signer.sign(b"message").await.unwrap_err();
                assert!(
                    matches!(&error, SignError::Refused(reason) if reason.contains("another key")),
                    "{error}"
                );
                assert_eq!(
                    hsm.count("signatures"),
                    signed,
                    "the other key signed nothing"
                );
            });
        },
    );
}

#[test]
fn a_damaged_signature_is_not_released() {
    with_token("faults::a_damaged_signature_is_not_released", |hsm| {
        block_on(async {
            let signer = hsm.key("k").await;
            hsm.fault("flip");
            for _ in 0..10 {
                assert_eq!(signer.sign(b"message").await, Err(SignError::BadSignature));
            }
            hsm.repair("flip");
            signer.sign(b"message").await.unwrap();
            hsm.fault("flip");
            let error = refused(&hsm.uri("object=k")).await;
            assert!(error.contains("does not verify"), "{error}");
        });
    });
}

#[test]
fn a_stuck_token_costs_bounded_memory_and_answers_when_it_is_back() {
    with_token(
        "faults::a_stuck_token_costs_bounded_memory_and_answers_when_it_is_back",
        |hsm| {
            block_on(async {
                hsm.key("k").await;
                let uri = hsm.uri_with("object=k", "pin-source=env:KEYS_TEST_PIN&x-sessions=1");
                let signer = keys::open(&uri, None).await.unwrap();
                hsm.fault("stuck");
                let mut waiting = tokio::task::JoinSet::new();
                for _ in 0..400 {
                    let signer = Arc::clone(&signer);
                    waiting.spawn(async move { signer.sign(b"message").await });
                }
                let mut full = 0;
                for _ in 0..100 {
                    if let Ok(Some(answer)) =
                        tokio::time::timeout(Duration::from_secs(2), waiting.join_next()).await
                    {
                        assert!(matches!(answer.unwrap(), Err(SignError::Unavailable(_))));
                        full += 1;
                    }
                }
                assert_eq!(full, 100, "more than the queue holds is refused at once");
                hsm.repair("stuck");
                let mut signed = 0;
                while let Some(answer) = waiting.join_next().await {
                    signed += usize::from(answer.unwrap().is_ok());
                }
                assert!(signed >= 256, "{signed}");
            });
        },
    );
}

#[test]
fn a_token_that_comes_and_goes_under_load_gives_signatures_or_clean_errors() {
    with_token(
        "faults::a_token_that_comes_and_goes_under_load_gives_signatures_or_clean_errors",
        |hsm| {
            block_on(async {
                let signer = hsm.key("k").await;
                let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
                let mut callers = tokio::task::JoinSet::new();
                for caller in 0..8 {
                    let (signer, stop) = (Arc::clone(&signer), Arc::clone(&stop));
                    callers.spawn(async move {
                        let (mut signed, mut unavailable) = (0, 0);
                        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                            let message = format!("{caller}/{signed}");
                            match signer.sign(message.as_bytes()).await {
                                Ok(signature) => {
                                    assert!(verifies(&signer, message.as_bytes(), &signature));
                                    signed += 1;
                                }
                                Err(SignError::Unavailable(_)) => unavailable += 1,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        (signed, unavailable)
                    });
                }
                for _ in 0..10 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    hsm.fault("unplugged");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    hsm.repair("unplugged");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                let (mut signed, mut unavailable) = (0, 0);
                while let Some(done) = callers.join_next().await {
                    let (more_signed, more_unavailable) = done.unwrap();
                    signed += more_signed;
                    unavailable += more_unavailable;
                }
                assert!(signed > 100 && unavailable > 10, "{signed} {unavailable}");
            });
        },
    );
}
