use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::DefaultBodyLimit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn beyond_the_cap_requests_are_refused_before_any_work_but_liveness_answers() {
    let worked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&worked);
    let work = async move || {
        count.fetch_add(1, Ordering::SeqCst);
        slow().await
    };
    let router = Router::new()
        .route("/work", get(work))
        .merge(serve::Health::default().router());
    let server = Server::start(
        router,
        Limits {
            concurrency: 2,
            ..Limits::default()
        },
    )
    .await;
    let client = client();
    let first: Vec<_> = (0..2)
        .map(|_| tokio::spawn(client.get(server.url("/work")).send()))
        .collect();
    while worked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let refused = client.get(server.url("/work")).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(
        client
            .get(server.url("/healthz"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    for answer in first {
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(worked.load(Ordering::SeqCst), 2);
    assert_eq!(
        client
            .get(server.url("/work"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let limits = Limits {
        request: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start(router(), limits).await;
    let answer = client().get(server.url("/slow")).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_body_that_trickles_in_is_ended_by_the_time_limit() {
    let limits = Limits {
        request: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::start(router(), limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn the_body_limit_holds_and_a_router_can_override_it() {
    let generous = Router::new().route("/big", post(async |body: String| body.len().to_string()));
    let routes = router().merge(generous.layer(DefaultBodyLimit::max(1000)));
    let server = Server::start(
        routes,
        Limits {
            body: 10,
            ..Limits::default()
        },
    )
    .await;
    let client = client();
    let fits = client
        .post(server.url("/echo"))
        .body("0123456789")
        .send()
        .await
        .unwrap();
    assert_eq!(fits.status(), 200);
    let long = client
        .post(server.url("/echo"))
        .body("0123456789a")
        .send()
        .await
        .unwrap();
    assert_eq!(long.status(), 413);
    let overridden = client
        .post(server.url("/big"))
        .body("x".repeat(1000))
        .send()
        .await
        .unwrap();
    assert_eq!(overridden.text().await.unwrap(), "1000");
    let beyond = client
        .post(server.url("/big"))
        .body("x".repeat(1001))
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), 413);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(router(), Limits::default()).await;
    let client = client();
    let long = client
        .get(server.url("/item/a"))
        .header("x-long", "x".repeat(70_000))
        .send()
        .await
        .unwrap();
    assert_eq!(long.status(), 431);
    let mut many = client.get(server.url("/item/a"));
    for index in 0..120 {
        many = many.header(format!("x-{index}"), "1");
    }
    assert_eq!(many.send().await.unwrap().status(), 431);
}
