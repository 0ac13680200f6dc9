//! Methods, media types, headers, clock.

use super::der::*;
use super::*;

const NOT_CACHED: &str = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0";

#[tokio::test]
async fn a_timestamp_is_a_reply_that_nothing_may_keep() {
    let tsa = Tsa::start().await;
    for path in ["/api/v1/timestamp", "/api/v1/timestamp/"] {
        let request = tsa
            .client
            .post(tsa.url(path))
            .header("content-type", "application/timestamp-query");
        let reply = request.body(request_der()).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(
            reply.headers()["content-type"],
            "application/timestamp-reply"
        );
        assert_eq!(reply.headers()["cache-control"], NOT_CACHED);
        assert!(reply.headers().contains_key("x-request-id"));
    }
}

fn request_der() -> Vec<u8> {
    request(&[])
}

#[tokio::test]
async fn the_accept_header_is_ignored() {
    let tsa = Tsa::start().await;
    for accept in ["application/json", "text/html", "nonsense"] {
        let request = tsa
            .client
            .post(tsa.url("/api/v1/timestamp"))
            .header("accept", accept);
        let request = request
            .header("content-type", "application/timestamp-query")
            .body(request_der());
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(
            reply.headers()["content-type"],
            "application/timestamp-reply"
        );
    }
}

#[tokio::test]
async fn other_media_types_empty_bodies_methods_and_paths_have_their_statuses() {
    let tsa = Tsa::start().await;
    let media_type = tsa.post("text/plain", request_der()).await;
    let allowed =
        "unsupported media type, only [application/json application/timestamp-query] are allowed";
    assert_refused(media_type, 415, allowed).await;
    let without = tsa
        .client
        .post(tsa.url("/api/v1/timestamp"))
        .body(request_der())
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), 415);
    for content_type in ["application/timestamp-query", "application/json"] {
        let empty = tsa.post(content_type, "").await;
        assert_eq!(empty.status(), 422);
        let body: serde_json::Value = empty.json().await.unwrap();
        assert_eq!(body["code"], 602);
    }
    let get = tsa.get("/api/v1/timestamp").await;
    assert_eq!(get.headers()["allow"], "POST");
    assert_refused(get, 405, "method is not allowed").await;
    let put = tsa
        .client
        .put(tsa.url("/api/v1/timestamp"))
        .body(request_der())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 405);
    assert_refused(
        tsa.get("/api/v2/timestamp").await,
        404,
        "path was not found",
    )
    .await;
}

#[tokio::test]
async fn the_certificate_chain_is_pem_leaf_first_and_may_be_kept() {
    let tsa = Tsa::start().await;
    for path in [
        "/api/v1/timestamp/certchain",
        "/api/v1/timestamp/certchain/",
    ] {
        let chain = tsa.get(path).await;
        assert_eq!(chain.status(), 200);
        assert_eq!(
            chain.headers()["content-type"],
            "application/pem-certificate-chain"
        );
        assert_eq!(chain.headers()["cache-control"], "max-age=86400, immutable");
        let written = std::fs::read_to_string(tsa.file("authority/1/chain.pem")).unwrap();
        assert_eq!(chain.text().await.unwrap(), written);
    }
}

#[tokio::test]
async fn ping_and_health_answer() {
    let tsa = Tsa::start().await;
    let ping = tsa.get("/ping").await;
    assert!(
        ping.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    assert_eq!(ping.text().await.unwrap(), ".");
    assert_eq!(
        tsa.get("/healthz").await.text().await.unwrap(),
        r#"{"status":"SERVING"}"#
    );
    assert_eq!(tsa.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn without_a_synchronised_clock_there_are_no_timestamps_and_no_readiness() {
    // Bound, but never answers.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let watched = server.clone();
    let closed = Tsa::start_with(Algorithm::EcdsaP256Sha256, move |config| {
        config.clock.ntp_servers = vec![watched]
    });
    let open = Tsa::start_with(Algorithm::EcdsaP256Sha256, move |config| {
        config.clock.ntp_servers = vec![server];
        config.clock.fail_closed = false;
    });
    let (closed, open) = tokio::join!(closed, open);
    let refused = closed.query(request_der()).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_refused(
        refused,
        503,
        "the timestamp authority's clock is not synchronised",
    )
    .await;
    let ready = closed.get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains(r#""clock":"#));
    assert_eq!(closed.get("/healthz").await.status(), 200);

    assert_eq!(open.query(request_der()).await.status(), 200);
    assert_eq!(open.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn outside_the_certificates_validity_there_are_no_timestamps() {
    let tsa = Tsa::start().await;
    let started = now_ms();
    for outside in [started - 3_600_000, started + 11 * 365 * 24 * 3_600_000] {
        tsa.clock.set_ms(outside);
        let refused = tsa.query(request_der()).await;
        assert_refused(
            refused,
            503,
            "the timestamp authority's certificate is not valid now",
        )
        .await;
        assert_eq!(tsa.get("/readyz").await.status(), 503);
    }
    tsa.clock.set_ms(started);
    assert_eq!(tsa.query(request_der()).await.status(), 200);
}
