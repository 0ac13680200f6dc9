//! A signed Java archive.

use serde_json::json;

use crate::entries::{b64, look_at};

/// Verifies the archive, which holds its signer's certificate.
pub fn run(data: &[u8]) {
    look_at("jar", "0.0.1", &json!({"archive": {"content": b64(data)}}));
}
