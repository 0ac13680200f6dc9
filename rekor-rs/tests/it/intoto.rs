//! Entries of kind `intoto`.

use crate::keys::{Key, sign_envelope};
use crate::on_every_store;
use crate::stack::{Stack, b64};
use base64::Engine as _;
use serde_json::{Value, json};

const TYPE: &str = "application/vnd.in-toto+json";

fn signed(key: &Key, payload: &[u8]) -> Value {
    let signature = sign_envelope(key, TYPE, payload);
    json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {"content": {
            "envelope": {
                "payloadType": TYPE,
                "payload": b64(b64(payload)),
                "signatures": [{"keyid": "k", "sig": b64(b64(signature)), "publicKey": b64(&key.pem)}],
            },
            "hash": {"algorithm": "sha256", "value": "ab".repeat(32)},
        }},
    })
}

/// A proposed entry whose statement is kept as its attestation.
pub(crate) fn attested_entry() -> Value {
    let statement = format!(
        r#"{{"subject":[{{"name":"b","digest":{{"sha256":"{}"}}}}]}}"#,
        "1".repeat(64)
    );
    signed(&Key::p256(), statement.as_bytes())
}

fn body(entry: &Value) -> Value {
    let body = base64::engine::general_purpose::STANDARD
        .decode(entry["body"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

async fn attestation(stack: &Stack, id: &str) -> Option<Vec<u8>> {
    let text = stack
        .get(&format!("/api/v1/log/entries/{id}"))
        .await
        .text()
        .await
        .unwrap();
    let (_, entry) = stack.check(&text).await;
    let data = entry.get("attestation")?["data"]
        .as_str()
        .unwrap()
        .to_owned();
    Some(
        base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap(),
    )
}

on_every_store! {
    async fn the_payload_is_kept_as_attestation_and_dropped_from_the_body(stack) {
        let key = Key::p256();
        let payload = br#"{"_type":"https://in-toto.io/Statement/v1"}"#;
        let proposed = signed(&key, payload);
        let (id, created) = stack.create(&proposed).await;
        assert!(created.get("attestation").is_none(), "not in the answer to a write");
        assert_eq!(attestation(stack, &id).await.unwrap(), payload);

        let mut expected = proposed.clone();
        let content = &mut expected["spec"]["content"];
        content["envelope"].as_object_mut().unwrap().remove("payload");
        content["payloadHash"] = json!({"algorithm": "sha256", "value": hex::encode(crypto::sha256(payload))});
        assert_eq!(body(&created), expected);
        assert_eq!(stack.submit(&proposed).await.status(), 409);

        let found = stack.retrieve(json!({"entries": [proposed, expected]})).await;
        assert_eq!(found.iter().map(|(found, _)| found).collect::<Vec<_>>(), [&id, &id]);
        let (_, message) = stack.refused(&expected, 400).await;
        assert!(message.contains("entry not insertable into log: missing envelope content"), "{message}");
    }

    async fn long_payloads_are_taken_without_attestation(stack) {
        let key = Key::p256();
        let (id, _) = stack.create(&signed(&key, &vec![b'x'; 102_399])).await;
        assert_eq!(attestation(stack, &id).await.unwrap().len(), 102_399);
        let (id, _) = stack.create(&signed(&key, &vec![b'x'; 102_400])).await;
        assert_eq!(attestation(stack, &id).await, None);
    }

    async fn what_is_not_encoded_twice_is_refused(stack) {
        let key = Key::p256();
        let mut once = signed(&key, b"{}");
        once["spec"]["content"]["envelope"]["payload"] = b64("{}").into();
        let (_, message) = stack.refused(&once, 400).await;
        assert!(message.contains("unable to base64 decode payload"), "{message}");
    }

    async fn missing_and_wrong_members_are_refused(stack) {
        let key = Key::p256();
        let without = |path: &str, name: &str| {
            let mut entry = signed(&key, b"{}");
            entry.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(name);
            entry
        };
        let envelope = "/spec/content/envelope";
        for (entry, expected) in [
            (without("/spec/content", "hash"), "missing envelope digest"),
            (without("/spec", "content"), "content in body is required"),
            (without("/spec/content", "envelope"), "content.envelope in body is required"),
            (without(envelope, "payload"), "missing envelope content"),
            (without(envelope, "payloadType"), "payloadType in body is required"),
            (without(envelope, "signatures"), "signatures in body is required"),
            (without("/spec/content/envelope/signatures/0", "sig"), "missing signature content"),
            (without("/spec/content/envelope/signatures/0", "publicKey"), "missing publicKey content"),
            (without("/spec/content/hash", "value"), "content.hash.value in body is required"),
        ] {
            let (_, message) = stack.refused(&entry, 400).await;
            assert!(message.contains(expected), "{message}");
        }
        let mut other = signed(&key, b"{}");
        other["spec"]["content"]["envelope"]["payload"] = b64(b64("[]")).into();
        let (_, message) = stack.refused(&other, 400).await;
        assert!(message.contains("accepted signatures do not match threshold"), "{message}");
    }

    async fn the_older_version_keeps_hashes_and_one_key(stack) {
        let (key, other) = (Key::p256(), Key::p256());
        let payload = br#"{"subject":[{"name":"x","digest":{"sha256":"aa"}}]}"#;
        let sign = |key: &Key| b64(sign_envelope(key, TYPE, payload));
        let envelope = crate::dsse::envelope(payload, &[&sign(&other), &sign(&key)]);
        let proposed = json!({
            "apiVersion": "0.0.1",
            "kind": "intoto",
            "spec": {
                "content": {"envelope": envelope, "hash": {"algorithm": "sha256", "value": "ignored"}},
                "publicKey": b64(&key.pem),
            },
        });
        let (id, created) = stack.create(&proposed).await;
        let sha256 = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(crypto::sha256(bytes))});
        let expected = json!({
            "apiVersion": "0.0.1",
            "kind": "intoto",
            "spec": {
                "content": {"hash": sha256(envelope.as_bytes()), "payloadHash": sha256(payload)},
                "publicKey": b64(&key.pem),
            },
        });
        assert_eq!(body(&created), expected);
        assert_eq!(attestation(stack, &id).await.unwrap(), payload);
        let found = stack.retrieve(json!({"entries": [proposed, expected]})).await;
        assert_eq!(found.iter().map(|(found, _)| found).collect::<Vec<_>>(), [&id, &id]);
        let (_, message) = stack.refused(&expected, 400).await;
        assert!(message.contains("entry not insertable into log"), "{message}");
        let hash = hex::encode(crypto::sha256(envelope.as_bytes()));
        assert_eq!(stack.search(json!({"hash": hash})).await, [id.as_str()]);

        let mut wrong = proposed.clone();
        wrong["spec"]["publicKey"] = b64(Key::p256().pem).into();
        let (_, message) = stack.refused(&wrong, 400).await;
        assert!(message.contains("accepted signatures do not match threshold"), "{message}");
        let mut old = expected.clone();
        old["spec"]["content"].as_object_mut().unwrap().remove("payloadHash");
        assert!(stack.retrieve(json!({"entries": [old]})).await.is_empty());
    }

    async fn one_query_may_ask_for_several_kinds_of_one_envelope(stack) {
        let key = Key::p256();
        let envelope = crate::dsse::envelope(b"{}", &[&b64(sign_envelope(&key, TYPE, b"{}"))]);
        let dsse = crate::dsse::entry(&envelope, &[&key.pem]);
        let intoto = json!({
            "apiVersion": "0.0.1",
            "kind": "intoto",
            "spec": {"content": {"envelope": envelope}, "publicKey": b64(&key.pem)},
        });
        let (id, _) = stack.create(&dsse).await;
        let found = stack.retrieve(json!({"entries": [dsse, intoto]})).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, id);
    }
}
