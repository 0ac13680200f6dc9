//! PKCS#11 keys in SoftHSM.

mod faults;
mod softhsm;
mod wrapped;

use std::sync::Arc;

use keys::{Algorithm, KeyUri, Pkcs11Error, SharedSigner};
use softhsm::{PIN, with_token};

use crate::process::block_on;

fn verifies(signer: &SharedSigner, message: &[u8], signature: &[u8]) -> bool {
    let hash = signer
        .algorithm()
        .hash()
        .unwrap_or(crypto::HashAlgorithm::Sha512);
    signer.public_key().verify(hash, message, signature).is_ok()
}

/// What opening `uri` fails with.
async fn refused(uri: &KeyUri) -> String {
    let error = keys::open(uri, None).await.unwrap_err().to_string();
    assert!(!error.contains(PIN), "{error}");
    error
}

#[test]
fn a_key_made_on_the_token_signs_and_is_found_again() {
    with_token("a_key_made_on_the_token_signs_and_is_found_again", |hsm| {
        block_on(async {
            for (label, algorithm) in [
                ("p256", Algorithm::EcdsaP256Sha256),
                ("p384", Algorithm::EcdsaP384Sha384),
                ("ed25519", Algorithm::Ed25519),
            ] {
                let uri = hsm.uri(&format!("object={label}"));
                let made = keys::create(&uri, algorithm, None).await.unwrap();
                let opened = keys::open(&uri, None).await.unwrap();
                assert_eq!(opened.algorithm(), algorithm);
                assert_eq!(opened.public_key(), made.public_key());
                // r or s begins with a zero byte in one of 128.
                for number in 0..300 {
                    let message = format!("message {number}");
                    let signature = opened.sign(message.as_bytes()).await.unwrap();
                    assert!(
                        verifies(&made, message.as_bytes(), &signature),
                        "{algorithm}"
                    );
                    assert!(!verifies(&made, b"another", &signature), "{algorithm}");
                    if algorithm != Algorithm::Ed25519 {
                        assert_eq!(signature[0], 0x30, "DER");
                    }
                }
            }
            assert_eq!(hsm.count("initialised"), 1, "once for all keys");
        });
    });
}

#[test]
fn a_key_of_another_tool_is_found_by_label_or_id() {
    with_token("a_key_of_another_tool_is_found_by_label_or_id", |hsm| {
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--id",
            "01",
            "--label",
            "PKCS11CA",
        ]);
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:secp384r1",
            "--id",
            "02ff",
            "--label",
            "other",
        ]);
        block_on(async {
            let by_label = keys::open(&hsm.uri("object=PKCS11CA"), None).await.unwrap();
            let by_id = keys::open(&hsm.uri("id=%01"), None).await.unwrap();
            assert_eq!(by_label.public_key(), by_id.public_key());
            let other = keys::open(&hsm.uri("id=%02%FF;type=private"), None)
                .await
                .unwrap();
            assert_eq!(other.algorithm(), Algorithm::EcdsaP384Sha384);
            assert!(
                refused(&hsm.uri("object=PKCS11CA;id=%02%FF"))
                    .await
                    .contains("no such key")
            );
            assert!(
                refused(&hsm.uri("object=missing"))
                    .await
                    .contains("no such key")
            );
        });
    });
}

#[test]
fn two_keys_of_one_label_are_refused_until_the_id_says_which() {
    with_token(
        "two_keys_of_one_label_are_refused_until_the_id_says_which",
        |hsm| {
            for id in ["01", "02"] {
                hsm.tool(&[
                    "--keypairgen",
                    "--key-type",
                    "EC:prime256v1",
                    "--id",
                    id,
                    "--label",
                    "twin",
                ]);
            }
            block_on(async {
                let error = refused(&hsm.uri("object=twin")).await;
                assert!(error.contains("2 private keys fit"), "{error}");
                keys::open(&hsm.uri("object=twin;id=%02"), None)
                    .await
                    .unwrap();
            });
        },
    );
}

#[test]
fn a_key_that_can_be_read_out_is_refused() {
    with_token("a_key_that_can_be_read_out_is_refused", |hsm| {
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "loose",
            "--extractable",
        ]);
        block_on(async {
            let error = refused(&hsm.uri("object=loose")).await;
            assert!(error.contains("CKA_EXTRACTABLE"), "{error}");
        });
    });
}

#[test]
fn other_kinds_of_keys_are_refused() {
    with_token("other_kinds_of_keys_are_refused", |hsm| {
        hsm.tool(&["--keypairgen", "--key-type", "rsa:2048", "--label", "rsa"]);
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:secp521r1",
            "--label",
            "p521",
        ]);
        block_on(async {
            assert!(
                refused(&hsm.uri("object=rsa"))
                    .await
                    .contains("use ECDSA P-256")
            );
            assert!(
                refused(&hsm.uri("object=p521"))
                    .await
                    .contains("another curve")
            );
        });
    });
}

#[test]
fn a_wrong_pin_is_tried_once_in_the_life_of_the_process() {
    with_token(
        "a_wrong_pin_is_tried_once_in_the_life_of_the_process",
        |hsm| {
            for (id, label) in [("01", "one"), ("02", "two")] {
                hsm.tool(&[
                    "--keypairgen",
                    "--key-type",
                    "EC:prime256v1",
                    "--id",
                    id,
                    "--label",
                    label,
                ]);
            }
            block_on(async {
                for label in ["one", "two", "one"] {
                    let uri = hsm.uri_with(
                        &format!("object={label}"),
                        "pin-source=env:KEYS_TEST_WRONG_PIN",
                    );
                    let error = refused(&uri).await;
                    assert!(
                        error.contains("refused the PIN") && !error.contains("9999"),
                        "{error}"
                    );
                }
                assert_eq!(hsm.count("logins"), 1);
                // The right one is another matter, and the token is not locked.
                keys::open(&hsm.uri("object=one"), None).await.unwrap();
                assert_eq!(hsm.count("logins"), 2);
            });
        },
    );
}

#[test]
fn the_pin_comes_from_a_file_a_variable_or_the_passphrase() {
    with_token(
        "the_pin_comes_from_a_file_a_variable_or_the_passphrase",
        |hsm| {
            block_on(async {
                let made = hsm.key("k").await;
                let file = format!("pin-source=file:{}", hsm.directory().join("pin").display());
                let by_file = keys::open(&hsm.uri_with("object=k", &file), None)
                    .await
                    .unwrap();
                assert_eq!(by_file.public_key(), made.public_key());
                let bare = hsm.uri_with("object=k", "x-sessions=1");
                keys::open(&bare, Some(&keys::Passphrase::new(PIN)))
                    .await
                    .unwrap();
                assert!(refused(&bare).await.contains("pin-source=file:PATH"));
                let missing = hsm.uri_with("object=k", "pin-source=env:KEYS_TEST_NO_SUCH");
                assert!(refused(&missing).await.contains("KEYS_TEST_NO_SUCH"));
            });
        },
    );
}

#[test]
fn a_crypto11_configuration_file_is_read() {
    with_token("a_crypto11_configuration_file_is_read", |hsm| {
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "PKCS11CA",
        ]);
        let path = hsm.directory().join("crypto11.conf");
        let json = serde_json::json!({ "Path": hsm.module(), "TokenLabel": "ca", "Pin": PIN });
        std::fs::write(&path, json.to_string()).unwrap();
        let uri: KeyUri = format!("pkcs11:object=PKCS11CA?x-config={}", path.display())
            .parse()
            .unwrap();
        block_on(async {
            let signer = keys::open(&uri, None).await.unwrap();
            let signature = signer.sign(b"message").await.unwrap();
            assert!(verifies(&signer, b"message", &signature));
        });
    });
}

#[test]
fn a_taken_name_is_never_given_to_a_new_key() {
    with_token("a_taken_name_is_never_given_to_a_new_key", |hsm| {
        hsm.tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--id",
            "01",
            "--label",
            "first",
        ]);
        block_on(async {
            for name in [
                "object=first",
                "id=%01",
                "object=second;id=%01",
                "object=first;id=%02",
            ] {
                let made = keys::create(&hsm.uri(name), Algorithm::EcdsaP256Sha256, None).await;
                let error = made.unwrap_err().to_string();
                assert!(error.contains("never replaced"), "{name}: {error}");
            }
            keys::open(&hsm.uri("object=first;id=%01"), None)
                .await
                .unwrap();
        });
    });
}

#[test]
fn a_module_or_token_that_is_not_there_is_named() {
    with_token("a_module_or_token_that_is_not_there_is_named", |hsm| {
        block_on(async {
            let pin = "pin-source=env:KEYS_TEST_PIN";
            let uri = format!("pkcs11:token=ca;object=k?module-path=/nowhere/hsm.so&{pin}");
            assert!(
                refused(&uri.parse().unwrap())
                    .await
                    .contains("/nowhere/hsm.so")
            );
            let text = hsm.directory().join("pin");
            let uri = format!(
                "pkcs11:token=ca;object=k?module-path={}&{pin}",
                text.display()
            );
            assert!(
                refused(&uri.parse().unwrap())
                    .await
                    .contains("PKCS#11 module")
            );
            let module = hsm.module().display();
            let uri = format!("pkcs11:token=other;object=k?module-path={module}&{pin}");
            assert!(
                refused(&uri.parse().unwrap())
                    .await
                    .contains("no such token")
            );
        });
    });
}

#[test]
fn two_tokens_of_one_label_are_refused() {
    with_token("two_tokens_of_one_label_are_refused", |hsm| {
        hsm.init_token("ca");
        block_on(async {
            let error = refused(&hsm.uri("object=k")).await;
            assert!(error.contains("2 tokens fit"), "{error}");
        });
    });
}

#[test]
fn many_callers_share_the_sessions() {
    with_token("many_callers_share_the_sessions", |hsm| {
        block_on(async {
            let signer = hsm.key("k").await;
            let mut callers = tokio::task::JoinSet::new();
            for caller in 0..16 {
                let signer = Arc::clone(&signer);
                callers.spawn(async move {
                    for number in 0..50 {
                        let message = format!("{caller}/{number}");
                        let signature = signer.sign(message.as_bytes()).await.unwrap();
                        assert!(verifies(&signer, message.as_bytes(), &signature));
                    }
                });
            }
            while let Some(done) = callers.join_next().await {
                done.unwrap();
            }
            // One session made the key.
            let sessions = hsm.count("logins") - 1;
            assert!((2..=4).contains(&sessions), "{sessions}");
        });
    });
}

#[test]
fn the_pin_is_in_no_line_of_the_finest_log() {
    with_token("the_pin_is_in_no_line_of_the_finest_log", |hsm| {
        let log = crate::process::logged(|| {
            block_on(async {
                drop(hsm.key("k").await);
                // With one session, the first signature meets the lost one for certain.
                let one = hsm.uri_with("object=k", "pin-source=env:KEYS_TEST_PIN&x-sessions=1");
                let signer = keys::open(&one, None).await.unwrap();
                hsm.fault("unplugged");
                signer.sign(b"message").await.unwrap_err();
                hsm.repair("unplugged");
                signer.sign(b"message").await.unwrap();
                let wrong = hsm.uri_with("object=k", "pin-source=env:KEYS_TEST_WRONG_PIN");
                let _logged_in_already = keys::open(&wrong, None).await;
            });
        });
        assert!(log.contains("session lost"), "{log}");
        assert!(
            !log.contains(&format!("\"{PIN}\"")) && !log.contains(&format!("={PIN}")),
            "{log}"
        );
    });
}

#[tokio::test]
async fn errors_show_where_the_key_is_and_nothing_secret() {
    let uri: KeyUri = "pkcs11:token=t;object=k?module-path=/nowhere.so&pin-source=env:PATH"
        .parse()
        .unwrap();
    let error = keys::open(&uri, None).await.unwrap_err();
    let keys::OpenError::Pkcs11 { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(source, Pkcs11Error::Module { .. }), "{source}");
    assert!(
        error
            .to_string()
            .contains("pkcs11:token=t;object=k?module-path=/nowhere.so"),
        "{error}"
    );
    assert!(
        !error.to_string().contains(&std::env::var("PATH").unwrap()),
        "{error}"
    );
}
