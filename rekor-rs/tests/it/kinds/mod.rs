//! Kinds of entry beyond those that cosign makes: for each, what is taken with which body, what is
//! refused and why, and what finds it.

mod alpine;
mod cose;
mod jar;
mod rekord;
mod rfc3161;
mod switches;
mod tuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stack::{Backend, Stack};

async fn stack() -> Stack {
    Stack::start(Backend::Sqlite).await
}

fn entry(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec})
}

/// Must be taken, once, and be found by its proposal. Returns id and `spec` of the body, which
/// must be in RFC 8785 form.
async fn taken(stack: &Stack, entry: &Value) -> (String, Value) {
    let (id, created) = stack.create(entry).await;
    let body = STANDARD.decode(created["body"].as_str().unwrap()).unwrap();
    let value: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
    assert_eq!(
        (&value["kind"], &value["apiVersion"]),
        (&entry["kind"], &json!("0.0.1"))
    );
    stack.refused(entry, 409).await;
    let found = stack.retrieve(json!({"entries": [entry]})).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, id);
    (id, value["spec"].clone())
}

/// Must be refused with 400 and this in the message.
async fn refused(stack: &Stack, entry: &Value, expected: &str) {
    let (_, message) = stack.refused(entry, 400).await;
    assert!(message.contains(expected), "{message}");
}

async fn found_by_hash(stack: &Stack, artifact: &[u8], id: &str) {
    let query = json!({"hash": hex::encode(crypto::sha256(artifact))});
    assert_eq!(stack.search(query).await, [id]);
}

async fn found_by_key(stack: &Stack, format: &str, key: &[u8], id: &str) {
    let key = json!({"publicKey": {"format": format, "content": STANDARD.encode(key)}});
    assert!(stack.search(key).await.iter().any(|found| found == id));
}

fn sha256(bytes: &[u8]) -> Value {
    json!({"algorithm": "sha256", "value": hex::encode(crypto::sha256(bytes))})
}

/// Peak of resident memory so far, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: usize = line.split_whitespace().next().unwrap().parse().unwrap();
    kilobytes * 1024
}
