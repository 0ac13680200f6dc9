//! A certificate transparency log that signs, and can be told to fail.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::sct::{CtEntry, digitally_signed, signing_input};
use serde_json::{Value, json};

use crate::provider::now;

/// How the log behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    Good,
    Status(u16),
    /// 503 this many times, then good.
    Busy(usize),
    Hangs,
    /// Signs with another key under its own id.
    WrongKey,
    WrongId,
    WrongTime,
    /// Its tree head is 400 s ahead.
    Ahead,
    /// Its clock is 400 s behind.
    Behind,
    /// Signs another certificate.
    WrongEntry,
    NotJson,
}

pub(crate) struct Log {
    pub(crate) url: String,
    pub(crate) public_key: crypto::PublicKey,
    shared: Arc<Shared>,
}

struct Shared {
    key: EcdsaKeyPair,
    other: EcdsaKeyPair,
    id: [u8; 32],
    mood: Mutex<Mood>,
    /// Chains as they were submitted.
    submissions: Mutex<Vec<Vec<Vec<u8>>>>,
}

impl Log {
    pub(crate) async fn start() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let public_key = crypto::PublicKey::from_spki_der(spki.as_ref()).unwrap();
        let shared = Arc::new(Shared {
            id: public_key.key_id(),
            key,
            other: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            mood: Mutex::new(Mood::Good),
            submissions: Mutex::default(),
        });
        let router = Router::new()
            .route("/ctlog/ct/v1/add-pre-chain", post(add_pre_chain))
            .route("/ctlog/ct/v1/get-sth", get(get_sth))
            .with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ctlog", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            public_key,
            shared,
        }
    }

    pub(crate) fn feel(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    pub(crate) fn submissions(&self) -> Vec<Vec<Vec<u8>>> {
        self.shared.submissions.lock().unwrap().clone()
    }
}

async fn get_sth(State(log): State<Arc<Shared>>) -> Response {
    let mood = *log.mood.lock().unwrap();
    let now_ms = now() * 1000;
    match mood {
        Mood::Good => Json(json!({"tree_size": 0, "timestamp": now_ms})).into_response(),
        Mood::Behind => {
            let date = std::time::SystemTime::now() - std::time::Duration::from_secs(400);
            let date = [("date", httpdate::fmt_http_date(date))];
            (date, Json(json!({"timestamp": now_ms - 400_000}))).into_response()
        }
        Mood::Hangs => std::future::pending().await,
        Mood::Ahead => Json(json!({"timestamp": now_ms + 400_000})).into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn add_pre_chain(State(log): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    let mood = *log.mood.lock().unwrap();
    match mood {
        Mood::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Busy(times) if times > 0 => {
            *log.mood.lock().unwrap() = Mood::Busy(times - 1);
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        Mood::Hangs => std::future::pending::<()>().await,
        Mood::NotJson => return "<html>".into_response(),
        _ => {}
    }
    let chain: Vec<_> = body["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|der| STANDARD.decode(der.as_str().unwrap()).unwrap())
        .collect();
    log.submissions.lock().unwrap().push(chain.clone());
    let mut tbs = pki::precert::tbs_without_poison(&chain[0]).unwrap();
    if mood == Mood::WrongEntry {
        let last = tbs.len() - 1;
        tbs[last] ^= 1;
    }
    let issuer_key_hash = crypto::PublicKey::from_certificate_der(&chain[1])
        .unwrap()
        .key_id();
    let age = if mood == Mood::WrongTime { 3600 } else { 0 };
    let timestamp = (now() - age) * 1000;
    let input = signing_input(
        CtEntry::Precert {
            issuer_key_hash,
            tbs: &tbs,
        },
        timestamp,
        &[],
    )
    .unwrap();
    let key = if mood == Mood::WrongKey {
        &log.other
    } else {
        &log.key
    };
    let signature = key.sign(&SystemRandom::new(), &input).unwrap();
    let mut id = log.id;
    if mood == Mood::WrongId {
        id[0] ^= 1;
    }
    Json(json!({
        "sct_version": 0, "id": STANDARD.encode(id), "timestamp": timestamp, "extensions": "",
        "signature": STANDARD.encode(digitally_signed(signature.as_ref()).unwrap()),
    }))
    .into_response()
}
