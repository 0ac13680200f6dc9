//! Finding entries.

use crate::dsse;
use crate::hashedrekord::vector;
use crate::keys::{Key, certify, sign_envelope};
use crate::on_every_store;
use crate::stack::{b64, refusal, signed_artifact};
use rcgen::SanType;
use serde_json::{Value, json};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

on_every_store! {
    async fn nothing_asked_for_is_nothing_found(stack) {
        stack.create(&vector()).await;
        assert!(stack.search(json!({})).await.is_empty());
        assert!(stack.search(json!({"hash": "ab".repeat(32)})).await.is_empty());
    }

    async fn artifacts_are_found_by_digest(stack) {
        let (id, _) = stack.create(&vector()).await;
        for hash in [HELLO.to_owned(), format!("sha256:{HELLO}"), HELLO.to_uppercase()] {
            assert_eq!(stack.search(json!({"hash": hash})).await, [id.as_str()]);
        }
    }

    async fn entries_are_found_by_key(stack) {
        let (id, _) = stack.create(&vector()).await;
        let content = vector()["spec"]["signature"]["publicKey"]["content"].clone();
        let query = json!({"publicKey": {"format": "x509", "content": content}});
        assert_eq!(stack.search(query).await, [id.as_str()]);
        let key_digest = "0bcc8908c3cc5f2c08c1e1963e1b674e76aa2dfb7cd91c437b4081b25b7f9e03";
        assert_eq!(stack.search(json!({"hash": key_digest})).await, [id]);
    }

    async fn entries_are_found_by_every_subject_of_the_certificate(stack) {
        let certified = certify("leaf", None, |params| {
            let other = (vec![1, 3, 6, 1, 4, 1, 57264, 1, 7], rcgen::OtherNameValue::Utf8String("name!Space".into()));
            params.subject_alt_names = vec![
                SanType::Rfc822Name("Dev@Corp.Example".try_into().unwrap()),
                SanType::DnsName("ci.corp.example".try_into().unwrap()),
                SanType::URI("https://ci.corp.example/Pipeline/1".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
                SanType::OtherName(other),
            ];
        });
        let (id, _) = stack.create(&signed_artifact(b"a", &certified.key)).await;
        let (other, _) = stack.create(&signed_artifact(b"b", &certified.key)).await;
        let mut both = [id.clone(), other.clone()];
        both.sort();
        for query in [
            json!({"email": "dev@corp.example"}),
            json!({"email": "DEV@corp.example"}),
            json!({"subject": "Dev@Corp.Example"}),
            json!({"subject": "ci.corp.example"}),
            json!({"subject": "https://ci.corp.example/pipeline/1"}),
            json!({"subject": "192.0.2.7"}),
            json!({"subject": "name!space"}),
            json!({"publicKey": {"format": "x509", "content": b64(&certified.pem)}}),
        ] {
            let mut found = stack.search(query.clone()).await;
            found.sort();
            assert_eq!(found, both, "{query}");
        }
    }

    async fn terms_combine_by_and_or_or(stack) {
        let certified = certify("leaf", None, |params| {
            params.subject_alt_names = vec![SanType::Rfc822Name("a@b.example".try_into().unwrap())];
        });
        let (mine, _) = stack.create(&signed_artifact(b"mine", &certified.key)).await;
        let (theirs, _) = stack.create(&vector()).await;
        let (email, hash) = ("a@b.example", HELLO);
        let mut found = stack.search(json!({"email": email, "hash": hash})).await;
        let mut both = [mine.clone(), theirs];
        found.sort();
        both.sort();
        assert_eq!(found, both);
        assert!(stack.search(json!({"email": email, "hash": hash, "operator": "and"})).await.is_empty());
        let hash = hex::encode(crypto::sha256(b"mine"));
        assert_eq!(stack.search(json!({"email": email, "hash": hash, "operator": "and"})).await, [mine]);
    }

    async fn statements_are_found_by_subject_material_payload_and_envelope(stack) {
        let key = Key::p256();
        let (subject, material) = ("aa".repeat(32), "bb".repeat(20));
        let payload = json!({
            "subject": [{"name": "x", "digest": {"sha256": subject}}],
            "predicate": {"materials": [{"uri": "u", "digest": {"sha1": material}}]},
        }).to_string();
        let signature = sign_envelope(&key, "application/vnd.in-toto+json", payload.as_bytes());
        let envelope = dsse::envelope(payload.as_bytes(), &[&b64(signature)]);
        let (id, _) = stack.create(&dsse::entry(&envelope, &[&key.pem])).await;
        let digest = |text: &str| hex::encode(crypto::sha256(text.as_bytes()));
        for hash in [subject, material, digest(&payload), digest(&envelope), digest(&key.pem)] {
            assert_eq!(stack.search(json!({"hash": hash})).await, [id.as_str()], "{hash}");
        }
        let query = json!({"publicKey": {"format": "x509", "content": b64(&key.pem)}});
        assert_eq!(stack.search(query).await, [id]);
    }

    async fn many_entries_of_one_key_are_all_found(stack) {
        let key = Key::p256();
        let mut ids = Vec::new();
        for place in 0..300_u32 {
            ids.push(stack.submit(&signed_artifact(&place.to_be_bytes(), &key)).await);
        }
        let mut ids: Vec<String> =
            ids.iter().map(|response| crate::stack::header(response, "etag").unwrap()).collect();
        let mut found = stack.search(json!({"publicKey": {"format": "x509", "content": b64(&key.pem)}})).await;
        ids.sort();
        found.sort();
        assert_eq!(found, ids);
    }

    async fn queries_that_make_no_sense_are_refused(stack) {
        let key = |format: &str, content: &str| json!({"publicKey": {"format": format, "content": content}});
        let cases: [(Value, u16, u64); 9] = [
            (json!({"hash": "ab".repeat(48)}), 422, 605),
            (json!({"hash": format!("SHA256:{HELLO}")}), 422, 605),
            (json!({"operator": "AND"}), 422, 606),
            (json!({"subject": "x".repeat(513)}), 422, 603),
            (json!({"email": "nobody"}), 422, 601),
            (key("gpg", ""), 422, 606),
            (json!({"publicKey": {"content": ""}}), 422, 602),
            (key("x509", &b64("garbage")), 400, 400),
            (json!({"publicKey": {"format": "x509"}}), 400, 400),
        ];
        for (query, status, code) in cases {
            let response = stack.post("/api/v1/index/retrieve", &query).await;
            assert_eq!(refusal(response, status).await.0, code, "{query}");
        }
    }
}
