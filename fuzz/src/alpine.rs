//! A package of Alpine Linux.

use serde_json::json;

use crate::entries::{b64, look_at};

const KEY: &str = include_str!("../../rekor-rs/tests/fixtures/fixture-apk.pem");

/// Verifies the package under a fixed key.
pub fn run(data: &[u8]) {
    let spec =
        json!({"publicKey": {"content": b64(KEY.as_bytes())}, "package": {"content": b64(data)}});
    look_at("alpine", "0.0.1", &spec);
}
