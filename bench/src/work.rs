//! What the clients send.

use std::borrow::Cow;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use hyper::body::Bytes;
use serde_json::json;

use crate::load::Work;

/// One client per item, each with a key of its own.
fn each<W: Work>(clients: usize, make: impl Fn() -> W) -> Vec<Box<dyn Work>> {
    (0..clients)
        .map(|_| Box::new(make()) as Box<dyn Work>)
        .collect()
}

/// The smallest request there is: the limit that HTTP and the load generator set.
pub(crate) fn pings(clients: usize) -> Vec<Box<dyn Work>> {
    each(clients, || Ping)
}

/// Distinct, valid `hashedrekord` entries.
pub(crate) fn log_entries(clients: usize) -> Vec<Box<dyn Work>> {
    each(clients, || LogEntry(Key::generate()))
}

/// Reads of entries by random index, in a log of `size` entries.
pub(crate) fn entry_reads(clients: usize, size: u64) -> Vec<Box<dyn Work>> {
    each(clients, || Read {
        size,
        path: |index, _| format!("/api/v1/log/entries?logIndex={index}"),
    })
}

/// Consistency proofs between two random sizes, in a log of `size` entries.
pub(crate) fn consistency_proofs(clients: usize, size: u64) -> Vec<Box<dyn Work>> {
    each(clients, || Read {
        size,
        path: |one, other| {
            let (first, last) = (one.min(other) + 1, one.max(other) + 1);
            format!("/api/v1/log/proof?firstSize={first}&lastSize={last}")
        },
    })
}

/// Certificate requests: a fresh signature by the client's key over the token's identity.
pub(crate) fn certificates(clients: usize, token: &str) -> Vec<Box<dyn Work>> {
    each(clients, || Certificate {
        key: Key::generate(),
        token: token.to_owned(),
    })
}

/// Identity of the token that [`certificates`] are requested with.
pub(crate) const EMAIL: &str = "bench@corp.example";

struct Ping;

impl Work for Ping {
    fn next(&mut self) -> (Method, Cow<'static, str>, Bytes) {
        (Method::GET, "/ping".into(), Bytes::new())
    }

    fn expected(&self) -> StatusCode {
        StatusCode::OK
    }
}

struct Read {
    size: u64,
    /// The path, of two random numbers below `size`.
    path: fn(u64, u64) -> String,
}

impl Work for Read {
    fn next(&mut self) -> (Method, Cow<'static, str>, Bytes) {
        let [one, other] =
            [random::<8>(), random::<8>()].map(|bytes| u64::from_le_bytes(bytes) % self.size);
        (Method::GET, (self.path)(one, other).into(), Bytes::new())
    }

    fn expected(&self) -> StatusCode {
        StatusCode::OK
    }
}

/// Random bytes.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a benchmark without randomness cannot run"
    )]
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    bytes
}

struct LogEntry(Key);

impl Work for LogEntry {
    fn next(&mut self) -> (Method, Cow<'static, str>, Bytes) {
        let artifact = random::<32>();
        let document = json!({
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hex::encode(crypto::sha256(&artifact))}},
                "signature": {
                    "content": BASE64_STANDARD.encode(self.0.sign(&artifact)),
                    "publicKey": {"content": BASE64_STANDARD.encode(&self.0.pem)},
                },
            },
        });
        (
            Method::POST,
            "/api/v1/log/entries".into(),
            document.to_string().into(),
        )
    }

    fn expected(&self) -> StatusCode {
        StatusCode::CREATED
    }
}

struct Certificate {
    key: Key,
    token: String,
}

impl Work for Certificate {
    fn next(&mut self) -> (Method, Cow<'static, str>, Bytes) {
        let document = json!({
            "credentials": {"oidcIdentityToken": self.token},
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": self.key.pem},
                "proofOfPossession": BASE64_STANDARD.encode(self.key.sign(EMAIL.as_bytes())),
            },
        });
        (
            Method::POST,
            "/api/v2/signingCert".into(),
            document.to_string().into(),
        )
    }

    fn expected(&self) -> StatusCode {
        StatusCode::OK
    }
}

/// A P-256 key in memory.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pem: String,
}

impl Key {
    #[expect(
        clippy::expect_used,
        reason = "generation fails only without randomness"
    )]
    pub(crate) fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a new key");
        let spki = [SPKI_P256, pair.public_key().as_ref()].concat();
        let body = BASE64_STANDARD.encode(spki);
        let (first, second) = body.split_at(64);
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n");
        Self { pair, pem }
    }

    #[expect(
        clippy::expect_used,
        reason = "signing in memory fails only without randomness"
    )]
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .expect("a signature")
            .as_ref()
            .to_vec()
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// DER before the 65-byte point of a P-256 `SubjectPublicKeyInfo` (RFC 5480).
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
