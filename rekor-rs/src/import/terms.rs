//! What an imported entry is found by: the keys that came with it, and those that can be computed from
//! it. The statement of a `dsse` entry is not in its body, so what it names is found only if its keys
//! came along.

use std::collections::BTreeSet;

use logstore::{LogKind, SearchKey};
use serde_json::{Map, Value};

use crate::entry::{Verifier, statement_keys};
use crate::search::key;

/// Most keys that are computed from one body.
const MAX_KEYS: usize = 1 << 12;

/// The search keys of an entry.
pub(super) fn keys(
    kind: LogKind,
    body: &[u8],
    attestation: &[u8],
    known: Vec<SearchKey>,
) -> Vec<SearchKey> {
    let mut keys: BTreeSet<SearchKey> = known.into_iter().collect();
    if kind == LogKind::RekorV1 {
        if let Ok(body) = serde_json::from_slice(body) {
            collect(&body, &mut keys);
        }
        keys.extend(statement_keys(attestation));
    }
    keys.into_iter().collect()
}

/// Bodies of all kinds write digests as `{"algorithm":…,"value":…}`, and keys under the names
/// `publicKey` and `verifier`. Depth is bounded by the parser of the JSON.
fn collect(value: &Value, keys: &mut BTreeSet<SearchKey>) {
    if keys.len() > MAX_KEYS {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        Value::Object(members) => {
            keys.extend(digest(members));
            for (name, member) in members {
                match name.as_str() {
                    "publicKey" | "verifier" => signer(member, keys),
                    _ => collect(member, keys),
                }
            }
        }
        _ => {}
    }
}

fn digest(members: &Map<String, Value>) -> Option<SearchKey> {
    let text = |name| members.get(name)?.as_str();
    Some(key(&format!("{}:{}", text("algorithm")?, text("value")?)))
}

/// A key: base64, or an object with that as its content.
fn signer(value: &Value, keys: &mut BTreeSet<SearchKey>) {
    let content = match value {
        Value::String(text) => Some(text.as_str()),
        other => other.get("content").and_then(Value::as_str),
    };
    let Some(content) = content.and_then(wire::rekor::decode_base64) else {
        return;
    };
    let digest = hex::encode(crypto::sha256(&content));
    keys.extend([key(&digest), key(&format!("sha256:{digest}"))]);
    if let Ok(verifier) = Verifier::parse(&content) {
        keys.extend(verifier.subjects().iter().map(|subject| key(subject)));
    }
}
