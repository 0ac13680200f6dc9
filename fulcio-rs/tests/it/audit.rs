//! The program as it is started, and its audit log.

use serde_json::{Value, json};

use crate::stack::{Lines, Stack};

#[tokio::test]
async fn every_outcome_leaves_one_line_and_no_token() {
    let lines = Lines::default();
    let (stack, _program) = Stack::program(&lines).await;
    let good = stack.provider.token(&stack.provider.claims());
    let bad = stack.provider.token_with(json!({"aud": "other"}));
    let der = stack.ask_email(&good).await.leaf();
    stack.ask_email(&bad).await.is_refused(crate::client::TOKEN);
    stack
        .ask(&good, "somebody else")
        .await
        .is_refused(crate::client::SIGNATURE);
    stack.log.feel(crate::log::Mood::Status(500));
    stack.ask_email(&good).await;
    lines.wait_for(|line| line["outcome"] == "failed").await;

    let audit: Vec<Value> = lines
        .json()
        .into_iter()
        .filter(|line| line["target"] == "audit")
        .collect();
    assert_eq!(audit.len(), 4, "{audit:?}");
    let issued = &audit[0];
    assert_eq!(issued["outcome"], "issued");
    assert_eq!(issued["san"], "dev@corp.example");
    assert_eq!(issued["subject"], "user-1");
    assert_eq!(
        issued["token_sha256"],
        json!(hex::encode(crypto::sha256(good.as_bytes())))
    );
    let serial = crate::certificates::parse(&der)
        .tbs_certificate()
        .serial_number()
        .as_bytes()
        .to_vec();
    assert_eq!(issued["serial"], json!(hex::encode(serial)));
    assert_ne!(issued["request_id"], "");
    assert_eq!(audit[1]["outcome"], "refused");
    assert!(audit[1]["reason"].as_str().unwrap().contains("audience"));
    assert_eq!(
        (&audit[2]["outcome"], &audit[2]["subject"]),
        (&json!("refused"), &json!("user-1"))
    );
    assert_eq!(
        (&audit[3]["outcome"], &audit[3]["code"]),
        (&json!("failed"), &json!(13))
    );
    for token in [&good, &bad] {
        for part in token.split('.') {
            assert!(!lines.text().contains(part));
        }
    }
}
