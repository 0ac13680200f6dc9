//! The service over HTTP, with OpenSSL as the verifier.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it does not expect"
)]

mod certificates;
mod der;
mod http_interface;
mod json_form;
mod limits;
mod openssl;
mod program;
mod startup;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clock::{ManualClock, SharedClock};
use custody::{Begin, NewKey, Purpose, Root};
use keys::{Algorithm, KeyUri, Passphrase, PassphraseSource};
use reqwest::Response;
use serve::Limits;
use timestamp_rs::{Config, Service};
use tokio_util::sync::CancellationToken;

/// A timestamp authority on a free port.
struct Tsa {
    address: SocketAddr,
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    client: reqwest::Client,
    _stop: tokio_util::sync::DropGuard,
}

/// Where a new authority is.
struct Files {
    certificate_chain: PathBuf,
    key: PathBuf,
    root_key: PathBuf,
}

/// New certificates and keys, and a configuration that names them.
async fn material(algorithm: Algorithm) -> (tempfile::TempDir, Files, Config) {
    let directory = tempfile::tempdir().unwrap();
    let passphrase = directory.path().join("passphrase");
    let secret = Passphrase::create_file(&passphrase).unwrap();
    let authority = directory.path().join("authority");
    std::fs::create_dir_all(authority.join("1")).unwrap();
    let files = Files {
        certificate_chain: authority.join("1/chain.pem"),
        key: authority.join("1/key.pem"),
        root_key: authority.join("root-key.pem"),
    };
    let key = |path: &PathBuf| NewKey {
        uri: KeyUri::file(path),
        algorithm,
        existing: false,
        passphrase: Some(secret.clone()),
    };
    Begin {
        purpose: Purpose::TimeStamping,
        organization: "Sigkeep".to_owned(),
        url: "https://tsa.corp.example/api/v1/timestamp".to_owned(),
        key: key(&files.key),
        root: Root::New {
            key: key(&files.root_key),
            lifetime: Duration::from_secs(3650 * 86_400),
        },
        lifetime: Duration::from_secs(3650 * 86_400),
    }
    .run(&authority, &clock::SystemClock::shared(), "test")
    .await
    .unwrap();
    let mut config = Config::new(&files.certificate_chain, KeyUri::file(&files.key));
    config.passphrase = Some(PassphraseSource::File(passphrase));
    (directory, files, config)
}

fn now_ms() -> u64 {
    u64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap()
}

impl Tsa {
    async fn start() -> Self {
        Self::start_with(Algorithm::EcdsaP256Sha256, |_| ()).await
    }

    async fn start_with(algorithm: Algorithm, change: impl FnOnce(&mut Config)) -> Self {
        let (directory, _, mut config) = material(algorithm).await;
        change(&mut config);
        let clock = Arc::new(ManualClock::at_ms(now_ms()));
        let limits = Limits {
            concurrency: config.limits.concurrency,
            ..Limits::default()
        };
        let service = Service::open(config, Arc::clone(&clock) as SharedClock)
            .await
            .unwrap();
        let listener = serve::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (router, stopped) = (service.router(), stop.clone());
        tokio::spawn(serve::serve(
            "timestamp",
            listener,
            router,
            None,
            limits,
            stopped,
        ));
        // Fails only if it is installed already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            address,
            directory,
            clock,
            client,
            _stop: stop.drop_guard(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn post(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self
            .client
            .post(self.url("/api/v1/timestamp"))
            .header("content-type", content_type);
        request.body(body).send().await.unwrap()
    }

    async fn query(&self, der: impl Into<reqwest::Body>) -> Response {
        self.post("application/timestamp-query", der).await
    }

    async fn json(&self, json: impl Into<reqwest::Body>) -> Response {
        self.post("application/json", json).await
    }

    /// The reply to a request that must succeed.
    async fn reply(&self, der: &[u8]) -> Vec<u8> {
        let response = self.query(der.to_vec()).await;
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap().to_vec()
    }
}

/// Asserts that `response` is an error of this status and message, as JSON.
async fn assert_refused(response: Response, status: u16, message: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(
        body,
        serde_json::json!({"code": status, "message": message})
    );
}
