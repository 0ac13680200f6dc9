use serde_json::{Value, json};

use super::{entry, found_by_key, refused, taken};
use crate::keys::Key;
use crate::on_every_store;
use crate::stack::b64;

const FUTURE: &str = "2130-01-01T00:00:00Z";

/// A root with one Ed25519 key for every role.
struct Repository {
    key: Key,
    id: String,
}

impl Repository {
    fn new() -> Self {
        Self {
            key: Key::ed25519([7; 32]),
            id: "ab".repeat(32),
        }
    }

    fn root(&self, expires: &str) -> Value {
        let public = crypto::PublicKey::from_pem(&self.key.pem).unwrap();
        let public = hex::encode(public.ed25519_bytes().unwrap());
        let role = json!({"keyids": [self.id], "threshold": 1});
        let key = json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        self.sign(&json!({
            "_type": "root", "spec_version": "1.0.31", "version": 1, "expires": expires,
            "consistent_snapshot": true, "keys": {self.id.clone(): key},
            "roles": {"root": role, "timestamp": role},
        }))
    }

    fn timestamp(&self, expires: &str) -> Value {
        self.sign(&json!({"_type": "timestamp", "spec_version": "1.0.31", "version": 42, "expires": expires, "meta": {}}))
    }

    /// Values print sorted and without space, and hold nothing to escape, which is the form that
    /// is signed.
    fn sign(&self, signed: &Value) -> Value {
        let signature = hex::encode(self.key.sign(signed.to_string().as_bytes()));
        json!({"signed": signed, "signatures": [{"keyid": self.id, "sig": signature, "more": 1}], "more": 2})
    }
}

fn proposal(metadata: &Value, root: &Value) -> Value {
    entry(
        "tuf",
        &json!({"metadata": {"content": metadata}, "root": {"content": root}}),
    )
}

fn canonical(document: &Value) -> Vec<u8> {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove("more");
    document["signatures"][0]
        .as_object_mut()
        .unwrap()
        .remove("more");
    serde_json_canonicalizer::to_vec(&document).unwrap()
}

on_every_store! {
    async fn metadata_and_root_are_kept_in_canonical_form(stack) {
        let repository = Repository::new();
        let (root, timestamp) = (repository.root(FUTURE), repository.timestamp(FUTURE));
        let (id, spec) = taken(stack, &proposal(&timestamp, &root)).await;
        let expected = json!({
            "metadata": {"content": b64(canonical(&timestamp))},
            "root": {"content": b64(canonical(&root))},
            "spec_version": "1.0.31",
        });
        assert_eq!(spec, expected);
        // The canonical body is a proposal, too.
        assert_eq!(stack.submit(&entry("tuf", &spec)).await.status(), 409);
        found_by_key(stack, "tuf", root.to_string().as_bytes(), &id).await;
        for subject in ["timestamp", "42"] {
            assert_eq!(
                stack.search(json!({"subject": subject})).await,
                [id.as_str()]
            );
        }
        // The root is metadata, too.
        taken(stack, &proposal(&root, &root)).await;
    }

    async fn what_has_expired_is_refused_by_name_of_the_time(stack) {
        let repository = Repository::new();
        let (root, timestamp) = (repository.root(FUTURE), repository.timestamp(FUTURE));
        let past = "2020-02-03T04:05:06Z";
        refused(
            stack,
            &proposal(&repository.timestamp(past), &root),
            "expired at 2020-02-03T04:05:06Z",
        )
        .await;
        refused(
            stack,
            &proposal(&timestamp, &repository.root(past)),
            "expired at",
        )
        .await;
    }

    async fn signatures_must_be_of_the_role_and_reach_its_threshold(stack) {
        let repository = Repository::new();
        let (root, timestamp) = (repository.root(FUTURE), repository.timestamp(FUTURE));
        let mut changed = timestamp.clone();
        changed["signed"]["version"] = 43.into();
        refused(
            stack,
            &proposal(&changed, &root),
            "threshold, found 0 of 1",
        )
        .await;
        let mut changed = root.clone();
        changed["signed"]["version"] = 2.into();
        refused(stack, &proposal(&timestamp, &changed), "threshold").await;
        let mut unsigned = timestamp.clone();
        unsigned["signatures"] = json!([]);
        refused(stack, &proposal(&unsigned, &root), "no signatures").await;
        let snapshot = repository.sign(&json!({"_type": "snapshot", "version": 1, "expires": FUTURE}));
        refused(stack, &proposal(&snapshot, &root), "unknown role").await;
        refused(stack, &proposal(&timestamp, &timestamp), "malformed").await;

        // One key under two names is one signer.
        let mut two = root["signed"].clone();
        let key = two["keys"][&repository.id].clone();
        two["keys"]["cd"] = key;
        two["roles"]["root"] = json!({"keyids": [repository.id, "cd"], "threshold": 2});
        let mut two = repository.sign(&two);
        let mut second = two["signatures"][0].clone();
        second["keyid"] = "cd".into();
        two["signatures"].as_array_mut().unwrap().push(second);
        refused(stack, &proposal(&timestamp, &two), "found 1 of 2").await;
    }

    async fn members_may_be_missing(stack) {
        refused(
            stack,
            &entry("tuf", &json!({})),
            "metadata in body is required",
        )
        .await;
        refused(
            stack,
            &entry("tuf", &json!({"metadata": {"content": {}}})),
            "root in body is required",
        )
        .await;
        refused(stack, &proposal(&json!({}), &json!({})), "malformed").await;
        refused(
            stack,
            &proposal(&json!("e30="), &json!("e30=")),
            "malformed",
        )
        .await;
    }
}
