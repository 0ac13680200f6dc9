//! Keys in a transit engine.

mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use keys::{Algorithm, KeyUri, SharedSigner, SignError};
use server::{Server, TOKEN};

fn verifies(signer: &SharedSigner, message: &[u8], signature: &[u8]) -> bool {
    let hash = signer
        .algorithm()
        .hash()
        .unwrap_or(crypto::HashAlgorithm::Sha512);
    signer.public_key().verify(hash, message, signature).is_ok()
}

/// A server and a file with its token.
struct Setup {
    server: Server,
    directory: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), TOKEN).unwrap();
        Self {
            server: Server::start().await,
            directory,
        }
    }

    fn token_file(&self) -> std::path::PathBuf {
        self.directory.path().join("token")
    }

    fn uri(&self, key: &str) -> KeyUri {
        uri(&self.server, &self.token_file(), key)
    }

    async fn key(&self, name: &str) -> SharedSigner {
        keys::create(&self.uri(name), Algorithm::EcdsaP256Sha256, None)
            .await
            .unwrap()
    }
}

/// The URI of `key`, which may have parameters.
fn uri(server: &Server, token_file: &Path, key: &str) -> KeyUri {
    let separator = if key.contains('?') { '&' } else { '?' };
    format!(
        "hashivault://{key}{separator}address=http://{}&token-file={}",
        server.address,
        token_file.display()
    )
    .parse()
    .unwrap()
}

async fn refused(uri: &KeyUri) -> String {
    let error = keys::open(uri, None).await.unwrap_err().to_string();
    assert!(!error.contains(TOKEN), "{error}");
    error
}

#[tokio::test]
async fn keys_of_every_algorithm_are_made_and_sign() {
    let setup = Setup::new().await;
    for (name, algorithm) in [
        ("p256", Algorithm::EcdsaP256Sha256),
        ("p384", Algorithm::EcdsaP384Sha384),
        ("ed25519", Algorithm::Ed25519),
    ] {
        let made = keys::create(&setup.uri(name), algorithm, None)
            .await
            .unwrap();
        let opened = keys::open(&setup.uri(name), None).await.unwrap();
        assert_eq!(opened.algorithm(), algorithm);
        assert_eq!(opened.public_key(), made.public_key());
        let signature = opened.sign(b"message").await.unwrap();
        assert!(verifies(&made, b"message", &signature));
        assert!(!verifies(&made, b"another", &signature));
        let again = keys::create(&setup.uri(name), algorithm, None)
            .await
            .unwrap_err()
            .to_string();
        assert!(again.contains("never replaced"), "{again}");
    }
}

#[tokio::test]
async fn openbao_uris_reach_the_same_engine() {
    let setup = Setup::new().await;
    let key = setup.key("ca").await;
    let uri = setup
        .uri("ca")
        .to_string()
        .replace("hashivault:", "openbao:");
    let signer = keys::open(&uri.parse().unwrap(), None).await.unwrap();
    assert_eq!(signer.public_key(), key.public_key());
}

#[tokio::test]
async fn the_version_of_the_opening_signs_after_a_rotation() {
    let setup = Setup::new().await;
    let first = setup.key("ca").await;
    setup.server.engine().rotate("ca");
    assert!(verifies(
        &first,
        b"message",
        &first.sign(b"message").await.unwrap()
    ));

    // `vault:v2:` from now on, for those who open it now.
    let second = keys::open(&setup.uri("ca"), None).await.unwrap();
    assert_ne!(second.public_key(), first.public_key());
    assert!(verifies(
        &second,
        b"message",
        &second.sign(b"message").await.unwrap()
    ));

    let pinned = keys::open(&setup.uri("ca?version=1"), None).await.unwrap();
    assert_eq!(pinned.public_key(), first.public_key());
    assert!(
        refused(&setup.uri("ca?version=3"))
            .await
            .contains("version 3")
    );
}

#[tokio::test]
async fn a_signature_of_another_version_or_key_is_not_released() {
    let setup = Setup::new().await;
    setup.key("ca").await;
    setup.server.engine().rotate("ca");
    let signer = keys::open(&setup.uri("ca"), None).await.unwrap();
    setup.server.engine().wrong_version = true;
    assert_eq!(signer.sign(b"message").await, Err(SignError::BadSignature));
    setup.server.engine().wrong_version = false;
    setup.server.engine().claimed_version = Some(1);
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(
        matches!(&error, SignError::Refused(reason) if reason.contains("version 1")),
        "{error}"
    );
    setup.server.engine().claimed_version = None;
    signer.sign(b"message").await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_a_clear_error_and_is_not_repeated() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    setup.server.engine().token = "s.another".to_owned();
    let before = setup.server.engine().requests;
    let error = signer.sign(b"message").await.unwrap_err();
    let SignError::Refused(reason) = &error else {
        panic!("{error}");
    };
    assert!(
        reason.contains("403") && reason.contains("transit/sign/ca/sha2-256"),
        "{reason}"
    );
    assert!(!reason.contains(TOKEN), "{reason}");
    assert_eq!(setup.server.engine().requests, before + 1);
    assert!(refused(&setup.uri("ca")).await.contains("403"));
}

#[tokio::test]
async fn a_renewed_token_file_is_read_again() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    setup.server.engine().token = "s.renewed".to_owned();
    assert!(signer.sign(b"message").await.is_err());
    std::fs::write(setup.token_file(), "s.renewed\n").unwrap();
    let signature = signer.sign(b"message").await.unwrap();
    assert!(verifies(&signer, b"message", &signature));
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_refused_with_the_reason() {
    let setup = Setup::new().await;
    setup.key("loose").await;
    setup.server.engine().export("loose");
    setup.server.engine().make("aes", "aes256-gcm96");
    assert!(refused(&setup.uri("loose")).await.contains("exportable"));
    assert!(refused(&setup.uri("aes")).await.contains("aes256-gcm96"));
    let missing = refused(&setup.uri("missing")).await;
    assert!(
        missing.contains("transit/keys/missing") && missing.contains("404"),
        "{missing}"
    );
    let elsewhere = refused(&setup.uri("loose?mount=other")).await;
    assert!(elsewhere.contains("other/keys/loose"), "{elsewhere}");
}

#[tokio::test]
async fn a_server_that_stumbles_is_asked_again_a_bounded_number_of_times() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        setup.server.engine().failures = vec![status; 2];
        signer.sign(b"message").await.unwrap();

        setup.server.engine().failures = vec![status; 3];
        let before = setup.server.engine().requests;
        let error = signer.sign(b"message").await.unwrap_err();
        assert!(
            matches!(&error, SignError::Unavailable(reason) if reason.contains(status.as_str())),
            "{error}"
        );
        assert_eq!(setup.server.engine().requests, before + 3);
    }
    setup.server.engine().failures = vec![StatusCode::BAD_REQUEST];
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(
        matches!(&error, SignError::Refused(reason) if reason.contains("asked to fail")),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_and_recovers_without_a_restart() {
    let mut setup = Setup::new().await;
    let signer = setup.key("ca").await;
    let address = setup.server.address;
    setup.server.stop().await;
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(matches!(error, SignError::Unavailable(_)), "{error}");
    let _back = Server::start_at(address, Some(setup.server)).await;
    let signature = signer.sign(b"message").await.unwrap();
    assert!(verifies(&signer, b"message", &signature));
}

#[tokio::test]
async fn a_server_that_hangs_costs_bounded_time() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    setup.server.engine().delay = Duration::from_secs(60);
    let started = Instant::now();
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(matches!(error, SignError::Unavailable(_)), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(11),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    setup.server.engine().padding = 1 << 20;
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(
        matches!(&error, SignError::Refused(reason) if reason.contains("too long")),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    let setup = Setup::new().await;
    let signer = setup.key("ca").await;
    let elsewhere = Server::start().await;
    setup.server.engine().redirect = Some(format!("http://{}", elsewhere.address));
    let error = signer.sign(b"message").await.unwrap_err();
    assert!(
        matches!(&error, SignError::Refused(reason) if reason.contains("307")),
        "{error}"
    );
    assert_eq!(elsewhere.engine().requests, 0);
}

#[tokio::test]
async fn a_server_of_a_private_authority_is_believed_by_its_ca_file_only() {
    let setup = Setup::new().await;
    let key = setup.key("ca").await;
    let (port, certificate) = setup.server.behind_tls().await;
    let ca_file = setup.directory.path().join("ca.pem");
    std::fs::write(&ca_file, certificate).unwrap();
    let token_file = setup.token_file();
    let plain = format!(
        "hashivault://ca?address=https://localhost:{port}&token-file={}",
        token_file.display()
    );
    let trusting: KeyUri = format!("{plain}&ca-file={}", ca_file.display())
        .parse()
        .unwrap();
    let signer = keys::open(&trusting, None).await.unwrap();
    assert_eq!(signer.public_key(), key.public_key());
    let requests = setup.server.engine().requests;
    let error = refused(&plain.parse().unwrap()).await;
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(
        setup.server.engine().requests,
        requests,
        "the token was not sent"
    );
}

#[test]
fn the_token_is_in_no_line_of_the_finest_log() {
    crate::process::alone(
        "transit::the_token_is_in_no_line_of_the_finest_log",
        |_| (),
        || {
            let log = crate::process::logged(|| {
                crate::process::block_on(async {
                    let setup = Setup::new().await;
                    let signer = setup.key("ca").await;
                    setup.server.engine().failures = vec![StatusCode::SERVICE_UNAVAILABLE];
                    signer.sign(b"message").await.unwrap();
                    setup.server.engine().token = "s.another".to_owned();
                    signer.sign(b"message").await.unwrap_err();
                });
            });
            assert!(log.contains("trying again"), "{log}");
            assert!(!log.contains(TOKEN), "{log}");
        },
    );
}

#[tokio::test]
async fn wrapped_keys_open_unchanged_with_their_own_kek_only() {
    let setup = Setup::new().await;
    for name in ["kek", "other"] {
        setup.server.engine().make(name, "aes256-gcm96");
    }
    let (kek, other) = (setup.uri("kek"), setup.uri("other"));
    crate::wrapped::keeps_what_it_promises(&kek, &other, setup.directory.path()).await;
}

#[tokio::test]
async fn a_wrapped_key_costs_one_request_and_signs_without_the_server() {
    let mut setup = Setup::new().await;
    setup.server.engine().make("kek", "aes256-gcm96");
    let uri = crate::wrapped::uri(
        &setup.directory.path().join("ca.json"),
        &setup.uri("kek"),
        "",
    );
    keys::create(&uri, Algorithm::EcdsaP256Sha256, None)
        .await
        .unwrap();
    // Rotated meanwhile: the ciphertext says which version opens it.
    setup.server.engine().rotate("kek");
    let before = setup.server.engine().requests;
    let signer = keys::open(&uri, None).await.unwrap();
    assert_eq!(setup.server.engine().requests, before + 1);
    setup.server.stop().await;
    let signature = signer.sign(b"message").await.unwrap();
    assert!(verifies(&signer, b"message", &signature));
}
