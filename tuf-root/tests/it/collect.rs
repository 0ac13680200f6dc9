//! Trust documents from services that answer over HTTP.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use keys::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tuf_root::metadata::Sha256;
use wire::trust::{ServiceMaterial, TrustedRoot};

use crate::material::{log_key, services};

/// What the services say; a test may change it.
#[derive(Clone)]
struct Said {
    material: ServiceMaterial,
    inactive: Vec<crypto::PublicKey>,
    answer: Option<(StatusCode, String)>,
}

struct Services {
    said: Arc<Mutex<Said>>,
    url: String,
    dir: TempDir,
    _guard: DropGuard,
}

fn pem(chain: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| {
        x509_cert::der::pem::encode_string("CERTIFICATE", x509_cert::der::pem::LineEnding::LF, der)
            .unwrap()
    };
    chain.iter().map(block).collect()
}

fn answer(said: &Said, uri: &Uri) -> Response {
    if let Some((status, body)) = &said.answer {
        return (*status, [("location", "/elsewhere")], body.clone()).into_response();
    }
    let path = uri.path_and_query().unwrap().as_str();
    let shard = |n: &str| said.inactive[n.parse::<usize>().unwrap()].to_pem();
    match path {
        "/api/v2/trustBundle" => {
            let split = |c: &[Vec<u8>]| c.iter().map(|d| pem(std::slice::from_ref(d))).collect();
            let chains = said.material.fulcio.iter().map(|a| {
                let certificates: Vec<String> = split(&a.chain);
                json!({ "certificates": certificates })
            });
            json!({ "chains": chains.collect::<Vec<_>>() }).to_string()
        }
        "/api/v1/log/publicKey" => said.material.rekor[0].log.key.to_pem(),
        "/api/v1/log" => {
            let shards = (0..said.inactive.len()).map(|n| json!({ "treeID": n.to_string() }));
            json!({ "inactiveShards": shards.collect::<Vec<_>>(), "treeID": "9" }).to_string()
        }
        "/api/v1/timestamp/certchain" => pem(&said.material.timestamp[0].chain),
        other => match other.strip_prefix("/api/v1/log/publicKey?treeID=") {
            Some(n) => shard(n),
            None => return StatusCode::NOT_FOUND.into_response(),
        },
    }
    .into_response()
}

impl Services {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let said = Arc::new(Mutex::new(Said {
            material: services().await,
            inactive: Vec::new(),
            answer: None,
        }));
        let shared = Arc::clone(&said);
        let router = Router::new()
            .fallback(async move |uri: Uri| answer(&shared.lock().unwrap().clone(), &uri));
        let listener = serve::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let limits = serve::Limits::default();
        tokio::spawn(serve::serve(
            "mock",
            listener,
            router,
            None,
            limits,
            stop.clone(),
        ));
        let key = said.lock().unwrap().material.ct_logs[0].key.to_pem();
        std::fs::write(dir.path().join("ct.pub"), key).unwrap();
        std::fs::write(dir.path().join("passphrase"), "a passphrase for tests\n").unwrap();
        let services = Self {
            said,
            url,
            dir,
            _guard: stop.drop_guard(),
        };
        services
            .ok(&["init", "--passphrase-file", "passphrase"])
            .await;
        services
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuf-root"));
        command.args(arguments).current_dir(self.dir.path());
        command.stdin(std::process::Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn collect(&self, more: &[&str]) -> Output {
        let timestamp = format!("{}/api/v1/timestamp", self.url);
        let ct = format!("{}/ct", self.url);
        let fixed = [
            "collect",
            "--fulcio",
            &self.url,
            "--rekor",
            &self.url,
            "--timestamp",
            &timestamp,
            "--ct",
            &ct,
            "--ct-key",
            "ct.pub",
        ];
        self.run(&[&fixed[..], more].concat()).await
    }

    /// Fingerprints of everything that is offered, from a way other than the collection.
    fn fingerprints(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let material = &said.material;
        let chains = material.fulcio.iter().chain(&material.timestamp);
        let certificates = chains
            .flat_map(|a| a.chain.iter())
            .map(|der| Sha256::of(der));
        let keys = [&material.ct_logs[0].key, &material.rekor[0].log.key];
        let keys = keys.into_iter().chain(&said.inactive);
        let keys = keys.map(|key| Sha256::of(key.spki_der()));
        certificates
            .chain(keys)
            .map(|hash| hash.to_string())
            .collect()
    }

    async fn publish(&self) -> TrustedRoot {
        self.ok(&["publish", "--passphrase-file", "passphrase"])
            .await;
        let root = self.ok(&["export", "trusted-root"]).await;
        TrustedRoot::from_json(root.as_bytes()).unwrap()
    }

    async fn check(&self) -> (i32, Value) {
        let output = self.collect(&["--check", "--json"]).await;
        let code = output.status.code().unwrap();
        (code, serde_json::from_slice(&output.stdout).unwrap())
    }
}

const DEPLOYMENT: [&str; 4] = [
    "--operator",
    "corp.example",
    "--oidc",
    "http://localhost:8080",
];

fn approve(fingerprints: &[String]) -> Vec<&str> {
    fingerprints.iter().flat_map(|f| ["--approve", f]).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn nothing_is_staged_before_every_fingerprint_is_approved() {
    let services = Services::start().await;
    let mut fingerprints = services.fingerprints();
    assert_eq!(fingerprints.len(), 7);
    let missing = fingerprints.pop().unwrap();
    let all_but_one = [&DEPLOYMENT[..], &approve(&fingerprints)].concat();
    let output = services.collect(&all_but_one).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains(&format!("--approve {missing}")),
        "{}",
        said(&output)
    );
    let listed: Value =
        serde_json::from_str(&services.ok(&["target", "list", "--json"]).await).unwrap();
    assert_eq!(listed["unpublished"], json!([]));

    fingerprints.push(missing);
    let output = services
        .collect(&[&DEPLOYMENT[..], &approve(&fingerprints)].concat())
        .await;
    assert!(output.status.success(), "{}", said(&output));
    let root = services.publish().await;
    let material = services.said.lock().unwrap().material.clone();
    assert_eq!(
        root.tlogs[0].key().unwrap().spki_der(),
        material.rekor[0].log.key.spki_der()
    );
    assert_eq!(root.tlogs[0].base_url, services.url);
    // What was signed before today verifies: the logs start with the authority.
    let start = root.certificate_authorities[0].valid_for.start;
    assert_eq!(root.tlogs[0].public_key.valid_for.start, start);
    assert_eq!(services.check().await.0, 0);
    // Collected again with nothing new: nothing to approve, the same documents.
    let output = services.collect(&[]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(services.publish().await, root);
}

#[tokio::test]
async fn drift_is_found_and_history_is_kept() {
    let services = Services::start().await;
    let fingerprints = services.fingerprints();
    let output = services
        .collect(&[&DEPLOYMENT[..], &approve(&fingerprints)].concat())
        .await;
    assert!(output.status.success(), "{}", said(&output));
    let before = services.publish().await;

    // A new shard: the old key moves to the inactive ones.
    let old = {
        let mut said = services.said.lock().unwrap();
        let old = said.material.rekor[0].log.key.clone();
        said.inactive.push(old.clone());
        said.material.rekor[0].log.key = log_key(Algorithm::EcdsaP256Sha256);
        old
    };
    let (code, drift) = services.check().await;
    assert_eq!((code, &drift["drift"]), (1, &json!(true)));
    let new: Vec<&Value> = drift["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f["standing"] == "new")
        .collect();
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["service"], "rekor");
    let fingerprint = new[0]["fingerprint"].as_str().unwrap();
    let output = services.collect(&["--approve", fingerprint]).await;
    assert!(output.status.success(), "{}", said(&output));
    let after = services.publish().await;
    assert_eq!(
        after.certificate_authorities,
        before.certificate_authorities
    );
    assert_eq!(after.tlogs.len(), 2);
    let entry = &after.tlogs[0];
    assert_eq!(entry.key().unwrap().spki_der(), old.spki_der());
    assert_eq!(
        entry.public_key.valid_for.start,
        before.tlogs[0].public_key.valid_for.start
    );
    assert!(entry.public_key.valid_for.end.is_some());
    assert!(after.tlogs[1].public_key.valid_for.start > entry.public_key.valid_for.start);
    assert_eq!(services.check().await.0, 0);

    // A service that shows another key than the published one, and no longer that one.
    services.said.lock().unwrap().material.rekor[0].log.key = log_key(Algorithm::EcdsaP256Sha256);
    let (code, drift) = services.check().await;
    assert_eq!(code, 1);
    let standings: Vec<&str> = drift["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["standing"].as_str())
        .collect();
    assert!(
        standings.contains(&"gone") && standings.contains(&"new"),
        "{standings:?}"
    );
}

#[tokio::test]
async fn answers_are_bounded_and_redirects_are_not_followed() {
    let services = Services::start().await;
    for (status, body, words) in [
        (StatusCode::FOUND, String::new(), "answered 302"),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            String::new(),
            "answered 500",
        ),
        (
            StatusCode::OK,
            " ".repeat((1 << 20) + 1),
            "longer than 1048576 bytes",
        ),
        (StatusCode::OK, "<html>".to_owned(), "/api/v2/trustBundle"),
    ] {
        services.said.lock().unwrap().answer = Some((status, body));
        let output = services.collect(&DEPLOYMENT).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    services.said.lock().unwrap().answer = None;
    let output = services.collect(&[]).await;
    assert!(
        said(&output).contains("--operator NAME"),
        "{}",
        said(&output)
    );
}
