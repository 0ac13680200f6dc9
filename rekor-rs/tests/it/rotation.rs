//! Rotation under running services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::SystemClock;
use rekor_rs::{Config, Rotated, Rotation, Service};
use serde_json::{Value, json};

use crate::hashedrekord::vector;
use crate::on_every_store;
use crate::stack::{Stack, unique_hashedrekord};

const ONE: &str = "[{kind: rekor-v1, key: 'file:DIR/log.key'}]";
const TWO: &str =
    "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, key: 'file:DIR/second.key'}]";

/// A configuration whose guards are in a directory of their own, as each replica's are.
fn replica(stack: &Stack, logs: &str, guards: &str) -> Config {
    let mut config = stack.config(logs, "");
    config.guard_dir = stack.directory.path().join(guards);
    config
}

/// Serves the first shard with the second one's key at hand.
async fn prepare(stack: &mut Stack) {
    stack.new_key("second.key");
    stack.restart_with(stack.config(TWO, "")).await;
}

async fn plan(stack: &Stack, logs: &str) -> Result<Rotation, String> {
    Rotation::plan(
        &stack.config(logs, ""),
        &stack.store,
        &SystemClock::shared(),
    )
    .await
    .map_err(|error| error.to_string())
}

/// What `log rotate` does.
async fn rotate(stack: &Stack) -> Rotated {
    let rotation = plan(stack, TWO).await.unwrap();
    rotation.perform(&stack.store).await.unwrap()
}

async fn info(stack: &Stack) -> Value {
    stack.get("/api/v1/log").await.json().await.unwrap()
}

async fn by_index(stack: &Stack, index: u64) -> (String, Value) {
    let path = format!("/api/v1/log/entries?logIndex={index}");
    let text = stack.get(&path).await.text().await.unwrap();
    stack.check(&text).await
}

on_every_store! {
    async fn a_running_service_goes_on_in_the_next_shard(stack) {
        prepare(stack).await;
        let (old, created) = stack.create(&vector()).await;
        for _ in 0..2 {
            stack.create(&unique_hashedrekord()).await;
        }
        let before = info(stack).await;
        assert_eq!(before["inactiveShards"], Value::Null);
        assert_eq!(rotate(stack).await, Rotated { frozen_size: 3, size: 1 });

        // The new shard's first entry is its own, so that bundles of others have every member.
        let (first, entry) = by_index(stack, 3).await;
        assert_eq!(entry["verification"]["inclusionProof"]["logIndex"], 0);
        let (new, entry) = stack.create(&vector()).await;
        assert_eq!(new[16..], old[16..], "the same entry under another id");
        assert_eq!((first[..16].to_owned(), entry["logIndex"].clone()), (new[..16].to_owned(), json!(4)));
        assert_eq!(entry["verification"]["inclusionProof"]["logIndex"], 1);
        assert_ne!(entry["logID"], created["logID"]);
        assert_eq!(by_index(stack, 4).await.0, new);
        assert_eq!(by_index(stack, 0).await.0, old);

        let after = info(stack).await;
        assert_eq!((&after["treeSize"], &after["inactiveShards"][0]["treeID"]), (&json!(2), &before["treeID"]));
        assert_eq!(after["inactiveShards"][0]["signedTreeHead"], before["signedTreeHead"], "signed once");
        let found = stack.retrieve(json!({"entryUUIDs": [&old[16..]]})).await;
        assert_eq!(found.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&old, &new]);
        // A restart changes nothing.
        stack.restart_with(stack.config(TWO, "")).await;
        assert_eq!(info(stack).await, after);
        assert_eq!(stack.submit(&vector()).await.status(), 409);
    }

    async fn writes_under_way_land_once_in_one_of_the_shards(stack) {
        prepare(stack).await;
        let other = Arc::new(stack.beside(replica(stack, TWO, "other guards")).await);
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for writer in 0..8 {
            // Half of them write through the other replica.
            let (base, client) = (if writer % 2 == 0 { &stack.base } else { &other.base }, stack.client.clone());
            let (url, stop) = (format!("{base}/api/v1/log/entries"), Arc::clone(&stop));
            writers.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.post(&url).json(&unique_hashedrekord()).send().await.unwrap();
                    let status = answer.status();
                    let text = answer.text().await.unwrap();
                    assert_eq!(status, 201, "{text}");
                    acknowledged.push(text);
                }
                acknowledged
            }));
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        let rotated = rotate(stack).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        stop.store(true, Ordering::SeqCst);
        let mut entries = BTreeMap::new();
        for writer in writers {
            for text in writer.await.unwrap() {
                let (id, entry) = stack.check(&text).await;
                let index = entry["logIndex"].as_u64().unwrap();
                assert_eq!(entries.insert(index, id), None, "two entries have the number {index}");
            }
        }
        // Every number but the new shard's own entry's was acknowledged to somebody, once.
        let own = rotated.frozen_size;
        let size = own + info(stack).await["treeSize"].as_u64().unwrap();
        assert!(own > 0 && size > own + 1, "nothing was written before or after the rotation");
        let expected: Vec<u64> = (0..size).filter(|index| *index != own).collect();
        assert_eq!(entries.keys().copied().collect::<Vec<_>>(), expected);
        let mut trees = std::collections::BTreeSet::new();
        for (index, id) in &entries {
            trees.insert(id[..16].to_owned());
            if index % 7 == 0 || index.abs_diff(own) < 5 {
                assert_eq!(&by_index(&other, *index).await.0, id);
            }
        }
        assert_eq!(trees.len(), 2);
    }

    async fn what_one_replica_wrote_after_a_rotation_every_other_finds(stack) {
        prepare(stack).await;
        stack.create(&unique_hashedrekord()).await;
        // One new replica for each way to ask, so that none has looked before.
        let mut replicas = Vec::new();
        for number in 0..6 {
            replicas.push(stack.beside(replica(stack, TWO, &format!("guards {number}"))).await);
        }
        rotate(stack).await;
        let (id, _) = stack.create(&vector()).await;
        assert_eq!(by_index(&replicas[0], 2).await.0, id);
        for (asked, name) in [(1, id.as_str()), (2, &id[16..])] {
            let path = format!("/api/v1/log/entries/{name}");
            let text = replicas[asked].get(&path).await.text().await.unwrap();
            assert_eq!(stack.check(&text).await.0, id);
        }
        assert_eq!(replicas[3].retrieve(json!({"entries": [vector()]})).await.len(), 1);
        let hash = vector()["spec"]["data"]["hash"]["value"].clone();
        assert_eq!(replicas[4].search(json!({"hash": hash})).await, [id]);
        assert_eq!(info(&replicas[5]).await, info(stack).await);
    }

    async fn a_key_that_is_configured_after_the_rotation_is_taken_up(stack) {
        stack.new_key("second.key");
        stack.create(&unique_hashedrekord()).await;
        let file = stack.directory.path().join("rekor.yaml");
        let directory = stack.directory.path().display().to_string();
        let write = |logs: &str| {
            let logs = logs.replace("DIR", &directory);
            let text = format!("hostname: {}\nguard-dir: {directory}/late\nlogs: {logs}\n", crate::stack::HOST);
            std::fs::write(&file, text).unwrap();
        };
        write(ONE);
        let late = stack.beside(Config::load(&file).unwrap()).await;
        assert_eq!(late.get("/readyz").await.status(), 200);
        rotate(stack).await;

        let refused = late.submit(&unique_hashedrekord()).await;
        assert_eq!(refused.status(), 503);
        let readiness = late.get("/readyz").await;
        assert_eq!(readiness.status(), 503);
        let text = readiness.text().await.unwrap();
        assert!(text.contains("add it with its key"), "{text}");
        // It still reads what it knows.
        by_index(&late, 0).await;
        assert_eq!(late.get("/api/v1/log/entries?logIndex=1").await.status(), 404);

        write(TWO);
        for _ in 0..200 {
            if late.get("/readyz").await.status() == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (_, entry) = late.create(&unique_hashedrekord()).await;
        assert_eq!(entry["logIndex"], 2);
        assert_eq!(late.get("/readyz").await.status(), 200);
    }

    async fn a_rotation_that_cannot_be_is_refused_before_it_begins(stack) {
        let refused = plan(stack, ONE).await.unwrap_err();
        assert!(refused.contains("add the next shard"), "{refused}");
        let same = "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, id: 5, key: 'file:DIR/log.key'}]";
        let refused = plan(stack, same).await.unwrap_err();
        assert!(refused.contains("needs its own"), "{refused}");
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        std::fs::write(stack.directory.path().join("second.key"), key.serialize_pem()).unwrap();
        let refused = plan(stack, TWO).await.unwrap_err();
        assert!(refused.contains("not ECDSA P-256"), "{refused}");

        stack.new_key("second.key");
        let first = plan(stack, TWO).await.unwrap();
        rotate(stack).await;
        let refused = first.perform(&stack.store).await.unwrap_err().to_string();
        assert!(refused.contains("frozen already"), "{refused}");
        assert_eq!(stack.store.logs().await.unwrap().len(), 2);
        let refused = plan(stack, TWO).await.unwrap_err();
        assert!(refused.contains("is the last in `logs`"), "{refused}");
        // And a service that does not know of it does not start with wrong numbers.
        let config = replica(stack, ONE, "unknowing");
        let opened = Service::open(config, stack.store.clone(), SystemClock::shared()).await;
        let refused = opened.err().unwrap().to_string();
        assert!(refused.contains("not in `logs`"), "{refused}");
    }
}
