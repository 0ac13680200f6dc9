use aws_lc_rs::signature::RSA_PSS_SHA256;
use serde_json::{Value, json};

use super::{entry, found_by_hash, found_by_key, refused, sha256, taken};
use crate::keys::Key;
use crate::on_every_store;
use crate::stack::b64;

/// `{1: -7}` and `{1: -37}`.
const ES256: &[u8] = b"\xa1\x01\x26";
const PS256: &[u8] = b"\xa1\x01\x38\x24";

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0x59][..], &length, bytes].concat()
}

fn to_be_signed(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    // Lengths in their shortest form, as both sides print them.
    let short = |part: &[u8]| match u8::try_from(part.len()).unwrap() {
        length @ 0..24 => [&[0x40 | length][..], part].concat(),
        length => [&[0x58, length][..], part].concat(),
    };
    [
        &b"\x84\x6aSignature1"[..],
        &short(protected),
        &short(aad),
        &short(payload),
    ]
    .concat()
}

fn message(protected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    [
        &b"\xd2\x84"[..],
        &bytes(protected),
        b"\xa1\x04\x41k",
        &bytes(payload),
        &bytes(signature),
    ]
    .concat()
}

fn cose(message: &[u8], key: &str, data: &Value) -> Value {
    entry(
        "cose",
        &json!({"message": b64(message), "publicKey": b64(key), "data": data}),
    )
}

fn signed(key: &Key, aad: &[u8], payload: &[u8]) -> Vec<u8> {
    message(
        ES256,
        payload,
        &key.sign(&to_be_signed(ES256, aad, payload)),
    )
}

on_every_store! {
    async fn es256_and_ps256_messages_are_taken_and_kept_as_attestations(stack) {
        let key = Key::p256_raw();
        let es256 = signed(&key, b"", b"hello");
        let (id, spec) = taken(stack, &cose(&es256, &key.pem, &json!({}))).await;
        assert_eq!(
            spec,
            json!({"data": {"envelopeHash": sha256(&es256), "payloadHash": sha256(b"hello")}, "publicKey": b64(&key.pem)})
        );
        found_by_hash(stack, &es256, &id).await;
        found_by_hash(stack, b"hello", &id).await;
        found_by_key(stack, "x509", key.pem.as_bytes(), &id).await;
        let got: Value = stack
            .get(&format!("/api/v1/log/entries/{id}"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(got[&id]["attestation"]["data"], b64(&es256));

        let rsa = Key::rsa2048();
        let signature = rsa.sign_rsa(&RSA_PSS_SHA256, &to_be_signed(PS256, b"aad", b"hello"));
        let ps256 = message(PS256, b"hello", &signature);
        taken(stack, &cose(&ps256, &rsa.pem, &json!({"aad": b64("aad")}))).await;
        refused(
            stack,
            &cose(&ps256, &rsa.pem, &json!({"aad": b64("other")})),
            "verification error",
        )
        .await;
    }

    async fn subjects_of_a_statement_are_found(stack) {
        let key = Key::p256_raw();
        let protected = [
            &b"\xa2\x01\x26\x03\x78\x1c"[..],
            b"application/vnd.in-toto+json",
        ]
        .concat();
        let digest = hex::encode(crypto::sha256(b"subject"));
        let payload = format!(r#"{{"subject":[{{"digest":{{"sha256":"{digest}"}}}}]}}"#);
        let signature = key.sign(&to_be_signed(&protected, b"", payload.as_bytes()));
        let message = message(&protected, payload.as_bytes(), &signature);
        let (id, _) = taken(stack, &cose(&message, &key.pem, &json!({}))).await;
        found_by_hash(stack, b"subject", &id).await;
    }

    async fn what_does_not_verify_is_refused(stack) {
        let key = Key::p256_raw();
        let good = signed(&key, b"", b"hello");
        let mut without_data = cose(&good, &key.pem, &json!({}));
        without_data["spec"].as_object_mut().unwrap().remove("data");
        refused(stack, &without_data, "cose object data cannot be nil").await;
        refused(stack, &cose(b"", &key.pem, &json!({})), "missing message").await;
        refused(
            stack,
            &cose(&good, &Key::p256().pem, &json!({})),
            "verification error",
        )
        .await;
        for place in [good.len() - 1, good.len() - 69] {
            let mut changed = good.clone();
            changed[place] ^= 1;
            refused(
                stack,
                &cose(&changed, &key.pem, &json!({})),
                "verification error",
            )
            .await;
        }
        refused(
            stack,
            &cose(&good, &Key::p384_sha384().pem, &json!({})),
            "unsupported elliptic curve P-384",
        )
        .await;
        refused(
            stack,
            &cose(&good, &Key::rsa2048().pem, &json!({})),
            "algorithm mismatch",
        )
        .await;
        let payload_elsewhere = [
            &b"\xd2\x84"[..],
            &bytes(ES256),
            b"\xa0\xf6",
            &bytes(&[0; 64]),
        ]
        .concat();
        refused(
            stack,
            &cose(&payload_elsewhere, &key.pem, &json!({})),
            "without payload",
        )
        .await;
        refused(
            stack,
            &cose(&good[1..], &key.pem, &json!({})),
            "not a COSE_Sign1 message",
        )
        .await;
        let critical = b"\xa2\x01\x26\x02\x81\x04";
        let signature = key.sign(&to_be_signed(critical, b"", b"hello"));
        refused(
            stack,
            &cose(
                &message(critical, b"hello", &signature),
                &key.pem,
                &json!({}),
            ),
            "critical",
        )
        .await;
    }

    async fn headers_that_would_take_much_memory_parsed_are_not_parsed(stack) {
        let key = Key::p256_raw();
        // 8 MiB of nested one-byte items would take some hundreds of megabytes parsed.
        let header = [&[0x5a, 0x00, 0x80, 0x00, 0x00][..], &vec![0x81; 8 << 20]].concat();
        let bomb = [
            &b"\xd2\x84"[..],
            &header,
            b"\xa0",
            &bytes(b"x"),
            &bytes(b"y"),
        ]
        .concat();
        refused(
            stack,
            &cose(&bomb, &key.pem, &json!({})),
            "headers are too long",
        )
        .await;
    }
}
