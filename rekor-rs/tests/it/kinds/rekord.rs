use blake2::Digest as _;
use serde_json::{Value, json};

use super::{entry, found_by_hash, found_by_key, refused, sha256, taken};
use crate::keys::Key;
use crate::on_every_store;
use crate::stack::b64;

const ARTIFACT: &[u8] = b"hello\n";

fn rekord(format: &str, signature: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Value {
    entry(
        "rekord",
        &json!({
            "signature": {"format": format, "content": b64(signature), "publicKey": {"content": b64(key)}},
            "data": {"content": b64(ARTIFACT)},
        }),
    )
}

fn body(format: &str, signature: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Value {
    json!({
        "data": {"hash": sha256(ARTIFACT)},
        "signature": {"format": format, "content": b64(signature), "publicKey": {"content": b64(key)}},
    })
}

on_every_store! {
    async fn x509_signatures_are_over_sha256_or_pure(stack) {
        for key in [Key::p256(), Key::ed25519([9; 32]), Key::rsa2048()] {
            let signature = key.sign(ARTIFACT);
            let (id, spec) = taken(
                stack,
                &rekord("x509", &signature, format!("\n{}", key.pem)),
            )
            .await;
            assert_eq!(spec, body("x509", &signature, &key.pem));
            found_by_key(stack, "x509", key.pem.as_bytes(), &id).await;
        }
        let key = Key::p256();
        refused(
            stack,
            &rekord("x509", key.sign(b"other"), &key.pem),
            "invalid signature",
        )
        .await;
    }

    async fn the_artifact_must_be_there_and_have_the_stated_digest(stack) {
        let key = Key::p256();
        let good = rekord("x509", key.sign(ARTIFACT), &key.pem);
        let mut with = good.clone();
        with["spec"]["data"]["hash"] = sha256(b"other");
        refused(stack, &with, "SHA mismatch: ").await;
        with["spec"]["data"]["hash"]["value"] = "ab".into();
        refused(stack, &with, "invalid value for hash").await;
        with["spec"]["data"]["hash"] = sha256(ARTIFACT);
        let mut without = with.clone();
        taken(stack, &with).await;
        assert_eq!(stack.submit(&good).await.status(), 409);
        without["spec"]["data"]
            .as_object_mut()
            .unwrap()
            .remove("content");
        refused(
            stack,
            &without,
            "entry not insertable into log: missing data content",
        )
        .await;
        without["spec"]["data"] = json!({});
        refused(stack, &without, "'content' must be specified for data").await;
        refused(
            stack,
            &rekord("gpg", "s", "k"),
            "signature.format in body should be one of [pgp minisign x509 ssh]",
        )
        .await;
    }
}

/// A key and signature of minisign or signify.
fn minisign(key: &Key, algorithm: &[u8; 2], id: &[u8; 8], message: &[u8]) -> (String, Vec<u8>) {
    let public = crypto::PublicKey::from_pem(&key.pem).unwrap();
    let public = [b"Ed", &id[..], public.ed25519_bytes().unwrap()].concat();
    (
        b64(public),
        [&algorithm[..], id, &key.sign(message)].concat(),
    )
}

on_every_store! {
    async fn minisign_prehashed_and_legacy_and_signify_are_taken(stack) {
        let key = Key::ed25519([3; 32]);
        let digest = blake2::Blake2b512::digest(ARTIFACT);
        for (algorithm, message) in [(b"ED", digest.as_slice()), (b"Ed", ARTIFACT)] {
            let (line, signature) = minisign(&key, algorithm, b"12345678", message);
            let file = format!("untrusted comment: minisign public key\n{line}\n");
            let text = format!(
                "untrusted comment: signature\n{}\ntrusted comment: t\n{}\n",
                b64(&signature),
                b64(key.sign(b"not looked at"))
            );
            let (id, spec) = taken(stack, &rekord("minisign", &text, &file)).await;
            let canonical = format!("untrusted comment:\n{}", b64(&signature));
            assert_eq!(spec, body("minisign", canonical, &line));
            found_by_key(stack, "minisign", file.as_bytes(), &id).await;
            // signify: the same without trusted comment, and the key's line alone.
            let signify = format!("untrusted comment: x\n{}\n", b64(&signature));
            assert_eq!(
                stack
                    .submit(&rekord("minisign", &signify, &line))
                    .await
                    .status(),
                409
            );
            // A digest is not an artifact.
            let other = if algorithm == b"ED" { b"Ed" } else { b"ED" };
            let (_, wrong) = minisign(&key, other, b"12345678", message);
            let wrong = format!("untrusted comment: x\n{}\n", b64(wrong));
            refused(
                stack,
                &rekord("minisign", wrong, &line),
                "ed25519: invalid signature",
            )
            .await;
        }
        refused(
            stack,
            &rekord("minisign", "x", "y"),
            "invalid signature provided",
        )
        .await;
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/", $name))
    };
}

on_every_store! {
    async fn signatures_of_ssh_keygen_are_taken(stack) {
        for (key, signature, owner) in [
            (
                fixture!("ssh-rsa.pub"),
                fixture!("ssh-rsa.sig"),
                "rsa@example.org",
            ),
            (
                fixture!("ssh-ed25519.pub"),
                fixture!("ssh-ed25519.sig"),
                "ed25519@example.org",
            ),
            (
                fixture!("ssh-ecdsa.pub"),
                fixture!("ssh-ecdsa.sig"),
                "ecdsa@example.org",
            ),
        ] {
            let (id, spec) = taken(stack, &rekord("ssh", signature, key)).await;
            let (line, _comment) = key.trim_end().rsplit_once(' ').unwrap();
            assert_eq!(
                spec["signature"]["publicKey"]["content"],
                b64(format!("{line}\n"))
            );
            found_by_key(stack, "ssh", key.as_bytes(), &id).await;
            assert_eq!(stack.search(json!({"email": owner})).await, [id.as_str()]);
            // 64 columns, whatever they were (ssh-keygen: 70).
            let canonical = crate::stack::decode(spec["signature"]["content"].as_str().unwrap());
            let canonical = String::from_utf8(canonical).unwrap();
            assert!(canonical.lines().skip(1).all(|line| line.len() <= 64));
            assert_eq!(canonical.replace('\n', ""), signature.replace('\n', ""));
            assert_eq!(
                stack
                    .submit(&rekord("ssh", &canonical, line))
                    .await
                    .status(),
                409
            );
        }
        assert_eq!(
            stack
                .search(json!({"hash": hex::encode(crypto::sha256(ARTIFACT))}))
                .await
                .len(),
            3
        );
    }

    async fn other_ssh_signatures_are_refused(stack) {
        let key = fixture!("ssh-ed25519.pub");
        refused(
            stack,
            &rekord("ssh", fixture!("ssh-ed25519-git.sig"), key),
            "invalid signature namespace: git",
        )
        .await;
        refused(
            stack,
            &rekord("ssh", fixture!("ssh-ed25519-sha256.sig"), key),
            "unsupported hash algorithm: sha256",
        )
        .await;
        refused(
            stack,
            &rekord("ssh", fixture!("ssh-rsa.sig"), key),
            "ssh: signature did not verify",
        )
        .await;
        let mut other = rekord("ssh", fixture!("ssh-ed25519.sig"), key);
        other["spec"]["data"]["content"] = b64("other").into();
        refused(stack, &other, "ssh: signature did not verify").await;
        refused(
            stack,
            &rekord("ssh", "-----BEGIN A-----\naGk=\n-----END A-----\n", key),
            "wrong pem block type",
        )
        .await;
        refused(
            stack,
            &rekord("ssh", "", key),
            "'content' must be specified for signature",
        )
        .await;
        refused(
            stack,
            &rekord("ssh", fixture!("ssh-ed25519.sig"), "ssh-ed25519 AAAA"),
            "ssh: ",
        )
        .await;
    }

    async fn every_format_is_found_by_the_artifact(stack) {
        let key = Key::p256();
        let (id, _) = taken(stack, &rekord("x509", key.sign(ARTIFACT), &key.pem)).await;
        found_by_hash(stack, ARTIFACT, &id).await;
    }
}
