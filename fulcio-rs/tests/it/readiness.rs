//! `/readyz` tells what keeps the service from issuing; `/healthz` only that it lives.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::log::Mood;
use crate::stack::Stack;

#[tokio::test]
async fn health_and_readiness() {
    let stack = Stack::start().await;
    let health = stack.get("/healthz").await;
    assert_eq!(
        (health.status.as_u16(), health.json()),
        (200, json!({"status": "SERVING"}))
    );
    let ready = stack.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), ready.json()),
        (200, json!({"status": "READY"}))
    );
}

#[tokio::test]
async fn a_log_that_is_down_silent_or_of_another_time_is_named() {
    for (mood, reason) in [
        (Mood::Status(503), "answered 503"),
        (Mood::Hangs, "no answer within a second"),
        (Mood::Ahead, "ahead of this machine"),
        (Mood::Behind, "behind this machine"),
    ] {
        let stack = Stack::start().await;
        stack.log.feel(mood);
        let answer = stack.get("/readyz").await;
        assert_eq!(answer.status, 503);
        let failures = answer.json()["failures"].clone();
        assert_eq!(failures.as_object().unwrap().len(), 1, "{failures}");
        let said = failures["log"].as_str().unwrap();
        assert!(said.contains(reason), "{said}");
        assert_eq!(stack.get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn a_log_that_keeps_silent_does_not_pile_up_those_who_ask() {
    let stack = Stack::start().await;
    stack.log.feel(Mood::Hangs);
    let start = Instant::now();
    let answers = (0..50).map(|_| stack.get("/readyz"));
    for answer in futures::future::join_all(answers).await {
        assert_eq!(answer.status, 503);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_authority_that_expires_while_it_serves_is_named() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let clock = Arc::new(clock::ManualClock::at_ms(
        u64::try_from(now.as_millis()).unwrap(),
    ));
    let config = crate::stack::config(
        "oidc-issuers: {https://a.example: {client-id: sigstore, type: email}}",
    )
    .await;
    let shared: clock::SharedClock = clock.clone();
    let service = fulcio_rs::Service::open(config, shared).await.unwrap();
    let ready = async || {
        let request = axum::http::Request::get("/readyz")
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = tower::ServiceExt::oneshot(service.router(), request)
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(ready().await.0, 200);
    clock.advance(Duration::from_secs(4 * 365 * 24 * 3600));
    let (status, text) = ready().await;
    assert_eq!(status, 503);
    assert!(
        text.contains(r#""certificate":"a certificate of the chain has expired"#),
        "{text}"
    );
}
