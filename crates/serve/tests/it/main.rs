//! The server over real connections.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it does not expect"
)]

mod limits;
mod metrics;
mod shutdown;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use serve::{ClientAuth, Limits, ServeError, Tls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server that runs until it is dropped or stopped.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        Self::start_with(router, limits, None).await
    }

    async fn start_with(router: Router, limits: Limits, tls: Option<Tls>) -> Self {
        let listener = serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve::serve(
            "test",
            listener,
            router,
            tls,
            limits,
            stop.clone(),
        ));
        Self {
            address,
            stop,
            task,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stop(self) -> Result<(), ServeError> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

fn client() -> reqwest::Client {
    builder().build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    // Fails only if it is installed already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// Some routes: an echo, one that panics, one that takes its time.
fn router() -> Router {
    Router::new()
        .route("/echo", post(async |body: String| body))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("on purpose") }),
        )
        .route("/slow", get(slow))
        .route("/item/{name}", get(async || "item"))
        .merge(serve::Health::default().router())
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "done"
}

#[tokio::test]
async fn answers_on_http_1_and_on_http_2_with_prior_knowledge() {
    let server = Server::start(router(), Limits::default()).await;
    let one = client()
        .post(server.url("/echo"))
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(one.version(), http::Version::HTTP_11);
    assert_eq!(one.text().await.unwrap(), "hello");
    let two = builder().http2_prior_knowledge().build().unwrap();
    let two = two
        .post(server.url("/echo"))
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(two.version(), http::Version::HTTP_2);
    assert_eq!(two.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn the_routers_own_errors_are_kept_and_carry_a_request_id() {
    let own = router()
        .fallback(async || (http::StatusCode::NOT_FOUND, "mine"))
        .method_not_allowed_fallback(async || (http::StatusCode::METHOD_NOT_ALLOWED, "mine too"));
    let server = Server::start(own, Limits::default()).await;
    let missing = client()
        .get(server.url("/nowhere"))
        .header("x-request-id", "abc-1")
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["x-request-id"], "abc-1");
    assert_eq!(missing.text().await.unwrap(), "mine");
    let method = client().get(server.url("/echo")).send().await.unwrap();
    assert_eq!(method.status(), 405);
    assert!(!method.headers()["x-request-id"].is_empty());
    assert_eq!(method.text().await.unwrap(), "mine too");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_goes_on() {
    let server = Server::start(router(), Limits::default()).await;
    let client = client();
    for _ in 0..3 {
        let answer = client.get(server.url("/panic")).send().await.unwrap();
        assert_eq!(answer.status(), 500);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(
            body,
            serde_json::json!({"code": 500, "message": "internal error"})
        );
    }
    let after = client
        .post(server.url("/echo"))
        .body("alive")
        .send()
        .await
        .unwrap();
    assert_eq!(after.text().await.unwrap(), "alive");
}

#[tokio::test]
async fn readiness_names_what_is_not_ready() {
    struct Database(Result<(), String>);
    #[async_trait::async_trait]
    impl serve::Probe for Database {
        fn name(&self) -> &'static str {
            "database"
        }
        async fn check(&self) -> Result<(), String> {
            self.0.clone()
        }
    }
    struct Stuck;
    #[async_trait::async_trait]
    impl serve::Probe for Stuck {
        fn name(&self) -> &'static str {
            "key"
        }
        async fn check(&self) -> Result<(), String> {
            std::future::pending().await
        }
    }
    let good = serve::Health::default().with(Database(Ok(())));
    let server = Server::start(good.router(), Limits::default()).await;
    let ready = client().get(server.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.text().await.unwrap(), r#"{"status":"READY"}"#);

    let bad = serve::Health::default()
        .with(Database(Err("no connection".to_owned())))
        .with(Stuck);
    let server = Server::start(bad.router(), Limits::default()).await;
    let ready = client().get(server.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let body: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(body["failures"]["database"], "no connection");
    assert_eq!(body["failures"]["key"], "no answer within a second");
    let alive = client().get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(alive.text().await.unwrap(), r#"{"status":"SERVING"}"#);
}
