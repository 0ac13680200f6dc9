//! RFC 6962 over HTTP (section 4).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use pki::sct::digitally_signed;
use serde::{Deserialize, Serialize};
use tlog::Hash;

use super::chain::MAX_CHAIN;
use super::error::Error;
use super::log::{CtLog, Kind};

/// Longest submission, in bytes.
pub(super) const MAX_BODY: usize = 512_000;

/// Proofs and whole answers never change.
const FOREVER: &str = "public, max-age=86400";
/// Answers that were cut short may be longer next time.
const SHORTLY: &str = "public, max-age=60";

/// The log's calls, under `/<origin>/ct/v1/`.
pub fn router(log: Arc<CtLog>) -> Router {
    let calls = Router::new()
        .route("/add-chain", post(add_chain))
        .route("/add-pre-chain", post(add_pre_chain))
        .route("/get-sth", get(get_sth))
        .route("/get-sth-consistency", get(get_sth_consistency))
        .route("/get-proof-by-hash", get(get_proof_by_hash))
        .route("/get-entries", get(get_entries))
        .route("/get-entry-and-proof", get(get_entry_and_proof))
        .route("/get-roots", get(get_roots))
        .fallback(async || Error::NotFound("no such call"))
        .method_not_allowed_fallback(async || Error::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let prefix = format!("/{}/ct/v1", log.record().origin);
    Router::new().nest(&prefix, calls).with_state(log)
}

type Log = State<Arc<CtLog>>;

#[derive(Deserialize)]
struct AddChain {
    chain: Vec<String>,
}

#[derive(Serialize)]
struct Sct {
    sct_version: u8,
    id: String,
    timestamp: u64,
    extensions: String,
    signature: String,
}

async fn add_chain(
    State(log): Log,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Sct>, Error> {
    add(&log, body, Kind::Certificate).await
}

async fn add_pre_chain(
    State(log): Log,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Sct>, Error> {
    add(&log, body, Kind::Precertificate).await
}

async fn add(
    log: &CtLog,
    body: Result<Bytes, BytesRejection>,
    kind: Kind,
) -> Result<Json<Sct>, Error> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLong,
        _ => Error::Request("the body could not be read"),
    })?;
    let AddChain { chain } = serde_json::from_slice(&body)
        .map_err(|_| Error::Request("the body is not JSON with a chain"))?;
    if chain.len() > MAX_CHAIN {
        return Err(Error::Request("the chain is too long"));
    }
    let chain: Result<Vec<_>, _> = chain
        .iter()
        .map(|certificate| STANDARD.decode(certificate))
        .collect();
    let chain = chain.map_err(|_| Error::Request("a certificate is not base64"))?;
    let result = log.add(&chain, kind).await;
    let outcome = if result.is_ok() {
        "accepted"
    } else {
        "refused"
    };
    metrics::counter!("ct_submissions_total", "log" => log.record().id.0.to_string(), "outcome" => outcome).increment(1);
    let sct = result?;
    let signature = digitally_signed(&sct.signature)
        .map_err(|_| Error::Inconsistent("a signature is too long"))?;
    Ok(Json(Sct {
        sct_version: 0,
        id: STANDARD.encode(sct.log_id),
        timestamp: sct.timestamp_ms,
        extensions: STANDARD.encode(sct.extensions),
        signature: STANDARD.encode(signature),
    }))
}

#[derive(Serialize)]
struct Sth {
    tree_size: u64,
    timestamp: u64,
    sha256_root_hash: String,
    tree_head_signature: String,
}

async fn get_sth(State(log): Log) -> Result<Json<Sth>, Error> {
    let signed = log.sth().await?;
    Ok(Json(Sth {
        tree_size: signed.head.size,
        timestamp: signed.head.timestamp_ms,
        sha256_root_hash: STANDARD.encode(signed.head.root.as_bytes()),
        tree_head_signature: STANDARD.encode(&signed.signed),
    }))
}

async fn get_sth_consistency(
    State(log): Log,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let first = number(
        query.as_deref(),
        "first",
        "first is missing or not a number",
    )?;
    let second = number(
        query.as_deref(),
        "second",
        "second is missing or not a number",
    )?;
    let proof = log.consistency(first, second).await?;
    Ok(cached(
        FOREVER,
        serde_json::json!({ "consistency": encode_all(&proof) }),
    ))
}

async fn get_proof_by_hash(State(log): Log, RawQuery(query): RawQuery) -> Result<Response, Error> {
    const BAD_HASH: Error = Error::Request("hash is missing or not the base64 of 32 bytes");
    let hash = parameter(query.as_deref(), "hash").ok_or(BAD_HASH)?;
    let hash = STANDARD.decode(hash).map_err(|_| BAD_HASH)?;
    let hash = Hash::try_from(hash.as_slice()).map_err(|_| BAD_HASH)?;
    let size = number(
        query.as_deref(),
        "tree_size",
        "tree_size is missing or not a number",
    )?;
    let (index, proof) = log.proof_by_hash(&hash, size).await?;
    Ok(cached(
        FOREVER,
        serde_json::json!({ "leaf_index": index, "audit_path": encode_all(&proof) }),
    ))
}

async fn get_entries(State(log): Log, RawQuery(query): RawQuery) -> Result<Response, Error> {
    let start = number(
        query.as_deref(),
        "start",
        "start is missing or not a number",
    )?;
    let end = number(query.as_deref(), "end", "end is missing or not a number")?;
    let entries = log.entries(start, end).await?;
    let is_whole = entries.last().is_some_and(|last| last.index == end);
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            serde_json::json!({
                "leaf_input": STANDARD.encode(&entry.body),
                "extra_data": STANDARD.encode(&entry.extra),
            })
        })
        .collect();
    Ok(cached(
        if is_whole { FOREVER } else { SHORTLY },
        serde_json::json!({ "entries": entries }),
    ))
}

async fn get_entry_and_proof(
    State(log): Log,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let index = number(
        query.as_deref(),
        "leaf_index",
        "leaf_index is missing or not a number",
    )?;
    let size = number(
        query.as_deref(),
        "tree_size",
        "tree_size is missing or not a number",
    )?;
    let (entry, proof) = log.entry_and_proof(index, size).await?;
    let answer = serde_json::json!({
        "leaf_input": STANDARD.encode(&entry.body),
        "extra_data": STANDARD.encode(&entry.extra),
        "audit_path": encode_all(&proof),
    });
    Ok(cached(FOREVER, answer))
}

async fn get_roots(State(log): Log) -> Json<serde_json::Value> {
    let certificates: Vec<String> = log.roots().map(|root| STANDARD.encode(root)).collect();
    Json(serde_json::json!({ "certificates": certificates }))
}

fn cached(policy: &'static str, body: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, policy)], Json(body)).into_response()
}

fn encode_all(hashes: &[Hash]) -> Vec<String> {
    hashes
        .iter()
        .map(|hash| STANDARD.encode(hash.as_bytes()))
        .collect()
}

/// The first parameter of this name.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut parameters = url::form_urlencoded::parse(query?.as_bytes());
    parameters
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn number(query: Option<&str>, name: &str, problem: &'static str) -> Result<u64, Error> {
    let value = parameter(query, name).ok_or(Error::Request(problem))?;
    value.parse().map_err(|_| Error::Request(problem))
}
