//! Entries of kind `dsse`.

use crate::keys::{Key, sign_envelope};
use crate::on_every_store;
use crate::stack::{Stack, b64, hash};
use base64::Engine as _;
use serde_json::{Value, json};

const TYPE: &str = "application/vnd.in-toto+json";

/// A compact envelope, members in the order that the public vector has.
pub(crate) fn envelope(payload: &[u8], signatures: &[&str]) -> String {
    let signatures: Vec<String> = signatures
        .iter()
        .map(|sig| format!(r#"{{"sig":"{sig}"}}"#))
        .collect();
    format!(
        r#"{{"payload":"{}","payloadType":"{TYPE}","signatures":[{}]}}"#,
        b64(payload),
        signatures.join(",")
    )
}

pub(crate) fn entry(envelope: &str, verifiers: &[&str]) -> Value {
    let verifiers: Vec<String> = verifiers.iter().map(b64).collect();
    json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {"proposedContent": {"envelope": envelope, "verifiers": verifiers}},
    })
}

fn sign(key: &Key, payload: &[u8]) -> String {
    b64(sign_envelope(key, TYPE, payload))
}

fn vector() -> (String, Key) {
    let mut seed = [0; 32];
    (0..32).for_each(|place| seed[usize::from(place)] = place);
    let key = Key::ed25519(seed);
    let statement = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a","digest":{{"sha256":"{}"}}}}],"predicateType":"https://example.com/p","predicate":{{}}}}"#,
        "0".repeat(64)
    );
    let signature = sign(&key, statement.as_bytes());
    assert_eq!(
        signature,
        "AtD0fiSqwf4/OhA06p+twS3GtStZDsk1/dyVdy2hIIQRfFf1Fup3CWpWhD03w8u2LnZ106aM67FosyqZUNyZBQ=="
    );
    (envelope(statement.as_bytes(), &[&signature]), key)
}

/// The vector, proposed as an entry.
pub(crate) fn envelope_entry() -> Value {
    let (envelope, key) = vector();
    entry(&envelope, &[&key.pem])
}

fn body(entry: &Value) -> Value {
    let body = base64::engine::general_purpose::STANDARD
        .decode(entry["body"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn invalid(stack: &Stack, entry: &Value, expected: &str) {
    let (_, message) = stack.refused(entry, 400).await;
    assert!(
        message.starts_with("error processing entry: ") && message.contains(expected),
        "{message}"
    );
}

on_every_store! {
    async fn the_public_vector_gets_its_hashes(stack) {
        let (text, key) = vector();
        let (id, found) = stack.create(&entry(&text, &[&key.pem])).await;
        assert_eq!(id[16..], *"a2fa57cff56e0186e406065959867072b7000f3c2bde3dd4dac13543737a4972");
        let spec = &body(&found)["spec"];
        assert_eq!(hash(&spec["envelopeHash"]["value"]).0[..4], [0x53, 0xb4, 0xe5, 0x76]);
        assert_eq!(hash(&spec["payloadHash"]["value"]).0[..4], [0x6b, 0x71, 0x73, 0x57]);
        assert!(found.get("attestation").is_none());
        // The envelope's text is what is hashed, so white space makes another entry.
        let (other, _) = stack.create(&entry(&format!(" {text}"), &[&key.pem])).await;
        assert_ne!(id, other);
    }

    async fn several_signatures_are_sorted(stack) {
        let (a, b) = (Key::p256(), Key::rsa2048());
        let (first, second) = (sign(&a, b"{}"), sign(&b, b"{}"));
        let text = envelope(b"{}", &[&first, &second]);
        let (_, found) = stack.create(&entry(&text, &[&a.pem, &b.pem])).await;
        let mut expected = [(first, b64(&a.pem)), (second, b64(&b.pem))];
        expected.sort();
        let expected: Vec<Value> = expected
            .iter()
            .map(|(signature, verifier)| json!({"signature": signature, "verifier": verifier}))
            .collect();
        assert_eq!(body(&found)["spec"]["signatures"], json!(expected));
    }

    async fn every_signature_needs_its_key(stack) {
        let (a, b) = (Key::p256(), Key::p256());
        let text = envelope(b"{}", &[&sign(&a, b"{}"), &sign(&b, b"{}")]);
        invalid(stack, &entry(&text, &[&a.pem]), "all signatures must have a key that verifies it").await;
        let text = envelope(b"{}", &[&sign(&a, b"{}"), &sign(&a, b"{}")]);
        invalid(stack, &entry(&text, &[&a.pem]), "all signatures must have a key that verifies it").await;
        invalid(stack, &entry(&text, &[]), "all signatures must have a key that verifies it").await;
    }

    async fn verifiers_are_tried_in_order(stack) {
        let (a, b) = (Key::p256(), Key::p256());
        let text = envelope(b"{}", &[&sign(&a, b"{}")]);
        invalid(stack, &entry(&text, &[&b.pem, &a.pem]),
            "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1").await;
        invalid(stack, &entry(&text, &["garbage", &a.pem]), "could not parse public key as x509").await;
        stack.create(&entry(&text, &[&a.pem, "garbage"])).await;
    }

    async fn equal_signatures_count_once(stack) {
        let key = Key::p256();
        let signature = sign(&key, b"{}");
        let (_, found) = stack.create(&entry(&envelope(b"{}", &[&signature, &signature]), &[&key.pem])).await;
        assert_eq!(body(&found)["spec"]["signatures"].as_array().unwrap().len(), 1);
    }

    async fn incomplete_envelopes_are_refused(stack) {
        let key = Key::p256();
        invalid(stack, &entry(&envelope(b"{}", &[]), &[&key.pem]), "1 or more signatures").await;
        invalid(stack, &entry("{", &[&key.pem]), "DSSE envelope").await;
        let bad = format!(r#"{{"payload":"!","payloadType":"t","signatures":[{{"sig":"{}"}}]}}"#, b64("x"));
        invalid(stack, &entry(&bad, &[&key.pem]), "unable to base64 decode payload").await;
        let none = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {}});
        invalid(stack, &none, "either proposedContent or").await;
        let mut no_verifiers = entry("{}", &[]);
        no_verifiers["spec"]["proposedContent"].as_object_mut().unwrap().remove("verifiers");
        invalid(stack, &no_verifiers, "proposedContent.verifiers in body is required").await;
    }

    async fn wrong_signatures_are_refused(stack) {
        let key = Key::p256();
        invalid(stack, &entry(&envelope(b"[]", &[&sign(&key, b"{}")]), &[&key.pem]),
            "accepted signatures do not match threshold").await;
    }

    async fn the_canonical_body_finds_its_entry_and_cannot_be_inserted(stack) {
        let (text, key) = vector();
        let (id, found) = stack.create(&entry(&text, &[&key.pem])).await;
        let canonical = body(&found);
        invalid(stack, &canonical, "entry not insertable into log: missing proposed content").await;
        for query in [canonical, entry(&text, &[&key.pem])] {
            let found = stack.retrieve(json!({"entries": [query]})).await;
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].0, id);
        }
        let mut both = entry(&text, &[&key.pem]);
        both["spec"]["payloadHash"] = json!({"algorithm": "sha256", "value": "0"});
        invalid(stack, &both, "must be present but not both").await;
    }

    async fn many_signatures_are_refused_before_they_are_tried(stack) {
        let key = Key::p256();
        let signatures: Vec<String> = (0..33).map(|place| b64([place])).collect();
        let signatures: Vec<&str> = signatures.iter().map(String::as_str).collect();
        invalid(stack, &entry(&envelope(b"{}", &signatures), &[&key.pem]), "more than 32").await;
    }
}
