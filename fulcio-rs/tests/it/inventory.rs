//! The inventory of issued certificates, and what operators see.

use serde_json::{Value, json};

use crate::certificates::parse;
use crate::log::Mood;
use crate::stack::Stack;
use crate::startup::run;

#[tokio::test]
async fn every_certificate_is_found_by_identity_serial_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inventory.jsonl");
    let stack = Stack::with(|config| config.inventory = Some(path.clone())).await;
    let mut certificates = Vec::new();
    for name in ["a@corp.example", "b@corp.example"] {
        let token = stack.provider.token_with(json!({"email": name}));
        certificates.push(stack.ask(&token, name).await.leaf());
    }
    // What is refused, or fails, is not there.
    stack
        .ask_email(&stack.provider.token_with(json!({"aud": "x"})))
        .await
        .is_refused(crate::client::TOKEN);
    stack.log.feel(Mood::Status(500));
    let answer = stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await;
    assert_eq!(answer.status, 500);

    let search = |arguments: &[&str]| {
        let all = [&["inventory", "--json", path.to_str().unwrap()], arguments].concat();
        let (code, text) = run(&all, "");
        let found: Vec<Value> = text
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (code, found)
    };
    let (code, all) = search(&[]);
    assert_eq!((code, all.len()), (Some(0), 2));
    let (_, found) = search(&["--identity", "b@corp.example"]);
    assert_eq!(found, all[1..]);
    assert_eq!(
        found[0]["certificate_sha256"],
        hex::encode(crypto::sha256(&certificates[1]))
    );
    let serial = parse(&certificates[0])
        .tbs_certificate()
        .serial_number()
        .to_string();
    let (_, found) = search(&["--serial", &serial]);
    assert_eq!(found, all[..1]);
    let (_, found) = search(&["--since", "2020-01-01", "--limit", "1"]);
    assert_eq!(found, all[..1]);
    let (code, found) = search(&["--until", "2020-01-01"]);
    assert_eq!((code, found.len()), (Some(1), 0));
    let (code, text) = run(&["inventory", path.to_str().unwrap()], "");
    assert_eq!((code, text.lines().count()), (Some(0), 2));
    assert!(
        text.contains("  b@corp.example  issuer http")
            && text.contains(all[0]["serial"].as_str().unwrap()),
        "{text}"
    );
    let (code, _) = run(&["inventory", "/nonexistent"], "");
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn two_services_do_not_share_an_inventory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inventory.jsonl");
    let _stack = Stack::with(|config| config.inventory = Some(path.clone())).await;
    let mut config =
        crate::stack::config("oidc-issuers: {https://a.example: {client-id: s, type: email}}")
            .await;
    config.inventory = Some(path);
    let error = fulcio_rs::Service::open(config, clock::SystemClock::shared())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
}
