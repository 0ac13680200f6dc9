//! Keys in AWS KMS, in the emulator moto.

mod moto;

use std::time::{Duration, Instant};

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use keys::{Algorithm, KeyUri, SharedSigner, SignError};
use moto::with_server;

use crate::process::block_on;

fn verifies(signer: &SharedSigner, message: &[u8], signature: &[u8]) -> bool {
    let hash = signer.algorithm().hash().unwrap();
    signer.public_key().verify(hash, message, signature).is_ok()
}

fn uri(key: &str) -> KeyUri {
    format!("awskms:///{key}").parse().unwrap()
}

async fn made(alias: &str) -> SharedSigner {
    keys::create(&uri(alias), Algorithm::EcdsaP256Sha256, None)
        .await
        .unwrap()
}

async fn refused(uri: &KeyUri) -> String {
    let error = keys::open(uri, None).await.unwrap_err().to_string();
    assert!(!error.contains("not-so-secret"), "{error}");
    error
}

#[test]
fn keys_are_made_and_sign_by_alias_id_and_arn() {
    with_server("keys_are_made_and_sign_by_alias_id_and_arn", &[], |moto| {
        block_on(async {
            for (alias, algorithm) in [
                ("alias/sigkeep/p256", Algorithm::EcdsaP256Sha256),
                ("alias/sigkeep/p384", Algorithm::EcdsaP384Sha384),
            ] {
                let key = keys::create(&uri(alias), algorithm, None).await.unwrap();
                let described = moto
                    .operator()
                    .await
                    .describe_key()
                    .key_id(alias)
                    .send()
                    .await
                    .unwrap();
                let described = described.key_metadata.unwrap();
                for name in [alias, described.key_id(), described.arn().unwrap()] {
                    let signer = keys::open(&uri(name), None).await.unwrap();
                    assert_eq!(signer.algorithm(), algorithm);
                    assert_eq!(signer.public_key(), key.public_key());
                    // Longer than what KMS would hash itself.
                    let message = vec![7; 10_000];
                    let signature = signer.sign(&message).await.unwrap();
                    assert!(verifies(&key, &message, &signature));
                }
                let again = keys::create(&uri(alias), algorithm, None)
                    .await
                    .unwrap_err()
                    .to_string();
                assert!(again.contains("never replaced"), "{again}");
            }
        });
    });
}

#[test]
fn an_emulator_that_hashes_the_digest_again_is_found_out_and_nothing_is_released() {
    with_server(
        "an_emulator_that_hashes_the_digest_again_is_found_out_and_nothing_is_released",
        &["--unpatched"],
        |moto| {
            block_on(async {
                let signer = made("alias/ca").await;
                assert_eq!(signer.sign(b"message").await, Err(SignError::BadSignature));
                assert_eq!(
                    moto.signatures(),
                    1,
                    "a wrong signature is not asked for again"
                );
            });
        },
    );
}

#[test]
fn an_endpoint_of_ones_own_is_reached_over_https_with_its_own_authority() {
    with_server(
        "an_endpoint_of_ones_own_is_reached_over_https_with_its_own_authority",
        &["--tls"],
        |_moto| {
            block_on(async {
                let port = std::env::var("KEYS_TEST_PORT").unwrap();
                let uri: KeyUri = format!("awskms://localhost:{port}/alias/ca")
                    .parse()
                    .unwrap();
                let signer = keys::create(&uri, Algorithm::EcdsaP256Sha256, None)
                    .await
                    .unwrap();
                let signature = signer.sign(b"message").await.unwrap();
                assert!(verifies(&signer, b"message", &signature));
            });
        },
    );
}

#[test]
fn an_alias_that_is_pointed_elsewhere_does_not_change_the_key() {
    with_server(
        "an_alias_that_is_pointed_elsewhere_does_not_change_the_key",
        &[],
        |moto| {
            block_on(async {
                let first = made("alias/ca").await;
                let second = made("alias/next").await;
                let operator = moto.operator().await;
                let next = operator
                    .describe_key()
                    .key_id("alias/next")
                    .send()
                    .await
                    .unwrap();
                let next = next.key_metadata.unwrap();
                operator
                    .update_alias()
                    .alias_name("alias/ca")
                    .target_key_id(next.key_id())
                    .send()
                    .await
                    .unwrap();

                // The running signer stays with its key; who opens the alias now gets, and sees, the other.
                let signature = first.sign(b"message").await.unwrap();
                assert!(verifies(&first, b"message", &signature));
                let reopened = keys::open(&uri("alias/ca"), None).await.unwrap();
                assert_eq!(reopened.public_key(), second.public_key());
                assert_ne!(reopened.public_key(), first.public_key());
            });
        },
    );
}

#[test]
fn a_disabled_key_is_unavailable_until_it_is_enabled() {
    with_server(
        "a_disabled_key_is_unavailable_until_it_is_enabled",
        &[],
        |moto| {
            block_on(async {
                let signer = made("alias/ca").await;
                let operator = moto.operator().await;
                let key = operator
                    .describe_key()
                    .key_id("alias/ca")
                    .send()
                    .await
                    .unwrap()
                    .key_metadata
                    .unwrap();
                operator
                    .disable_key()
                    .key_id(key.key_id())
                    .send()
                    .await
                    .unwrap();
                let error = signer.sign(b"message").await.unwrap_err();
                assert!(
                    matches!(&error, SignError::Unavailable(reason) if reason.contains("DisabledException")),
                    "{error}"
                );
                operator
                    .enable_key()
                    .key_id(key.key_id())
                    .send()
                    .await
                    .unwrap();
                signer.sign(b"message").await.unwrap();
            });
        },
    );
}

#[test]
fn throttling_and_errors_are_repeated_a_bounded_number_of_times() {
    with_server(
        "throttling_and_errors_are_repeated_a_bounded_number_of_times",
        &[],
        |moto| {
            block_on(async {
                let signer = made("alias/ca").await;
                for (fault, code) in [
                    ("throttle", "ThrottlingException"),
                    ("fail", "KMSInternalException"),
                ] {
                    moto.set(fault, "2");
                    signer.sign(b"message").await.unwrap();

                    moto.set(fault, "100");
                    let before = moto.signatures();
                    let error = signer.sign(b"message").await.unwrap_err();
                    assert!(
                        matches!(&error, SignError::Unavailable(reason) if reason.contains(code)),
                        "{error}"
                    );
                    assert_eq!(moto.signatures(), before + 3);
                    moto.set(fault, "0");
                    signer.sign(b"message").await.unwrap();
                }
            });
        },
    );
}

#[test]
fn a_server_that_hangs_costs_bounded_time() {
    with_server("a_server_that_hangs_costs_bounded_time", &[], |moto| {
        block_on(async {
            let signer = made("alias/ca").await;
            moto.set("latency", "30");
            let started = Instant::now();
            let error = signer.sign(b"message").await.unwrap_err();
            assert!(matches!(error, SignError::Unavailable(_)), "{error}");
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{:?}",
                started.elapsed()
            );
            moto.set("latency", "0");
            signer.sign(b"message").await.unwrap();
        });
    });
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_the_reason() {
    with_server(
        "keys_that_cannot_be_used_are_refused_with_the_reason",
        &[],
        |moto| {
            block_on(async {
                let missing = refused(&uri("alias/missing")).await;
                assert!(
                    missing.contains("NotFoundException")
                        && missing.contains("awskms:///alias/missing"),
                    "{missing}"
                );
                let operator = moto.operator().await;
                for (spec, usage, says) in [
                    (KeySpec::Rsa2048, KeyUsageType::SignVerify, "ECC_NIST_P256"),
                    (
                        KeySpec::EccNistP521,
                        KeyUsageType::SignVerify,
                        "ECC_NIST_P256",
                    ),
                    (
                        KeySpec::Rsa2048,
                        KeyUsageType::EncryptDecrypt,
                        "SIGN_VERIFY",
                    ),
                ] {
                    let key = operator
                        .create_key()
                        .key_spec(spec)
                        .key_usage(usage)
                        .send()
                        .await
                        .unwrap();
                    let error = refused(&uri(key.key_metadata().unwrap().key_id())).await;
                    assert!(error.contains(says), "{error}");
                }
                let made = keys::create(&uri("1234abcd"), Algorithm::EcdsaP256Sha256, None).await;
                assert!(made.unwrap_err().to_string().contains("alias/NAME"));
                let made = keys::create(&uri("alias/ed"), Algorithm::Ed25519, None).await;
                assert!(made.unwrap_err().to_string().contains("Ed25519"));
            });
        },
    );
}

#[test]
fn credentials_are_in_no_line_of_the_finest_log() {
    with_server(
        "credentials_are_in_no_line_of_the_finest_log",
        &[],
        |moto| {
            let log = crate::process::logged(|| {
                block_on(async {
                    let signer = made("alias/ca").await;
                    moto.set("throttle", "1");
                    signer.sign(b"message").await.unwrap();
                });
            });
            assert!(log.contains("opened a key in KMS"), "{log}");
            assert!(!log.contains("not-so-secret"), "{log}");
        },
    );
}

#[test]
fn wrapped_keys_open_unchanged_with_their_own_kek_only() {
    with_server(
        "wrapped_keys_open_unchanged_with_their_own_kek_only",
        &[],
        |moto| {
            block_on(async {
                let operator = moto.operator().await;
                let mut keks = Vec::new();
                for _ in 0..2 {
                    let key = operator.create_key().send().await.unwrap();
                    keks.push(uri(key.key_metadata().unwrap().arn().unwrap()));
                }
                let directory = tempfile::tempdir().unwrap();
                crate::wrapped::keeps_what_it_promises(&keks[0], &keks[1], directory.path()).await;
            });
        },
    );
}
