//! The JSON form of requests, as sigstore-js sends it.

use super::der::*;
use super::*;

/// SHA-256 of nothing in particular, in base64.
const DIGEST: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn minimal() -> String {
    format!(r#"{{"artifactHash":"{DIGEST}","hashAlgorithm":"sha256"}}"#)
}

#[tokio::test]
async fn the_minimal_form_is_answered_without_certificates() {
    let tsa = Tsa::start().await;
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ] {
        let reply = tsa.post(content_type, minimal()).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(
            reply.headers()["content-type"],
            "application/timestamp-reply"
        );
        let reply = reply.bytes().await.unwrap();
        let reply = Reply::parse(&reply);
        assert_eq!(reply.tst_info[2].2, imprint(&nist_hash(SHA256), &[7; 32]));
        assert!(reply.certificates.is_none());
        assert_eq!(reply.nonce(), None);
    }
}

#[tokio::test]
async fn every_field_is_honoured() {
    let tsa = Tsa::start().await;
    let body = format!(
        r#"{{"artifactHash":"{DIGEST}","hashAlgorithm":"SHA256","certificates":true,"nonce":123456789012345678901234567890,"tsaPolicyOID":"1.3.6.1.4.1.57264.2"}}"#
    );
    let reply = tsa.json(body).await.bytes().await.unwrap();
    let reply = Reply::parse(&reply);
    assert!(reply.certificates.is_some());
    let expected = 123_456_789_012_345_678_901_234_567_890_u128.to_be_bytes();
    assert_eq!(reply.nonce(), Some(&expected[3..]));
}

#[tokio::test]
async fn the_longest_form_is_1024_bytes() {
    let tsa = Tsa::start().await;
    let padded = |length: usize| format!("{}{}", minimal(), " ".repeat(length - minimal().len()));
    assert_eq!(tsa.json(padded(1024)).await.status(), 200);
    assert_refused(
        tsa.json(padded(1025)).await,
        400,
        "timestamp request is too large",
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let tsa = Tsa::start().await;
    let generic = "Error generating timestamp response";
    for (from, to, message) in [
        ("sha256", "sha1", "Weak hash algorithm in timestamp request"),
        ("sha256", "sha3-256", generic),
        (
            "sha256",
            "sha512",
            "Message digest has incorrect length for specified algorithm",
        ),
        ("BwcH", "****", generic),
        ("{", "[", generic),
        ("}", r#","nonce":"12"}"#, generic),
        ("}", r#","nonce":-1}"#, generic),
        (
            "}",
            r#","tsaPolicyOID":"1.2.3.4"}"#,
            "unaccepted policy: requested TSA policy is not supported by the TSA",
        ),
    ] {
        assert_refused(
            tsa.json(minimal().replacen(from, to, 1)).await,
            400,
            message,
        )
        .await;
    }
}
