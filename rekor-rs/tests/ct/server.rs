//! A log, served.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clock::ManualClock;
use keys::{Algorithm, FileSigner, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, SharedStore};
use rekor_rs::ct::{CtConfig, CtLog, OpenError, Policy, router};
use reqwest::{Client, Response, StatusCode};
use sequencer::Guard;
use serde_json::{Value, json};
use tlog::Hash;
use tokio::task::JoinHandle;

use crate::ca::{Ca, NOW_MS};
use crate::place::{Database, Place};

pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) log: Arc<CtLog>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: SharedStore,
    task: JoinHandle<()>,
    database: Option<Database>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn p256() -> SharedSigner {
    Arc::new(FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap())
}

/// Opens the store's log, creating it if it is not there.
pub(crate) async fn open(
    store: &SharedStore,
    guard: &Path,
    signer: SharedSigner,
    clock: Arc<ManualClock>,
    config: CtConfig,
) -> Result<Arc<CtLog>, OpenError> {
    let record = match store.logs().await.unwrap().pop() {
        Some(record) => record,
        None => {
            let record = LogRecord {
                id: LogId(7),
                kind: LogKind::Ct,
                origin: "test/2026".into(),
                public_key: signer.public_key().spki_der().to_vec(),
                state: LogState::Active,
                created_ms: NOW_MS,
            };
            store.create_log(&record).await.unwrap();
            record
        }
    };
    CtLog::open(
        Arc::clone(store),
        record,
        signer,
        Guard::open(guard).unwrap(),
        clock,
        config,
    )
    .await
}

pub(crate) fn accepting(ca: &Ca) -> CtConfig {
    CtConfig {
        roots: vec![ca.root.clone()],
        ..CtConfig::default()
    }
}

impl Server {
    pub(crate) async fn start(place: Place, ca: &Ca) -> Self {
        Self::start_with(place, accepting(ca), p256()).await
    }

    pub(crate) async fn start_policy(place: Place, ca: &Ca, policy: Policy) -> Self {
        Self::start_with(
            place,
            CtConfig {
                policy,
                ..accepting(ca)
            },
            p256(),
        )
        .await
    }

    pub(crate) async fn start_with(place: Place, config: CtConfig, signer: SharedSigner) -> Self {
        let database = place.database().await;
        let clock = Arc::new(ManualClock::at_ms(NOW_MS));
        let store = database.store().await;
        let guard = database.path("guard");
        let log = open(&store, &guard, signer, Arc::clone(&clock), config)
            .await
            .unwrap();
        let mut server = Self::serve(log, clock, store).await;
        server.database = Some(database);
        server
    }

    pub(crate) async fn serve(
        log: Arc<CtLog>,
        clock: Arc<ManualClock>,
        store: SharedStore,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/test/2026/ct/v1", listener.local_addr().unwrap());
        let routes = router(Arc::clone(&log));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        // Fails only if it is installed already.
        let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            base,
            client,
            log,
            clock,
            store,
            task,
            database: None,
        }
    }

    /// The database that it was started on.
    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    pub(crate) async fn post(&self, call: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self
            .client
            .post(format!("{}/{call}", self.base))
            .header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn submit(&self, call: &str, chain: &[Vec<u8>]) -> (StatusCode, Value) {
        let chain: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        answer(self.post(call, json!({ "chain": chain }).to_string()).await).await
    }

    pub(crate) async fn add_pre_chain(&self, chain: &[Vec<u8>]) -> (StatusCode, Value) {
        self.submit("add-pre-chain", chain).await
    }

    pub(crate) async fn get(&self, call: &str) -> (StatusCode, Value) {
        answer(
            self.client
                .get(format!("{}/{call}", self.base))
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn sth(&self) -> Value {
        let (status, sth) = self.get("get-sth").await;
        assert_eq!(status, 200, "{sth}");
        sth
    }

    pub(crate) async fn size(&self) -> u64 {
        self.sth().await["tree_size"].as_u64().unwrap()
    }

    /// Submits `count` precertificates, one after the other.
    pub(crate) async fn fill(&self, ca: &Ca, count: usize) {
        for _ in 0..count {
            let precertificate = ca.precertificate(&crate::ca::leaf()).await;
            let (status, body) = self.add_pre_chain(&ca.chain(precertificate)).await;
            assert_eq!(status, 200, "{body}");
        }
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json");
    (status, response.json().await.unwrap())
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn hashes(value: &Value) -> Vec<Hash> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| Hash::try_from(bytes(hash).as_slice()).unwrap())
        .collect()
}
