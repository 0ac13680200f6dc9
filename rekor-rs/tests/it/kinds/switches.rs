use serde_json::json;

use super::{refused, taken};
use crate::keys::Key;
use crate::on_every_store;
use crate::stack::signed_artifact;

on_every_store! {
    async fn a_disabled_kind_is_not_appended_and_still_found(stack) {
        let proposal = signed_artifact(b"hello", &Key::p256());
        let (id, _) = taken(stack, &proposal).await;
        stack.restart("disabled-kinds: [hashedrekord]").await;
        let other = signed_artifact(b"other", &Key::p256());
        refused(stack, &other, "entry kind 'hashedrekord' is not enabled for submission on this server").await;
        let found = stack.retrieve(json!({"entries": [proposal]})).await;
        assert_eq!(found[0].0, id);
    }
}

#[cfg(not(feature = "openpgp"))]
#[tokio::test]
async fn a_build_without_openpgp_says_which_build_has_it() {
    use crate::stack::{Backend, Stack, b64};

    let stack = Stack::start(Backend::Sqlite).await;
    let pgp = serde_json::json!({
        "signature": {"format": "pgp", "content": b64("s"), "publicKey": {"content": b64("k")}},
        "data": {"content": b64("x")},
    });
    for entry in [
        super::entry("rpm", &json!({})),
        super::entry("helm", &json!({})),
        super::entry("rekord", &pgp),
    ] {
        refused(&stack, &entry, "release builds have it").await;
    }
    let query = json!({"publicKey": {"format": "pgp", "content": b64("k")}});
    let response = stack.post("/api/v1/index/retrieve", &query).await;
    let (_, message) = crate::stack::refusal(response, 400).await;
    assert!(message.contains("release builds have it"), "{message}");
}
