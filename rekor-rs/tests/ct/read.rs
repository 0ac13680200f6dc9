use crypto::HashAlgorithm;
use pki::sct::parse_digitally_signed;
use serde_json::{Value, json};
use tlog::{Hash, leaf_hash, verify_consistency, verify_inclusion};

use crate::ca::{Ca, leaf};
use crate::place::{Place, on_every_store};
use crate::server::{Server, bytes, hashes};

on_every_store! {
    tree_heads_are_signed_from_the_empty_tree_on,
    the_head_of_an_idle_log_does_not_grow_old,
    every_tree_is_a_prefix_of_every_later_one,
    every_entry_is_proven_in_every_tree_that_holds_it,
    proofs_that_cannot_be_are_refused,
    entries_are_read_in_ranges,
    whole_answers_are_cached_for_long_and_short_ones_are_not,
    the_roots_are_the_configured_ones,
}

fn root(sth: &Value) -> Hash {
    Hash::try_from(bytes(&sth["sha256_root_hash"]).as_slice()).unwrap()
}

fn verify(server: &Server, sth: &Value) {
    let number = |name: &str| sth[name].as_u64().unwrap().to_be_bytes();
    let message = [
        &[0, 1][..],
        &number("timestamp"),
        &number("tree_size"),
        root(sth).as_bytes(),
    ]
    .concat();
    assert_eq!(message.len(), 50);
    let signature = bytes(&sth["tree_head_signature"]);
    let signature = parse_digitally_signed(&signature).unwrap();
    server
        .log
        .public_key()
        .verify(HashAlgorithm::Sha256, &message, signature)
        .unwrap();
}

fn url_encoded(hash: &Hash) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(hash.as_bytes());
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn tree_heads_are_signed_from_the_empty_tree_on(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let empty = server.sth().await;
    assert_eq!(empty["tree_size"], 0);
    assert_eq!(root(&empty), tlog::empty_root());
    verify(&server, &empty);
    for size in 1..4 {
        server.clock.advance(std::time::Duration::from_millis(10));
        server.fill(&ca, 1).await;
        let sth = server.sth().await;
        assert_eq!(sth["tree_size"], size);
        assert_eq!(sth["timestamp"], crate::ca::NOW_MS + 10 * size);
        verify(&server, &sth);
    }
}

async fn the_head_of_an_idle_log_does_not_grow_old(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    server.fill(&ca, 1).await;
    let first = server.sth().await;
    server
        .clock
        .advance(std::time::Duration::from_secs(6 * 3600));
    assert_eq!(server.sth().await, first);
    server
        .clock
        .advance(std::time::Duration::from_secs(7 * 3600));
    let second = server.sth().await;
    assert_eq!(second["timestamp"], crate::ca::NOW_MS + 13 * 3_600_000);
    assert_eq!(
        (&second["tree_size"], root(&second)),
        (&json!(1), root(&first))
    );
    verify(&server, &second);
    assert_eq!(server.sth().await, second, "one signature for all who ask");
    server.fill(&ca, 1).await;
    let third = server.sth().await;
    assert_eq!(third["tree_size"], 2);
    assert!(third["timestamp"].as_u64() >= second["timestamp"].as_u64());
}

async fn every_tree_is_a_prefix_of_every_later_one(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let mut heads = vec![server.sth().await];
    for _ in 0..6 {
        server.fill(&ca, 1).await;
        heads.push(server.sth().await);
    }
    for first in 0..heads.len() {
        for second in first..heads.len() {
            let (status, body) = server
                .get(&format!(
                    "get-sth-consistency?first={first}&second={second}"
                ))
                .await;
            assert_eq!(status, 200, "{body}");
            if first == 0 || first == second {
                assert_eq!(body, json!({ "consistency": [] }));
            } else {
                let (old, new) = (root(&heads[first]), root(&heads[second]));
                let proof = hashes(&body["consistency"]);
                verify_consistency(first as u64, second as u64, &proof, &old, &new).unwrap();
            }
        }
    }
    for query in [
        "first=1&second=7",
        "first=0&second=7",
        "first=3&second=2",
        "first=-1&second=2",
        "first=1",
        "second=1",
        "",
        "first=a&second=b",
    ] {
        let (status, body) = server.get(&format!("get-sth-consistency?{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
    }
}

async fn every_entry_is_proven_in_every_tree_that_holds_it(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let mut heads = vec![server.sth().await];
    for _ in 0..5 {
        server.clock.advance(std::time::Duration::from_millis(1));
        server.fill(&ca, 1).await;
        heads.push(server.sth().await);
    }
    let (_, entries) = server.get("get-entries?start=0&end=4").await;
    for index in 0..5 {
        let entry = &entries["entries"][index];
        let leaf = leaf_hash(&bytes(&entry["leaf_input"]));
        let encoded = url_encoded(&leaf);
        for (size, head) in heads.iter().enumerate().skip(1) {
            let by_hash = server
                .get(&format!(
                    "get-proof-by-hash?hash={encoded}&tree_size={size}"
                ))
                .await;
            let by_index = server
                .get(&format!(
                    "get-entry-and-proof?leaf_index={index}&tree_size={size}"
                ))
                .await;
            if size <= index {
                assert_eq!((by_hash.0.as_u16(), by_index.0.as_u16()), (404, 400));
                continue;
            }
            assert_eq!((by_hash.0.as_u16(), by_index.0.as_u16()), (200, 200));
            assert_eq!(by_hash.1["leaf_index"], index);
            assert_eq!(by_hash.1["audit_path"], by_index.1["audit_path"]);
            assert_eq!(by_index.1["leaf_input"], entry["leaf_input"]);
            assert_eq!(by_index.1["extra_data"], entry["extra_data"]);
            let proof = hashes(&by_hash.1["audit_path"]);
            verify_inclusion(index as u64, size as u64, &leaf, &proof, &root(head)).unwrap();
        }
    }
}

async fn proofs_that_cannot_be_are_refused(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    server.fill(&ca, 1).await;
    let (_, entries) = server.get("get-entries?start=0&end=0").await;
    let known = url_encoded(&leaf_hash(&bytes(&entries["entries"][0]["leaf_input"])));
    let unknown = url_encoded(&Hash([9; 32]));
    for (query, expected) in [
        (format!("hash={unknown}&tree_size=1"), 404),
        (format!("hash={known}&tree_size=2"), 404),
        (format!("hash={known}&tree_size=0"), 400),
        (format!("hash={known}&tree_size=-1"), 400),
        (format!("hash={known}"), 400),
        ("hash=AAAA&tree_size=1".into(), 400),
        ("hash=!&tree_size=1".into(), 400),
        ("tree_size=1".into(), 400),
    ] {
        let (status, body) = server.get(&format!("get-proof-by-hash?{query}")).await;
        assert_eq!(status, expected, "{query}: {body}");
        assert!(body["error_message"].is_string());
    }
    for query in [
        "leaf_index=1&tree_size=1",
        "leaf_index=0&tree_size=2",
        "leaf_index=0&tree_size=0",
        "leaf_index=0",
        "",
    ] {
        assert_eq!(
            server.get(&format!("get-entry-and-proof?{query}")).await.0,
            400,
            "{query}"
        );
    }
    let (status, only) = server
        .get("get-entry-and-proof?leaf_index=0&tree_size=1")
        .await;
    assert_eq!((status.as_u16(), &only["audit_path"]), (200, &json!([])));
}

async fn entries_are_read_in_ranges(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    assert_eq!(
        server.get("get-entries?start=0&end=0").await.0,
        400,
        "an empty log has no entries"
    );
    server.fill(&ca, 70).await;
    let count = async |query: &str| {
        let (status, body) = server.get(&format!("get-entries?{query}")).await;
        assert_eq!(status, 200, "{body}");
        body["entries"].as_array().unwrap().len()
    };
    assert_eq!(count("start=0&end=0").await, 1);
    assert_eq!(count("start=3&end=69").await, 67);
    assert_eq!(count("start=60&end=5000").await, 10);
    assert_eq!(count("start=69&end=18446744073709551615").await, 1);
    for query in [
        "start=70&end=70",
        "start=2&end=1",
        "start=-1&end=1",
        "start=0",
        "end=0",
        "start=x&end=y",
        "start=0&end=18446744073709551616",
    ] {
        let (status, body) = server.get(&format!("get-entries?{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
    }
}

async fn whole_answers_are_cached_for_long_and_short_ones_are_not(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    server.fill(&ca, 2).await;
    let policy = async |call: &str| {
        let response = server
            .client
            .get(format!("{}/{call}", server.base))
            .send()
            .await
            .unwrap();
        response
            .headers()
            .get("cache-control")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        policy("get-entries?start=0&end=1").await.unwrap(),
        "public, max-age=86400"
    );
    assert_eq!(
        policy("get-entries?start=0&end=9").await.unwrap(),
        "public, max-age=60"
    );
    assert_eq!(
        policy("get-sth-consistency?first=1&second=2")
            .await
            .unwrap(),
        "public, max-age=86400"
    );
    assert_eq!(policy("get-sth").await, None);
}

async fn the_roots_are_the_configured_ones(place: Place) {
    let (one, two) = (Ca::new().await, Ca::new().await);
    let config = rekor_rs::ct::CtConfig {
        roots: vec![one.root.clone(), two.root.clone()],
        ..Default::default()
    };
    let server = Server::start_with(place, config, crate::server::p256()).await;
    let (status, body) = server.get("get-roots").await;
    assert_eq!(status, 200);
    let certificates: Vec<_> = body["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(bytes)
        .collect();
    assert_eq!(certificates, [one.root.clone(), two.root.clone()]);
    for ca in [one, two] {
        let chain = ca.chain(ca.precertificate(&leaf()).await);
        assert_eq!(server.add_pre_chain(&chain).await.0, 200);
    }
}
