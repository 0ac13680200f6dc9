//! A transit engine for tests.
//!
//! Neither Vault nor OpenBao comes from the package registries that the tests install from, so this
//! stands in for them: the few requests of the transit API that the backend makes, with real keys,
//! the token check, and the length check of prehashed input. Against a real server, run
//! `bao server -dev`, `bao secrets enable transit`, and open `openbao://NAME` with its `BAO_ADDR`
//! and `BAO_TOKEN`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A token that may do everything.
pub(super) const TOKEN: &str = "s.test-token-of-the-transit-server";

/// A running server.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<Transit>>,
    task: tokio::task::JoinHandle<()>,
}

/// What the server knows and how it misbehaves.
pub(super) struct Transit {
    keys: BTreeMap<String, Key>,
    pub(super) token: String,
    /// Requests that came.
    pub(super) requests: usize,
    /// The next answers instead of the right ones.
    pub(super) failures: Vec<StatusCode>,
    /// Each answer waits for this.
    pub(super) delay: Duration,
    /// Signs with the first version and claims the one that was asked for.
    pub(super) wrong_version: bool,
    /// Claims this version in every signature.
    pub(super) claimed_version: Option<usize>,
    /// Answers are this many bytes of white space longer.
    pub(super) padding: usize,
    /// Where every request is redirected to.
    pub(super) redirect: Option<String>,
}

struct Key {
    kind: String,
    exportable: bool,
    versions: Vec<Material>,
}

enum Material {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Aes([u8; 32]),
}

impl Server {
    /// A server on any free port.
    pub(super) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), None).await
    }

    /// A server at `address`, with the keys of an earlier one.
    pub(super) async fn start_at(address: SocketAddr, earlier: Option<Self>) -> Self {
        let state = earlier.map_or_else(Arc::default, |earlier| Arc::clone(&earlier.state));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            state,
            task,
        }
    }

    /// Ends the server; nothing listens at its address any more.
    pub(super) async fn stop(&mut self) {
        self.task.abort();
        let _cancelled = (&mut self.task).await;
    }

    /// Puts TLS before the server; returns the port, and the certificate for `localhost` in PEM.
    pub(super) async fn behind_tls(&self) -> (u16, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], signing_key.into())
        .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = self.address;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate ends here.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut behind = tokio::net::TcpStream::connect(behind).await.unwrap();
                    let _closed = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        (port, cert.pem())
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Transit> {
        self.state.lock().unwrap()
    }
}

impl Default for Transit {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            token: TOKEN.to_owned(),
            requests: 0,
            failures: Vec::new(),
            delay: Duration::ZERO,
            wrong_version: false,
            claimed_version: None,
            padding: 0,
            redirect: None,
        }
    }
}

impl Transit {
    pub(super) fn make(&mut self, name: &str, kind: &str) {
        self.keys.entry(name.to_owned()).or_insert_with(|| Key {
            kind: kind.to_owned(),
            exportable: false,
            versions: vec![Material::new(kind)],
        });
    }

    pub(super) fn rotate(&mut self, name: &str) {
        let key = self.keys.get_mut(name).unwrap();
        key.versions.push(Material::new(&key.kind));
    }

    pub(super) fn export(&mut self, name: &str) {
        self.keys.get_mut(name).unwrap().exportable = true;
    }

    fn handle(
        &mut self,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, (StatusCode, &'static str)> {
        let path: Vec<&str> = path.split('/').collect();
        let bad = |reason| (StatusCode::BAD_REQUEST, reason);
        let missing = (StatusCode::NOT_FOUND, "");
        let bytes = |name: &str| match body.get(name).and_then(Value::as_str) {
            Some(text) => STANDARD.decode(text).map_err(|_| bad("not base64")),
            None => Ok(Vec::new()),
        };
        match (method.as_str(), path.as_slice()) {
            ("GET", ["keys", name]) => Ok(self.keys.get(*name).ok_or(missing)?.describe()),
            ("POST", ["keys", name]) => {
                self.make(name, body["type"].as_str().ok_or(bad("no type"))?);
                Ok(Value::Null)
            }
            ("POST", ["sign", name, hash @ ..]) => {
                let key = self.keys.get(*name).ok_or(missing)?;
                let (version, material) = key.version(body)?;
                let material = if self.wrong_version {
                    &key.versions[0]
                } else {
                    material
                };
                let signature = material.sign(hash, &bytes("input")?, body).map_err(bad)?;
                let version = self.claimed_version.unwrap_or(version);
                Ok(
                    json!({ "signature": format!("vault:v{version}:{}", STANDARD.encode(signature)), "key_version": version }),
                )
            }
            ("POST", ["encrypt", name]) => {
                let (version, material) = self.keys.get(*name).ok_or(missing)?.version(body)?;
                let sealed = material
                    .seal(&bytes("associated_data")?, bytes("plaintext")?)
                    .map_err(bad)?;
                Ok(json!({ "ciphertext": format!("vault:v{version}:{}", STANDARD.encode(sealed)) }))
            }
            ("POST", ["decrypt", name]) => {
                let text = body["ciphertext"].as_str().ok_or(bad("no ciphertext"))?;
                let (version, sealed) = text
                    .strip_prefix("vault:v")
                    .and_then(|text| text.split_once(':'))
                    .ok_or(bad("invalid ciphertext: no prefix"))?;
                let version = json!({ "key_version": version.parse::<u64>().map_err(|_| bad("invalid version"))? });
                let (_, material) = self.keys.get(*name).ok_or(missing)?.version(&version)?;
                let sealed = STANDARD.decode(sealed).map_err(|_| bad("not base64"))?;
                let opened = material
                    .open(&bytes("associated_data")?, sealed)
                    .map_err(bad)?;
                Ok(json!({ "plaintext": STANDARD.encode(opened) }))
            }
            _ => Err((StatusCode::NOT_FOUND, "unsupported path")),
        }
    }
}

impl Key {
    fn describe(&self) -> Value {
        let keys: serde_json::Map<String, Value> = (1..)
            .zip(&self.versions)
            .map(|(version, material): (usize, _)| (version.to_string(), material.describe()))
            .collect();
        json!({
            "type": self.kind,
            "latest_version": self.versions.len(),
            "exportable": self.exportable,
            "allow_plaintext_backup": false,
            "keys": keys,
        })
    }

    fn version(&self, body: &Value) -> Result<(usize, &Material), (StatusCode, &'static str)> {
        let asked = body["key_version"].as_u64().unwrap_or(0) as usize;
        let version = if asked == 0 {
            self.versions.len()
        } else {
            asked
        };
        let material = self.versions.get(version - 1);
        Ok((
            version,
            material.ok_or((
                StatusCode::BAD_REQUEST,
                "requested version for signing is higher than the latest key version",
            ))?,
        ))
    }
}

impl Material {
    fn new(kind: &str) -> Self {
        match kind {
            "ecdsa-p256" => {
                Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
            }
            "ecdsa-p384" => {
                Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap())
            }
            "ed25519" => Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            "aes256-gcm96" => {
                let mut key = [0; 32];
                aws_lc_rs::rand::fill(&mut key).unwrap();
                Self::Aes(key)
            }
            other => panic!("no {other} keys here"),
        }
    }

    fn describe(&self) -> Value {
        match self {
            Self::Ecdsa(pair) => {
                let spki = pair.public_key().as_der().unwrap();
                let key = crypto::PublicKey::from_spki_der(spki.as_ref()).unwrap();
                json!({ "creation_time": "2026-01-01T00:00:00Z", "name": "P-256", "public_key": key.to_pem() })
            }
            Self::Ed25519(pair) => {
                json!({ "name": "ed25519", "public_key": STANDARD.encode(pair.public_key().as_ref()) })
            }
            Self::Aes(_) => json!(1_767_225_600),
        }
    }

    fn sign(&self, hash: &[&str], input: &[u8], body: &Value) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
            Self::Ecdsa(pair) => {
                if body["marshaling_algorithm"] != "asn1" {
                    return Err("this server marshals asn1 only");
                }
                let algorithm = match hash {
                    ["sha2-256"] => &aws_lc_rs::digest::SHA256,
                    ["sha2-384"] => &aws_lc_rs::digest::SHA384,
                    _ => return Err("unsupported hash algorithm"),
                };
                if body["prehashed"] != true {
                    return pair
                        .sign(&aws_lc_rs::rand::SystemRandom::new(), input)
                        .map(|signature| signature.as_ref().to_vec())
                        .map_err(|_| "failed");
                }
                let digest = aws_lc_rs::digest::Digest::import_less_safe(input, algorithm)
                    .map_err(|_| "prehashed input has the wrong length for this hash")?;
                pair.sign_digest(&digest)
                    .map(|signature| signature.as_ref().to_vec())
                    .map_err(|_| "hash of another curve")
            }
            Self::Aes(_) => Err("key type does not support signing"),
        }
    }

    fn aead(&self) -> Result<RandomizedNonceKey, &'static str> {
        match self {
            Self::Aes(key) => Ok(RandomizedNonceKey::new(&AES_256_GCM, key).unwrap()),
            _ => Err("key type does not support encryption"),
        }
    }

    fn seal(&self, context: &[u8], mut plaintext: Vec<u8>) -> Result<Vec<u8>, &'static str> {
        let nonce = self
            .aead()?
            .seal_in_place_append_tag(Aad::from(context), &mut plaintext)
            .unwrap();
        Ok([nonce.as_ref(), plaintext.as_slice()].concat())
    }

    fn open(&self, context: &[u8], sealed: Vec<u8>) -> Result<Vec<u8>, &'static str> {
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or("ciphertext too short")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
        let mut sealed = sealed.to_vec();
        self.aead()?
            .open_in_place(nonce, Aad::from(context), &mut sealed)
            .map(|opened| opened.to_vec())
            .map_err(|_| "cipher: message authentication failed")
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Transit>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (delay, response) = {
        let mut engine = state.lock().unwrap();
        engine.requests += 1;
        (engine.delay, engine.respond(&method, &uri, &headers, &body))
    };
    tokio::time::sleep(delay).await;
    response
}

impl Transit {
    fn respond(
        &mut self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        let errors = |status: StatusCode, reason: &str| {
            let errors: Vec<&str> = Some(reason)
                .filter(|reason| !reason.is_empty())
                .into_iter()
                .collect();
            (status, json!({ "errors": errors }).to_string()).into_response()
        };
        if let Some(location) = &self.redirect {
            return (
                StatusCode::TEMPORARY_REDIRECT,
                [(header::LOCATION, format!("{location}{}", uri.path()))],
            )
                .into_response();
        }
        if !self.failures.is_empty() {
            return errors(self.failures.remove(0), "asked to fail");
        }
        if headers
            .get("x-vault-token")
            .is_none_or(|token| token != self.token.as_str())
        {
            return errors(StatusCode::FORBIDDEN, "permission denied");
        }
        let Some(path) = uri.path().strip_prefix("/v1/transit/") else {
            return errors(StatusCode::NOT_FOUND, "no handler for route");
        };
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        match self.handle(method, path, &body) {
            Ok(Value::Null) => StatusCode::NO_CONTENT.into_response(),
            Ok(data) => {
                format!("{}{}", json!({ "data": data }), " ".repeat(self.padding)).into_response()
            }
            Err((status, reason)) => errors(status, reason),
        }
    }
}
