//! The listing: what it finds, in pages, while the log changes.

use std::time::Duration;

use crate::hashedrekord::vector;
use crate::keys::{Certified, Key, certify, sign_envelope};
use crate::on_every_store;
use crate::stack::{Stack, b64, header, refusal, signed_artifact, unique_hashedrekord};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use logstore::{LogId, LogState};
use rcgen::SanType;
use serde_json::{Value, json};

const PATH: &str = "/api/sigkeep/v1/entries";
const TWO: &str =
    "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, key: 'file:DIR/second.key'}]";

impl Stack {
    async fn page(&self, query: &str) -> Value {
        let response = self.get(&format!("{PATH}?{query}")).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with("}\n"), "one line end");
        serde_json::from_str(&text).unwrap()
    }

    /// Names of all entries that match, page by page.
    async fn list(&self, query: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.page(&format!("{query}{cursor}")).await;
            all.extend(names(&page));
            if page["more"] == false {
                return all;
            }
            cursor = format!("&cursor={}", page["next"].as_str().unwrap());
        }
    }
}

fn names(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["uuid"].as_str().unwrap().to_owned())
        .collect()
}

/// A certificate as Fulcio makes them, in its newer or its older form.
fn certificate(email: &str, issuer: &str, newer: bool) -> Certified {
    certify("leaf", None, |params| {
        params.subject_alt_names = vec![SanType::Rfc822Name(email.try_into().unwrap())];
        let (oid, value) = if newer {
            let length = u8::try_from(issuer.len()).unwrap();
            (8, [&[0x0c, length], issuer.as_bytes()].concat())
        } else {
            (1, issuer.as_bytes().to_vec())
        };
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, oid];
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&oid, value)];
    })
}

on_every_store! {
    async fn entries_are_found_by_identity_issuer_hash_key_and_kind(stack) {
        let ours = certificate("dev@corp.example", "https://idp.corp.example/a", true);
        let older = certificate("ops@corp.example", "https://idp.corp.example/a", false);
        let other = certificate("dev@corp.example", "https://other.example", true);
        let (one, _) = stack.create(&signed_artifact(b"one", &ours.key)).await;
        let (two, _) = stack.create(&signed_artifact(b"two", &older.key)).await;
        let (three, _) = stack.create(&signed_artifact(b"one", &other.key)).await;
        let (bare, created) = stack.create(&vector()).await;
        let payload = b"{}";
        let signature = sign_envelope(&ours.key, "text/plain", payload);
        let envelope = json!({
            "payloadType": "text/plain", "payload": b64(payload), "signatures": [{"sig": b64(signature)}],
        }).to_string();
        let (dsse, _) = stack.create(&crate::dsse::entry(&envelope, &[&ours.pem])).await;

        let digest = |bytes: &[u8]| hex::encode(crypto::sha256(bytes));
        let artifact = digest(b"one");
        let (key, bare_key) = (digest(ours.pem.as_bytes()), "0bcc8908c3cc5f2c08c1e1963e1b674e76aa2dfb7cd91c437b4081b25b7f9e03");
        let all = [&one, &two, &three, &bare, &dsse];
        let cases: Vec<(String, Vec<&String>)> = vec![
            (String::new(), all.to_vec()),
            ("order=desc".into(), all.iter().rev().copied().collect()),
            ("identity=DEV@corp.example".into(), vec![&one, &three, &dsse]),
            ("issuer=https://idp.corp.example/a".into(), vec![&one, &two, &dsse]),
            ("issuer=https://idp.corp.example/A&identity=dev@corp.example".into(), vec![&one, &dsse]),
            (format!("hash=sha256:{artifact}"), vec![&one, &three]),
            (format!("hash={artifact}&identity=ops@corp.example"), vec![]),
            (format!("hash={artifact}&identity=ops@corp.example&operator=or"), vec![&one, &two, &three]),
            (format!("hash={artifact}&issuer=https://other.example"), vec![&three]),
            (format!("key={key}"), vec![&one, &dsse]),
            (format!("hash={key}"), vec![&one, &dsse]),
            (format!("key={bare_key}&order=desc"), vec![&bare]),
            ("kind=dsse".into(), vec![&dsse]),
            ("kind=hashedrekord".into(), vec![&one, &two, &three, &bare]),
            ("kind=hashedrekord&identity=dev@corp.example&order=desc".into(), vec![&three, &one]),
            ("kind=jar".into(), vec![]),
            // Names in certificates are no issuers and no kinds.
            ("identity=https://other.example".into(), vec![]),
            ("issuer=dev@corp.example".into(), vec![]),
        ];
        for (query, expected) in &cases {
            for limit in [1, 2, 100] {
                let found = stack.list(&format!("{query}&limit={limit}")).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), *expected, "{query} {limit}");
            }
        }

        let page = stack.page(&format!("key={bare_key}&body=true")).await;
        let tree = i64::from_str_radix(&bare[..16], 16).unwrap();
        assert_eq!(page["entries"], json!([{
            "apiVersion": "0.0.1", "body": created["body"], "entry": format!("/api/v1/log/entries/{bare}"),
            "hashes": [format!("sha256:{}", vector()["spec"]["data"]["hash"]["value"].as_str().unwrap())],
            "integratedTime": created["integratedTime"], "kind": "hashedrekord", "logIndex": 3,
            "signers": [{"identities": [], "key": bare_key}], "treeID": tree.to_string(), "uuid": bare,
        }]));
        let read = stack.get(page["entries"][0]["entry"].as_str().unwrap()).await.text().await.unwrap();
        assert_eq!(stack.check(&read).await.0, bare);
        let page = stack.page("kind=dsse").await;
        let entry = &page["entries"][0];
        assert_eq!(entry["signers"], json!([{
            "identities": ["dev@corp.example"], "issuer": "https://idp.corp.example/a", "key": key,
        }]));
        assert!(entry["hashes"].as_array().unwrap().contains(&json!(format!("sha256:{}", digest(envelope.as_bytes())))));
        assert_eq!(entry["body"], Value::Null);
    }

    async fn pages_hold_every_entry_once_while_the_log_grows(stack) {
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.push(stack.create(&unique_hashedrekord()).await.0);
        }
        let first = stack.page("limit=3").await;
        assert_eq!((names(&first), &first["more"]), (ids[..3].to_vec(), &json!(true)));
        ids.push(stack.create(&unique_hashedrekord()).await.0);
        let next = |page: &Value| page["next"].as_str().unwrap().to_owned();
        let second = stack.page(&format!("limit=5&cursor={}", next(&first))).await;
        assert_eq!((names(&second), &second["more"]), (ids[3..].to_vec(), &json!(false)));
        // Oldest first, a cursor at the end waits for what comes.
        let end = next(&second);
        let empty = stack.page(&format!("cursor={end}")).await;
        assert_eq!((names(&empty), &empty["more"]), (vec![], &json!(false)));
        assert_eq!(next(&empty), end);
        ids.push(stack.create(&unique_hashedrekord()).await.0);
        assert_eq!(names(&stack.page(&format!("cursor={end}")).await), ids[8..]);
        // Newest first, what comes is not on the pages that follow.
        let newest = stack.page("limit=4&order=desc").await;
        stack.create(&unique_hashedrekord()).await;
        let rest = stack.page(&format!("order=desc&cursor={}", next(&newest))).await;
        assert_eq!((&rest["more"], &rest["next"]), (&json!(false), &Value::Null));
        let mut all = [names(&newest), names(&rest)].concat();
        all.reverse();
        assert_eq!(all, ids);
    }

    async fn cursors_go_on_across_a_rotation(stack) {
        let key = Key::p256();
        let mut ids = Vec::new();
        for place in 0..4_u32 {
            ids.push(stack.create(&signed_artifact(&place.to_be_bytes(), &key)).await.0);
        }
        let filter = format!("key={}", hex::encode(crypto::sha256(key.pem.as_bytes())));
        let half = stack.page(&format!("{filter}&limit=2")).await;
        let end = stack.page(&filter).await;
        let newest = stack.page(&format!("{filter}&limit=1&order=desc")).await;
        let next = |page: &Value| page["next"].as_str().unwrap().to_owned();

        let old = i64::from_str_radix(&ids[0][..16], 16).unwrap();
        stack.store.set_state(LogId(old), LogState::Frozen).await.unwrap();
        stack.new_key("second.key");
        stack.restart_with(stack.config(TWO, "")).await;
        for place in 4..6_u32 {
            ids.push(stack.create(&signed_artifact(&place.to_be_bytes(), &key)).await.0);
        }
        assert_eq!(stack.list(&format!("{filter}&limit=3")).await, ids);
        assert_eq!(stack.list(&format!("{filter}&cursor={}", next(&half))).await, ids[2..]);
        assert_eq!(stack.list(&format!("{filter}&cursor={}", next(&end))).await, ids[4..]);
        let mut rest = stack.list(&format!("{filter}&order=desc&cursor={}", next(&newest))).await;
        rest.reverse();
        assert_eq!(rest, ids[..3]);
        let mut all = stack.list(&format!("{filter}&order=desc&limit=1")).await;
        all.reverse();
        assert_eq!(all, ids);
        assert_eq!(stack.list(&format!("treeID={old}")).await, ids[..4]);
        let page = stack.page(&filter).await;
        let indices: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["logIndex"].as_u64().unwrap()).collect();
        assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
        // A cursor of another log.
        let mut foreign = URL_SAFE_NO_PAD.decode(next(&half)).unwrap();
        foreign[9] ^= 1;
        let foreign = URL_SAFE_NO_PAD.encode(foreign);
        let (_, message) = refusal(stack.get(&format!("{PATH}?{filter}&cursor={foreign}")).await, 400).await;
        assert!(message.contains("begin again"), "{message}");
    }

    async fn times_bound_a_listing(stack) {
        let mut early = Vec::new();
        for _ in 0..3 {
            early.push(stack.create(&unique_hashedrekord()).await);
        }
        let last = early[2].1["integratedTime"].as_u64().unwrap();
        // Into the next second.
        while std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() <= last {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (late, entry) = stack.create(&unique_hashedrekord()).await;
        let at = entry["integratedTime"].as_u64().unwrap();
        let early: Vec<String> = early.into_iter().map(|(id, _)| id).collect();
        let all = [early.clone(), vec![late.clone()]].concat();
        assert_eq!(stack.list(&format!("since={at}")).await, [late.as_str()]);
        assert_eq!(stack.list(&format!("until={at}&limit=2")).await, early);
        assert_eq!(stack.list(&format!("since={at}&order=desc&limit=1")).await, [late.as_str()]);
        assert_eq!(stack.list("since=0&until=2999-12-31T00:00:00Z&limit=1").await, all);
        assert_eq!(stack.list(&format!("since={}", at + 3600)).await, Vec::<String>::new());
        assert_eq!(stack.list("until=2020-01-31T12:00:00Z").await, Vec::<String>::new());
    }

    async fn a_flooded_term_is_found_to_its_end(stack) {
        stack.restart("limits: {search-results: 5}").await;
        let key = Key::p256();
        let mut ids = Vec::new();
        for place in 0..12_u32 {
            ids.push(stack.create(&signed_artifact(&place.to_be_bytes(), &key)).await.0);
        }
        let (other, _) = stack.create(&vector()).await;
        ids.push(other);
        let query = json!({
            "publicKey": {"format": "x509", "content": b64(&key.pem)},
            "hash": vector()["spec"]["data"]["hash"]["value"],
        });
        let response = stack.post("/api/v1/index/retrieve", &query).await;
        let link = header(&response, "link").unwrap();
        let found: Vec<String> = response.json().await.unwrap();
        assert_eq!(found, ids[..5], "the oldest");
        let (path, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(relation, "; rel=\"next\"");
        let rest = stack.list(&format!("{}&limit=3", path.strip_prefix(&format!("{PATH}?")).unwrap())).await;
        assert_eq!(rest, ids[5..]);
        // All that matches fits: no link.
        stack.restart("limits: {search-results: 13}").await;
        let response = stack.post("/api/v1/index/retrieve", &query).await;
        assert_eq!(header(&response, "link"), None);
        assert_eq!(response.json::<Vec<String>>().await.unwrap(), ids);
    }

    async fn what_needs_missing_keys_waits_for_them(stack) {
        let signer = certificate("dev@corp.example", "https://idp.example", true);
        let mut ids = Vec::new();
        for place in 0..150_u32 {
            ids.push(stack.submit(&signed_artifact(&place.to_be_bytes(), &signer.key)).await);
        }
        let ids: Vec<String> = ids.iter().map(|response| header(response, "etag").unwrap()).collect();
        stack.create(&vector()).await;
        // As a program left it that knew no issuers. The indexer may be quick, and what it has not done
        // is refused: never is an answer a part.
        let mut refused = false;
        for _ in 0..5 {
            stack.sql("DELETE FROM search_key; UPDATE log SET indexed = 0").await;
            loop {
                let response = stack.get(&format!("{PATH}?issuer=https://idp.example&limit=1000")).await;
                if response.status() == 200 {
                    assert_eq!(names(&response.json().await.unwrap()), ids);
                    break;
                }
                let (_, message) = refusal(response, 503).await;
                assert!(message.contains("of 151 entries"), "{message}");
                refused = true;
                assert_eq!(stack.list("limit=1000").await.len(), 151, "what needs no keys is answered");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if refused {
                return;
            }
        }
        panic!("no answer waited for the index");
    }

    async fn questions_that_make_no_sense_are_refused(stack) {
        let (id, _) = stack.create(&vector()).await;
        let cursor = stack.page("order=desc&limit=1").await;
        assert_eq!(cursor["next"], Value::Null);
        let next = stack.page("").await["next"].as_str().unwrap().to_owned();
        let long = "x".repeat(2049);
        let (identity, issuer) = (format!("identity={long}"), format!("issuer={long}"));
        let many = "identity=a&".repeat(17);
        let turned = format!("order=desc&cursor={next}");
        let other = format!("identity=a&cursor={next}");
        for (query, status, code) in [
            ("identty=a", 400, 400),
            ("hash=abc", 422, 605),
            ("key=abc", 422, 605),
            ("kind=nope", 422, 606),
            ("order=up", 422, 606),
            ("operator=AND", 422, 606),
            ("body=yes", 422, 606),
            ("limit=0", 422, 609),
            ("limit=1001", 422, 608),
            ("limit=x", 422, 601),
            ("since=yesterday", 422, 601),
            ("until=99999999999999", 422, 601),
            ("treeID=x", 422, 605),
            ("treeID=5", 400, 400),
            ("treeID=99999999999999999999", 400, 400),
            ("cursor=AAAA", 400, 400),
            (identity.as_str(), 422, 603),
            (issuer.as_str(), 422, 603),
            (many.as_str(), 400, 400),
            (turned.as_str(), 400, 400),
            (other.as_str(), 400, 400),
        ] {
            let response = stack.get(&format!("{PATH}?{query}")).await;
            assert_eq!(refusal(response, status).await.0, code, "{query}");
        }
        assert_eq!(stack.list("identity=&limit=").await, [id], "empty is absent");
        refusal(stack.post(PATH, &json!({})).await, 405).await;
        stack.restart("disabled-endpoints: [listEntries]").await;
        let (_, message) = refusal(stack.get(PATH).await, 501).await;
        assert!(message.starts_with("List Entries API not enabled"), "{message}");
    }

    async fn pages_and_retrieved_entries_are_bounded_in_bytes(stack) {
        // A key hint that nobody checks makes an entry of 1 MiB, nearly.
        let key = Key::p256();
        let mut ids = Vec::new();
        for place in 0..4_u32 {
            let payload = place.to_be_bytes();
            let envelope = json!({
                "payloadType": "a", "payload": b64(b64(payload)),
                "signatures": [{
                    "sig": b64(b64(sign_envelope(&key, "a", &payload))), "publicKey": b64(&key.pem),
                    "keyid": "x".repeat(1_000_000),
                }],
            });
            let entry = json!({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {
                "envelope": envelope, "hash": {"algorithm": "sha256", "value": "ab".repeat(32)},
            }}});
            ids.push(stack.create(&entry).await.0);
        }
        let page = stack.page("body=true").await;
        assert_eq!((names(&page), &page["more"]), (ids[..1].to_vec(), &json!(true)));
        assert_eq!(stack.list("body=true").await, ids);
        assert_eq!(names(&stack.page("").await), ids, "without bodies they are short");
        assert_eq!(stack.retrieve(json!({"logIndexes": [0, 1]})).await.len(), 2);
        let query = json!({"logIndexes": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]});
        let (_, message) = refusal(stack.post("/api/v1/log/entries/retrieve", &query).await, 422).await;
        assert!(message.contains("ask for fewer"), "{message}");
    }
}
