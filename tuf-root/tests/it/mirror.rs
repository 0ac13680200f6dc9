//! A served repository and clients over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clock::{ManualClock, SharedClock};
use http::StatusCode;
use keys::Passphrase;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tuf_root::client::{self, Expiry, Mirror};
use tuf_root::metadata::{Document, Root, TargetName};
use tuf_root::{Repository, TargetFile, bootstrap, refresh, server};

use crate::material::EPOCH_SECS;

pub(crate) fn file(name: &str, content: &str) -> TargetFile {
    TargetFile {
        name: name.parse().unwrap(),
        content: content.as_bytes().to_vec(),
        custom: None,
    }
}

struct Served {
    repository: Repository,
    clock: Arc<ManualClock>,
    url: String,
    stop: CancellationToken,
    _dir: TempDir,
    _guard: DropGuard,
}

impl Served {
    async fn start() -> Self {
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(EPOCH_SECS * 1000));
        let shared = Arc::clone(&clock) as SharedClock;
        let passphrase = Passphrase::new("a passphrase for tests");
        let targets = vec![file("note.txt", "first")];
        let repository = bootstrap(dir.path(), &passphrase, targets, Arc::clone(&shared))
            .await
            .unwrap();
        let listener = serve::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = server::router(repository.published_dir(), shared);
        let stop = CancellationToken::new();
        tokio::spawn(serve::serve(
            "tuf",
            listener,
            router,
            None,
            serve::Limits::default(),
            stop.clone(),
        ));
        let _guard = stop.clone().drop_guard();
        Self {
            repository,
            clock,
            url,
            stop,
            _dir: dir,
            _guard,
        }
    }

    fn now(&self) -> Expiry {
        Expiry::At(clock::Clock::now_secs(self.clock.as_ref()))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap()
    }

    async fn update(
        &self,
        cached: Option<&client::Trusted>,
    ) -> Result<client::Trusted, client::UpdateError> {
        let mirror = Mirror::new(&self.url).unwrap();
        let first = std::fs::read(self.repository.first_root_json()).unwrap();
        let bootstrap: Document<Root> = Document::parse(&first).unwrap();
        client::update(&mirror, &bootstrap, cached, self.now()).await
    }
}

#[tokio::test]
async fn a_client_updates_and_downloads_over_http() {
    let served = Served::start().await;
    let first = served.update(None).await.unwrap();
    let name: TargetName = "note.txt".parse().unwrap();
    let mirror = Mirror::new(&format!("{}/", served.url)).unwrap();
    assert_eq!(
        client::target(&mirror, &first, &name).await.unwrap(),
        b"first"
    );

    served
        .repository
        .set_targets(vec![file("note.txt", "second")])
        .await
        .unwrap();
    let second = served.update(Some(&first)).await.unwrap();
    assert_eq!(
        client::target(&mirror, &second, &name).await.unwrap(),
        b"second"
    );
    // What an older client still refers to stays where it was.
    assert_eq!(
        client::target(&mirror, &first, &name).await.unwrap(),
        b"first"
    );
}

#[tokio::test]
async fn answers_are_what_clients_and_caches_need() {
    let served = Served::start().await;
    let header = |response: &reqwest::Response, name: &str| {
        response
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    for (path, status, cache) in [
        ("/timestamp.json", StatusCode::OK, "no-store"),
        ("//timestamp.json", StatusCode::OK, "no-store"),
        ("/root.json", StatusCode::OK, "no-store"),
        ("/1.root.json", StatusCode::OK, "no-store"),
        ("/2.root.json", StatusCode::NOT_FOUND, "no-store"),
        (
            "/1.targets.json",
            StatusCode::OK,
            "public, max-age=31536000, immutable",
        ),
        ("/9.targets.json", StatusCode::NOT_FOUND, "no-store"),
        ("/targets/", StatusCode::NOT_FOUND, "no-store"),
        ("/", StatusCode::NOT_FOUND, "no-store"),
        ("/state.json", StatusCode::NOT_FOUND, "no-store"),
        ("/..%2fstate.json", StatusCode::NOT_FOUND, "no-store"),
        (
            "/targets/..%2f..%2fstate.json",
            StatusCode::NOT_FOUND,
            "no-store",
        ),
    ] {
        let response = served.get(path).await;
        assert_eq!(response.status().as_u16(), status.as_u16(), "{path}");
        assert_eq!(header(&response, "cache-control"), cache, "{path}");
        if status == StatusCode::OK {
            assert_eq!(
                header(&response, "content-type"),
                "application/json",
                "{path}"
            );
        }
    }
    let posted = reqwest::Client::new()
        .post(format!("{}/timestamp.json", served.url))
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status().as_u16(), 405);
    let head = reqwest::Client::new()
        .head(format!("{}/timestamp.json", served.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status().as_u16(), head.bytes().await.unwrap().len()),
        (200, 0)
    );
}

#[tokio::test]
async fn readiness_fails_when_clients_would_refuse_but_files_are_still_served() {
    let served = Served::start().await;
    assert_eq!(served.get("/readyz").await.status().as_u16(), 200);
    served.clock.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(served.get("/readyz").await.status().as_u16(), 503);
    assert_eq!(served.get("/healthz").await.status().as_u16(), 200);
    assert_eq!(served.get("/timestamp.json").await.status().as_u16(), 200);
    assert!(served.update(None).await.is_err());
}

#[tokio::test]
async fn the_refresh_task_keeps_a_repository_alive() {
    let served = Served::start().await;
    let first = served.update(None).await.unwrap();
    served.clock.advance(Duration::from_secs(8 * 86_400));
    let task = tokio::spawn(refresh::run(
        served.repository.clone(),
        refresh::DISTANCES.to_vec(),
        served.stop.clone(),
    ));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while served.update(None).await.is_err() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "nothing was refreshed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = served.update(Some(&first)).await.unwrap();
    assert_eq!(second.timestamp.signed().version.get(), 2);
    assert_eq!(second.snapshot, first.snapshot);
    served.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), task)
        .await
        .expect("stops when told")
        .unwrap();
}
