//! A service on a free port of 127.0.0.1, a client of it, and the checks that every entry must
//! pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{HashAlgorithm, PublicKey};
use logstore::SharedStore;
use rekor_rs::{Config, Service};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tlog::Hash;

/// Host in checkpoints.
pub(crate) const HOST: &str = "rekor.test";

/// Which store a test runs on.
#[derive(Clone, Copy)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

/// Defines a test of the given name for every store.
#[macro_export]
macro_rules! on_every_store {
    ($($(#[$meta:meta])* async fn $name:ident($stack:ident) $body:block)*) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                $(#[$meta])*
                async fn case(mut $stack: $crate::stack::Stack) {
                    let $stack = &mut $stack;
                    $body
                }

                #[tokio::test]
                async fn sqlite() {
                    case($crate::stack::Stack::start($crate::stack::Backend::Sqlite).await).await;
                }

                #[tokio::test]
                async fn postgres() {
                    case($crate::stack::Stack::start($crate::stack::Backend::Postgres).await).await;
                }
            }
        )*
    };
}

/// A running service.
pub(crate) struct Stack {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) store: SharedStore,
    pub(crate) directory: Arc<TempDir>,
    /// Where the database is, for `rekor-rs`.
    pub(crate) database: String,
    server: tokio::task::JoinHandle<()>,
}

impl Stack {
    /// A new, empty log with one shard.
    pub(crate) async fn start(backend: Backend) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (database, store): (String, SharedStore) = match backend {
            Backend::Sqlite => {
                let path = directory.path().join("log.db");
                let store = logstore_sqlite::SqliteStore::open(&path).await.unwrap();
                (format!("sqlite:{}", path.display()), Arc::new(store))
            }
            Backend::Postgres => {
                let database = logstore_postgres::testing::server().await.database().await;
                let url = database.url().to_owned();
                let store = logstore_postgres::PostgresStore::connect(&url, 4).await;
                (url, Arc::new(store.unwrap()))
            }
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().build().unwrap();
        let mut stack = Self {
            base: String::new(),
            client,
            store,
            directory,
            database,
            server: tokio::spawn(async {}),
        };
        stack.new_key("log.key");
        stack.restart("").await;
        stack
    }

    /// Runs SQL on the database, beside the store.
    pub(crate) async fn sql(&self, sql: &'static str) {
        use sqlx::Connection as _;
        if self.database.starts_with("sqlite:") {
            let mut connection = sqlx::SqliteConnection::connect(&self.database)
                .await
                .unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.database).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    /// Writes a new key file.
    pub(crate) fn new_key(&self, name: &str) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        std::fs::write(self.directory.path().join(name), key.serialize_pem()).unwrap();
    }

    /// A configuration with the given shards and further lines.
    pub(crate) fn config(&self, logs: &str, more: &str) -> Config {
        let directory = self.directory.path().display();
        let logs = logs.replace("DIR", &directory.to_string());
        Config::parse(&format!(
            "hostname: {HOST}\nguard-dir: {directory}/guards\nlogs: {logs}\n{more}\n"
        ))
        .unwrap()
    }

    /// Serves the first shard with further lines of configuration.
    pub(crate) async fn restart(&mut self, more: &str) {
        let config = self.config("[{kind: rekor-v1, key: 'file:DIR/log.key'}]", more);
        self.restart_with(config).await;
    }

    /// Another replica: the same store, and a server of its own.
    pub(crate) async fn beside(&self, config: Config) -> Self {
        let mut replica = Self {
            base: String::new(),
            client: self.client.clone(),
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            database: self.database.clone(),
            server: tokio::spawn(async {}),
        };
        replica.restart_with(config).await;
        replica
    }

    /// Stops serving.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Serves a configuration instead of the one before.
    pub(crate) async fn restart_with(&mut self, config: Config) {
        self.stop().await;
        let service = Service::open(config, self.store.clone(), clock::SystemClock::shared())
            .await
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.base = format!("http://{}", listener.local_addr().unwrap());
        self.server = tokio::spawn(async move {
            let service = service
                .router()
                .into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.unwrap();
        });
    }

    pub(crate) async fn request(&self, method: Method, path: &str) -> Response {
        self.client
            .request(method, format!("{}{path}", self.base))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).await
    }

    /// Posts a text as JSON.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.post_text(path, body.to_string()).await
    }

    /// Proposes an entry.
    pub(crate) async fn submit(&self, entry: &Value) -> Response {
        self.post("/api/v1/log/entries", entry).await
    }

    /// Proposes an entry that must be taken, checks the answer, and returns its id with it.
    pub(crate) async fn create(&self, entry: &Value) -> (String, Value) {
        let response = self.submit(entry).await;
        let status = response.status();
        let etag = header(&response, "etag");
        let location = header(&response, "location");
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{text}");
        let (id, entry) = self.check(&text).await;
        assert_eq!(etag.as_deref(), Some(id.as_str()));
        assert_eq!(location, Some(format!("/api/v1/log/entries/{id}")));
        (id, entry)
    }

    /// Proposes an entry that must be refused with this status; returns code and message.
    pub(crate) async fn refused(&self, entry: &Value, status: u16) -> (u64, String) {
        refusal(self.submit(entry).await, status).await
    }

    /// Retrieves entries by a query.
    pub(crate) async fn retrieve(&self, query: Value) -> Vec<(String, Value)> {
        let response = self.post("/api/v1/log/entries/retrieve", &query).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        let list: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        for entry in list {
            found.push(self.check(&format!("{entry}\n")).await);
        }
        found
    }

    /// Searches the index.
    pub(crate) async fn search(&self, query: Value) -> Vec<String> {
        let response = self.post("/api/v1/index/retrieve", &query).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.ends_with("]\n"));
        serde_json::from_str(&text).unwrap()
    }

    /// The key of a shard (of the active one for an empty text), as the API gives it.
    pub(crate) async fn public_key(&self, tree: &str) -> PublicKey {
        let query = if tree.is_empty() {
            String::new()
        } else {
            format!("?treeID={tree}")
        };
        let pem = self
            .get(&format!("/api/v1/log/publicKey{query}"))
            .await
            .text()
            .await
            .unwrap();
        PublicKey::from_pem(&pem).unwrap()
    }

    /// Verifies an answer of one entry as a careful client would: form, leaf hash, promise,
    /// checkpoint and inclusion. Returns the entry's id and the entry.
    pub(crate) async fn check(&self, text: &str) -> (String, Value) {
        assert!(
            text.ends_with("}\n") && !text.ends_with("\n\n"),
            "one line end"
        );
        let answer: Value = serde_json::from_str(text).unwrap();
        let members = answer.as_object().unwrap();
        assert_eq!(members.len(), 1);
        let (id, entry) = members.iter().next().unwrap();
        assert_eq!(id.len(), 80);
        let tree = i64::from_str_radix(&id[..16], 16).unwrap();
        let key = self.public_key(&tree.to_string()).await;
        assert_eq!(entry["logID"], hex::encode(key.key_id()));

        let body = STANDARD.decode(entry["body"].as_str().unwrap()).unwrap();
        let leaf = tlog::leaf_hash(&body);
        assert_eq!(id[16..], hex::encode(leaf.0));

        let signed = format!(
            r#"{{"body":{},"integratedTime":{},"logID":{},"logIndex":{}}}"#,
            entry["body"], entry["integratedTime"], entry["logID"], entry["logIndex"]
        );
        let promise = STANDARD
            .decode(
                entry["verification"]["signedEntryTimestamp"]
                    .as_str()
                    .unwrap(),
            )
            .unwrap();
        key.verify(HashAlgorithm::Sha256, signed.as_bytes(), &promise)
            .unwrap();

        let proof = &entry["verification"]["inclusionProof"];
        let (size, root) = check_checkpoint(proof["checkpoint"].as_str().unwrap(), &key, tree);
        assert_eq!(proof["treeSize"], size);
        assert_eq!(proof["rootHash"], hex::encode(root.0));
        let hashes: Vec<Hash> = proof["hashes"]
            .as_array()
            .unwrap()
            .iter()
            .map(hash)
            .collect();
        let index = proof["logIndex"].as_u64().unwrap();
        tlog::verify_inclusion(index, size, &leaf, &hashes, &root).unwrap();
        (id.clone(), entry.clone())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Verifies a checkpoint; returns size and root.
pub(crate) fn check_checkpoint(checkpoint: &str, key: &PublicKey, tree: i64) -> (u64, Hash) {
    let (text, signatures) = checkpoint.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let line = signatures
        .strip_prefix(&format!("\u{2014} {HOST} "))
        .unwrap()
        .strip_suffix('\n')
        .unwrap();
    assert!(!line.contains('\n'), "one signature line");
    let signature = STANDARD.decode(line).unwrap();
    assert_eq!(signature[..4], key.key_id()[..4]);
    key.verify(HashAlgorithm::Sha256, text.as_bytes(), &signature[4..])
        .unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], format!("{HOST} - {tree}"));
    let root: [u8; 32] = STANDARD.decode(lines[2]).unwrap().try_into().unwrap();
    (lines[1].parse().unwrap(), Hash(root))
}

/// Status must be as given; returns code and message.
pub(crate) async fn refusal(response: Response, status: u16) -> (u64, String) {
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found.as_u16(), status, "{text}");
    let error: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not an error body: {text:?}"));
    (
        error["code"].as_u64().unwrap(),
        error["message"].as_str().unwrap().to_owned(),
    )
}

pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
}

pub(crate) fn hash(value: &Value) -> Hash {
    Hash(
        hex::decode(value.as_str().unwrap())
            .unwrap()
            .try_into()
            .unwrap(),
    )
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// A proposed hashedrekord.
pub(crate) fn hashedrekord(algorithm: &str, digest: &str, signature: &[u8], key: &str) -> Value {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "signature": {"content": b64(signature), "publicKey": {"content": b64(key)}},
            "data": {"hash": {"algorithm": algorithm, "value": digest}},
        },
    })
}

/// A proposed hashedrekord like no other.
pub(crate) fn unique_hashedrekord() -> Value {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let artifact = format!("artifact {}", NEXT.fetch_add(1, Ordering::Relaxed));
    signed_artifact(artifact.as_bytes(), &crate::keys::Key::p256())
}

/// A proposed hashedrekord over SHA-256 of an artifact.
pub(crate) fn signed_artifact(artifact: &[u8], key: &crate::keys::Key) -> Value {
    let digest = hex::encode(crypto::sha256(artifact));
    hashedrekord("sha256", &digest, &key.sign(artifact), &key.pem)
}
