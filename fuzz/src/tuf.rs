//! TUF metadata with the root that its keys are in: the metadata with its length before it, then
//! the root; the root alone is its own metadata.

use serde_json::json;

use crate::entries::{b64, halves, look_at};

/// Verifies the metadata under the root.
pub fn run(data: &[u8]) {
    let Some((metadata, root)) = halves(data) else {
        return;
    };
    let root = if root.is_empty() { metadata } else { root };
    let spec = json!({"metadata": {"content": b64(metadata)}, "root": {"content": b64(root)}});
    look_at("tuf", "0.0.1", &spec);
}
