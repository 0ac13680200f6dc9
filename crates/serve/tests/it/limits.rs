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

/// Sixteen megabytes, which no socket's buffers hold.
fn long_answers() -> Router {
    router().route("/long", get(async || "x".repeat(16 << 20)))
}

fn one_at_a_time() -> Limits {
    Limits {
        request: Duration::from_millis(400),
        concurrency: 1,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_long_answer_is_at_work_until_taken_and_not_kept_for_ever() {
    let server = Server::start(long_answers(), one_at_a_time()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut head = [0; 12];
    idle.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let busy = client().get(server.url("/item/a")).send().await.unwrap();
    assert_eq!(busy.status(), 503);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let free = client().get(server.url("/item/a")).send().await.unwrap();
    assert_eq!(free.status(), 200);
    let mut taken = Vec::new();
    let _ended = idle.read_to_end(&mut taken).await;
    assert!(taken.len() < 16 << 20);
}

#[tokio::test]
async fn on_http_2_streams_without_a_window_do_not_keep_answers() {
    let server = Server::start(long_answers(), one_at_a_time()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    // The preface, settings with an initial window of 0, and a request of `/item/a` (RFC 9113
    // sections 3.4 and 6.5.2; RFC 7541 without dynamic table or Huffman codes).
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    let mut block = vec![0x82, 0x86, 0x04, 7];
    block.extend(b"/item/a");
    block.extend([0x01, 1, b'x']);
    request.extend([0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    request.extend(block);
    idle.write_all(&request).await.unwrap();
    let mut taken = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut taken)).await;
    assert!(ended.is_ok(), "the connection stays open");
    let free = client().get(server.url("/item/a")).send().await.unwrap();
    assert_eq!(free.status(), 200);
}

#[tokio::test]
async fn a_long_answer_arrives_whole_over_both_versions() {
    let server = Server::start(long_answers(), Limits::default()).await;
    let two = builder().http2_prior_knowledge().build().unwrap();
    for client in [client(), two] {
        let answer = client.get(server.url("/long")).send().await.unwrap();
        assert_eq!(answer.content_length(), Some(16 << 20));
        assert_eq!(answer.bytes().await.unwrap().len(), 16 << 20);
    }
}
