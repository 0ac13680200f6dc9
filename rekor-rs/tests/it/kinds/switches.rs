use serde_json::json;

use super::{entry, refused, stack, taken};
use crate::keys::Key;
use crate::stack::{b64, signed_artifact};

#[tokio::test]
async fn a_disabled_kind_is_not_appended_and_still_found() {
    let mut stack = stack().await;
    let proposal = signed_artifact(b"hello", &Key::p256());
    let (id, _) = taken(&stack, &proposal).await;
    stack.restart("disabled-kinds: [hashedrekord]").await;
    refused(
        &stack,
        &signed_artifact(b"other", &Key::p256()),
        "entry kind 'hashedrekord' is not enabled for submission on this server",
    )
    .await;
    let found = stack.retrieve(json!({"entries": [proposal]})).await;
    assert_eq!(found[0].0, id);
}

#[tokio::test]
async fn kinds_that_need_openpgp_answer_as_kinds_not_enabled() {
    let stack = stack().await;
    for kind in ["rpm", "helm"] {
        refused(
            &stack,
            &entry(kind, &json!({})),
            &format!("entry kind '{kind}' is not enabled for submission on this server"),
        )
        .await;
    }
    let pgp = json!({
        "signature": {"format": "pgp", "content": b64("s"), "publicKey": {"content": b64("k")}},
        "data": {"content": b64("x")},
    });
    refused(&stack, &entry("rekord", &pgp), "format pgp").await;
}
