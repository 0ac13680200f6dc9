//! Issuer types: which claims they ask for and what they make of them.

use der::Encode;
use serde_json::{Value, json};

use crate::certificates::{email, name, sigstore, uri, utf8};
use crate::client::{SIGNATURE, TOKEN, csr_body};
use crate::provider::with;
use crate::stack::Stack;

#[tokio::test]
async fn addresses_must_be_verified() {
    let stack = Stack::start().await;
    stack
        .ask_email(&stack.provider.token_with(json!({"email_verified": "true"})))
        .await
        .chain();
    stack
        .ask_email(&stack.provider.token_with(json!({"email_verified": "True"})))
        .await
        .chain();
    for bad in [json!(false), json!(null), json!(1), json!("yes"), json!({})] {
        stack
            .ask_email(&stack.provider.token_with(json!({"email_verified": bad})))
            .await
            .is_refused(TOKEN);
    }
}

#[tokio::test]
async fn verification_can_be_skipped_by_configuration() {
    let stack = Stack::start().await;
    let claims = with(
        stack.provider.claims_of("skip", "u"),
        json!({"email": "dev@corp.example"}),
    );
    let token = stack.provider.token(&claims);
    let csr = crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    let der = stack.post(&csr_body(&token, &csr)).await.leaf();
    assert_eq!(email(&der), "dev@corp.example");
    stack.ask_email(&token).await.chain();
}

#[tokio::test]
async fn what_is_no_address_gives_no_certificate() {
    let stack = Stack::start().await;
    for bad in [
        json!("foo.com"),
        json!("a@localhost"),
        json!(null),
        json!("ü@corp.example"),
        json!(""),
        json!(["a@b.example"]),
    ] {
        let token = stack.provider.token_with(json!({"email": bad}));
        stack
            .ask(&token, bad.as_str().unwrap_or("x"))
            .await
            .is_refused(TOKEN);
    }
    assert!(stack.log.submissions().is_empty());
}

#[tokio::test]
async fn an_issuer_claim_replaces_the_issuer_in_the_certificate() {
    let stack = Stack::start().await;
    let claims = with(
        stack.provider.claims_of("dex", "u"),
        json!({"email": "dev@corp.example", "email_verified": true,
            "federated_claims": {"connector_id": "https://accounts.corp.example"}}),
    );
    let der = stack.ask_email(&stack.provider.token(&claims)).await.leaf();
    assert_eq!(
        sigstore(&der),
        [
            (1, b"https://accounts.corp.example".to_vec()),
            (8, utf8("https://accounts.corp.example")),
            (24, utf8("u"))
        ]
    );
    let without = with(claims, json!({"federated_claims": {}}));
    stack
        .ask_email(&stack.provider.token(&without))
        .await
        .is_refused(TOKEN);
}

/// Asks as a subject of an issuer; proves over the subject.
async fn ask(stack: &Stack, prefix: &str, subject: &str, more: Value) -> crate::client::Answer {
    let claims = with(stack.provider.claims_of(prefix, subject), more);
    stack.ask(&stack.provider.token(&claims), subject).await
}

#[tokio::test]
async fn uri_subjects_stay_on_their_host() {
    let stack = Stack::start().await;
    let der = ask(&stack, "uri", "http://127.0.0.1:9/users/1", json!({}))
        .await
        .leaf();
    assert_eq!(uri(&der), "http://127.0.0.1:9/users/1");
    for bad in [
        "https://127.0.0.1/users/1",
        "http://127.0.0.2/users/1",
        "dev@corp.example",
        "users/1",
    ] {
        ask(&stack, "uri", bad, json!({})).await.is_refused(TOKEN);
    }
}

#[tokio::test]
async fn spiffe_subjects_stay_in_their_trust_domain() {
    let stack = Stack::start().await;
    let der = ask(&stack, "spiffe", "spiffe://td.example/ns/a", json!({}))
        .await
        .leaf();
    assert_eq!(uri(&der), "spiffe://td.example/ns/a");
    for bad in [
        "spiffe://other.example/a",
        "spiffe://sub.td.example/a",
        "spiffe://td.example/a/",
        "spiffe://td.example/../a",
        "https://td.example/a",
    ] {
        ask(&stack, "spiffe", bad, json!({}))
            .await
            .is_refused(TOKEN);
    }
}

#[tokio::test]
async fn user_names_become_other_names() {
    let stack = Stack::start().await;
    let der = ask(&stack, "username", "foo", json!({})).await.leaf();
    let value = b"foo!127.0.0.1";
    let mut expected = vec![
        0xa0, 29, 6, 10, 0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7, 0xa0, 15, 0x0c, 13,
    ];
    expected.extend_from_slice(value);
    assert_eq!(name(&der).to_der().unwrap(), expected);
    for bad in ["foo!127.0.0.1", "foo@corp.example"] {
        ask(&stack, "username", bad, json!({}))
            .await
            .is_refused(TOKEN);
    }
}

#[tokio::test]
async fn service_accounts_need_their_claim() {
    let stack = Stack::start().await;
    let subject = "system:serviceaccount:ns:sa";
    let claim = json!({"kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "sa", "uid": "1"}, "pod": {}}});
    let der = ask(&stack, "k8s", subject, claim).await.leaf();
    assert_eq!(
        uri(&der),
        "https://kubernetes.io/namespaces/ns/serviceaccounts/sa"
    );
    assert!(sigstore(&der).contains(&(24, utf8(subject))));
    ask(&stack, "k8s", subject, json!({}))
        .await
        .is_refused(TOKEN);
    ask(
        &stack,
        "k8s",
        subject,
        json!({"kubernetes.io": {"namespace": "ns"}}),
    )
    .await
    .is_refused(TOKEN);
}

#[tokio::test]
async fn chainguard_identities_prove_over_their_verified_address() {
    let stack = Stack::start().await;
    let claims = with(
        stack.provider.claims_of("chainguard", "a1/b2"),
        json!({"email": "dev@corp.example", "email_verified": true}),
    );
    let der = stack.ask_email(&stack.provider.token(&claims)).await.leaf();
    assert_eq!(
        uri(&der),
        format!("{}/chainguard/a1/b2", stack.provider.url)
    );
    let unverified = with(claims, json!({"email_verified": false}));
    stack
        .ask_email(&stack.provider.token(&unverified))
        .await
        .is_refused(TOKEN);
}

#[tokio::test]
async fn other_types_prove_over_subject_or_address_and_nothing_else() {
    let stack = Stack::start().await;
    let claims = with(
        stack.provider.claims_of("spiffe", "spiffe://td.example/a"),
        json!({"email": "dev@corp.example", "email_verified": true}),
    );
    let token = stack.provider.token(&claims);
    stack.ask_email(&token).await.chain();
    stack.ask(&token, "spiffe://td.example/a").await.chain();
    stack.ask(&token, "sigstore").await.is_refused(SIGNATURE);
    stack.ask(&token, "").await.is_refused(SIGNATURE);
}

#[tokio::test]
async fn a_subject_is_required() {
    let stack = Stack::start().await;
    stack
        .ask_email(&stack.provider.token_with(json!({"sub": null})))
        .await
        .is_refused(TOKEN);
    stack
        .ask_email(&stack.provider.token_with(json!({"sub": 7})))
        .await
        .is_refused(TOKEN);
}
