//! The program as it is started, and its audit log.

use std::time::Duration;

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
    assert_eq!(
        issued["certificate_sha256"],
        json!(hex::encode(crypto::sha256(&der)))
    );
    assert_eq!(
        issued["issuer"],
        json!(format!("{}/email", stack.provider.url))
    );
    let sct = &pki::sct::embedded(&der).unwrap()[0];
    assert_eq!(issued["sct_timestamp_ms"], json!(sct.timestamp_ms));
    assert_eq!(issued["ct_log"], json!(hex::encode(sct.log_id)));
    assert_ne!(issued["request_id"], "");
    assert_eq!(audit[1]["outcome"], "refused");
    assert!(audit[1]["reason"].as_str().unwrap().contains("audience"));
    // What the token says of itself, under names that do not pass for knowledge.
    assert_eq!(audit[1]["claimed_subject"], "user-1");
    assert_eq!(audit[1]["claimed_issuer"], issued["issuer"]);
    assert!(audit[1].get("subject").is_none() && audit[1].get("issuer").is_none());
    assert_eq!(
        (&audit[2]["outcome"], &audit[2]["subject"]),
        (&json!("refused"), &json!("user-1"))
    );
    assert_eq!(
        (&audit[3]["outcome"], &audit[3]["code"]),
        (&json!("failed"), &json!(13))
    );
    assert!(audit[2].get("claimed_subject").is_none());
    for token in [&good, &bad] {
        for part in token.split('.') {
            assert!(!lines.text().contains(part));
        }
    }
}

#[tokio::test]
async fn a_request_that_its_client_gave_up_leaves_a_line_too() {
    let lines = Lines::default();
    let (stack, _program) = Stack::program(&lines).await;
    let token = stack.provider.token(&stack.provider.claims());
    stack.log.feel(crate::log::Mood::Hangs);
    let asked = tokio::time::timeout(Duration::from_millis(500), stack.ask_email(&token));
    assert!(asked.await.is_err());
    let line = lines.wait_for(|line| line["outcome"] == "abandoned").await;
    assert_eq!(line["target"], "audit");
    assert_eq!(line["claimed_subject"], "user-1");
    assert_eq!(
        line["token_sha256"],
        json!(hex::encode(crypto::sha256(token.as_bytes())))
    );
}
