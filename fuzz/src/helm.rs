//! The provenance of a Helm chart.

use serde_json::json;

use crate::entries::{b64, look_at};

const KEY: &[u8] = include_bytes!("../../crates/openpgp/fixtures/ed25519.gpg");

/// Verifies the provenance under a fixed key.
pub fn run(data: &[u8]) {
    let spec = json!({
        "publicKey": {"content": b64(KEY)},
        "chart": {"provenance": {"content": b64(data)}},
    });
    look_at("helm", "0.0.1", &spec);
}
