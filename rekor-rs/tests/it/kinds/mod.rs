//! Kinds of entry beyond those that cosign makes: for each, what is taken with which body, what is
//! refused and why, and what finds it.

mod alpine;
mod bombs;
mod cose;
mod jar;
#[cfg(feature = "openpgp")]
mod openpgp;
mod rekord;
mod rfc3161;
mod switches;
mod tuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stack::Stack;

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

/// A DEFLATE stream of some megabytes that unpacks to 2 GiB: one block, which refers to nothing
/// before it, again and again.
fn bomb() -> Vec<u8> {
    let mut block = Vec::with_capacity(1 << 20);
    flate2::Compress::new(flate2::Compression::fast(), false)
        .compress_vec(&vec![0; 1 << 20], &mut block, flate2::FlushCompress::Sync)
        .unwrap();
    let end = [0x03, 0x00];
    [block.repeat(2048).as_slice(), &end].concat()
}

/// Runs something that must not take memory in the order of what a [`bomb`] unpacks to. Other
/// tests run in the same process, so that this cannot be measured more finely.
async fn in_flat_memory(work: impl Future<Output = ()>) {
    let before = peak_memory();
    work.await;
    assert!(peak_memory() - before < 1 << 30);
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
