//! Wrapped keys under a token's AES key.

use keys::Algorithm;

use super::softhsm::with_token;
use super::{refused, verifies};
use crate::process::block_on;

#[test]
fn wrapped_keys_open_unchanged_with_their_own_kek_only() {
    with_token(
        "wrapped::wrapped_keys_open_unchanged_with_their_own_kek_only",
        |hsm| {
            hsm.secret_key("kek");
            hsm.secret_key("other");
            let (kek, other) = (hsm.uri("object=kek"), hsm.uri("object=other"));
            block_on(crate::wrapped::keeps_what_it_promises(
                &kek,
                &other,
                hsm.directory(),
            ));
        },
    );
}

#[test]
fn a_wrapped_key_costs_one_decryption_and_signs_without_the_token() {
    with_token(
        "wrapped::a_wrapped_key_costs_one_decryption_and_signs_without_the_token",
        |hsm| {
            hsm.secret_key("kek");
            block_on(async {
                let uri = crate::wrapped::uri(
                    &hsm.directory().join("ca.json"),
                    &hsm.uri("object=kek"),
                    "",
                );
                keys::create(&uri, Algorithm::EcdsaP256Sha256, None)
                    .await
                    .unwrap();
                let before = hsm.count("decryptions");
                let signer = keys::open(&uri, None).await.unwrap();
                assert_eq!(hsm.count("decryptions"), before + 1);
                hsm.fault("unplugged");
                let signature = signer.sign(b"message").await.unwrap();
                assert!(verifies(&signer, b"message", &signature));
                assert_eq!(hsm.count("decryptions"), before + 1);
                assert!(refused(&uri).await.contains("no such token"));
            });
        },
    );
}

#[test]
fn a_kek_that_can_be_read_out_is_refused() {
    with_token("wrapped::a_kek_that_can_be_read_out_is_refused", |hsm| {
        hsm.tool(&[
            "--keygen",
            "--key-type",
            "AES:32",
            "--label",
            "loose",
            "--extractable",
        ]);
        hsm.tool(&[
            "--keygen",
            "--key-type",
            "generic:32",
            "--label",
            "generic",
            "--sensitive",
        ]);
        block_on(async {
            for (label, says) in [
                ("loose", "CKA_EXTRACTABLE"),
                ("generic", "not an AES key"),
                ("missing", "no such key"),
            ] {
                let kek = hsm.uri(&format!("object={label}"));
                let uri = crate::wrapped::uri(&hsm.directory().join("ca.json"), &kek, "");
                let made = keys::create(&uri, Algorithm::EcdsaP256Sha256, None).await;
                let error = made.unwrap_err().to_string();
                assert!(error.contains(says), "{error}");
            }
        });
    });
}
