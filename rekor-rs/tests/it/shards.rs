//! Shards: frozen ones before the one that takes entries.

use crate::damage::Intruder;
use crate::hashedrekord::vector;
use crate::on_every_store;
use crate::stack::{Stack, check_checkpoint, decode, refusal, unique_hashedrekord};
use crypto::HashAlgorithm;
use logstore::{LogId, LogState};
use rekor_rs::Service;
use serde_json::{Value, json};

const TWO: &str =
    "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, key: 'file:DIR/second.key'}]";

async fn info(stack: &Stack) -> Value {
    stack.get("/api/v1/log").await.json().await.unwrap()
}

/// Freezes the only shard and starts another with a key of its own; returns the first one's tree.
async fn rotate(stack: &mut Stack) -> String {
    let tree = info(stack).await["treeID"].as_str().unwrap().to_owned();
    stack
        .store
        .set_state(LogId(tree.parse().unwrap()), LogState::Frozen)
        .await
        .unwrap();
    stack.new_key("second.key");
    stack.restart_with(stack.config(TWO, "")).await;
    tree
}

on_every_store! {
    async fn numbers_go_on_and_old_entries_keep_their_key(stack) {
        let (old, created) = stack.create(&vector()).await;
        for _ in 0..2 {
            stack.create(&unique_hashedrekord()).await;
        }
        let tree = rotate(stack).await;

        let read = stack.get(&format!("/api/v1/log/entries/{}", &old[16..])).await.text().await.unwrap();
        let (id, entry) = stack.check(&read).await;
        assert_eq!((&id, &entry["logID"], &entry["logIndex"]), (&old, &created["logID"], &json!(0)));
        let again = stack.get("/api/v1/log/entries?logIndex=0").await.text().await.unwrap();
        let (_, again) = stack.check(&again).await;
        let checkpoint = |entry: &Value| entry["verification"]["inclusionProof"]["checkpoint"].clone();
        assert_eq!(checkpoint(&entry), checkpoint(&again), "an inactive shard has one checkpoint");

        let (new, entry) = stack.create(&vector()).await;
        assert_eq!(new[16..], old[16..], "the same entry under another id");
        assert_ne!(new, old);
        assert_eq!(entry["logIndex"], 3);
        assert_eq!(entry["verification"]["inclusionProof"]["logIndex"], 0);
        assert_ne!(entry["logID"], created["logID"]);
        let by_index = stack.get("/api/v1/log/entries?logIndex=3").await.text().await.unwrap();
        assert_eq!(stack.check(&by_index).await.0, new);

        // A bare UUID means the active shard's entry when read, and all when retrieved.
        let read = stack.get(&format!("/api/v1/log/entries/{}", &old[16..])).await.text().await.unwrap();
        assert_eq!(stack.check(&read).await.0, new);
        let found = stack.retrieve(json!({"entryUUIDs": [&old[16..]]})).await;
        assert_eq!(found.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&old, &new]);
        let hash = vector()["spec"]["data"]["hash"]["value"].clone();
        assert_eq!(stack.search(json!({"hash": hash})).await.len(), 2);

        let info = info(stack).await;
        assert_eq!(info["treeSize"], 1);
        let inactive = &info["inactiveShards"][0];
        assert_eq!((&inactive["treeID"], &inactive["treeSize"]), (&json!(tree), &json!(3)));
        let key = stack.public_key(&tree).await;
        check_checkpoint(inactive["signedTreeHead"].as_str().unwrap(), &key, tree.parse().unwrap());
        assert_ne!(key, stack.public_key("").await);
        let proof: Value =
            stack.get(&format!("/api/v1/log/proof?lastSize=3&treeID={tree}")).await.json().await.unwrap();
        assert_eq!(proof["rootHash"], inactive["rootHash"]);
        let (_, message) = refusal(stack.get("/api/v1/log/proof?lastSize=3").await, 400).await;
        assert!(message.contains("observable(1)"), "{message}");
    }

    async fn a_promise_is_over_the_number_among_all_shards(stack) {
        stack.create(&vector()).await;
        rotate(stack).await;
        // `create` verifies the promise over the number in the answer.
        let (_, entry) = stack.create(&unique_hashedrekord()).await;
        let number = |index: &Value| {
            format!(
                r#"{{"body":{},"integratedTime":{},"logID":{},"logIndex":{index}}}"#,
                entry["body"], entry["integratedTime"], entry["logID"]
            )
        };
        let promise = decode(entry["verification"]["signedEntryTimestamp"].as_str().unwrap());
        let key = stack.public_key("").await;
        let verifies = |text: String| key.verify(HashAlgorithm::Sha256, text.as_bytes(), &promise).is_ok();
        assert!(verifies(number(&json!(1))));
        assert!(!verifies(number(&entry["verification"]["inclusionProof"]["logIndex"])));
    }

    async fn a_promise_is_signed_once_and_read_without_the_key(stack) {
        let (id, created) = stack.create(&vector()).await;
        let promise = |entry: &Value| entry["verification"]["signedEntryTimestamp"].clone();
        let read = async |stack: &Stack| {
            let read = stack.get(&format!("/api/v1/log/entries/{id}")).await.text().await.unwrap();
            stack.check(&read).await.1
        };
        assert_eq!(promise(&read(stack).await), promise(&created));
        stack.restart("").await;
        assert_eq!(promise(&read(stack).await), promise(&created));

        let tree: i64 = info(stack).await["treeID"].as_str().unwrap().parse().unwrap();
        stack.store.set_state(LogId(tree), LogState::Frozen).await.unwrap();
        let pem = stack.directory.path().join("frozen.pem");
        std::fs::write(pem, stack.public_key("").await.to_pem()).unwrap();
        let public = stack.config("[{kind: rekor-v1, key: 'public:DIR/frozen.pem'}]", "");
        stack.restart_with(public).await;
        assert_eq!(promise(&read(stack).await), promise(&created));
    }

    async fn an_entry_of_an_older_program_is_promised_when_it_is_read(stack) {
        let (id, created) = stack.create(&vector()).await;
        let intruder = Intruder::new(stack).await;
        intruder.run("UPDATE entry SET promise = NULL WHERE log = LOG").await;
        let read = stack.get(&format!("/api/v1/log/entries/{id}")).await.text().await.unwrap();
        // Which verifies the promise.
        let (_, entry) = stack.check(&read).await;
        let promise = |entry: &Value| entry["verification"]["signedEntryTimestamp"].clone();
        assert_ne!(promise(&entry), promise(&created));
        // So is one whose number is not the one that it was promised.
        let foreign = intruder.bytes(&[&7_u64.to_be_bytes()[..], b"signature"].concat());
        intruder.run(&format!("UPDATE entry SET promise = {foreign} WHERE log = LOG")).await;
        let read = stack.get(&format!("/api/v1/log/entries/{id}")).await.text().await.unwrap();
        stack.check(&read).await;
    }

    async fn a_shard_that_still_grows_must_be_the_last(stack) {
        stack.create(&vector()).await;
        stack.new_key("second.key");
        let later = stack.config(TWO, "").logs.remove(1);
        let config = rekor_rs::Config::new(crate::stack::HOST, vec![later], stack.directory.path());
        let refused = Service::open(config, stack.store.clone(), clock::SystemClock::shared()).await;
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("not in `logs`"), "{error}");
        assert_eq!(stack.store.logs().await.unwrap().len(), 1, "nothing was created");

        let first = stack.store.logs().await.unwrap().remove(0);
        let key = ::keys::FileSigner::load_unencrypted(&stack.directory.path().join("second.key")).unwrap();
        let public_key = ::keys::Signer::public_key(&key).spki_der().to_vec();
        let second = logstore::LogRecord { id: LogId(7), public_key, ..first };
        stack.store.create_log(&second).await.unwrap();
        let opened = Service::open(stack.config(TWO, ""), stack.store.clone(), clock::SystemClock::shared()).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("freeze it first"), "{error}");
    }

    async fn a_frozen_last_shard_reads_and_does_not_write(stack) {
        let (id, _) = stack.create(&vector()).await;
        let tree: i64 = info(stack).await["treeID"].as_str().unwrap().parse().unwrap();
        stack.store.set_state(LogId(tree), LogState::Frozen).await.unwrap();
        let refused = stack.submit(&unique_hashedrekord()).await;
        assert_eq!(crate::stack::header(&refused, "retry-after").as_deref(), Some("1"));
        refusal(refused, 503).await;
        let read = stack.get(&format!("/api/v1/log/entries/{id}")).await.text().await.unwrap();
        assert_eq!(stack.check(&read).await.0, id);
    }

    async fn a_restart_keeps_the_tree(stack) {
        let (id, _) = stack.create(&vector()).await;
        let before = info(stack).await;
        stack.restart("").await;
        let after = info(stack).await;
        for member in ["treeID", "treeSize", "rootHash"] {
            assert_eq!(before[member], after[member]);
        }
        assert_eq!(stack.submit(&vector()).await.status(), 409);
        let (other, entry) = stack.create(&unique_hashedrekord()).await;
        assert_ne!(id, other);
        assert_eq!(entry["logIndex"], 1);
    }
}
